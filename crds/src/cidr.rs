//! Who has which block of a network (CONTRACTS §1.2, §5.5; TRAPS O1, O2 for what is new).

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

#[cfg(feature = "cluster")]
use crate::condition::EmptyStatus;

/// Label of what belongs to a network: the network's name.
pub const NETWORK_LABEL: &str = "multinic.fms.io/network";

/// The blocks of a network. Assignments never move.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[cfg_attr(feature = "cluster", derive(kube::CustomResource))]
#[cfg_attr(
    feature = "cluster",
    kube(
        group = "multinic.fms.io",
        version = "v1",
        kind = "CIDR",
        root = "Cidr",
        plural = "cidrs",
        shortname = "mncidr",
        category = "multinic",
        status = "EmptyStatus",
        doc = "Who has which block of a network's addresses; written by the operator. Its name is the network's.",
        printcolumn = r#"{"name": "Subnet", "type": "string", "jsonPath": ".spec.config.subnet"}"#,
        printcolumn = r#"{"name": "Networks", "type": "string", "jsonPath": ".spec.cidr[*].netAddress"}"#,
        printcolumn = r#"{"name": "Age", "type": "date", "jsonPath": ".metadata.creationTimestamp"}"#
    )
)]
pub struct CidrSpec {
    /// What the blocks were made from.
    pub config: CidrConfig,
    /// Blocks by NIC network.
    pub cidr: Vec<CidrEntry>,
}

/// What the blocks of a network were made from.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct CidrConfig {
    /// Name of the network.
    pub name: String,
    /// `plugin.type` of the network.
    #[serde(rename = "type")]
    pub kind: String,
    /// `subnet` of the network; empty: blocks are taken from the hosts' networks.
    pub subnet: String,
    /// NIC networks, in order.
    pub master_nets: Vec<String>,
    /// Bits that number hosts.
    #[schemars(range(max = 120))]
    pub host_block: u8,
    /// Bits that number interfaces.
    #[schemars(range(max = 120))]
    pub interface_block: u8,
    /// Ranges that are never given. Default: none.
    #[serde(rename = "excludeCIDRs", default, skip_serializing_if = "Vec::is_empty")]
    pub exclude_cidrs: Vec<String>,
    /// `l2`, `l3`, `l3s` or empty. Default: empty.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub vlan_mode: String,
    /// `subnets` of the network, when it has them. Default: none.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub subnets: Vec<crate::SubnetSpec>,
}

/// Blocks of one NIC network.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct CidrEntry {
    /// The NIC network.
    pub net_address: String,
    /// Its number among the interfaces.
    pub interface_index: u32,
    /// Addresses of all pods on it.
    #[serde(rename = "vlanCIDR")]
    pub vlan_cidr: String,
    /// Hosts with a NIC on it, by number.
    pub hosts: Vec<CidrHost>,
    /// Rank of the NICs by PCI address, where hosts have several on one network; 0 is what the predecessor knew.
    /// Default: 0.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub ordinal: u32,
    /// Addresses of all pods on it, of each family. Default: what `vlanCIDR` says.
    #[serde(rename = "vlanCIDRs", default, skip_serializing_if = "Vec::is_empty")]
    pub vlan_cidrs: Vec<String>,
}

/// The block of one NIC of a host.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct CidrHost {
    /// Its number among the hosts.
    pub host_index: u32,
    /// Name of the node.
    pub host_name: String,
    /// Name of the NIC there.
    pub interface_name: String,
    /// Address of the NIC, without prefix length.
    #[serde(rename = "hostIP")]
    pub host_ip: String,
    /// Addresses of the pods there.
    #[serde(rename = "podCIDR")]
    pub pod_cidr: String,
    /// Name of the IPPool object. Default: empty.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub ippool: String,
    /// PCI address of the NIC, which the ordinal stays with. Default: empty.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub pci_address: String,
    /// Addresses of the pods there, of each family. Default: what `podCIDR` says.
    #[serde(rename = "podCIDRs", default, skip_serializing_if = "Vec::is_empty")]
    pub pod_cidrs: Vec<String>,
    /// Addresses of the NIC, of each family, without prefix length: the next hops of routes to the pods there. Default:
    /// what `hostIP` says.
    #[serde(rename = "hostIPs", default, skip_serializing_if = "Vec::is_empty")]
    pub host_ips: Vec<String>,
    /// IPv6 link-local address of the NIC: the next hop where it has no other IPv6 address. Default: none.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub link_local: String,
    /// `suspended`: address or carrier are gone for now, nothing is freed (TRAPS O3). Default: empty, present.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    #[schemars(extend("enum" = ["", crate::SUSPENDED]))]
    pub state: String,
}

fn is_zero(number: &u32) -> bool {
    *number == 0
}
