//! How near a NIC and a GPU are, from the PCIe tree alone.

use crate::model::{Gpu, GpuRelation, Nic, PciAddress, Relation};

/// How near `gpu` is to `nic`.
pub fn relation(nic: &Nic, gpu: &Gpu) -> GpuRelation {
    let same_root = nic.pci_root.is_some() && nic.pci_root == gpu.pci_root;
    if !same_root {
        let relation = match (nic.numa_node, gpu.numa_node) {
            (Some(one), Some(other)) if one == other => Relation::SameNuma,
            (Some(_), Some(_)) => Relation::OtherNuma,
            _ => Relation::Unknown,
        };
        return GpuRelation::new(gpu.pci, relation, None);
    }
    let common = shared_bridges(&nic.pci_path, &gpu.pci_path);
    // The last shared bridge counts once, those below it on each side.
    let bridges = nic.pci_path.len() + gpu.pci_path.len() - 2 * common + usize::from(common > 0);
    let relation = if common > 0 { Relation::SameSwitch } else { Relation::SameRoot };
    GpuRelation::new(gpu.pci, relation, u16::try_from(bridges).ok())
}

fn shared_bridges(one: &[PciAddress], other: &[PciAddress]) -> usize {
    one.iter().zip(other).take_while(|(a, b)| a == b).count()
}

/// Writes the relation of each GPU into the NIC, nearest first; ties by address.
pub(crate) fn apply(nic: &mut Nic, gpus: &[Gpu]) {
    if nic.pci.is_none() {
        return;
    }
    nic.gpus = gpus.iter().map(|gpu| relation(nic, gpu)).collect();
    nic.gpus.sort_by_key(|found| (found.relation, found.hops, found.gpu));
}
