//! What is remembered of a network across restarts (table `networks` of the store, by name).

use std::collections::BTreeMap;

use crds::NetworkSpec;
use ipam::Plan;
use ipnet::IpNet;
use serde::{Deserialize, Serialize};

/// What is remembered.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct Record {
    /// The file that defined it.
    pub(crate) file: String,
    /// What it said when it was right last.
    pub(crate) spec: NetworkSpec,
    /// Numbers of interfaces, by id of the NIC, and of this host.
    pub(crate) plan: Plan,
    /// The NICs as they were seen last, by id.
    pub(crate) nics: BTreeMap<String, Seen>,
}

/// A NIC of the network, here or away.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct Seen {
    /// Name of its netdev.
    pub(crate) master: String,
    /// Network of its own address.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) net_address: Option<IpNet>,
    /// Rank among the NICs of the network, in the order in which they came.
    pub(crate) order: u32,
}
