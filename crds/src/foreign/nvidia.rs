//! Kinds of NVIDIA's network operator (group `mellanox.com`, version `v1alpha1`; CONTRACTS §3.3). Read only.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// Prefix of a resource that names none.
const PREFIX: &str = "nvidia.com";

/// What that operator installs in the cluster.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
#[cfg_attr(feature = "cluster", derive(kube::CustomResource))]
#[cfg_attr(
    feature = "cluster",
    kube(
        group = "mellanox.com",
        version = "v1alpha1",
        kind = "NicClusterPolicy",
        plural = "nicclusterpolicies",
        schema = "disabled"
    )
)]
pub struct NicClusterPolicySpec {
    /// Its SR-IOV device plugin; absent: none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sriov_device_plugin: Option<SriovDevicePlugin>,
    /// What we do not know.
    #[serde(flatten)]
    pub other: Map<String, Value>,
}

/// A device plugin.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct SriovDevicePlugin {
    /// Its configuration: a text that holds a JSON object with `resourceList`.
    pub config: String,
    /// What we do not know.
    #[serde(flatten)]
    pub other: Map<String, Value>,
}

/// A network over whole devices.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
#[cfg_attr(feature = "cluster", derive(kube::CustomResource))]
#[cfg_attr(
    feature = "cluster",
    kube(
        group = "mellanox.com",
        version = "v1alpha1",
        kind = "HostDeviceNetwork",
        plural = "hostdevicenetworks",
        schema = "disabled"
    )
)]
pub struct HostDeviceNetworkSpec {
    /// Namespace of the attachment definition.
    pub network_namespace: String,
    /// Name of the resource, without prefix.
    pub resource_name: String,
    /// The CNI `ipam` section: a text that holds a JSON object.
    pub ipam: String,
    /// What we do not know.
    #[serde(flatten)]
    pub other: Map<String, Value>,
}

/// The resources of a device plugin's configuration, with prefix, each once and in its order. Items without a name are left
/// out; one without a prefix has `nvidia.com` (the predecessor meant that, and left it out).
///
/// # Errors
/// When the text is no JSON.
pub fn resources(config: &str) -> Result<Vec<String>, serde_json::Error> {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct List {
        #[serde(default)]
        resource_list: Vec<Item>,
    }
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Item {
        #[serde(default)]
        resource_prefix: String,
        #[serde(default)]
        resource_name: String,
    }
    let list: List = serde_json::from_str(config)?;
    let mut found: Vec<String> = Vec::new();
    for item in list.resource_list.iter().filter(|item| !item.resource_name.is_empty()) {
        let prefix = if item.resource_prefix.is_empty() { PREFIX } else { &item.resource_prefix };
        let resource = format!("{prefix}/{}", item.resource_name);
        if !found.contains(&resource) {
            found.push(resource);
        }
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::resources;

    #[test]
    fn resources_have_a_prefix_and_a_name() {
        let config = r#"{"resourceList": [
            {"resourcePrefix": "nvidia.com", "resourceName": "host_dev0", "selectors": {"vendors": ["15b3"]}},
            {"resourceName": "host_dev1"}, {"resourcePrefix": "nvidia.com"}]}"#;

        assert_eq!(resources(config).unwrap(), ["nvidia.com/host_dev0", "nvidia.com/host_dev1"]);
        assert_eq!(resources("{}").unwrap(), [""; 0]);
        assert!(resources("resourceList: []").is_err());
    }
}
