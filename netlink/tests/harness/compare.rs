//! Comparing what we read with what a witness says, so that a field that only one side has is
//! a difference too.

use serde_json::{Map, Value};

/// Fields that one side may have alone, each with the reason. A path is joined by dots, list
/// elements are `[]`.
pub type Allowed<'a> = &'a [(&'a str, &'a str)];

/// All differences, as lines; empty when both sides say the same.
pub fn differences(
    ours: &Value,
    theirs: &Value,
    ours_alone: Allowed<'_>,
    theirs_alone: Allowed<'_>,
) -> Vec<String> {
    let mut found = Vec::new();
    walk("", ours, theirs, ours_alone, theirs_alone, &mut found);
    found
}

fn walk(
    path: &str,
    ours: &Value,
    theirs: &Value,
    ours_alone: Allowed<'_>,
    theirs_alone: Allowed<'_>,
    found: &mut Vec<String>,
) {
    let allowed = |list: Allowed<'_>, path: &str| list.iter().any(|(known, _)| *known == path);
    match (ours, theirs) {
        (Value::Object(a), Value::Object(b)) => {
            let below = |key: &str| if path.is_empty() { key.to_owned() } else { format!("{path}.{key}") };
            for (key, value) in a {
                let path = below(key);
                match b.get(key) {
                    Some(other) => walk(&path, value, other, ours_alone, theirs_alone, found),
                    None if allowed(ours_alone, &path) => {}
                    None => found.push(format!("{path}: only we have it: {value}")),
                }
            }
            for (key, value) in b {
                let path = below(key);
                if !a.contains_key(key) && !allowed(theirs_alone, &path) {
                    found.push(format!("{path}: only the witness has it: {value}"));
                }
            }
        }
        (Value::Array(a), Value::Array(b)) if a.len() == b.len() => {
            let path = format!("{path}[]");
            for (a, b) in a.iter().zip(b) {
                walk(&path, a, b, ours_alone, theirs_alone, found);
            }
        }
        (a, b) if a == b => {}
        (a, b) => found.push(format!("{path}: we say {a}, the witness {b}")),
    }
}

/// A JSON object.
pub type Object = Map<String, Value>;

/// The object that `value` is.
pub fn object(value: Value) -> Object {
    match value {
        Value::Object(object) => object,
        other => panic!("not an object: {other}"),
    }
}

/// Puts `value` under `key` unless it is null.
pub fn put(to: &mut Object, key: &str, value: Value) {
    if !value.is_null() {
        to.insert(key.to_owned(), value);
    }
}

/// Moves `from`'s field `ours` under the witness's name.
pub fn rename(from: &mut Object, to: &mut Object, pairs: &[(&str, &str)]) {
    for (ours, theirs) in pairs {
        put(to, theirs, from.remove(*ours).unwrap_or_default());
    }
}
