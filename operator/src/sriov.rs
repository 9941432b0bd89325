//! SR-IOV: from networks and what agents found to the objects of the SR-IOV operator, or to plans for our own agents
//! (CONTRACTS §3, FOREIGN §3). Pure.
//!
//! The SR-IOV operator's selectors are plain: labels that must be equal, PCI addresses that must be listed. So one policy
//! with the predecessor's name and selector is written where it selects on every node exactly the PFs that are meant;
//! else each node, or each group of nodes with the same PFs, has a policy of its own ([`Grouping`]).
//!
//! What is planned is never less than what was: while something is wrong, or no NIC is known, the policies stay as they
//! are, because taking one away takes its VFs from running pods.

mod arguments;
mod group;
mod objects;
mod overlap;
mod pf;
mod plan;
mod problem;

pub use arguments::{Manager, SriovArguments};
pub use group::{GROUP_LABEL, Grouping};
pub use objects::{mellanox_annotation, network_says, policy_says};
pub use overlap::Scope;
pub use pf::{Host, Pf};
pub use plan::{Existing, Plan, Policies, World, plan};
pub use problem::Problem;

/// Names that differ between clusters.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SriovSettings {
    /// Namespace of the SR-IOV operator: no other is honoured.
    pub namespace: String,
    /// Prefix of its resources.
    pub resource_prefix: String,
    /// How nodes are told apart where one policy does not fit all.
    pub grouping: Grouping,
}

impl Default for SriovSettings {
    /// The predecessor's, which are OpenShift's.
    fn default() -> Self {
        Self {
            namespace: "openshift-sriov-network-operator".to_owned(),
            resource_prefix: "openshift.io".to_owned(),
            grouping: Grouping::default(),
        }
    }
}
