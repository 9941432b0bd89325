//! The part of JSON Schema (2020-12) that utoipa writes: type, enum, properties, required, items, choices,
//! references, ranges, and the two patterns of the model. Members that no schema has are errors here, although
//! JSON Schema allows them: the point is to find what the document forgets.

use std::collections::BTreeSet;

use serde_json::Value;

/// Checks `value` against `schema`; what is wrong goes to `wrong`. Returns the members seen, as `Schema.member`.
pub(crate) fn validate(
    document: &Value,
    schema: &Value,
    value: &Value,
    name: &str,
    wrong: &mut Vec<String>,
) -> BTreeSet<String> {
    let mut seen = BTreeSet::new();
    check(document, schema, value, name, name, wrong, &mut seen);
    seen
}

fn check(
    document: &Value,
    schema: &Value,
    value: &Value,
    name: &str,
    at: &str,
    wrong: &mut Vec<String>,
    seen: &mut BTreeSet<String>,
) {
    if let Some(reference) = schema["$ref"].as_str() {
        let target_name = reference.rsplit('/').next().unwrap();
        let target = &document["components"]["schemas"][target_name];
        assert!(target.is_object(), "{at}: {reference} leads nowhere");
        return check(document, target, value, target_name, at, wrong, seen);
    }
    for key in ["oneOf", "anyOf"] {
        let Some(parts) = schema[key].as_array() else { continue };
        let fits = |part: &&Value| {
            let (mut wrong, mut seen) = (Vec::new(), BTreeSet::new());
            check(document, part, value, name, at, &mut wrong, &mut seen);
            wrong.is_empty()
        };
        match parts.iter().filter(fits).collect::<Vec<_>>().as_slice() {
            [] => {
                // The branch with the fewest faults is the one that was meant.
                let faults = parts.iter().map(|part| {
                    let mut faults = Vec::new();
                    check(document, part, value, name, at, &mut faults, &mut BTreeSet::new());
                    faults
                });
                wrong.extend(faults.min_by_key(Vec::len).unwrap());
            }
            [first, ..] => check(document, first, value, name, at, wrong, seen),
        }
        return;
    }
    for part in schema["allOf"].as_array().into_iter().flatten() {
        check(document, part, value, name, at, wrong, seen);
    }
    let kinds: Vec<&str> = match &schema["type"] {
        Value::String(kind) => vec![kind],
        Value::Array(kinds) => kinds.iter().map(|kind| kind.as_str().unwrap()).collect(),
        _ => Vec::new(),
    };
    let is = |kind: &str| match kind {
        "null" => value.is_null(),
        "boolean" => value.is_boolean(),
        "integer" => value.is_i64() || value.is_u64(),
        "number" => value.is_number(),
        "string" => value.is_string(),
        "array" => value.is_array(),
        "object" => value.is_object(),
        other => panic!("{at}: type {other}"),
    };
    if !kinds.is_empty() && !kinds.iter().any(|kind| is(kind)) {
        return wrong.push(format!("{at}: {value} is no {kinds:?}"));
    }
    if let Some(allowed) = schema["enum"].as_array()
        && !allowed.contains(value)
    {
        wrong.push(format!("{at}: {value} is none of {allowed:?}"));
    }
    if let (Some(number), Some(least)) = (value.as_f64(), schema["minimum"].as_f64())
        && number < least
    {
        wrong.push(format!("{at}: {number} is less than {least}"));
    }
    if let (Some(number), Some(most)) = (value.as_f64(), schema["maximum"].as_f64())
        && number > most
    {
        wrong.push(format!("{at}: {number} is more than {most}"));
    }
    if let (Some(text), Some(pattern)) = (value.as_str(), schema["pattern"].as_str())
        && !matches(pattern, text)
    {
        wrong.push(format!("{at}: {text} does not match {pattern}"));
    }
    if let Some(members) = value.as_object()
        && let Some(properties) = schema["properties"].as_object()
    {
        for required in schema["required"].as_array().into_iter().flatten() {
            if !members.contains_key(required.as_str().unwrap()) {
                wrong.push(format!("{at}: {required} is missing"));
            }
        }
        for (key, member) in members {
            seen.insert(format!("{name}.{key}"));
            match properties.get(key) {
                Some(property) => {
                    check(document, property, member, name, &format!("{at}.{key}"), wrong, seen)
                }
                None => wrong.push(format!("{at}: `{key}` is not in the schema")),
            }
        }
    }
    if let Some(items) = value.as_array()
        && schema["items"].is_object()
    {
        for (index, item) in items.iter().enumerate() {
            check(document, &schema["items"], item, name, &format!("{at}[{index}]"), wrong, seen);
        }
    }
}

/// The patterns of the model, each by the type that it describes: there is no regular-expression crate here.
fn matches(pattern: &str, text: &str) -> bool {
    match pattern {
        "^([0-9a-f]{2}:){0,31}[0-9a-f]{2}$" => {
            text.parse::<hwprobe::HwAddr>().is_ok_and(|address| address.to_string() == text)
        }
        "^[0-9a-f]{4,8}:[0-9a-f]{2}:[01][0-9a-f]\\.[0-7]$" => {
            text.parse::<hwprobe::PciAddress>().is_ok_and(|address| address.to_string() == text)
        }
        "^[0-9A-Za-z]+-[0-9]+$" => text.parse::<openapi::EventId>().is_ok(),
        other => panic!("teach this test the pattern {other}"),
    }
}
