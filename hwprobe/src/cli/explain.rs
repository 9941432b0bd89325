//! `--explain`: every fact of one NIC, where it comes from, and its warnings.

use std::io::{self, Write};

use hwprobe::{Inventory, Nic};
use serde_json::Value;

use super::provenance::source_of;

/// Prints the facts of `nic`. `captured`: they were read from a tree, not from the kernel.
pub(crate) fn print(nic: &Nic, inventory: &Inventory, captured: bool, out: &mut dyn Write) -> io::Result<()> {
    let value = serde_json::to_value(nic)?;
    let mut leaves = Vec::new();
    collect(&mut String::new(), &value, &mut leaves);
    let width = leaves.iter().map(|(path, _)| path.len()).max().unwrap_or_default();
    let value_width = leaves
        .iter()
        .map(|(_, value)| value.chars().count())
        .filter(|width| *width <= 40)
        .max()
        .unwrap_or_default();
    writeln!(out, "{} ({})", nic.label(), nic.id)?;
    for (path, value) in &leaves {
        writeln!(out, "  {path:width$}  {value:value_width$}  {}", source_of(path, nic, captured))?;
    }
    let own: Vec<_> =
        inventory.warnings.iter().filter(|warning| warning.nic.as_ref() == Some(&nic.id)).collect();
    if own.is_empty() {
        writeln!(out, "no warnings")?;
    }
    for warning in own {
        writeln!(out, "warning {}: {}\n  fix: {}", warning.code.as_str(), warning.message, warning.fix)?;
    }
    out.flush()
}

/// The leaves of a value by dotted path; lists of plain values are one leaf.
pub(crate) fn collect(path: &mut String, value: &Value, leaves: &mut Vec<(String, String)>) {
    let mut below = |name: &str, value: &Value| {
        let length = path.len();
        if !path.is_empty() {
            path.push('.');
        }
        path.push_str(name);
        collect(path, value, leaves);
        path.truncate(length);
    };
    match value {
        Value::Object(fields) => fields.iter().for_each(|(name, value)| below(name, value)),
        // Dozens of offloads, three facts each: one line reads better.
        Value::Array(list) if list.iter().all(|item| item.get("fixed").is_some()) && !list.is_empty() => {
            leaves.push((path.clone(), list.iter().map(offload).collect::<Vec<_>>().join(" ")));
        }
        Value::Array(list) if list.iter().any(Value::is_object) => {
            list.iter().enumerate().for_each(|(index, value)| below(&index.to_string(), value));
        }
        Value::Array(list) => {
            leaves.push((path.clone(), list.iter().map(plain).collect::<Vec<_>>().join(" ")))
        }
        other => leaves.push((path.clone(), plain(other))),
    }
}

fn offload(offload: &Value) -> String {
    let set = |field: &str| offload.get(field).and_then(Value::as_bool).unwrap_or_default();
    let name = offload.get("name").map(plain).unwrap_or_default();
    format!("{name}={}{}", if set("on") { "on" } else { "off" }, if set("fixed") { "(fixed)" } else { "" })
}

fn plain(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}
