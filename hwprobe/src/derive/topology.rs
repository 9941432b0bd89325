//! How near a NIC and a GPU are, from the PCIe tree, or from what the cloud says of it.

use crate::model::{Gpu, GpuRelation, Nic, PciAddress, Relation};
use crate::read::virtual_topology::{Place, VirtualTopology};

/// How near `gpu` is to `nic`.
pub fn relation(nic: &Nic, gpu: &Gpu) -> GpuRelation {
    let same_root = nic.pci_root.is_some() && nic.pci_root == gpu.pci_root;
    if !same_root {
        return GpuRelation::new(gpu.pci, by_numa(nic.numa_node, gpu.numa_node), None);
    }
    let common = shared_bridges(&nic.pci_path, &gpu.pci_path);
    // The last shared bridge counts once, those below it on each side.
    let bridges = nic.pci_path.len() + gpu.pci_path.len() - 2 * common + usize::from(common > 0);
    let relation = if common > 0 { Relation::SameSwitch } else { Relation::SameRoot };
    GpuRelation::new(gpu.pci, relation, u16::try_from(bridges).ok())
}

/// How near two devices are by the places that a file gives them. Without a common bridge only the NUMA node counts: the file
/// has no host bridges.
fn relation_of_places(nic: &Place, gpu: PciAddress, of_gpu: &Place) -> GpuRelation {
    let common = shared_bridges(&nic.bridges, &of_gpu.bridges);
    if common > 0 {
        let bridges = nic.bridges.len() + of_gpu.bridges.len() - 2 * common + 1;
        return GpuRelation::new(gpu, Relation::SameSwitch, u16::try_from(bridges).ok());
    }
    GpuRelation::new(gpu, by_numa(nic.numa_node, of_gpu.numa_node), None)
}

fn by_numa(one: Option<u16>, other: Option<u16>) -> Relation {
    match (one, other) {
        (Some(one), Some(other)) if one == other => Relation::SameNuma,
        (Some(_), Some(_)) => Relation::OtherNuma,
        _ => Relation::Unknown,
    }
}

fn shared_bridges(one: &[PciAddress], other: &[PciAddress]) -> usize {
    one.iter().zip(other).take_while(|(a, b)| a == b).count()
}

/// Writes the relation of each GPU into the NIC, nearest first; ties by address. `told`: what a file says of where devices
/// are; it goes before the PCIe tree, which is flat where there is such a file.
pub(crate) fn apply(nic: &mut Nic, gpus: &[Gpu], told: &VirtualTopology) {
    if nic.pci.is_none() {
        return;
    }
    let place = nic.pci_address().and_then(|address| told.0.get(&address));
    if let Some(place) = place {
        nic.numa_node = nic.numa_node.or(place.numa_node);
    }
    let relation = |gpu: &Gpu| match place.zip(told.0.get(&gpu.pci)) {
        Some((of_nic, of_gpu)) => relation_of_places(of_nic, gpu.pci, of_gpu),
        None => relation(nic, gpu),
    };
    nic.gpus = gpus.iter().map(relation).collect();
    nic.gpus.sort_by_key(|found| (found.relation, found.hops, found.gpu));
}
