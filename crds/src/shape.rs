//! The fields of our kinds, and the check that an object has no others.
//!
//! serde stops at the first field that it cannot read and knows no nearest name; somebody who writes a file wants all
//! of it at once.

use serde_json::{Map, Value};

use crate::problem::Problem;

/// What may stand in a field.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Shape {
    Text,
    /// A text that holds JSON.
    JsonText,
    Flag,
    /// A whole number from 0 to this.
    Number(u64),
    Texts,
    TextMap,
    FlagMap,
    Object(&'static [Field]),
    Objects(&'static [Field]),
}

/// A field of an object.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Field {
    pub(crate) name: &'static str,
    pub(crate) shape: Shape,
    pub(crate) required: bool,
}

/// A field that may be absent.
pub(crate) const fn optional(name: &'static str, shape: Shape) -> Field {
    Field { name, shape, required: false }
}

/// A field that must be there.
pub(crate) const fn required(name: &'static str, shape: Shape) -> Field {
    Field { name, shape, required: true }
}

/// Everything that does not fit. A field that is null counts as absent.
pub(crate) fn check(value: &Value, shape: Shape, path: &str, problems: &mut Vec<Problem>) {
    let mut wrong = |want: &str, fix: &str| {
        problems.push(Problem::new(path, format!("is {}, not {want}", what(value)), fix));
    };
    match (shape, value) {
        (Shape::Text | Shape::JsonText, Value::String(_)) | (Shape::Flag, Value::Bool(_)) => {}
        (Shape::Number(most), Value::Number(number)) if number.as_u64().is_some_and(|one| one <= most) => {}
        (Shape::Object(fields), Value::Object(members)) => object(members, fields, path, problems),
        (Shape::TextMap, Value::Object(members)) => members_of(members, Shape::Text, path, problems),
        (Shape::FlagMap, Value::Object(members)) => members_of(members, Shape::Flag, path, problems),
        (Shape::Texts, Value::Array(items)) => items_of(items, Shape::Text, path, problems),
        (Shape::Objects(fields), Value::Array(items)) => {
            items_of(items, Shape::Object(fields), path, problems);
        }
        (Shape::Text, Value::Number(_) | Value::Bool(_)) => {
            wrong("a text", &format!("write it in quotes: \"{value}\""));
        }
        (Shape::Text, _) => wrong("a text", "write one text"),
        (Shape::JsonText, _) => {
            wrong("a text that holds JSON", "write `|` behind the colon and the JSON below, indented");
        }
        (Shape::Flag, _) => wrong("a yes or no", "write true or false, without quotes"),
        (Shape::Number(most), _) => {
            wrong(&format!("a whole number from 0 to {most}"), "write the number, without quotes");
        }
        (Shape::Texts, _) => wrong("a list of texts", "write [\"one\", \"two\"]"),
        (Shape::Objects(_), _) => wrong("a list of mappings", "begin each item with a dash"),
        (Shape::Object(_) | Shape::TextMap | Shape::FlagMap, _) => {
            wrong("a mapping", "write its fields below it, indented");
        }
    }
}

fn object(members: &Map<String, Value>, fields: &[Field], path: &str, problems: &mut Vec<Problem>) {
    let below = |name: &str| if path.is_empty() { name.to_owned() } else { format!("{path}.{name}") };
    for (name, value) in members {
        match fields.iter().find(|field| field.name == name) {
            _ if value.is_null() => {}
            Some(field) => check(value, field.shape, &below(name), problems),
            None => {
                let known: Vec<&str> = fields.iter().map(|field| field.name).collect();
                problems.push(Problem::unknown(below(name), "there is no such field", name, &known));
            }
        }
    }
    for field in fields.iter().filter(|field| field.required) {
        if members.get(field.name).is_none_or(Value::is_null) {
            problems.push(Problem::new(below(field.name), "is missing", "it is required"));
        }
    }
}

fn members_of(members: &Map<String, Value>, shape: Shape, path: &str, problems: &mut Vec<Problem>) {
    for (name, value) in members.iter().filter(|(_, value)| !value.is_null()) {
        check(value, shape, &format!("{path}.{name}"), problems);
    }
}

fn items_of(items: &[Value], shape: Shape, path: &str, problems: &mut Vec<Problem>) {
    for (index, value) in items.iter().enumerate() {
        check(value, shape, &format!("{path}[{index}]"), problems);
    }
}

/// A value in the words of who wrote it.
fn what(value: &Value) -> String {
    match value {
        Value::Null => "nothing".to_owned(),
        Value::Array(_) => "a list".to_owned(),
        Value::Object(_) => "a mapping".to_owned(),
        other => other.to_string().chars().take(60).collect(),
    }
}
