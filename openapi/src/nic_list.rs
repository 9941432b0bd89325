//! Lists of NICs and of their VFs.

use hwprobe::{Nic, NicId, SriovCapacity, VfEntry, Warning};
use serde::{Deserialize, Serialize};

/// NICs that fit a query.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct NicList {
    /// Generation of the inventory; grows by one with each change.
    pub generation: u64,
    /// How many NICs the node has, fitting or not.
    pub total: usize,
    /// The NICs that fit; with `fields`, only the chosen members of each.
    pub nics: Vec<Nic>,
}

/// The VFs of a PF.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct VfList {
    /// Generation of the inventory.
    pub generation: u64,
    /// Id of the PF.
    pub pf: NicId,
    /// What the PF still can give.
    pub capacity: SriovCapacity,
    /// The VFs that exist now, by index.
    pub vfs: Vec<VfEntry>,
}

/// Warnings of the node.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct WarningList {
    /// Generation of the inventory.
    pub generation: u64,
    /// The warnings, gravest first.
    pub warnings: Vec<Warning>,
}
