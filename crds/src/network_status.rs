//! What has become of a network (CONTRACTS §1.1, §7.6): the predecessor's fields, and conditions beside them.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::condition::Condition;

/// What has become of a network. The predecessor's readers expect every field of theirs in a status.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct NetworkStatus {
    /// Hosts by NIC network: one item for each entry of the network's CIDR object.
    #[schemars(length(max = 4096))]
    pub compute_results: Vec<ComputeResult>,
    /// What is known of the hosts.
    pub discovery: Discovery,
    /// Whether the network is set up: `WaitForConfig`, `Success` or `Failed`.
    #[schemars(extend("enum" = ["", "WaitForConfig", "Success", "Failed"]))]
    pub config_status: String,
    /// Whether hosts have their routes: `N/A`, `WaitForRoutes`, `Unknown`, `Success` or `Failed`; empty before anybody
    /// looked.
    #[schemars(extend("enum" = ["", "N/A", "WaitForRoutes", "Unknown", "Success", "Failed"]))]
    pub route_status: String,
    /// For people: what is the matter; empty or absent: nothing.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub message: String,
    /// When the status last changed, RFC 3339.
    #[schemars(extend("format" = "date-time"))]
    pub last_sync_time: String,
    /// `metadata.generation` of the network that the status is about.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    /// What holds of the network, each with a reason from docs/conditions.md.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schemars(extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["type"]))]
    pub conditions: Vec<Condition>,
}

/// Hosts on a NIC network.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct ComputeResult {
    /// The NIC network.
    pub net_address: String,
    /// Hosts that have a block there.
    pub num_of_hosts: u32,
}

/// What is known of the hosts.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct Discovery {
    /// Agents that have told of their node.
    pub exist_daemon: u32,
    /// Nodes with at least one NIC that fits.
    pub info_available: u32,
    /// Most hosts of an entry of the CIDR object.
    pub cidr_processed: u32,
}
