//! SR-IOV capacity of the whole node.

use hwprobe::{Eswitch, NicId, SpeedClass, SpeedMbps, SriovCapacity};
use serde::{Deserialize, Serialize};

/// SR-IOV capacity of the node: sums, and each PF.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct SriovSummary {
    /// Generation of the inventory.
    pub generation: u64,
    /// Sums over all PFs.
    pub totals: SriovTotals,
    /// Each NIC with SR-IOV capability, in the order of the inventory.
    pub pfs: Vec<SriovPf>,
}

/// Sums over all PFs. All but `pfs` count VFs.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct SriovTotals {
    /// PFs with SR-IOV capability.
    pub pfs: u32,
    /// The most that hardware and firmware allow.
    pub total: u32,
    /// Exist now.
    pub enabled: u32,
    /// Exist and are held.
    pub held: u32,
    /// Exist and are held by nobody.
    pub free: u32,
    /// Could still be made.
    pub creatable: u32,
}

/// What one PF can give.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct SriovPf {
    /// Id of the PF.
    pub nic: NicId,
    /// Name of its netdev in the agent's namespace.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Driver that is bound to it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub driver: Option<String>,
    /// Speed, Mb/s; absent when unknown.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub speed_mbps: Option<SpeedMbps>,
    /// Speed class.
    pub class: SpeedClass,
    /// NUMA node; absent when unknown.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub numa_node: Option<u16>,
    /// It carries the node.
    pub protected: bool,
    /// What it still can give.
    pub capacity: SriovCapacity,
    /// Device id that its VFs have, four hexadecimal digits.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub vf_device: Option<String>,
    /// The embedded switch.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub eswitch: Option<Eswitch>,
}
