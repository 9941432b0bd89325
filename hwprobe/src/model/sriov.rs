//! SR-IOV: what a PF can give, its VFs, and which VF a function is.

use serde::{Deserialize, Serialize};

use super::{Held, HwAddr, NicId, PciAddress, PodHolder, SpeedMbps};

/// SR-IOV of a PF.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct Sriov {
    /// What it still can give.
    pub capacity: SriovCapacity,
    /// Device id that its VFs have, four hexadecimal digits (`sriov_vf_device`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub vf_device: Option<String>,
    /// New VFs are bound to a driver at once (`sriov_drivers_autoprobe`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub drivers_autoprobe: Option<bool>,
    /// The embedded switch, where devlink tells.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub eswitch: Option<Eswitch>,
    /// The VFs that exist now, by index.
    #[serde(default)]
    pub vfs: Vec<VfEntry>,
}

impl Sriov {
    /// SR-IOV with this capacity and nothing else known.
    pub fn new(capacity: SriovCapacity) -> Self {
        Self { capacity, vf_device: None, drivers_autoprobe: None, eswitch: None, vfs: Vec::new() }
    }
}

/// What a PF can still give. All counts are VFs.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct SriovCapacity {
    /// The most that hardware and firmware allow (`sriov_totalvfs`).
    pub total: u16,
    /// Exist now (`virtfn<N>`).
    pub enabled: u16,
    /// Exist and are held: by a pod, another namespace, a vfio user, a bond or bridge, links above, or the node itself.
    pub held: u16,
    /// Exist and are held by nobody (`enabled − held`).
    pub free: u16,
    /// Could still be made (`total − enabled`); 0 when making more is not possible, see `reason`.
    pub creatable: u16,
    /// Why nothing can be given (`free` and `creatable` are both 0).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<SriovZeroReason>,
}

/// Why a PF has nothing to give.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub enum SriovZeroReason {
    /// The device has the capability, but firmware allows no VF (`sriov_totalvfs` is 0): raise it with the vendor's tool.
    FirmwareOff,
    /// The bound driver cannot make VFs.
    DriverLacksSupport,
    /// No driver is bound to the PF.
    NoDriver,
    /// The PF is bound to vfio-pci or another pass-through driver.
    PassedThrough,
    /// The PF is a slave of a bond, a team or a bridge.
    Enslaved,
    /// The PF is in another network namespace or held by a pod.
    PfHeld,
    /// Every VF exists and is held.
    AllHeld,
}

/// Mode of the embedded switch (`DEVLINK_CMD_ESWITCH_GET`).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct Eswitch {
    /// `legacy` or `switchdev`, or what a newer kernel says.
    pub mode: String,
    /// Inline mode: `none`, `link`, `network`, `transport`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub inline_mode: Option<String>,
    /// Encapsulation offload: `none` or `basic`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub encap_mode: Option<String>,
}

impl Eswitch {
    /// A switch in this mode.
    pub fn new(mode: String) -> Self {
        Self { mode, inline_mode: None, encap_mode: None }
    }
}

/// Link state of a VF as the PF enforces it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(rename_all = "camelCase")]
pub enum VfLinkState {
    /// Follows the PF.
    Auto,
    /// Always up.
    Enable,
    /// Always down.
    Disable,
}

/// One VF, as its PF sees it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct VfEntry {
    /// Index on the PF, from 0 (`virtfn<N>`).
    pub index: u16,
    /// PCI address; absent where VFs are no PCI functions (netdevsim) or the link cannot be read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pci: Option<PciAddress>,
    /// Id of the NIC in this inventory.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub nic: Option<NicId>,
    /// Name of its netdev in the agent's namespace.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// The driver bound to it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub driver: Option<String>,
    /// MAC that the PF gives it; all zero = the PF sets none (`IFLA_VF_MAC`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mac: Option<HwAddr>,
    /// VLAN id that the PF tags with, 1 to 4094; absent = none (`IFLA_VF_VLAN`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub vlan: Option<u16>,
    /// 802.1p priority with that VLAN, 0 to 7.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub qos: Option<u8>,
    /// VLAN protocol: `802.1Q` or `802.1ad`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub vlan_protocol: Option<String>,
    /// Drops frames with a foreign source MAC.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub spoof_check: Option<bool>,
    /// May set its MAC and promiscuous mode.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trust: Option<bool>,
    /// Link state that the PF enforces.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub link_state: Option<VfLinkState>,
    /// Least transmit rate, Mb/s; absent = none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub min_tx_rate: Option<SpeedMbps>,
    /// Greatest transmit rate, Mb/s; absent = no limit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_tx_rate: Option<SpeedMbps>,
    /// InfiniBand node GUID that the PF gives it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub node_guid: Option<HwAddr>,
    /// InfiniBand port GUID that the PF gives it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub port_guid: Option<HwAddr>,
    /// Who holds it. Absent = free.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub held: Option<Held>,
    /// Which container the kubelet has given it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub held_by: Vec<PodHolder>,
}

impl VfEntry {
    /// VF `index` of which nothing else is known.
    pub fn new(index: u16) -> Self {
        Self {
            index,
            pci: None,
            nic: None,
            name: None,
            driver: None,
            mac: None,
            vlan: None,
            qos: None,
            vlan_protocol: None,
            spoof_check: None,
            trust: None,
            link_state: None,
            min_tx_rate: None,
            max_tx_rate: None,
            node_guid: None,
            port_guid: None,
            held: None,
            held_by: Vec::new(),
        }
    }
}

/// Which VF of which PF a function is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct VfOf {
    /// Id of the PF.
    pub pf: NicId,
    /// Index on the PF, from 0; absent when the PF does not link back.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub index: Option<u16>,
}

impl VfOf {
    /// VF `index` of `pf`.
    pub fn new(pf: NicId, index: Option<u16>) -> Self {
        Self { pf, index }
    }
}
