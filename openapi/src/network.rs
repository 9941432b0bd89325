//! Networks as this node serves them, and the addresses that it may give.

use hwprobe::{NicId, SpeedMbps};
use serde::{Deserialize, Serialize};

/// The networks of this node.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct NetworkList {
    /// The networks, by name.
    pub networks: Vec<Network>,
    /// What is wrong with the files that networks are read from, and which NICs get no addresses; only without a
    /// cluster.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub reports: Vec<NetworkReport>,
}

/// Something about a network or a policy for PFs, or its file, that is not as it was meant.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct NetworkReport {
    /// How grave it is.
    pub gravity: ReportGravity,
    /// The network; absent when it cannot be told.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub network: Option<String>,
    /// The SriovNetworkNodePolicy, or the policy of `sriov` in agent.yaml; absent when it is about none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub policy: Option<String>,
    /// Name of the file in the folder of networks; absent when it is about the folder, or about no file.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub file: Option<String>,
    /// Number of the document in the file, from 1; absent when it is about the whole file.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub document: Option<usize>,
    /// The field, like `spec.subnets[0].cidr`; absent when it is about the whole object.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub field: Option<String>,
    /// What is wrong.
    pub message: String,
    /// What to do; absent when that depends.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fix: Option<String>,
}

/// How grave a report is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
pub enum ReportGravity {
    /// Something that was meant is not there.
    Error,
    /// Something is there that does nothing, or less than it could.
    Warning,
}

/// One network on this node.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Network {
    /// Its name.
    pub name: String,
    /// How NICs are chosen: `none`, `costOpt`, `perfOpt`, `devClass` or `topology`.
    pub strategy: String,
    /// Bandwidth that `costOpt` and `perfOpt` aim at, Mb/s.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub target_mbps: Option<SpeedMbps>,
    /// Device class that its NICs must be of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub class: Option<String>,
    /// Whether ipvlan and macvlan may share the node's own uplink.
    pub allow_uplink: bool,
    /// Why nothing of it can be attached now; absent when it can.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub refused: Option<String>,
    /// The interfaces that its plan knows, also those whose NIC is away just now.
    pub interfaces: Vec<NetworkInterface>,
    /// How many attachments it has here.
    pub attachments: usize,
}

/// One interface of a network on this node.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct NetworkInterface {
    /// Index in the plan, from 0.
    pub index: u32,
    /// Name of the master on the host.
    pub master: String,
    /// The NIC; absent when it is not here.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub nic: Option<NicId>,
    /// The network of the master's own address.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub net_address: Option<String>,
    /// The blocks of addresses that are this node's, at most one a family.
    pub blocks: Vec<NetworkBlock>,
}

/// Addresses of one family that this node may give on one interface.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct NetworkBlock {
    /// Where pods' addresses are taken from.
    pub pod: String,
    /// The block of all hosts on this interface; pods' addresses have its prefix length.
    pub interface: String,
    /// Ranges that are never given.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub excludes: Vec<String>,
}

/// What the blocks of each network hold.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct AddressList {
    /// The networks that have blocks here, by name.
    pub networks: Vec<NetworkAddresses>,
}

/// What the blocks of one network hold.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct NetworkAddresses {
    /// Name of the network.
    pub network: String,
    /// Sums over its blocks.
    pub totals: AddressCounts,
    /// Each block, by interface.
    pub blocks: Vec<BlockAddresses>,
}

/// What one block holds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct BlockAddresses {
    /// The block.
    pub block: String,
    /// Name of its master on the host.
    pub master: String,
    /// Its addresses.
    pub counts: AddressCounts,
}

/// Counts of addresses. What exceeds 64 bits (IPv6) is given as the largest number.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct AddressCounts {
    /// All of them.
    pub total: u64,
    /// Never given: the ends of the block and the excludes.
    pub reserved: u64,
    /// Held.
    pub used: u64,
    /// Given back, and not given again as long as others are free.
    pub quarantined: u64,
    /// Can be given.
    pub free: u64,
}
