//! `explain`: which NICs a pod would get on a node, and which rule leaves each other one out.

use openapi::SelectAnswer;
use serde::Serialize;

use crate::output::{self, Format, Row};

/// A NIC in the answer.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Line {
    nic: String,
    /// `net1-0` and so on by its place, or empty.
    chosen: Option<usize>,
    rule: String,
    why: String,
}

impl Row for Line {
    const COLUMNS: &'static [(&'static str, bool)] =
        &[("NIC", false), ("CHOSEN", false), ("RULE", false), ("WHY", false)];

    fn cells(&self) -> Vec<String> {
        let chosen = self.chosen.map_or_else(|| "no".to_owned(), |place| format!("{}.", place + 1));
        vec![self.nic.clone(), chosen, self.rule.clone(), self.why.clone()]
    }
}

/// The answer as text in that form.
///
/// # Errors
/// When it cannot be written so.
pub(crate) fn shown(answer: &SelectAnswer, format: Format) -> anyhow::Result<String> {
    if matches!(format, Format::Json | Format::Yaml) {
        return output::document(answer, format);
    }
    let chosen = answer.chosen.iter().enumerate().map(|(place, nic)| Line {
        nic: nic.master.clone(),
        chosen: Some(place),
        rule: String::new(),
        why: nic.net_address.as_ref().map(|net| format!("in {net}")).unwrap_or_default(),
    });
    let left_out = answer.left_out.iter().map(|nic| Line {
        nic: nic.name.clone().unwrap_or_else(|| nic.nic.to_string()),
        chosen: None,
        rule: nic.rule.clone(),
        why: nic.why.clone(),
    });
    let lines: Vec<Line> = chosen.chain(left_out).collect();
    let mut text = output::rows(&lines, format)?;
    if let Some(refused) = &answer.refused {
        text = format!("The pod would be refused: {refused}\n{text}");
    }
    Ok(text)
}
