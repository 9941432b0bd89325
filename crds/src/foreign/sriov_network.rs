//! `SriovNetwork` of sriov-network-operator (group `sriovnetwork.openshift.io`, version `v1`; FOREIGN §3.4).

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// A network over virtual functions, from which that operator makes an attachment definition.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
#[cfg_attr(feature = "cluster", derive(kube::CustomResource))]
#[cfg_attr(
    feature = "cluster",
    kube(
        group = "sriovnetwork.openshift.io",
        version = "v1",
        kind = "SriovNetwork",
        plural = "sriovnetworks",
        namespaced,
        schema = "disabled"
    )
)]
pub struct SriovNetworkSpec {
    /// Namespace of the attachment definition; empty: that of the object.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub network_namespace: String,
    /// Name of the resource, without prefix.
    pub resource_name: String,
    /// VLAN of the functions, 1 to 4094; absent: untagged.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub vlan: Option<u16>,
    /// Priority of their frames, 1 to 7; absent: 0.
    #[serde(rename = "vlanQoS", skip_serializing_if = "Option::is_none")]
    pub vlan_qos: Option<u8>,
    /// Least rate, Mbit/s; absent: not set.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub min_tx_rate: Option<u32>,
    /// Most rate, Mbit/s; 0: no limit; absent: not set.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_tx_rate: Option<u32>,
    /// What we do not know or never set: `capabilities`, `ipam`, `spoofChk`, `trust`, `linkState`, `metaPlugins` …
    #[serde(flatten)]
    pub other: Map<String, Value>,
}
