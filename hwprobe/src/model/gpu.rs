//! GPUs and how near a NIC is to them.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::{PciAddress, PciName};

/// A GPU or another accelerator: PCI base class 0x03 or 0x12.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct Gpu {
    /// PCI address.
    pub pci: PciAddress,
    /// Vendor; absent when it cannot be read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub vendor: Option<PciName>,
    /// Device; absent when it cannot be read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub device: Option<PciName>,
    /// Class code, six hexadecimal digits.
    pub class: String,
    /// The driver bound to it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub driver: Option<String>,
    /// NUMA node; absent when unknown.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub numa_node: Option<u16>,
    /// PCI host bridge above it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pci_root: Option<String>,
    /// PCI bridges above it, nearest the root first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub pci_path: Vec<PciAddress>,
}

impl Gpu {
    /// A GPU of this class at this address.
    pub fn new(pci: PciAddress, class: String) -> Self {
        Self {
            pci,
            vendor: None,
            device: None,
            class,
            driver: None,
            numa_node: None,
            pci_root: None,
            pci_path: Vec::new(),
        }
    }
}

/// How near two PCI functions are, nearest first. From the PCIe tree alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(rename_all = "camelCase")]
pub enum Relation {
    /// Below a common PCIe switch.
    SameSwitch,
    /// Below the same PCI host bridge.
    SameRoot,
    /// On the same NUMA node.
    SameNuma,
    /// On another NUMA node.
    OtherNuma,
    /// Nobody says on which NUMA node one of them is.
    Unknown,
}

impl Relation {
    /// The name that the API uses.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::SameSwitch => "sameSwitch",
            Self::SameRoot => "sameRoot",
            Self::SameNuma => "sameNuma",
            Self::OtherNuma => "otherNuma",
            Self::Unknown => "unknown",
        }
    }
}

impl fmt::Display for Relation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// How near a GPU is to a NIC.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct GpuRelation {
    /// The GPU.
    pub gpu: PciAddress,
    /// How near it is.
    pub relation: Relation,
    /// PCI bridges between the two; absent when they are below different roots.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hops: Option<u16>,
}

impl GpuRelation {
    /// The relation to `gpu`, with the bridges between.
    pub fn new(gpu: PciAddress, relation: Relation, hops: Option<u16>) -> Self {
        Self { gpu, relation, hops }
    }
}
