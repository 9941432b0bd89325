//! The annotation `k8s.v1.cni.cncf.io/networks` of a pod, as Multus and the agent read it, and what answers it.

use serde_json::Value;

/// What a pod asks of one network.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Asked {
    /// Namespace of the attachment definition.
    pub(crate) namespace: String,
    /// Name of the network.
    pub(crate) network: String,
    /// Interface name; empty: `net1` and so on by position.
    pub(crate) interface: String,
    /// What it asks of the network: `nics`, `masters`, `class`, `target`.
    pub(crate) arguments: Value,
}

/// What the annotation of a pod in `namespace` asks for.
///
/// # Errors
/// What is wrong with it, with its place.
pub(crate) fn asked(text: &str, namespace: &str) -> Result<Vec<Asked>, String> {
    if text.trim_start().starts_with('[') {
        let list: Vec<Value> =
            serde_json::from_str(text).map_err(|error| format!("it is no JSON list: {error}"))?;
        return list.iter().enumerate().map(|(place, one)| element(one, place, namespace)).collect();
    }
    let named = text.split(',').map(str::trim).filter(|name| !name.is_empty());
    Ok(named
        .map(|name| {
            let (name, interface) = name.split_once('@').unwrap_or((name, ""));
            let (of, network) = name.split_once('/').unwrap_or((namespace, name));
            let [of, network, interface] = [of, network, interface].map(str::to_owned);
            Asked { namespace: of, network, interface, arguments: Value::Null }
        })
        .collect())
}

fn element(one: &Value, place: usize, namespace: &str) -> Result<Asked, String> {
    let text = |key: &str| one.get(key).and_then(Value::as_str).map(str::to_owned);
    let network = text("name").ok_or_else(|| format!("[{place}].name is missing: write the network's"))?;
    Ok(Asked {
        namespace: text("namespace").unwrap_or_else(|| namespace.to_owned()),
        network,
        interface: text("interface").unwrap_or_default(),
        arguments: one.get("cni-args").cloned().unwrap_or_default(),
    })
}

/// One interface that the pod got, of `k8s.v1.cni.cncf.io/network-status`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Got {
    /// `[namespace/]network`.
    pub(crate) name: String,
    /// Its name in the pod.
    pub(crate) interface: String,
    /// Its addresses.
    pub(crate) addresses: Vec<String>,
}

impl Got {
    /// Whether it is of that network.
    pub(crate) fn is_of(&self, asked: &Asked) -> bool {
        let (namespace, name) = self.name.split_once('/').unwrap_or(("", &self.name));
        name == asked.network && (namespace.is_empty() || namespace == asked.namespace)
    }
}

/// The interfaces that a status tells of; none when it is not to be read.
pub(crate) fn got(text: &str) -> Vec<Got> {
    let list: Vec<Value> = serde_json::from_str(text).unwrap_or_default();
    let one = |value: &Value| {
        let text = |key: &str| value[key].as_str().unwrap_or_default().to_owned();
        let addresses = value["ips"].as_array().into_iter().flatten().filter_map(Value::as_str);
        Got {
            name: text("name"),
            interface: text("interface"),
            addresses: addresses.map(str::to_owned).collect(),
        }
    };
    list.iter().filter(|value| value["default"] != true).map(one).collect()
}

#[cfg(test)]
mod tests {
    use super::asked;

    #[test]
    fn both_forms_are_read() {
        let short = asked("red, blue/fast@eth9", "jobs").unwrap();
        let names: Vec<_> = short
            .iter()
            .map(|one| (one.namespace.as_str(), one.network.as_str(), one.interface.as_str()))
            .collect();
        assert_eq!(names, [("jobs", "red", ""), ("blue", "fast", "eth9")]);

        let long = asked(r#"[{"name": "red", "cni-args": {"nics": 2}}]"#, "jobs").unwrap();
        assert_eq!((long[0].network.as_str(), &long[0].arguments["nics"]), ("red", &2.into()));
        assert_eq!(asked(r#"[{}]"#, "jobs").unwrap_err(), "[0].name is missing: write the network's");
    }
}
