//! Completes the generated OpenAPI document: real answers become the examples of the schemas they are made of.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

/// The inventory that every example is cut from: made up, and every member that the contract has occurs in it.
///
/// # Errors
/// When the file and the model no longer fit.
pub fn example_inventory() -> Result<hwprobe::Inventory, serde_json::Error> {
    serde_json::from_str(include_str!("../examples/inventory.json"))
}

/// Examples found so far, by the name of their schema.
#[derive(Debug, Default)]
pub struct Examples {
    found: BTreeMap<String, Value>,
}

impl Examples {
    /// Takes `answer`, a value of the schema `name`, and every value inside it as an example of its own schema.
    /// Of several values of a schema the one with the most members stays.
    pub fn collect(&mut self, document: &Value, name: &str, answer: &Value) {
        let Some(schema) = document.pointer(&format!("/components/schemas/{name}")) else { return };
        let members = |value: &Value| value.as_object().map_or(0, Map::len);
        let better = self.found.get(name).is_none_or(|known| members(known) < members(answer));
        if better {
            self.found.insert(name.to_owned(), answer.clone());
        }
        self.descend(document, schema, answer);
    }

    fn descend(&mut self, document: &Value, schema: &Value, value: &Value) {
        if let Some(name) = reference(schema) {
            // `collect` looks the schema up again and comes back here with what it says.
            return self.collect(document, name, value);
        }
        for part in ["allOf", "oneOf", "anyOf"].iter().filter_map(|key| schema.get(key)?.as_array()).flatten()
        {
            if fits_roughly(document, part, value) {
                self.descend(document, part, value);
            }
        }
        if let (Some(items), Some(values)) = (schema.get("items"), value.as_array()) {
            values.iter().for_each(|item| self.descend(document, items, item));
        }
        if let (Some(properties), Some(members)) =
            (schema.get("properties").and_then(Value::as_object), value.as_object())
        {
            for (key, member) in members {
                if let Some(property) = properties.get(key) {
                    self.descend(document, property, member);
                }
            }
        }
    }

    /// Writes the examples into the document's schemas (`examples`, OpenAPI 3.1 §4.8.24). Lists of objects
    /// are cut to their first element, or one example would fill pages.
    pub fn inject(self, document: &mut Value) {
        let schemas = document.pointer_mut("/components/schemas").and_then(Value::as_object_mut);
        for (name, schema) in schemas.into_iter().flatten() {
            if let (Some(schema), Some(example)) = (schema.as_object_mut(), self.found.get(name)) {
                schema.insert("examples".to_owned(), Value::Array(vec![shortened(example, 0)]));
            }
        }
    }
}

/// The name of the component that a schema refers to.
fn reference(schema: &Value) -> Option<&str> {
    schema.get("$ref")?.as_str()?.strip_prefix("#/components/schemas/")
}

/// Whether `value` can be meant by this branch of a choice: its JSON type and its constant members fit.
fn fits_roughly(document: &Value, schema: &Value, value: &Value) -> bool {
    if let Some(name) = reference(schema) {
        let target = document.pointer(&format!("/components/schemas/{name}"));
        return target.is_some_and(|target| fits_roughly(document, target, value));
    }
    let kind = match value {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::Number(_) => "integer",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    };
    let type_fits = match schema.get("type") {
        Some(Value::String(wanted)) => wanted == kind,
        Some(Value::Array(wanted)) => wanted.iter().any(|one| one == kind),
        _ => true,
    };
    let properties = schema.get("properties").and_then(Value::as_object);
    let constants_fit = properties.into_iter().flatten().all(|(key, property)| {
        match (property.get("enum").and_then(Value::as_array), value.get(key)) {
            (Some(allowed), Some(member)) => allowed.contains(member),
            _ => true,
        }
    });
    type_fits && constants_fit
}

fn shortened(value: &Value, depth: usize) -> Value {
    match value {
        Value::Array(items) => {
            let longest = if depth > 0 && items.iter().any(Value::is_object) { 1 } else { items.len() };
            Value::Array(items.iter().take(longest).map(|item| shortened(item, depth + 1)).collect())
        }
        Value::Object(members) => {
            let shorter = |(key, member): (&String, &Value)| (key.clone(), shortened(member, depth + 1));
            Value::Object(members.iter().map(shorter).collect())
        }
        plain => plain.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::{Examples, example_inventory};
    use serde_json::json;

    #[test]
    fn example_inventory_fits_the_model_and_loses_nothing() {
        let inventory = example_inventory().unwrap();

        let written = serde_json::to_value(&inventory).unwrap();
        let file: serde_json::Value =
            serde_json::from_str(include_str!("../examples/inventory.json")).unwrap();
        // Members with a default (`flags: []`) may be added, none may be lost.
        for (nic, original) in
            written["nics"].as_array().unwrap().iter().zip(file["nics"].as_array().unwrap())
        {
            for (key, value) in original.as_object().unwrap() {
                if !value.is_object() {
                    assert_eq!(&nic[key], value, "{key} of {}", original["id"]);
                }
            }
        }
    }

    #[test]
    fn value_with_most_members_becomes_the_example_of_each_schema_inside() {
        let mut document = json!({ "components": { "schemas": {
            "Outer": { "type": "object", "properties": { "list": { "type": "array", "items": { "$ref": "#/components/schemas/Inner" } } } },
            "Inner": { "type": "object", "properties": { "a": { "type": "integer" }, "b": { "type": "integer" } } },
        } } });

        let mut examples = Examples::default();
        examples.collect(&document, "Outer", &json!({ "list": [{ "a": 1 }, { "a": 2, "b": 3 }] }));
        examples.inject(&mut document);

        assert_eq!(document["components"]["schemas"]["Inner"]["examples"], json!([{ "a": 2, "b": 3 }]));
        assert_eq!(document["components"]["schemas"]["Outer"]["examples"], json!([{ "list": [{ "a": 1 }] }]));
    }
}
