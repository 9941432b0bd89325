//! PFs: what each should be, what it is, and what lies between.

use hwprobe::{NicId, PciAddress};
use serde::{Deserialize, Serialize};

use crate::NetworkReport;

/// The PFs of the node with what is wanted of them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct PfList {
    /// Generation of the inventory.
    pub generation: u64,
    /// Each PF, in the order of the inventory.
    pub pfs: Vec<Pf>,
    /// Devices with a desired state of their own that are not there now; it counts when they come back.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub away: Vec<String>,
    /// What is wrong with policies, or does nothing on this node.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub reports: Vec<NetworkReport>,
}

/// One PF: what it should be, what it is, and what lies between.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Pf {
    /// Id of the NIC in the inventory.
    pub nic: NicId,
    /// Its PCI address, or its name on another bus.
    pub device: String,
    /// Name of its netdev in the agent's namespace.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Driver that is bound to it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub driver: Option<String>,
    /// How far it is.
    pub state: PfState,
    /// Since when: RFC 3339, UTC.
    #[schema(format = DateTime)]
    pub since: String,
    /// What it should be; absent when nobody wants anything of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub desired: Option<PfDesired>,
    /// The desired state was given over the API, so policies do not count.
    pub posted: bool,
    /// Policies that select it, by name.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub policies: Vec<String>,
    /// What it is.
    pub observed: PfObserved,
    /// What lies between, by what the inventory shows; absent when nobody wants anything of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub plan: Option<PfPlan>,
    /// What went wrong when it was tried last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// Times that it went wrong since it was right last.
    pub failures: u32,
    /// When it is tried again: RFC 3339, UTC; absent when something has to change first.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(format = DateTime)]
    pub next_attempt: Option<String>,
    /// Writes to it from which the kernel has not come back.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub stuck: Vec<StuckWrite>,
    /// Who holds the PF itself or a VF of it, in words.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub holders: Vec<String>,
}

/// How far a PF is on the way to what it should be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub enum PfState {
    /// Nobody wants anything of it: it is left as it is.
    Unmanaged,
    /// It is being changed, or looked at after a change.
    Applying,
    /// It is what it should be.
    InPlace,
    /// Somebody holds what would go away: `plan.blocked` says who.
    Held,
    /// It cannot be what it should be: `plan.problems` says why.
    Refused,
    /// A change went wrong: `error` says how; it is tried again.
    Failed,
}

impl PfState {
    /// Every state.
    pub const ALL: [Self; 6] =
        [Self::Unmanaged, Self::Applying, Self::InPlace, Self::Held, Self::Refused, Self::Failed];

    /// The name that the API uses.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Unmanaged => "unmanaged",
            Self::Applying => "applying",
            Self::InPlace => "inPlace",
            Self::Held => "held",
            Self::Refused => "refused",
            Self::Failed => "failed",
        }
    }
}

/// What a PF should be, in the words of SriovNetworkNodePolicy (sriov-network-operator).
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct PfDesired {
    /// VFs.
    pub num_vfs: u16,
    /// Least MTU of the PF, bytes: a smaller one is raised, a greater one stays. Absent: as it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(minimum = 1)]
    pub mtu: Option<u32>,
    /// Who programs the embedded switch. Absent: as it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub e_switch_mode: Option<PfEswitchMode>,
    /// What its ports must speak; firmware decides, so nothing is done to a PF that speaks otherwise. Absent: whatever.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub link_type: Option<PfLinkType>,
    /// What VFs are for. VFs in no group keep the driver that the kernel chose.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub groups: Vec<PfVfGroup>,
    /// Somebody else makes the VFs: nothing is written, and a difference is told.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub externally_managed: bool,
    /// VFs are wanted although the PF carries the node, whose link may drop meanwhile.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub on_uplink: bool,
}

/// Who programs the embedded switch of a NIC.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
pub enum PfEswitchMode {
    /// The firmware, by MAC and VLAN.
    Legacy,
    /// The host, through representors.
    Switchdev,
}

/// What the ports of a NIC speak.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
pub enum PfLinkType {
    /// Ethernet.
    Eth,
    /// InfiniBand.
    Ib,
}

/// VFs of one PF that are for the same.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct PfVfGroup {
    /// Their indices, first and last, like `0-3`.
    pub vfs: String,
    /// Their drivers.
    #[serde(default)]
    pub device_type: PfDeviceType,
    /// MTU of their netdevs, bytes. Absent: as it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(minimum = 1)]
    pub mtu: Option<u32>,
    /// They are wanted with RDMA.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub is_rdma: bool,
    /// Name of the resource that they are given out as, without prefix; absent: none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resource_name: Option<String>,
    /// The policy that says so; absent in a desired state that was given over the API.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub policy: Option<String>,
}

/// Drivers of VFs.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub enum PfDeviceType {
    /// The kernel's own: a netdev.
    #[default]
    #[serde(rename = "netdevice")]
    Netdevice,
    /// For user space.
    #[serde(rename = "vfio-pci")]
    VfioPci,
}

/// What a PF is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct PfObserved {
    /// VFs that exist.
    pub num_vfs: u16,
    /// The most VFs that hardware and firmware allow; absent where nobody tells (netdevsim).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub total_vfs: Option<u16>,
    /// Administratively up.
    pub up: bool,
    /// MTU of its netdev, bytes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mtu: Option<u32>,
    /// Who programs the embedded switch; absent where there is none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub e_switch_mode: Option<PfEswitchMode>,
    /// What its ports speak.
    pub link_type: PfLinkType,
    /// New VFs are bound to a driver at once.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub drivers_autoprobe: Option<bool>,
    /// Has an RDMA device.
    pub rdma: bool,
    /// What of the node it carries, in words; absent: nothing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub protected: Option<String>,
}

/// How a PF becomes what it should be. All empty: it is so already.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct PfPlan {
    /// What is done, in this order.
    pub steps: Vec<PfStep>,
    /// What is not done while somebody holds what it would take away: a drain is needed.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub blocked: Vec<PfBlocked>,
    /// What cannot be, whoever holds what, each with its fix.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub problems: Vec<String>,
    /// What of the policies was not taken.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub notes: Vec<String>,
}

/// One step, and what it disturbs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct PfStep {
    /// What is done.
    pub action: String,
    /// What else notices.
    pub disturbs: String,
}

/// A step that somebody is in the way of.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct PfBlocked {
    /// What would be done.
    pub action: String,
    /// Who would lose what.
    pub holders: Vec<String>,
}

/// A write from which the kernel has not come back.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct StuckWrite {
    /// The PCI address or name of the device.
    pub device: String,
    /// What is being done.
    pub what: String,
    /// Since when: RFC 3339, UTC.
    #[schema(format = DateTime)]
    pub since: String,
}

/// The VFs of a PF with what is wanted of them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct PfVfList {
    /// Generation of the inventory.
    pub generation: u64,
    /// Id of the PF.
    pub pf: NicId,
    /// Its VFs, by index: those that are there, and those that should be.
    pub vfs: Vec<PfVf>,
}

/// One VF: what it should be, what it is, and who holds it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct PfVf {
    /// Index on the PF, from 0.
    pub index: u16,
    /// What can be done with it.
    pub state: VfState,
    /// PCI address.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pci: Option<PciAddress>,
    /// Its driver.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub driver: Option<String>,
    /// Name of its netdev in the agent's namespace.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// MTU of that netdev, bytes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mtu: Option<u32>,
    /// Its IOMMU group.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub iommu_group: Option<u32>,
    /// Name of its representor's netdev, in switchdev mode.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub representor: Option<String>,
    /// The group that it is wanted in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub desired: Option<PfVfGroup>,
    /// Who holds it, in words; none: nobody.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub holders: Vec<String>,
    /// Why it is of no use.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trouble: Option<String>,
}

/// What can be done with a VF.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub enum VfState {
    /// It can be given away.
    Free,
    /// Somebody holds it.
    Held,
    /// It is not what it should be: `trouble` says why.
    Broken,
    /// It should be there and is not.
    Missing,
}
