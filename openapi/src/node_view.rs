//! The node and the agent on it.

use hwprobe::{Failure, Gpu, NicId, Node};
use serde::{Deserialize, Serialize};

/// The node, its agent, and how much there is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct NodeView {
    /// Generation of the inventory; grows by one with each change.
    pub generation: u64,
    /// The agent that answers.
    pub agent: Agent,
    /// The machine.
    pub node: Node,
    /// How much there is.
    pub counts: NodeCounts,
    /// Ids of the secondary NICs: hardware NICs, VLANs and bonds that pods may get.
    pub secondary: Vec<NicId>,
    /// GPUs and other accelerators.
    pub gpus: Vec<Gpu>,
    /// What could not be read and belongs to no single NIC.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub failures: Vec<Failure>,
}

/// The agent that answers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Agent {
    /// Version of multi-nicd.
    pub version: String,
    /// Names this run of the agent; event ids and ETags of other runs begin with another one.
    pub epoch: String,
    /// Runs without a cluster.
    pub standalone: bool,
    /// When it started: RFC 3339, UTC.
    #[schema(format = DateTime)]
    pub started: String,
}

/// How many of what.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct NodeCounts {
    /// NICs of every kind.
    pub nics: usize,
    /// NICs that a device backs.
    pub hardware: usize,
    /// NICs with SR-IOV capability.
    pub physical_functions: usize,
    /// VFs that exist.
    pub virtual_functions: usize,
    /// Secondary NICs.
    pub secondary: usize,
    /// Protected NICs.
    pub protected: usize,
    /// NICs that somebody holds.
    pub held: usize,
    /// GPUs and other accelerators.
    pub gpus: usize,
    /// Warnings.
    pub warnings: usize,
}
