//! The kernel's answers: ethtool, addresses, devlink, and how links stand on one another.

use std::collections::{BTreeMap, BTreeSet};

use super::Scan;
use crate::model::{DevlinkPort, Eswitch, Nic, NicId, NicKind, PciAddress};
use crate::read::{self, pci::keep};
use crate::settings::ProbeSettings;
use crate::source::DevlinkAnswers;

impl Scan<'_> {
    /// ethtool, modules, devlink, addresses.
    pub(super) fn kernel_answers(&mut self, settings: &ProbeSettings) {
        let asked = |nic: &&Nic| nic.hardware || matches!(nic.kind, NicKind::Vlan | NicKind::Bond);
        let indexes: Vec<u32> =
            self.nics.iter().filter(asked).filter_map(|nic| nic.generation.ifindex).collect();
        let mut ethtool =
            keep(self.kernel.ethtool(&indexes).map(Some), &mut self.failures).unwrap_or_default();
        let addresses = keep(self.kernel.addresses().map(Some), &mut self.failures).unwrap_or_default();
        let devlink = keep(self.kernel.devlink().map(Some), &mut self.failures).unwrap_or_default();
        for nic in &mut self.nics {
            let Some(index) = nic.generation.ifindex else { continue };
            if let Some(answers) = ethtool.remove(&index) {
                read::netdev::apply_ethtool(nic, &answers);
            }
            nic.addresses = addresses
                .iter()
                .filter(|address| address.index == index)
                .map(read::netdev::ip_interface)
                .collect();
            nic.addresses.sort();
            let pluggable =
                nic.kind == NicKind::Physical && nic.link.as_ref().is_some_and(|link| link.port.is_some());
            if settings.read_modules && pluggable {
                let identity = keep(self.kernel.module_identity(index), &mut nic.failures);
                if let (Some(link), Some(identity)) = (&mut nic.link, identity) {
                    link.module = read::module::decode(&identity);
                }
            }
        }
        self.devlink(&devlink);
    }

    fn devlink(&mut self, answers: &DevlinkAnswers) {
        for nic in &mut self.nics {
            let port = answers.ports.iter().find(|port| {
                port.netdev_index.is_some()
                    && port.netdev_index == nic.generation.ifindex
                    && nic.link.is_some()
            });
            nic.devlink_port = port.map(|port| {
                let mut found = DevlinkPort::default();
                found.device = port.handle.to_string();
                found.index = port.index;
                found.flavour = port.flavour.map(|flavour| flavour.to_string());
                (found.pf, found.vf, found.sf) = (port.pf, port.vf, port.sf);
                found
            });
            let of_device = |device: &str| {
                nic.bus.as_ref().is_some_and(|bus| bus.device == device)
                    || nic.pci_address().is_some_and(|pci| pci.to_string() == device)
            };
            let Some(device) = answers.devices.iter().find(|found| of_device(&found.device.handle.device))
            else {
                continue;
            };
            if let (Some(driver), Some(info)) = (&mut nic.driver, &device.info)
                && driver.firmware.is_none()
            {
                driver.firmware = info
                    .running
                    .iter()
                    .find(|version| version.name == "fw")
                    .map(|version| version.value.clone());
            }
            let switch: Option<Eswitch> = read::sriov::eswitch(device);
            if let (Some(sriov), Some(switch)) = (&mut nic.sriov, switch) {
                sriov.eswitch = Some(switch);
            }
        }
    }

    /// Links above and below.
    pub(super) fn stacking(&mut self) {
        let mut lower: BTreeMap<u32, BTreeSet<u32>> = BTreeMap::new();
        for link in self.links {
            // An index of another namespace says nothing here; a veth's peer is beside it, not below.
            let own =
                link.lower_netnsid.is_none() && !matches!(link.kind.as_deref(), Some("veth" | "netkit"));
            if let Some(below) = link.lower.filter(|below| own && *below != link.index) {
                lower.entry(link.index).or_default().insert(below);
            }
            if let Some(master) = link.master {
                lower.entry(master).or_default().insert(link.index);
            }
        }
        let mut upper: BTreeMap<u32, BTreeSet<u32>> = BTreeMap::new();
        for (above, below) in &lower {
            for below in below {
                // A master is named by `master`, not again as an upper link.
                let enslaved =
                    self.links.iter().any(|link| link.index == *below && link.master == Some(*above));
                if !enslaved {
                    upper.entry(*below).or_default().insert(*above);
                }
            }
        }
        let names = |indexes: Option<&BTreeSet<u32>>| -> Vec<String> {
            indexes.into_iter().flatten().filter_map(|index| self.name_of(*index)).collect()
        };
        let found: Vec<(Vec<String>, Vec<String>)> = self
            .nics
            .iter()
            .map(|nic| match nic.generation.ifindex {
                Some(index) if nic.link.is_some() => (names(lower.get(&index)), names(upper.get(&index))),
                _ => (Vec::new(), Vec::new()),
            })
            .collect();
        for (nic, (lower, upper)) in self.nics.iter_mut().zip(found) {
            (nic.stacking.lower, nic.stacking.upper) = (lower, upper);
            if let (Some(master), None) = (&nic.stacking.master, &nic.stacking.master_kind) {
                let link = self.links.iter().find(|link| link.name == *master);
                nic.stacking.master_kind = link.and_then(|link| link.kind.clone());
            }
        }
    }

    /// Ties the PFs' VF entries to the NICs of the list.
    pub(super) fn vf_entries(&mut self) {
        let mut by_address: BTreeMap<PciAddress, (NicId, Option<String>, Option<String>)> = BTreeMap::new();
        for nic in self.nics.iter().filter(|nic| nic.kind == NicKind::VirtualFunction) {
            if let Some(address) = nic.pci_address() {
                let driver = nic.driver.as_ref().map(|driver| driver.name.clone());
                by_address.entry(address).or_insert((nic.id.clone(), nic.name.clone(), driver));
            }
        }
        for entry in
            self.nics.iter_mut().filter_map(|nic| nic.sriov.as_mut()).flat_map(|sriov| &mut sriov.vfs)
        {
            if let Some((id, name, driver)) = entry.pci.and_then(|pci| by_address.get(&pci)) {
                (entry.nic, entry.name, entry.driver) = (Some(id.clone()), name.clone(), driver.clone());
            }
        }
    }
}
