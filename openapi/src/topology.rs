//! Which NIC is near which GPU.

use hwprobe::{Gpu, GpuRelation, NicId, NumaNode, PciAddress};
use serde::{Deserialize, Serialize};

/// The NIC–GPU matrix: rows are hardware NICs, columns are GPUs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Topology {
    /// Generation of the inventory.
    pub generation: u64,
    /// NUMA nodes with their CPUs.
    pub numa_nodes: Vec<NumaNode>,
    /// GPUs and other accelerators, by PCI address: the columns.
    pub gpus: Vec<Gpu>,
    /// Hardware NICs, in the order of the inventory: the rows.
    pub nics: Vec<TopologyNic>,
}

/// Where a NIC sits and how near each GPU is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct TopologyNic {
    /// Id of the NIC.
    pub nic: NicId,
    /// Name of its netdev in the agent's namespace.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// NUMA node; absent when unknown.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub numa_node: Option<u16>,
    /// CPUs near it, as a list like `0-15,32-47`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub local_cpus: Option<String>,
    /// PCI host bridge above it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pci_root: Option<String>,
    /// PCI bridges above it, nearest the root first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub pci_path: Vec<PciAddress>,
    /// One entry a GPU, nearest first.
    pub relations: Vec<GpuRelation>,
}
