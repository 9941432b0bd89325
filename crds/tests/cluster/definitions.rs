//! The definitions, beyond what an API server checks by itself.

use serde_json::Value;

fn each(schema: &Value, path: &str, look: &mut impl FnMut(&str, &Value)) {
    look(path, schema);
    if let Some(fields) = schema["properties"].as_object() {
        for (name, field) in fields {
            each(field, &format!("{path}.{name}"), look);
        }
    }
    if schema["items"].is_object() {
        each(&schema["items"], &format!("{path}[]"), look);
    }
}

fn schemas() -> Vec<(String, Value)> {
    let all = crds::definitions().into_iter();
    all.map(|definition| {
        let version = &definition.object["spec"]["versions"][0];
        (definition.name, version["schema"]["openAPIV3Schema"].clone())
    })
    .collect()
}

#[test]
fn there_are_six_kinds_in_each_group_with_a_status_and_cluster_wide() {
    let all = crds::definitions();

    let groups: Vec<&str> = all.iter().map(|one| one.object["spec"]["group"].as_str().unwrap()).collect();
    assert_eq!(groups, [[crds::GROUP; 6], [crds::FORMER_GROUP; 6]].concat());
    for one in &all {
        let spec = &one.object["spec"];
        let version = &spec["versions"][0];
        assert_eq!((&spec["scope"], &version["name"]), (&"Cluster".into(), &"v1".into()), "{}", one.name);
        assert!(version["subresources"]["status"].is_object(), "{}", one.name);
        assert_eq!(spec["names"]["shortNames"].is_array(), spec["group"] == crds::GROUP, "{}", one.name);
    }
}

#[test]
fn every_field_says_what_it_is_and_every_optional_one_its_default() {
    let mut silent = Vec::new();
    for (name, schema) in schemas() {
        each(&schema, &name, &mut |path, field| {
            let own = path.contains(".spec.") && !path.ends_with("[]");
            if own && field["description"].as_str().is_none_or(str::is_empty) {
                silent.push(format!("{path} has no description"));
            }
            let required: Vec<&str> =
                field["required"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
            for (key, inner) in field["properties"].as_object().into_iter().flatten() {
                let text = inner["description"].as_str().unwrap_or_default();
                if path.contains(".spec") && !required.contains(&key.as_str()) && !text.contains("efault") {
                    silent.push(format!("{path}.{key} does not say its default"));
                }
            }
        });
    }
    // As CNI has them; they are not used.
    silent.retain(|line| !line.contains(".plugin.dns"));
    assert_eq!(silent, [""; 0]);
}

#[test]
fn no_schema_has_what_an_api_server_warns_about() {
    for (name, schema) in schemas() {
        each(&schema, &name, &mut |path, field| {
            let format = field["format"].as_str().unwrap_or_default();
            assert!(["", "int32", "int64", "date-time"].contains(&format), "{path}: {format}");
            let typed = field["type"].is_string() || field["x-kubernetes-preserve-unknown-fields"] == true;
            assert!(typed, "{path} has no type");
            assert!(field["title"].is_null() && field["$ref"].is_null(), "{path}");
        });
    }
}
