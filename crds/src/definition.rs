//! The definitions of our kinds (`CustomResourceDefinition`), as `deploy/crds` has them and a cluster takes them.

use kube::CustomResourceExt;
use serde_json::{Map, Value};

use crate::cluster::{Cidr, Config, DeviceClass, HostInterface, IpPool, MultiNicNetwork};
use crate::rules;

/// The group of our kinds.
pub const GROUP: &str = "multinic.fms.io";

/// The group that they had before.
pub const FORMER_GROUP: &str = "net.cogadvisor.io";

/// A kind's definition.
#[derive(Debug, Clone, PartialEq)]
pub struct Definition {
    /// `multinicnetworks.multinic.fms.io`: its name, and the name of its file.
    pub name: String,
    /// The object.
    pub object: Value,
}

/// All kinds in the current group, then all in the former one. The former ones have the same schema, but no short names:
/// `kubectl get mnn` must mean one thing.
pub fn definitions() -> Vec<Definition> {
    let current = [
        MultiNicNetwork::crd(),
        Cidr::crd(),
        IpPool::crd(),
        HostInterface::crd(),
        Config::crd(),
        DeviceClass::crd(),
    ];
    let mut current: Vec<Value> =
        current.iter().filter_map(|crd| serde_json::to_value(crd).ok()).map(cleaned).collect();
    // Rules over spec and status together stand at the root, which no type of ours is.
    if let Some(network) = current.first_mut() {
        let schema = &mut network["spec"]["versions"][0]["schema"]["openAPIV3Schema"];
        schema["x-kubernetes-validations"] = rules::network_update();
    }
    let former = current.iter().cloned().map(former);
    let all = current.iter().cloned().chain(former);
    all.map(|object| {
        let name = object["metadata"]["name"].as_str().unwrap_or_default().to_owned();
        Definition { name, object }
    })
    .collect()
}

/// The definition without what the API server warns about or never reads.
fn cleaned(mut definition: Value) -> Value {
    if let Some(definition) = definition.as_object_mut() {
        definition.shift_remove("status");
    }
    // The root's title and `required: [spec]` come from the derive; a schema's own `title` is a Rust name.
    walk(&mut definition, &mut |members| {
        members
            .shift_remove("title")
            .filter(Value::is_object)
            .map(|field| members.insert("title".to_owned(), field));
        // The server would write empty texts and lists into every object; absent means the same to every reader.
        if members.get("default").is_some_and(|value| !value.is_number()) {
            members.shift_remove("default");
        }
        // Sizes of Rust integers, which Kubernetes does not know.
        if members.get("format").and_then(Value::as_str).is_some_and(|format| format.starts_with("uint")) {
            members.shift_remove("format");
        }
        for key in ["minimum", "maximum"] {
            let whole = members.get(key).and_then(Value::as_f64).filter(|number| number.fract() == 0.0);
            if let Some(number) = whole {
                members.insert(key.to_owned(), Value::from(number as i64));
            }
        }
        // Doc comments are wrapped for editors; `kubectl explain` wraps by itself.
        if let Some(Value::String(text)) = members.get_mut("description") {
            *text = text.split("\n\n").map(|part| part.replace('\n', " ")).collect::<Vec<_>>().join("\n\n");
        }
    });
    definition
}

fn walk(value: &mut Value, change: &mut impl FnMut(&mut Map<String, Value>)) {
    match value {
        Value::Object(members) => {
            change(members);
            members.values_mut().for_each(|value| walk(value, change));
        }
        Value::Array(items) => items.iter_mut().for_each(|value| walk(value, change)),
        _ => {}
    }
}

fn former(mut definition: Value) -> Value {
    let plural = definition["spec"]["names"]["plural"].as_str().unwrap_or_default().to_owned();
    definition["metadata"]["name"] = format!("{plural}.{FORMER_GROUP}").into();
    definition["spec"]["group"] = FORMER_GROUP.into();
    if let Some(names) = definition["spec"]["names"].as_object_mut() {
        names.shift_remove("shortNames");
        names.shift_remove("categories");
    }
    definition
}
