//! What an agent found on its node (CONTRACTS §1.4); everything beyond the predecessor's fields may be absent.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::condition::Condition;
use crate::sriov_plan::SriovPlan;

/// Label of an object that nobody of ours writes or deletes; its value is `true` in any case.
pub const UNMANAGED_LABEL: &str = "multi-nic-unmanaged";

/// `state` of a NIC, and of a host's block on it, whose address or carrier is gone for now (TRAPS O3).
pub const SUSPENDED: &str = "suspended";

/// The secondary NICs of a node. The object has the node's name.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[cfg_attr(feature = "cluster", derive(kube::CustomResource))]
#[cfg_attr(
    feature = "cluster",
    kube(
        group = "multinic.fms.io",
        version = "v1",
        kind = "HostInterface",
        plural = "hostinterfaces",
        shortname = "mnhost",
        category = "multinic",
        status = "HostInterfaceStatus",
        doc = "The secondary NICs of a node; written by its agent. Its name is the node's.",
        printcolumn = r#"{"name": "Interfaces", "type": "string", "jsonPath": ".spec.interfaces[*].interfaceName"}"#,
        printcolumn = r#"{"name": "Networks", "type": "string", "jsonPath": ".spec.interfaces[*].netAddress"}"#,
        printcolumn = r#"{"name": "Age", "type": "date", "jsonPath": ".metadata.creationTimestamp"}"#
    )
)]
pub struct HostInterfaceSpec {
    /// Name of the node.
    pub host_name: String,
    /// Its secondary NICs.
    pub interfaces: Vec<Interface>,
    /// `metadata.uid` of the Node that the agent runs on; another Node of that name is another machine. Default: empty,
    /// not checked.
    #[serde(rename = "nodeUID", default, skip_serializing_if = "String::is_empty")]
    pub node_uid: String,
}

/// A secondary NIC.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Interface {
    /// Name of its netdev.
    #[schemars(length(max = 15))]
    pub interface_name: String,
    /// IPv4 network that it has an address in, like `10.0.1.0/24`. Default: none.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub net_address: String,
    /// Its IPv4 address there, without prefix length. Default: none.
    #[serde(rename = "hostIP", default, skip_serializing_if = "String::is_empty")]
    pub host_ip: String,
    /// PCI vendor id, four hexadecimal digits. Default: not known.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub vendor: String,
    /// PCI device id, four hexadecimal digits. Default: not known.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub product: String,
    /// PCI address, like `0000:3b:00.0`. Default: it is no PCI device.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub pci_address: String,
    /// Networks that it has addresses in, of each family. Default: what `netAddress` says.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub net_addresses: Vec<String>,
    /// Its addresses there, in the same order. Default: what `hostIP` says.
    #[serde(rename = "hostIPs", default, skip_serializing_if = "Vec::is_empty")]
    pub host_ips: Vec<String>,
    /// Its IPv6 link-local address. Default: none.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub link_local: String,
    /// Speed, Mb/s. Default: not known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1))]
    pub speed_mbps: Option<i64>,
    /// Speed class: `low`, `standard` or `high`. Default: not known.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub class: String,
    /// Device classes that the agent found it in, by name. Default: none.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 256))]
    pub device_classes: Vec<String>,
    /// MTU, bytes. Default: not known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0))]
    pub mtu: Option<i64>,
    /// NUMA node that it hangs on. Default: none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0))]
    pub numa_node: Option<i64>,
    /// Virtual functions. Default: it has none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sriov: Option<SriovCapacity>,
    /// `suspended`: its address or carrier are gone for now. Default: empty, present.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    #[schemars(extend("enum" = ["", SUSPENDED]))]
    pub state: String,
    /// What the agent warns about, in words. Default: nothing.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 64))]
    pub warnings: Vec<String>,
}

impl Interface {
    /// Networks that it has addresses in, of each family: that of `netAddress` first, each once.
    pub fn networks(&self) -> impl Iterator<Item = &String> {
        let first = std::iter::once(&self.net_address);
        let others = self.net_addresses.iter().filter(|net| **net != self.net_address);
        first.chain(others).filter(|net| !net.is_empty())
    }
}

/// Virtual functions of a NIC.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct SriovCapacity {
    /// Most that the device can have.
    pub total_vfs: u32,
    /// Those there are.
    pub num_vfs: u32,
    /// Those that nobody holds.
    pub free_vfs: u32,
}

/// What is measured on a node. The predecessor never wrote it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct HostInterfaceStatus {
    /// Counters of a NIC. Default: none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stat: Option<InterfaceStat>,
    /// Routes to other hosts by network, as the agent found them when it looked last. Default: none.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 4096))]
    #[schemars(extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["network"]))]
    pub routes: Vec<RouteReport>,
    /// Virtual functions that the agent should make, by network; written by our operator where no SR-IOV operator is
    /// asked. Default: none.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 256))]
    #[schemars(extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["network"]))]
    pub sriov_plan: Vec<SriovPlan>,
    /// What holds of the object. Default: nothing is said.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schemars(extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["type"]))]
    pub conditions: Vec<Condition>,
}

/// Routes of a node to the blocks of the other hosts of a network.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct RouteReport {
    /// Name of the network.
    pub network: String,
    /// Routes that there should be.
    pub wanted: u32,
    /// Those of them that there are.
    pub present: u32,
    /// Why some are missing, or who takes them away. Default: empty, nothing is the matter.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    #[schemars(length(max = 1024))]
    pub message: String,
}

/// Counters of a NIC, as the predecessor meant them.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct InterfaceStat {
    /// Name of its netdev.
    pub interface_name: String,
    /// Sent, bytes a second.
    pub tx_rate: i64,
    /// Received, bytes a second.
    pub rx_rate: i64,
    /// Dropped when sending, packets a second.
    pub tx_drop_rate: i64,
    /// Dropped when receiving, packets a second.
    pub rx_drop_rate: i64,
    /// Sent, bytes, at the last look.
    pub last_tx: i64,
    /// Received, bytes, at the last look.
    pub last_rx: i64,
    /// Dropped when sending, packets, at the last look.
    pub last_tx_drop: i64,
    /// Dropped when receiving, packets, at the last look.
    pub last_rx_drop: i64,
    /// When the last look was, seconds since 1970.
    pub last_timestamp: i64,
    /// Looks so far.
    pub count: i64,
}
