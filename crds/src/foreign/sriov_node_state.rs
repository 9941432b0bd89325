//! `SriovNetworkNodeState` of sriov-network-operator (FOREIGN §3.2): what a node's PFs are and should be. Read only.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// What the PFs of a node should be, as that operator worked it out of all policies.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
#[cfg_attr(feature = "cluster", derive(kube::CustomResource))]
#[cfg_attr(
    feature = "cluster",
    kube(
        group = "sriovnetwork.openshift.io",
        version = "v1",
        kind = "SriovNetworkNodeState",
        plural = "sriovnetworknodestates",
        namespaced,
        status = "SriovNetworkNodeStateStatus",
        schema = "disabled"
    )
)]
pub struct SriovNetworkNodeStateSpec {
    /// PFs that policies chose.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub interfaces: Vec<SriovInterface>,
    /// What we do not know.
    #[serde(flatten)]
    pub other: Map<String, Value>,
}

/// What a PF should be.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct SriovInterface {
    /// PCI address of the PF.
    pub pci_address: String,
    /// VFs wanted.
    pub num_vfs: u32,
    /// Name of its netdev.
    pub name: String,
    /// Which VFs belong to which policy.
    pub vf_groups: Vec<VfGroup>,
    /// What we do not know.
    #[serde(flatten)]
    pub other: Map<String, Value>,
}

/// VFs of one policy.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct VfGroup {
    /// Name of the resource, without prefix.
    pub resource_name: String,
    /// `0-3`.
    pub vf_range: String,
    /// Name of the policy.
    pub policy_name: String,
    /// What we do not know.
    #[serde(flatten)]
    pub other: Map<String, Value>,
}

/// What the PFs of a node are.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct SriovNetworkNodeStateStatus {
    /// PFs that the operator supports and that the host sees; one in a pod is not listed.
    pub interfaces: Vec<SriovInterfaceStatus>,
    /// `Succeeded`, `InProgress` or `Failed`; empty at first.
    pub sync_status: String,
    /// Why the last try failed.
    pub last_sync_error: String,
    /// What we do not know.
    #[serde(flatten)]
    pub other: Map<String, Value>,
}

/// What a PF is.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct SriovInterfaceStatus {
    /// Name of its netdev.
    pub name: String,
    /// PCI address.
    pub pci_address: String,
    /// PCI vendor id, four hexadecimal digits.
    pub vendor: String,
    /// PCI device id, four hexadecimal digits.
    #[serde(rename = "deviceID")]
    pub device_id: String,
    /// VFs there are.
    pub num_vfs: u32,
    /// VFs that there can be (the key has a lower-case v).
    #[serde(rename = "totalvfs")]
    pub total_vfs: u32,
    /// `100000 Mb/s`; empty or `-1 Mb/s`: not known.
    pub link_speed: String,
    /// What we do not know.
    #[serde(flatten)]
    pub other: Map<String, Value>,
}

impl SriovInterfaceStatus {
    /// Speed of the link in Mb/s; absent when the operator could not read it.
    pub fn speed_mbps(&self) -> Option<u32> {
        self.link_speed.strip_suffix(" Mb/s")?.parse().ok().filter(|speed| *speed > 0)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_is_not_known_of_a_node_state_is_kept_and_an_unread_speed_is_none() {
        let status = json!({
            "interfaces": [
                {"name": "ens1", "pciAddress": "0000:3b:00.0", "vendor": "15b3", "deviceID": "101d", "numVfs": 4,
                 "totalvfs": 8, "linkSpeed": "100000 Mb/s", "Vfs": [{"vfID": 0, "Vlan": 7}]},
                {"name": "ens2", "pciAddress": "0000:3b:00.1", "vendor": "15b3", "deviceID": "101d", "numVfs": 0,
                 "totalvfs": 8, "linkSpeed": "-1 Mb/s"},
            ],
            "syncStatus": "Succeeded", "lastSyncError": "", "system": {"rdmaMode": "shared"},
        });

        let read: SriovNetworkNodeStateStatus = serde_json::from_value(status.clone()).unwrap();

        let speeds: Vec<_> = read.interfaces.iter().map(SriovInterfaceStatus::speed_mbps).collect();
        assert_eq!(speeds, [Some(100_000), None]);
        assert_eq!(serde_json::to_value(&read).unwrap(), status);
    }
}
