//! The default `agent.yaml`: every setting with its value, its doc comment above it.

use serde_json::Value;
use utoipa::PartialSchema;

use super::device_plugin::DevicePlugin;
use super::settings::{Limits, Settings};

/// The text of `--print-default`. Reading it back gives the defaults.
pub fn default_file() -> String {
    let mut text =
        String::from("# Settings of multi-nicd. Everything here is the default: keep what you change.\n");
    let values = serde_json::to_value(Settings::default()).unwrap_or(Value::Null);
    section(&mut text, 0, &values, &schema(&Settings::schema()));
    text
}

fn schema(schema: &utoipa::openapi::RefOr<utoipa::openapi::Schema>) -> Value {
    serde_json::to_value(schema).unwrap_or(Value::Null)
}

fn section(text: &mut String, indent: usize, values: &Value, schema_of_section: &Value) {
    let margin = " ".repeat(indent);
    for (key, value) in values.as_object().into_iter().flatten() {
        let pointer = format!("/properties/{key}/description");
        text.push('\n');
        for line in schema_of_section.pointer(&pointer).and_then(Value::as_str).unwrap_or_default().lines() {
            text.push_str(&format!("{margin}# {line}\n"));
        }
        match value {
            Value::Object(members) if !members.is_empty() => {
                text.push_str(&format!("{margin}{key}:\n"));
                let inner = match key.as_str() {
                    "limits" => schema(&Limits::schema()),
                    "devicePlugin" => schema(&DevicePlugin::schema()),
                    _ => Value::Null,
                };
                if inner.is_null() {
                    for (name, member) in members {
                        text.push_str(&format!("{margin}  {name}: {}\n", flow(member)));
                    }
                } else {
                    section(text, indent + 2, value, &inner);
                }
            }
            plain => text.push_str(&format!("{margin}{key}: {}\n", flow(plain))),
        }
    }
}

/// A value on one line. JSON is YAML; only plain words may go without quotes.
fn flow(value: &Value) -> String {
    match value {
        Value::String(word) if word.bytes().all(|byte| byte.is_ascii_alphanumeric()) => word.clone(),
        other => other.to_string(),
    }
}
