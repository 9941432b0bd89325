//! Who holds devices that have no netdev here, and who enslaves links.

use std::collections::BTreeMap;

use super::Scan;
use crate::derive;
use crate::model::{Driver, Held, HeldBy, Nic, NicId};
use crate::read::{self, pci::keep};

impl Scan<'_> {
    /// Who holds devices that have no netdev here, and who enslaves links.
    pub(super) fn holders(&mut self) {
        let driver = |nic: &Nic| nic.driver.as_ref().map(|driver| driver.name.clone()).unwrap_or_default();
        let gone = |nic: &Nic| {
            nic.hardware
                && nic.link.is_none()
                && !driver(nic).is_empty()
                && !Driver::is_passthrough(&driver(nic))
        };
        let passed = |nic: &Nic| nic.hardware && Driver::is_passthrough(&driver(nic));
        if self.nics.iter().any(gone) {
            let foreign = keep(self.kernel.foreign_links().map(Some), &mut self.failures).unwrap_or_default();
            for nic in self.nics.iter_mut().filter(|nic| gone(nic)) {
                let Some(address) = nic.pci_address().map(|pci| pci.to_string()) else { continue };
                let found = foreign.iter().find_map(|namespace| {
                    let link =
                        namespace.links.iter().find(|link| link.parent_device.as_ref() == Some(&address))?;
                    Some((namespace, link))
                });
                let Some((namespace, link)) = found else { continue };
                let mut held = Held::new(HeldBy::Namespace);
                held.namespace = Some(namespace.name.clone());
                held.name = Some(link.name.clone());
                nic.held = Some(held);
                nic.generation.ifindex = Some(link.index);
                nic.mac = link.address.as_ref().and_then(read::netdev::address);
                nic.permanent_mac = link.permanent_address.as_ref().and_then(read::netdev::address);
            }
        }
        if self.nics.iter().any(passed) {
            let nodes: BTreeMap<NicId, Vec<String>> = self
                .nics
                .iter()
                .filter(|nic| passed(nic))
                .map(|nic| (nic.id.clone(), self.vfio_nodes(nic)))
                .collect();
            let all: Vec<String> = nodes.values().flatten().cloned().collect();
            let holders = self.kernel.vfio_holders(&all);
            for nic in self.nics.iter_mut().filter(|nic| passed(nic)) {
                let own = nodes.get(&nic.id).map(Vec::as_slice).unwrap_or_default();
                nic.held = derive::held::by_vfio(own, holders.as_deref().ok());
            }
        }
        for nic in self.nics.iter_mut().filter(|nic| nic.held.is_none()) {
            nic.held = derive::held::by_master(nic);
        }
    }

    /// Device numbers of the VFIO nodes of a function: its group's, and its own (kernel 6.6 and later).
    fn vfio_nodes(&self, nic: &Nic) -> Vec<String> {
        let mut nodes = Vec::new();
        if let Some(group) = nic.iommu_group {
            nodes.extend(self.files.text(&format!("sys/class/vfio/{group}/dev")).ok().flatten());
        }
        if let Some(folder) = nic.bus.as_ref().map(|bus| format!("sys/{}/vfio-dev", bus.path)) {
            for name in self.files.list(&folder).unwrap_or_default() {
                nodes.extend(self.files.text(&format!("{folder}/{name}/dev")).ok().flatten());
            }
        }
        nodes
    }
}
