//! `SriovNetworkNodePolicy` as it stands in a cluster (FOREIGN §3.1), whoever wrote it.
//!
//! Beside [`super::SriovNetworkNodePolicySpec`], which reads a file that a person wrote and refuses what it does not know:
//! here words stay texts and unknown fields stay, because one odd object of another must not hide all policies.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// What is wanted of which PFs of which nodes. What is absent is not written: the operator has its own defaults.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
#[cfg_attr(feature = "cluster", derive(kube::CustomResource))]
#[cfg_attr(
    feature = "cluster",
    kube(
        group = "sriovnetwork.openshift.io",
        version = "v1",
        kind = "SriovNetworkNodePolicy",
        plural = "sriovnetworknodepolicies",
        namespaced,
        schema = "disabled"
    )
)]
pub struct SriovClusterPolicySpec {
    /// Name of the resource that the VFs are given out as, without prefix.
    pub resource_name: String,
    /// Labels that a node must have, all of them with these values; none: every node.
    pub node_selector: BTreeMap<String, String>,
    /// Which PFs of such a node.
    pub nic_selector: SriovClusterNics,
    /// VFs of each PF; for a part of a PF, of the whole PF.
    pub num_vfs: u32,
    /// 0 to 99; 0 is the strongest. Absent: 99 where the operator's webhook runs, else 0.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub priority: Option<u32>,
    /// Least MTU of the PF and MTU of the VFs, bytes. Absent: as they are.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mtu: Option<u32>,
    /// Drivers of the VFs: `netdevice` or `vfio-pci`. Empty: `netdevice`.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub device_type: String,
    /// VFs are wanted with RDMA.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub is_rdma: bool,
    /// `/dev/vhost-net` is wanted beside the VFs.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub need_vhost_net: bool,
    /// What the ports must speak: `eth`, `ETH`, `ib` or `IB`. Empty: whatever they speak.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub link_type: String,
    /// Who programs the embedded switch: `legacy` or `switchdev`. Empty: `legacy`.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub e_switch_mode: String,
    /// Kind of vDPA device: `virtio` or `vhost`. Empty: none.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub vdpa_type: String,
    /// The resource has no NUMA hints.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub exclude_topology: bool,
    /// Somebody else makes the VFs.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub externally_managed: bool,
    /// What we do not know or never set, like `bridge`.
    #[serde(flatten)]
    pub other: Map<String, Value>,
}

/// Which PFs: every key that is given must fit, of a list one entry.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct SriovClusterNics {
    /// PCI vendor id, four lower-case hexadecimal digits; empty: any.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub vendor: String,
    /// PCI device id of the PF, four lower-case hexadecimal digits; empty: any.
    #[serde(rename = "deviceID", skip_serializing_if = "String::is_empty")]
    pub device_id: String,
    /// Names of netdevs, perhaps with VFs: `eth1`, `eth1#0-3`; none: any.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub pf_names: Vec<String>,
    /// PCI addresses of PFs; none: any.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub root_devices: Vec<String>,
    /// A cloud's network: `openstack/NetworkID:…`, `aws/NetworkID:…`; empty: any.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub net_filter: String,
    /// What we do not know.
    #[serde(flatten)]
    pub other: Map<String, Value>,
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::foreign::SriovNetworkNodePolicySpec;

    fn full() -> Value {
        json!({
            "resourceName": "rail_nics", "nodeSelector": {"feature.node.kubernetes.io/network-sriov.capable": "true"},
            "nicSelector": {"vendor": "15b3", "deviceID": "101d", "pfNames": ["ens1#0-3"],
                            "rootDevices": ["0000:3b:00.0"], "netFilter": "aws/NetworkID:1"},
            "numVfs": 8, "priority": 10, "mtu": 9000, "deviceType": "netdevice", "isRdma": true, "needVhostNet": true,
            "linkType": "eth", "eSwitchMode": "switchdev", "vdpaType": "vhost", "excludeTopology": true,
            "externallyManaged": true, "bridge": {"ovs": {"bridge": {"datapathType": "netdev"}}},
        })
    }

    #[test]
    fn every_field_has_its_place_and_what_is_not_known_is_kept() {
        let mut spec = full();
        spec["newField"] = json!([1, {"a": null}]);
        spec["nicSelector"]["newKey"] = json!("x");

        let read: SriovClusterPolicySpec = serde_json::from_value(spec.clone()).unwrap();

        assert_eq!(serde_json::to_value(&read).unwrap(), spec);
        let kept: Vec<&String> = read.other.keys().chain(read.nic_selector.other.keys()).collect();
        assert_eq!(kept, ["bridge", "newField", "newKey"]);
    }

    #[test]
    fn a_word_that_is_not_known_does_not_hide_the_policy() {
        let odd = json!({"resourceName": "x", "numVfs": 0, "nicSelector": {}, "nodeSelector": {}, "deviceType": "new"});

        let read: SriovClusterPolicySpec = serde_json::from_value(odd.clone()).unwrap();

        assert_eq!(serde_json::to_value(&read).unwrap(), odd);
        assert!(SriovNetworkNodePolicySpec::read(&odd, "spec").is_err(), "the strict reader is not this one");
    }

    #[test]
    fn both_types_of_a_policy_have_the_same_fields() {
        let strict = SriovNetworkNodePolicySpec::read(&full(), "spec").map_err(|problems| problems.len());

        // `bridge` does not go with `externallyManaged`: all words are known, the values are judged.
        assert_eq!(strict, Err(1));
    }

    #[cfg(feature = "cluster")]
    #[test]
    fn the_kind_is_what_the_operator_of_sriov_networks_serves() {
        use kube::Resource;

        let kind = crate::cluster::SriovNetworkNodePolicy::new("rails", SriovClusterPolicySpec::default());

        let object = serde_json::to_value(&kind).unwrap();
        assert_eq!(object["apiVersion"], "sriovnetwork.openshift.io/v1");
        assert_eq!(object["kind"], "SriovNetworkNodePolicy");
        assert_eq!(crate::cluster::SriovNetworkNodePolicy::plural(&()), "sriovnetworknodepolicies");
    }
}
