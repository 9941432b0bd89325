//! What a person should look at.

use serde::{Deserialize, Serialize};

use super::NicId;

/// A computed warning. It goes when its cause goes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct Warning {
    /// Stable code.
    pub code: WarningCode,
    /// The NIC it is about; absent when it is about the node.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub nic: Option<NicId>,
    /// What is wrong, with the numbers.
    pub message: String,
    /// What to do about it.
    pub fix: String,
}

impl Warning {
    /// A warning about `nic`.
    pub fn new(code: WarningCode, nic: Option<NicId>, message: String, fix: &str) -> Self {
        Self { code, nic, message, fix: fix.to_owned() }
    }
}

/// Codes of warnings, gravest first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub enum WarningCode {
    /// The device answered nothing or only errors.
    Broken,
    /// The PCIe link lets less through than the port can do.
    PcieBelowPort,
    /// The PCIe link runs slower or narrower than card and slot both can.
    PcieDegraded,
    /// The port runs slower than it supports.
    PortBelowCapability,
    /// The port runs slower than the other ports of the same card.
    PortBelowSiblings,
    /// The card has SR-IOV, but firmware allows no VF.
    SriovOffInFirmware,
    /// VFs are there, but no IOMMU: they cannot go to vfio-pci.
    NoIommu,
    /// The MTU differs from that of the other ports of the same card.
    MtuDiffers,
    /// Every GPU of this node is on another NUMA node.
    FarFromGpus,
    /// Two NICs have the same MAC address and are no bond, VLAN or PF–VF pair.
    DuplicateMac,
    /// We do not know what carries the node: nothing exclusive is allowed.
    UplinkUnknown,
    /// The REST port is taken by somebody else; tried again.
    RestPortBusy,
    /// The CNI executables are not where the runtime looks for them; tried again.
    PluginsNotInstalled,
    /// The agent may not do something that it will need; looked at once, at its start.
    RightMissing,
    /// Another device plugin serves a resource that we were to serve; looked at again.
    ResourceTaken,
    /// RDMA devices are in another mode than the configuration wants.
    RdmaModeOther,
}

impl WarningCode {
    /// The name that the API uses.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Broken => "broken",
            Self::PcieBelowPort => "pcieBelowPort",
            Self::PcieDegraded => "pcieDegraded",
            Self::PortBelowCapability => "portBelowCapability",
            Self::PortBelowSiblings => "portBelowSiblings",
            Self::SriovOffInFirmware => "sriovOffInFirmware",
            Self::NoIommu => "noIommu",
            Self::MtuDiffers => "mtuDiffers",
            Self::FarFromGpus => "farFromGpus",
            Self::DuplicateMac => "duplicateMac",
            Self::UplinkUnknown => "uplinkUnknown",
            Self::RestPortBusy => "restPortBusy",
            Self::PluginsNotInstalled => "pluginsNotInstalled",
            Self::RightMissing => "rightMissing",
            Self::ResourceTaken => "resourceTaken",
            Self::RdmaModeOther => "rdmaModeOther",
        }
    }
}
