//! What a PF should be: how many VFs, for whom, with which drivers.

use std::fmt;
use std::ops::RangeInclusive;
use std::str::FromStr;

/// What one PF should be.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct DesiredPf {
    /// VFs.
    pub count: u16,
    /// Least MTU of the PF, bytes: a smaller one is raised, a greater one stays. Absent: as it is.
    pub mtu: Option<u32>,
    /// Who programs the embedded switch. Absent: as it is.
    pub eswitch: Option<EswitchMode>,
    /// What its ports must speak; firmware decides, so nothing is done to a PF that speaks otherwise. Absent: whatever.
    pub link_type: Option<LinkType>,
    /// What VFs are for. VFs in none keep the driver that the kernel chose.
    pub groups: Vec<VfGroup>,
    /// Somebody else makes the VFs, so nothing is written. Who, in words.
    pub managed_by: Option<String>,
    /// VFs are wanted although the PF carries the node, whose link may drop meanwhile.
    pub on_uplink: bool,
    /// What of the policies was not taken, in words: groups that overlap with stronger ones.
    pub notes: Vec<String>,
}

/// VFs of one PF that are for the same.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VfGroup {
    /// Their indices.
    pub range: RangeInclusive<u16>,
    /// Their driver.
    pub driver: VfDriver,
    /// MTU of their netdevs, bytes. Absent: as it is.
    pub mtu: Option<u32>,
    /// They are wanted with RDMA.
    pub rdma: bool,
    /// Name of the resource that they are given out as; empty: none.
    pub resource: String,
    /// The policy that says so.
    pub policy: String,
}

/// Driver of a VF.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum VfDriver {
    /// The one that the kernel chooses: a netdev.
    #[default]
    Own,
    /// This one, like `vfio-pci`.
    Named(String),
}

impl VfDriver {
    /// `vfio-pci`.
    pub fn vfio() -> Self {
        Self::Named("vfio-pci".to_owned())
    }
}

impl fmt::Display for VfDriver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Own => "its own driver",
            Self::Named(name) => name,
        })
    }
}

/// Who programs the embedded switch of a NIC.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EswitchMode {
    /// The firmware, by MAC and VLAN.
    Legacy,
    /// The host, through representors.
    Switchdev,
}

impl EswitchMode {
    /// The kernel's word.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Legacy => "legacy",
            Self::Switchdev => "switchdev",
        }
    }
}

impl fmt::Display for EswitchMode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A word that is none of those that are known.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{word}` is none of {known}")]
pub struct UnknownWord {
    word: String,
    known: &'static str,
}

impl UnknownWord {
    pub(crate) fn new(word: &str, known: &'static str) -> Self {
        Self { word: word.to_owned(), known }
    }
}

impl FromStr for EswitchMode {
    type Err = UnknownWord;

    fn from_str(text: &str) -> Result<Self, UnknownWord> {
        match text {
            "legacy" => Ok(Self::Legacy),
            "switchdev" => Ok(Self::Switchdev),
            _ => Err(UnknownWord { word: text.to_owned(), known: "legacy, switchdev" }),
        }
    }
}

/// What a port speaks.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum LinkType {
    /// Ethernet.
    #[default]
    Ethernet,
    /// InfiniBand.
    InfiniBand,
}

impl fmt::Display for LinkType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Ethernet => "ethernet",
            Self::InfiniBand => "infiniband",
        })
    }
}

impl FromStr for LinkType {
    type Err = UnknownWord;

    /// `eth`, `ETH`, `ib`, `IB`.
    fn from_str(text: &str) -> Result<Self, UnknownWord> {
        match text {
            "eth" | "ETH" => Ok(Self::Ethernet),
            "ib" | "IB" => Ok(Self::InfiniBand),
            _ => Err(UnknownWord { word: text.to_owned(), known: "eth, ETH, ib, IB" }),
        }
    }
}
