//! Objects as they stand in files and in the cluster.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::device_class::{self, DeviceClass};
use crate::multi_nic_network::{self, MultiNicNetwork};
use crate::problem::Problem;
use crate::shape::{self, Field, Shape, required};

/// The kinds that [`read`] knows.
pub const KINDS: [&str; 2] = ["MultiNicNetwork", "DeviceClass"];

/// Group and version of our kinds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum ApiVersion {
    /// The current group.
    #[default]
    #[serde(rename = "multinic.fms.io/v1")]
    Current,
    /// The former group, with the same kinds.
    #[serde(rename = "net.cogadvisor.io/v1")]
    Former,
}

/// What we read of an object's metadata; the rest is Kubernetes' own.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Metadata {
    /// Name of the object.
    pub name: String,
}

/// An object of ours.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind")]
pub enum Object {
    /// A network.
    MultiNicNetwork(Box<MultiNicNetwork>),
    /// A class of devices.
    DeviceClass(DeviceClass),
}

impl Object {
    /// Its kind.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::MultiNicNetwork(_) => "MultiNicNetwork",
            Self::DeviceClass(_) => "DeviceClass",
        }
    }

    /// Its name.
    pub fn name(&self) -> &str {
        match self {
            Self::MultiNicNetwork(network) => &network.metadata.name,
            Self::DeviceClass(class) => &class.metadata.name,
        }
    }

    /// What is wrong with its values; empty: nothing.
    pub fn validate(&self) -> Vec<Problem> {
        match self {
            Self::MultiNicNetwork(network) => network.validate(),
            Self::DeviceClass(class) => class.validate(),
        }
    }
}

const METADATA: &[Field] = &[required("name", Shape::Text)];

/// Reads an object: every field must be known and of the right type. Values are checked by [`Object::validate`].
/// `status` and the metadata beside the name are not looked at.
///
/// # Errors
/// Everything that is wrong, in the order of the object's fields.
pub fn read(value: &Value) -> Result<Object, Vec<Problem>> {
    let Some(members) = value.as_object() else {
        let message = "is no object";
        return Err(vec![Problem::new("", message, "write apiVersion, kind, metadata and spec")]);
    };
    let text = |key: &str| members.get(key).and_then(Value::as_str).unwrap_or_default();
    let kind = text("kind");
    let spec = match kind {
        "MultiNicNetwork" => multi_nic_network::FIELDS,
        "DeviceClass" => device_class::FIELDS,
        "" => {
            return Err(vec![Problem::new("kind", "is missing", format!("known are {}", KINDS.join(", ")))]);
        }
        other => {
            let message = format!("`{other}` is not known");
            return Err(vec![Problem::unknown("kind".to_owned(), &message, other, &KINDS)]);
        }
    };
    let mut problems = Vec::new();
    for (name, value) in members {
        match name.as_str() {
            "kind" | "status" => {}
            "apiVersion" if serde_json::from_value::<ApiVersion>(value.clone()).is_err() => {
                let message = format!("{value} is not known");
                let known = ["multinic.fms.io/v1", "net.cogadvisor.io/v1"];
                problems.push(Problem::unknown(name.clone(), &message, value.as_str().unwrap_or(""), &known));
            }
            "apiVersion" => {}
            "metadata" => {
                let only_name = value.as_object().map(|members| {
                    members
                        .iter()
                        .filter(|(key, _)| *key == "name")
                        .map(|(key, name)| (key.clone(), name.clone()))
                });
                let only_name =
                    only_name.map_or_else(|| value.clone(), |members| Value::Object(members.collect()));
                shape::check(&only_name, Shape::Object(METADATA), "metadata", &mut problems);
            }
            "spec" => shape::check(value, Shape::Object(spec), "spec", &mut problems),
            other => {
                let known = ["apiVersion", "kind", "metadata", "spec"];
                problems.push(Problem::unknown(other.to_owned(), "there is no such field", other, &known));
            }
        }
    }
    for name in ["apiVersion", "metadata", "spec"] {
        if !members.contains_key(name) {
            problems.push(Problem::new(name, "is missing", "it is required"));
        }
    }
    if !problems.is_empty() {
        return Err(problems);
    }
    serde_json::from_value(without_nulls(value.clone()))
        .map_err(|error| vec![Problem::new("", error.to_string(), "compare it with the samples")])
}

/// A field that is null counts as absent, as in the cluster.
pub(crate) fn without_nulls(value: Value) -> Value {
    match value {
        Value::Object(members) => {
            let there = members.into_iter().filter(|(_, value)| !value.is_null());
            Value::Object(there.map(|(key, value)| (key, without_nulls(value))).collect())
        }
        Value::Array(items) => Value::Array(items.into_iter().map(without_nulls).collect()),
        other => other,
    }
}

/// Checks an object's name (RFC 1123 subdomain, as the cluster wants it).
pub(crate) fn check_name(name: &str, problems: &mut Vec<Problem>) {
    let label = |label: &str| {
        let inside = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
        !label.is_empty() && label.bytes().all(inside) && !label.starts_with('-') && !label.ends_with('-')
    };
    if name.len() > 253 || !name.split('.').all(label) {
        problems.push(Problem::new(
            "metadata.name",
            format!("`{name}` is no name"),
            "write lower-case letters, digits, dashes and dots, at most 253",
        ));
    }
}
