//! The reference pages of the documents, each made of what it speaks of.

mod commands;
mod errors;
mod resources;
mod rest;
mod settings;

use anyhow::Result;
use serde_json::Value;

use super::Generated;
use crate::workspace::Workspace;

/// Every page; the executables are built for two of them.
pub(super) fn generate(workspace: &Workspace) -> Result<Vec<Generated>> {
    let pages = [
        ("resources", resources::page(workspace)?),
        ("rest", rest::page(workspace)?),
        ("errors", errors::page(workspace)?),
        ("commands", commands::page(workspace)?),
        ("settings", settings::page(workspace)?),
    ];
    let pages = pages.into_iter().map(|(name, text)| Generated {
        path: format!("docs/reference/{name}.md").into(),
        content: format!("<!-- Written by `cargo xtask codegen reference`. -->\n\n{}\n", text.trim_end()),
    });
    Ok(pages.collect())
}

/// A text as a cell of a table: one line, and no bar that would end the cell.
fn cell(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ").replace('|', "\\|")
}

/// A member of a JSON object as text; empty when it is not there or something else.
fn member<'a>(value: &'a Value, name: &str) -> &'a str {
    value[name].as_str().unwrap_or_default()
}

/// What a schema says of a value's range, beyond its type.
fn range(schema: &Value) -> String {
    let mut words = Vec::new();
    if let Some(values) = schema["enum"].as_array() {
        let shown = values.iter().map(|value| match value.as_str() {
            Some("") => "empty".to_owned(),
            Some(text) => format!("`{text}`"),
            None => value.to_string(),
        });
        words.push(shown.collect::<Vec<_>>().join(", "));
    }
    match (schema["minimum"].as_i64(), schema["maximum"].as_i64()) {
        (Some(least), Some(most)) => words.push(format!("{least} to {most}")),
        (Some(least), None) => words.push(format!("from {least}")),
        (None, Some(most)) => words.push(format!("up to {most}")),
        (None, None) => {}
    }
    for (name, what) in [("maxLength", "characters"), ("maxItems", "items"), ("maxProperties", "entries")] {
        words.extend(schema[name].as_u64().map(|most| format!("at most {most} {what}")));
    }
    words.join("; ")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_cell_stays_one_cell() {
        assert_eq!(cell("a |\n  b"), "a \\| b");
    }

    #[test]
    fn ranges_are_words() {
        assert_eq!(range(&json!({"enum": ["", "l2"]})), "empty, `l2`");
        assert_eq!(range(&json!({"minimum": 0, "maximum": 120})), "0 to 120");
        assert_eq!(range(&json!({"minimum": 1, "maxItems": 2})), "from 1; at most 2 items");
        assert_eq!(range(&json!({"type": "string"})), "");
    }
}
