//! Addresses of one block that pods hold, for people to read (CONTRACTS §1.3, §5.6).

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

#[cfg(feature = "cluster")]
use crate::condition::EmptyStatus;

/// One block of a network on one NIC of a host, and who holds which address of it. Agents mirror their own book here;
/// it is not in a pod's path.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[cfg_attr(feature = "cluster", derive(kube::CustomResource))]
#[cfg_attr(
    feature = "cluster",
    kube(
        group = "multinic.fms.io",
        version = "v1",
        kind = "IPPool",
        root = "IpPool",
        plural = "ippools",
        shortname = "mnpool",
        category = "multinic",
        status = "EmptyStatus",
        doc = "One block of a network on one NIC of a host, and who holds which address of it.",
        printcolumn = r#"{"name": "Network", "type": "string", "jsonPath": ".spec.netAttachDef"}"#,
        printcolumn = r#"{"name": "Host", "type": "string", "jsonPath": ".spec.hostName"}"#,
        printcolumn = r#"{"name": "Interface", "type": "string", "jsonPath": ".spec.interfaceName"}"#,
        printcolumn = r#"{"name": "Block", "type": "string", "jsonPath": ".spec.podCIDR"}"#,
        printcolumn = r#"{"name": "Age", "type": "date", "jsonPath": ".metadata.creationTimestamp"}"#
    )
)]
pub struct IpPoolSpec {
    /// Addresses of the block.
    #[serde(rename = "podCIDR")]
    pub pod_cidr: String,
    /// Addresses of all pods on the NIC network.
    #[serde(rename = "vlanCIDR")]
    pub vlan_cidr: String,
    /// Name of the network.
    pub net_attach_def: String,
    /// Name of the node.
    pub host_name: String,
    /// Name of the NIC.
    pub interface_name: String,
    /// Ranges of the block that are never given.
    pub excludes: Vec<String>,
    /// Addresses that pods hold.
    pub allocations: Vec<Allocation>,
}

/// An address that a pod holds.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Allocation {
    /// Name of the pod.
    pub pod: String,
    /// Its namespace.
    pub namespace: String,
    /// The address less the block's first.
    #[schemars(range(min = 0))]
    pub index: i64,
    /// The address, without prefix length.
    pub address: String,
}

/// Name of the object of a block: `<network>-<block>`, with dashes for what a name cannot hold (CONTRACTS §5.6).
pub fn pool_name(network: &str, block: &str) -> String {
    format!("{network}-{}", block.replace(['/', ':'], "-"))
}
