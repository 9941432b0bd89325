//! The whole inventory and the node around the NICs.

use serde::{Deserialize, Serialize};

use super::{Gpu, Nic, Warning};

/// Everything that the probe found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct Inventory {
    /// The machine.
    pub node: Node,
    /// Every NIC: hardware first, by PCI address, then virtual links by name.
    pub nics: Vec<Nic>,
    /// GPUs and other accelerators (PCI base classes 0x03 and 0x12), by PCI address.
    pub gpus: Vec<Gpu>,
    /// What a person should look at, gravest first.
    pub warnings: Vec<Warning>,
    /// What could not be read and belongs to no single NIC.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub failures: Vec<Failure>,
}

impl Inventory {
    /// An inventory of these NICs, without GPUs, warnings and failures.
    pub fn new(node: Node, nics: Vec<Nic>) -> Self {
        Self { node, nics, gpus: Vec::new(), warnings: Vec::new(), failures: Vec::new() }
    }
}

/// The machine that the NICs sit in.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct Node {
    /// Host name (`/proc/sys/kernel/hostname`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hostname: Option<String>,
    /// Kernel release (`/proc/sys/kernel/osrelease`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kernel: Option<String>,
    /// Machine architecture as the kernel names it, like `x86_64`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub architecture: Option<String>,
    /// Maker and model (`/sys/class/dmi/id/sys_vendor`, `product_name`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub product: Option<String>,
    /// The hypervisor that this machine runs on, like `KVM`, `VMware`, `Hyper-V`, `Xen`, `Amazon EC2`; absent on bare metal or unknown.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hypervisor: Option<String>,
    /// Id of this boot (`/proc/sys/kernel/random/boot_id`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub boot_id: Option<String>,
    /// NUMA nodes with their CPUs.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub numa_nodes: Vec<NumaNode>,
    /// The IOMMU, which VFs on vfio-pci need.
    pub iommu: Iommu,
    /// Whether we know what carries the node.
    pub uplink: Uplink,
}

/// A NUMA node.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct NumaNode {
    /// Number of the node.
    pub id: u16,
    /// Its CPUs as a list, like `0-15,32-47`.
    pub cpus: String,
}

impl NumaNode {
    /// Node `id` with the CPU list `cpus`.
    pub fn new(id: u16, cpus: String) -> Self {
        Self { id, cpus }
    }
}

/// Whether the kernel runs an IOMMU.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct Iommu {
    /// At least one IOMMU is active (`/sys/class/iommu` is not empty).
    pub enabled: bool,
}

impl Iommu {
    /// An IOMMU that is active or not.
    pub fn new(enabled: bool) -> Self {
        Self { enabled }
    }
}

/// What we know of the NICs that carry the node itself. Nothing exclusive (a whole device to a pod, a VF
/// count, passthru) is allowed while `basis` is `unknown`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct Uplink {
    /// How the set of protected NICs came about.
    pub basis: UplinkBasis,
    /// Ids of the protected NICs.
    pub protected: Vec<super::NicId>,
}

impl Uplink {
    /// The protected NICs and how we know them.
    pub fn new(basis: UplinkBasis, protected: Vec<super::NicId>) -> Self {
        Self { basis, protected }
    }
}

impl Default for Uplink {
    fn default() -> Self {
        Self::new(UplinkBasis::Unknown, Vec::new())
    }
}

/// How the set of protected NICs came about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(rename_all = "camelCase")]
pub enum UplinkBasis {
    /// From the routes, addresses and mounts of this moment.
    Computed,
    /// No default route right now (a DHCP renewal, say): the set remembered from before counts too.
    Remembered,
    /// Neither: nothing exclusive may be done.
    Unknown,
}

/// Something that could not be read. The rest of the inventory is complete all the same.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(rename_all = "camelCase")]
pub struct Failure {
    /// The file or message, like `/sys/class/net/eth0/mtu` or `ETHTOOL_MSG_RINGS_GET`.
    pub source: String,
    /// What went wrong, in the kernel's words where it gave any.
    pub error: String,
}
