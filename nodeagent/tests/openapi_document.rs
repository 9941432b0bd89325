//! The OpenAPI document: checked in, described throughout, its examples valid.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a test may fail by panicking, in its helpers too"
)]

mod json_schema;

use serde_json::Value;

fn document() -> Value {
    serde_json::from_str(&nodeagent::openapi_document().unwrap()).unwrap()
}

fn schemas(document: &Value) -> impl Iterator<Item = (&String, &Value)> {
    document["components"]["schemas"].as_object().unwrap().iter()
}

#[test]
fn checked_in_document_is_the_generated_one() {
    let generated = nodeagent::openapi_document().unwrap();

    assert!(
        generated == openapi::DOCUMENT,
        "openapi/multi-nicd.v1.json is old: run `multi-nicd openapi > openapi/multi-nicd.v1.json`"
    );
}

#[test]
fn document_is_openapi_3_1_and_every_operation_has_an_id() {
    let document = document();

    assert_eq!(document["openapi"], "3.1.0");
    let mut ids = Vec::new();
    for (path, item) in document["paths"].as_object().unwrap() {
        for (method, operation) in item.as_object().unwrap() {
            let what = format!("{method} {path}");
            ids.push(operation["operationId"].as_str().unwrap_or_else(|| panic!("{what}: no id")).to_owned());
            assert!(operation["summary"].is_string(), "{what}: no summary");
            for parameter in operation["parameters"].as_array().into_iter().flatten() {
                assert!(
                    parameter["description"].is_string(),
                    "{what}: {} has no description",
                    parameter["name"]
                );
                assert!(!parameter["example"].is_null(), "{what}: {} has no example", parameter["name"]);
            }
            for (status, response) in operation["responses"].as_object().unwrap() {
                assert!(!response["description"].as_str().unwrap().is_empty(), "{what}: {status}");
            }
        }
    }
    let count = ids.len();
    ids.sort();
    ids.dedup();
    assert_eq!(ids.len(), count, "two operations share an id");
    assert_eq!(count, 28);
}

#[test]
fn every_schema_and_every_member_has_a_description() {
    fn check(missing: &mut Vec<String>, at: &str, schema: &Value) {
        for (key, property) in schema["properties"].as_object().into_iter().flatten() {
            let what = format!("{at}.{key}");
            // The tag of a choice (`kind: vlan`) says all in its one value.
            let is_tag = property["enum"].as_array().is_some_and(|values| values.len() == 1);
            if !property["description"].is_string() && !is_tag {
                missing.push(what.clone());
            }
            check(missing, &what, property);
        }
        for key in ["oneOf", "allOf", "anyOf"] {
            for part in schema[key].as_array().into_iter().flatten() {
                check(missing, at, part);
            }
        }
        if schema["items"].is_object() {
            check(missing, at, &schema["items"]);
        }
    }
    let document = document();
    let mut missing = Vec::new();
    for (name, schema) in schemas(&document) {
        if !schema["description"].is_string() {
            missing.push(name.clone());
        }
        check(&mut missing, name, schema);
    }

    assert!(missing.is_empty(), "no description: {missing:#?}");
}

#[test]
fn every_schema_has_an_example_and_every_example_is_valid() {
    let document = document();
    let mut wrong = Vec::new();
    for (name, schema) in schemas(&document) {
        let examples = schema["examples"].as_array().map_or(&[][..], Vec::as_slice);
        if examples.is_empty() {
            wrong.push(format!("{name}: no example"));
        }
        for example in examples {
            json_schema::validate(&document, schema, example, name, &mut wrong);
        }
    }

    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn example_inventory_is_valid_and_has_every_member_of_the_model() {
    let document = document();
    let inventory = serde_json::to_value(openapi::example_inventory().unwrap()).unwrap();
    let mut wrong = Vec::new();

    let schema = &document["components"]["schemas"]["Inventory"];
    let seen = json_schema::validate(&document, schema, &inventory, "Inventory", &mut wrong);

    assert!(wrong.is_empty(), "{wrong:#?}");
    let model = ["Inventory", "Node", "Nic", "Gpu", "Warning"];
    let missing: Vec<String> = schemas(&document)
        .filter(|(name, _)| {
            model.contains(&name.as_str()) || seen.iter().any(|one| one.starts_with(&format!("{name}.")))
        })
        .flat_map(|(name, schema)| {
            schema["properties"]
                .as_object()
                .into_iter()
                .flatten()
                .map(move |(key, _)| format!("{name}.{key}"))
        })
        .filter(|member| !seen.contains(member))
        .collect();
    assert!(missing.is_empty(), "the example has no {missing:#?}");
}

#[test]
fn validator_finds_what_is_wrong() {
    let document = document();
    let nic = &document["components"]["schemas"]["Nic"];
    let good = serde_json::to_value(&openapi::example_inventory().unwrap().nics[1]).unwrap();
    let wrong = |change: &dyn Fn(&mut Value)| {
        let mut nic_now = good.clone();
        change(&mut nic_now);
        let mut wrong = Vec::new();
        json_schema::validate(&document, nic, &nic_now, "Nic", &mut wrong);
        wrong.len()
    };

    assert_eq!(wrong(&|_| {}), 0);
    assert_eq!(wrong(&|nic| nic["kind"] = "vhysical".into()), 1);
    assert_eq!(wrong(&|nic| nic["mac"] = "02-00".into()), 1);
    assert_eq!(wrong(&|nic| nic["link"]["mtu"] = (-1).into()), 1);
    assert_eq!(wrong(&|nic| nic["link"]["adminUp"] = "yes".into()), 1);
    assert_eq!(wrong(&|nic| nic["surprise"] = 1.into()), 1);
    assert_eq!(wrong(&|nic| drop(nic.as_object_mut().unwrap().remove("speed"))), 1);
}
