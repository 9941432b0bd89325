//! NICs with a device behind them, and links without one.

use std::collections::{BTreeMap, BTreeSet};

use netlink::route::Link;

use super::kind::{bus_kind, function_kind, is_representor, virtual_kind};
use super::{LLDP, Scan};
use crate::model::{Bus, Driver, Failure, Nic, NicId, NicKind, PciAddress, RdmaDevice, VfOf};
use crate::read::pci::{Function, keep};
use crate::read::{self, devices::Device};

/// What a VF shares with its PF, being the same device.
struct OwnPf {
    address: PciAddress,
    index: u16,
    numa_node: Option<u16>,
    local_cpus: Option<String>,
}

impl Scan<'_> {
    /// NICs with a device behind them.
    pub(super) fn hardware(
        &mut self,
        functions: BTreeMap<PciAddress, Function>,
        devices: &BTreeMap<u32, Device>,
    ) {
        let rdma = read::rdma::devices(self.files, &mut self.failures);
        let mut on_function: BTreeMap<PciAddress, Vec<(&Link, &Device)>> = BTreeMap::new();
        let mut elsewhere: Vec<(&Link, &Device)> = Vec::new();
        for link in self.links {
            let Some(device) = devices.get(&link.index) else { continue };
            match &device.pci {
                Some((address, _)) => on_function.entry(*address).or_default().push((link, device)),
                None => elsewhere.push((link, device)),
            }
        }
        let mut vf_of: BTreeMap<PciAddress, OwnPf> = BTreeMap::new();
        for (address, function) in functions {
            let netdevs = on_function.remove(&address).unwrap_or_default();
            let pf = vf_of.get(&address);
            let own_rdma = rdma.get(&function.folder).cloned().unwrap_or_default();
            let before = self.nics.len();
            self.function(function, &netdevs, pf, own_rdma);
            for nic in self.nics.iter().skip(before) {
                for vf in nic.sriov.iter().flat_map(|sriov| &sriov.vfs) {
                    let (numa_node, local_cpus) = (nic.numa_node, nic.local_cpus.clone());
                    let pf = OwnPf { address, index: vf.index, numa_node, local_cpus };
                    vf.pci.map(|pci| vf_of.insert(pci, pf));
                }
            }
        }
        self.link_vfs(&vf_of);
        let mut seen = BTreeSet::new();
        for (link, device) in elsewhere {
            let nic = self.other_bus(link, device, rdma.get(&device.folder), &mut seen);
            self.nics.push(nic);
        }
    }

    /// Adds the NICs of one PCI function: one without a netdev, or one per netdev.
    fn function(
        &mut self,
        mut function: Function,
        netdevs: &[(&Link, &Device)],
        pf: Option<&OwnPf>,
        rdma: Vec<RdmaDevice>,
    ) {
        let mut base = Nic::new(NicId::new(function.pci.address.to_string()), NicKind::Physical);
        let mut sriov = None;
        let near = pf.is_none().then(|| self.files.near(&function.folder)).flatten();
        let files = near.as_deref().unwrap_or(self.files);
        if pf.is_none() {
            read::pci::read_link(files, &mut function);
            base.resources.msix_vectors = read::pci::read_config(files, &mut function);
            let (folder, failures) = (&function.folder, &mut function.failures);
            function.pci.vpd =
                keep(files.read(&format!("{folder}/vpd")), failures).and_then(|data| read::vpd::parse(&data));
            sriov = read::sriov::read(files, folder, failures);
            base.vf = keep(files.link_name(&format!("{folder}/physfn")), failures)
                .map(|pf| VfOf::new(NicId::new(pf), None));
        }
        if let Some(pf) = pf {
            base.vf = Some(VfOf::new(NicId::new(pf.address.to_string()), Some(pf.index)));
        }
        base.kind = function_kind(&function, base.vf.is_some());
        base.hardware = true;
        base.generation.device = self.files.inode(&function.folder);
        base.bus = Some(bus_of(&function.folder));
        base.pci = Some(function.pci);
        base.driver = function.driver.map(named_driver);
        let folder = &function.folder;
        (base.numa_node, base.local_cpus) = match pf {
            Some(pf) => (pf.numa_node, pf.local_cpus.clone()),
            None => (
                read::pci::numa_node(files, folder, &mut function.failures),
                keep(files.text(&format!("{folder}/local_cpulist")), &mut function.failures),
            ),
        };
        base.iommu_group =
            keep(function.iommu_group, &mut function.failures).and_then(|group| group.parse().ok());
        base.pci_root = function.root;
        base.pci_path = function.path;
        base.failures = function.failures;
        if netdevs.is_empty() {
            base.sriov = sriov;
            base.rdma = rdma;
            self.nics.push(base);
            return;
        }
        let main = main_netdev(netdevs);
        let mut ids = BTreeSet::new();
        let id = base.id.clone();
        // The last one is no copy: most functions have one netdev.
        let bases = std::iter::repeat_n(base, netdevs.len());
        for (at, ((link, device), mut nic)) in netdevs.iter().zip(bases).enumerate() {
            self.netdev(&mut nic, link, Some(device));
            if device.bus.kind != "pci" {
                // virtio and auxiliary devices have a driver of their own above the function's.
                nic.bus = Some(device.bus.clone());
                nic.driver = self.driver(&device.folder, &mut nic.failures);
            }
            if device.bus.kind == "auxiliary" {
                nic.kind = NicKind::SubFunction;
                // A sub-function comes and goes while its function stays.
                nic.generation.device = self.files.inode(&device.folder);
            } else if is_representor(link) {
                nic.kind = NicKind::Representor;
            }
            if at == main {
                nic.sriov = sriov.clone();
                read::sriov::apply_link(&mut nic.sriov, &link.vfs);
            } else {
                nic.id = suffixed(&id, &nic, device);
                (nic.vf, nic.failures) = (None, Vec::new());
            }
            if !ids.insert(nic.id.clone()) {
                nic.id = NicId::new(format!("{id}-{}", link.name));
            }
            // An RDMA device belongs to all ports of its function but not to representors or sub-functions.
            if nic.kind != NicKind::Representor && nic.kind != NicKind::SubFunction {
                nic.rdma = rdma.clone();
            }
            self.nics.push(nic);
        }
    }

    /// VFs come after their PF in address order, but not always: tell those that came before.
    fn link_vfs(&mut self, vf_of: &BTreeMap<PciAddress, OwnPf>) {
        for nic in &mut self.nics {
            let Some(pf) = nic.pci_address().and_then(|address| vf_of.get(&address)) else { continue };
            if nic.vf.as_ref().is_none_or(|vf| vf.index.is_none()) && nic.kind != NicKind::Representor {
                nic.vf = Some(VfOf::new(NicId::new(pf.address.to_string()), Some(pf.index)));
                nic.kind = NicKind::VirtualFunction;
            }
        }
    }

    /// A NIC whose device is on another bus than PCI.
    fn other_bus(
        &mut self,
        link: &Link,
        device: &Device,
        rdma: Option<&Vec<RdmaDevice>>,
        seen: &mut BTreeSet<NicId>,
    ) -> Nic {
        // virtio devices are numbered in the order of their discovery; what they hang on is stable.
        let stable = match device.bus.kind.as_str() {
            "virtio" => device.folder.rsplit('/').nth(1).unwrap_or(&device.bus.device),
            _ => &device.bus.device,
        };
        let prefix = if device.bus.kind == "virtio" { "platform" } else { device.bus.kind.as_str() };
        let base = NicId::new(format!("{prefix}-{stable}"));
        let mut nic = Nic::new(base.clone(), bus_kind(&device.bus.kind));
        nic.bus = Some(device.bus.clone());
        nic.generation.device = self.files.inode(&device.folder);
        nic.driver = self.driver(&device.folder, &mut nic.failures);
        let mut numa_failures = Vec::new();
        nic.numa_node = read::pci::numa_node(self.files, &device.folder, &mut numa_failures);
        nic.rdma = rdma.cloned().unwrap_or_default();
        self.netdev(&mut nic, link, Some(device));
        if is_representor(link) {
            nic.kind = NicKind::Representor;
        } else {
            read::sriov::apply_link(&mut nic.sriov, &link.vfs);
        }
        if !seen.insert(nic.id.clone()) {
            nic.id = suffixed(&base, &nic, device);
        }
        if nic.id != base && !seen.insert(nic.id.clone()) {
            nic.id = NicId::new(format!("{base}-{}", link.name));
            seen.insert(nic.id.clone());
        }
        nic
    }

    /// The driver bound to the device in `folder`.
    fn driver(&self, folder: &str, failures: &mut Vec<Failure>) -> Option<Driver> {
        keep(self.files.link_name(&format!("{folder}/driver")), failures).map(named_driver)
    }

    /// Links that software makes.
    pub(super) fn virtual_links(&mut self, devices: &BTreeMap<u32, Device>) {
        for link in self.links.iter().filter(|link| !devices.contains_key(&link.index)) {
            let mut nic = Nic::new(NicId::new(format!("virtual-{}", link.name)), virtual_kind(link));
            self.netdev(&mut nic, link, None);
            self.nics.push(nic);
        }
    }

    /// What the link message says, and of a device's netdev also its folder and the LLDP daemon.
    fn netdev(&self, nic: &mut Nic, link: &Link, device: Option<&Device>) {
        read::netdev::apply_link(nic, link, &|index| self.name_of(index));
        let Some(device) = device else { return };
        if let Some(facts) = &mut nic.link {
            facts.dev_port = device.dev_port;
        }
        let index = link.index.to_string();
        if self.lldp.contains(&index) {
            let heard = keep(self.files.read(&format!("{LLDP}/{index}")), &mut nic.failures);
            nic.lldp = heard.and_then(|file| read::lldp::first_neighbour(&file));
        }
    }
}

fn named_driver(name: String) -> Driver {
    let mut driver = Driver::default();
    driver.name = name;
    driver
}

/// The netdev that is the function's own: not a representor, the lowest port.
fn main_netdev(netdevs: &[(&Link, &Device)]) -> usize {
    let rank = |(_, (link, device)): &(usize, &(&Link, &Device))| {
        (device.bus.kind == "auxiliary", is_representor(link), link.index)
    };
    netdevs.iter().enumerate().min_by_key(rank).map_or(0, |(at, _)| at)
}

/// The id of a further netdev on a function: by its port name, its port number, its device.
fn suffixed(base: &NicId, nic: &Nic, device: &Device) -> NicId {
    let facts = nic.link.as_ref();
    let suffix =
        match (facts.and_then(|link| link.phys_port_name.clone()), facts.and_then(|link| link.dev_port)) {
            _ if device.bus.kind == "auxiliary" => device.bus.device.clone(),
            (Some(name), _) => name,
            (None, Some(port)) => format!("port{port}"),
            (None, None) => nic.label().to_owned(),
        };
    NicId::new(format!("{base}-{suffix}"))
}

fn bus_of(folder: &str) -> Bus {
    let path = folder.strip_prefix("sys/").unwrap_or(folder);
    let device = path.rsplit('/').next().unwrap_or(path);
    Bus::new("pci".to_owned(), device.to_owned(), path.to_owned())
}
