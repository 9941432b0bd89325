//! The flow of a probe from top to bottom: devices, netdevs, kernel answers, then what follows from them.

use std::collections::{BTreeMap, BTreeSet};

use netlink::route::Link;

use crate::derive;
use crate::model::{
    DevlinkPort, Driver, Eswitch, Failure, Held, HeldBy, Inventory, Nic, NicId, NicKind, PciAddress,
    ProtectionReason, RdmaDevice, VfOf,
};
use crate::read::pci::{Function, PciFunctions, keep};
use crate::read::{self, devices::Device};
use crate::settings::ProbeSettings;
use crate::source::{DevlinkAnswers, Files, INVENTED_INDEX, Kernel};

/// Where systemd-networkd keeps what it heard over LLDP, a file a link.
const LLDP: &str = "run/systemd/netif/lldp";

/// Reads everything and derives the rest.
pub(crate) fn inventory(files: &dyn Files, kernel: &dyn Kernel, settings: &ProbeSettings) -> Inventory {
    let mut failures = Vec::new();
    let node = read::node::node(files, &mut failures);
    let mut links = keep(kernel.links().map(Some), &mut failures).unwrap_or_default();
    failures.extend(kernel.unread_links());
    links.sort_by_key(|link| link.index);
    let mut functions = read::pci::functions(files);
    failures.append(&mut functions.failures);
    let gpus = std::mem::take(&mut functions.gpus);
    let devices = place_links(files, &links, &mut functions);

    let lldp = files.list(LLDP).unwrap_or_default();
    let mut scan = Scan { files, kernel, links: &links, nics: Vec::new(), failures, lldp };
    scan.hardware(&mut functions, &devices);
    scan.virtual_links(&devices);
    scan.sort();
    scan.kernel_answers(settings);
    scan.stacking();
    scan.vf_entries();
    scan.holders();

    let Scan { mut nics, mut failures, .. } = scan;
    for nic in &mut nics {
        derive::topology::apply(nic, &gpus);
    }
    derive_speeds(&mut nics, settings);
    let mut node = node;
    let (roots, knowledge) = uplink_roots(files, kernel, &mut nics, settings, &mut failures);
    node.uplink = derive::protected::protect(&mut nics, &roots, knowledge, &settings.remembered);
    derive_usage(&mut nics, node.hypervisor.as_deref(), settings);

    for nic in &mut nics {
        nic.generation.ifindex = nic.generation.ifindex.filter(|index| *index < INVENTED_INDEX);
    }

    let mut inventory = Inventory { node, nics, gpus, warnings: Vec::new(), failures };
    inventory.warnings = derive::warnings::warnings(&inventory);
    inventory
}

/// Finds the device behind each link. A function that carries a netdev is a network function whatever its
/// class, and also when the bus folder of a partial tree does not list it.
fn place_links(files: &dyn Files, links: &[Link], functions: &mut PciFunctions) -> BTreeMap<u32, Device> {
    let mut devices = BTreeMap::new();
    for link in links {
        let Some(device) = read::devices::behind(files, link) else { continue };
        if let Some((address, folder)) = &device.pci
            && !functions.network.contains_key(address)
        {
            functions.network.insert(*address, read::pci::function_at(files, *address, folder));
        }
        devices.insert(link.index, device);
    }
    devices
}

struct Scan<'a> {
    files: &'a dyn Files,
    kernel: &'a dyn Kernel,
    links: &'a [Link],
    nics: Vec<Nic>,
    failures: Vec<Failure>,
    /// Indexes of links of which an LLDP daemon heard something.
    lldp: Vec<String>,
}

/// What a VF shares with its PF, being the same device.
struct OwnPf {
    address: PciAddress,
    index: u16,
    numa_node: Option<u16>,
    local_cpus: Option<String>,
}

impl Scan<'_> {
    fn name_of(&self, index: u32) -> Option<String> {
        let at = self.links.binary_search_by_key(&index, |link| link.index).ok()?;
        self.links.get(at).map(|link| link.name.clone())
    }

    /// NICs with a device behind them.
    fn hardware(&mut self, functions: &mut PciFunctions, devices: &BTreeMap<u32, Device>) {
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
        for (address, function) in &mut functions.network {
            let netdevs = on_function.remove(address).unwrap_or_default();
            let pf = vf_of.get(address);
            let own_rdma = rdma.get(&function.folder).cloned().unwrap_or_default();
            let nics = self.function(function, &netdevs, pf, own_rdma);
            for nic in &nics {
                for vf in nic.sriov.iter().flat_map(|sriov| &sriov.vfs) {
                    let (numa_node, local_cpus) = (nic.numa_node, nic.local_cpus.clone());
                    let pf = OwnPf { address: *address, index: vf.index, numa_node, local_cpus };
                    vf.pci.map(|pci| vf_of.insert(pci, pf));
                }
            }
            self.nics.extend(nics);
        }
        self.link_vfs(&vf_of);
        let mut seen = BTreeSet::new();
        for (link, device) in elsewhere {
            let nic = self.other_bus(link, device, rdma.get(&device.folder), &mut seen);
            self.nics.push(nic);
        }
    }

    /// The NICs of one PCI function: one without a netdev, or one per netdev.
    fn function(
        &mut self,
        function: &mut Function,
        netdevs: &[(&Link, &Device)],
        pf: Option<&OwnPf>,
        rdma: Vec<RdmaDevice>,
    ) -> Vec<Nic> {
        let mut base = Nic::new(NicId::new(function.pci.address.to_string()), NicKind::Physical);
        let mut sriov = None;
        if pf.is_none() {
            read::pci::read_link(self.files, function);
            base.resources.msix_vectors = read::pci::read_config(self.files, function);
            function.pci.vpd =
                keep(self.files.read(&format!("{}/vpd", function.folder)), &mut function.failures)
                    .and_then(|data| read::vpd::parse(&data));
            sriov = read::sriov::read(self.files, &function.folder, &mut function.failures);
            base.vf =
                keep(self.files.link_name(&format!("{}/physfn", function.folder)), &mut function.failures)
                    .map(|pf| VfOf::new(NicId::new(pf), None));
        } else {
            let forced = keep(
                self.files.text(&format!("{}/driver_override", function.folder)),
                &mut function.failures,
            );
            function.pci.driver_override = forced.filter(|name| name != "(null)");
        }
        if let Some(pf) = pf {
            base.vf = Some(VfOf::new(NicId::new(pf.address.to_string()), Some(pf.index)));
        }
        base.kind = function_kind(function, base.vf.is_some());
        base.hardware = true;
        base.generation.device = self.files.inode(&function.folder);
        base.bus = Some(bus_of(&function.folder));
        base.pci = Some(function.pci.clone());
        base.driver = function.driver.clone().map(named_driver);
        let folder = function.folder.clone();
        (base.numa_node, base.local_cpus) = match pf {
            Some(pf) => (pf.numa_node, pf.local_cpus.clone()),
            None => (
                read::pci::numa_node(self.files, &folder, &mut function.failures),
                keep(self.files.text(&format!("{folder}/local_cpulist")), &mut function.failures),
            ),
        };
        base.iommu_group =
            keep(self.files.link_name(&format!("{}/iommu_group", function.folder)), &mut function.failures)
                .and_then(|group| group.parse().ok());
        base.pci_root = function.root.clone();
        base.pci_path = function.path.clone();
        base.failures = std::mem::take(&mut function.failures);
        if netdevs.is_empty() {
            base.sriov = sriov;
            base.rdma = rdma;
            return vec![base];
        }
        let main = main_netdev(netdevs);
        let mut ids = BTreeSet::new();
        let mut nics = Vec::new();
        for (at, (link, device)) in netdevs.iter().enumerate() {
            let mut nic = base.clone();
            self.netdev(&mut nic, link);
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
                nic.id = suffixed(&base.id, &nic, device);
                (nic.vf, nic.failures) = (None, Vec::new());
            }
            if !ids.insert(nic.id.clone()) {
                nic.id = NicId::new(format!("{}-{}", base.id, link.name));
            }
            // An RDMA device belongs to all ports of its function but not to representors or sub-functions.
            if nic.kind != NicKind::Representor && nic.kind != NicKind::SubFunction {
                nic.rdma = rdma.clone();
            }
            nics.push(nic);
        }
        nics
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
        self.netdev(&mut nic, link);
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
    fn virtual_links(&mut self, devices: &BTreeMap<u32, Device>) {
        for link in self.links.iter().filter(|link| !devices.contains_key(&link.index)) {
            let mut nic = Nic::new(NicId::new(format!("virtual-{}", link.name)), virtual_kind(link));
            self.netdev(&mut nic, link);
            self.nics.push(nic);
        }
    }

    /// What the link message and the netdev's folder say.
    fn netdev(&self, nic: &mut Nic, link: &Link) {
        read::netdev::apply_link(nic, link, &|index| self.name_of(index));
        if !nic.hardware {
            return;
        }
        let port = self.files.text(&format!("sys/class/net/{}/dev_port", link.name)).ok().flatten();
        if let Some(facts) = &mut nic.link {
            facts.dev_port = port.and_then(|port| port.parse().ok());
        }
        let index = link.index.to_string();
        if self.lldp.contains(&index) {
            let heard = keep(self.files.read(&format!("{LLDP}/{index}")), &mut nic.failures);
            nic.lldp = heard.and_then(|file| read::lldp::first_neighbour(&file));
        }
    }

    /// Hardware by PCI address (the order of the map), then other buses, then virtual links by name.
    fn sort(&mut self) {
        self.nics.sort_by(|a, b| {
            let rank = |nic: &Nic| (!nic.hardware, nic.pci_address().is_none());
            (rank(a), a.pci_address(), &a.id).cmp(&(rank(b), b.pci_address(), &b.id))
        });
    }

    /// ethtool, modules, devlink, addresses.
    fn kernel_answers(&mut self, settings: &ProbeSettings) {
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
    fn stacking(&mut self) {
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
        let kinds: BTreeMap<&str, Option<&str>> =
            self.links.iter().map(|link| (link.name.as_str(), link.kind.as_deref())).collect();
        for (nic, (lower, upper)) in self.nics.iter_mut().zip(found) {
            (nic.stacking.lower, nic.stacking.upper) = (lower, upper);
            if let (Some(master), None) = (&nic.stacking.master, &nic.stacking.master_kind) {
                nic.stacking.master_kind = kinds.get(master.as_str()).copied().flatten().map(str::to_owned);
            }
        }
    }

    /// Ties the PFs' VF entries to the NICs of the list.
    fn vf_entries(&mut self) {
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

    /// Who holds devices that have no netdev here, and who enslaves links.
    fn holders(&mut self) {
        let driver = |nic: &Nic| nic.driver.as_ref().map(|driver| driver.name.clone()).unwrap_or_default();
        let gone = |nic: &Nic| {
            nic.hardware
                && nic.link.is_none()
                && !driver(nic).is_empty()
                && !derive::held::is_passthrough_driver(&driver(nic))
        };
        let passed = |nic: &Nic| nic.hardware && derive::held::is_passthrough_driver(&driver(nic));
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

/// `pf0vf1`, `c1pf0`, `pf0sf88`: the names that switchdev drivers give to representors
/// (`devlink_port_phys_port_name_get`, `net/devlink/port.c`).
fn is_representor(link: &Link) -> bool {
    let Some(name) = &link.phys_port_name else { return false };
    let rest = match name.strip_prefix('c') {
        Some(rest) => rest.trim_start_matches(|c: char| c.is_ascii_digit()),
        None => name,
    };
    rest.strip_prefix("pf").is_some_and(|rest| rest.starts_with(|c: char| c.is_ascii_digit()))
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

fn bus_of(folder: &str) -> crate::model::Bus {
    let path = folder.strip_prefix("sys/").unwrap_or(folder);
    let device = path.rsplit('/').next().unwrap_or(path);
    crate::model::Bus::new("pci".to_owned(), device.to_owned(), path.to_owned())
}

/// Kind of a PCI function by its ids: the driver may be another one, or none.
fn function_kind(function: &Function, is_vf: bool) -> NicKind {
    let id =
        |name: &Option<crate::model::PciName>| name.as_ref().map(|name| name.id.clone()).unwrap_or_default();
    match (id(&function.pci.vendor).as_str(), id(&function.pci.device).as_str()) {
        _ if is_vf => NicKind::VirtualFunction,
        // virtio, vmxnet3, ENA and EFA, gVNIC, MANA: made by a hypervisor.
        ("1af4", _)
        | ("15ad", "07b0")
        | ("1d0f", "0ec2" | "1ec2" | "ec20" | "ec21" | "efa0" | "efa1" | "efa2" | "efa3")
        | ("1ae0", "0042")
        | ("1414", "00ba") => NicKind::Paravirtual,
        // A VF that was passed into this machine: its PF is on the host, only the model's name tells.
        _ if function
            .pci
            .device
            .as_ref()
            .and_then(|device| device.name.as_ref())
            .is_some_and(|name| name.contains("Virtual Function")) =>
        {
            NicKind::VirtualFunction
        }
        _ => NicKind::Physical,
    }
}

fn bus_kind(bus: &str) -> NicKind {
    match bus {
        "virtio" | "vmbus" | "xen" => NicKind::Paravirtual,
        _ => NicKind::Physical,
    }
}

fn virtual_kind(link: &Link) -> NicKind {
    match link.kind.as_deref() {
        Some("bond" | "team") => NicKind::Bond,
        Some("vlan") => NicKind::Vlan,
        Some("bridge" | "openvswitch") => NicKind::Bridge,
        Some("macvlan" | "macvtap") => NicKind::Macvlan,
        Some("ipvlan" | "ipvtap") => NicKind::Ipvlan,
        Some("veth" | "netkit") => NicKind::Veth,
        Some("tun") => NicKind::Tun,
        Some("ifb") => NicKind::Ifb,
        Some("dummy") => NicKind::Dummy,
        Some("vrf") => NicKind::Vrf,
        Some("ipoib") => NicKind::IpoibChild,
        Some(
            "vxlan" | "geneve" | "gre" | "gretap" | "erspan" | "ip6gre" | "ip6gretap" | "ip6erspan" | "ipip"
            | "ip6tnl" | "sit" | "vti" | "vti6" | "xfrm" | "wireguard" | "gtp" | "bareudp" | "amt" | "l2tp",
        ) => NicKind::Tunnel,
        _ if link.is_loopback() => NicKind::Loopback,
        _ => NicKind::OtherVirtual,
    }
}

/// PFs first: a VF that does not know its speed has its PF's.
fn derive_speeds(nics: &mut [Nic], settings: &ProbeSettings) {
    for nic in nics.iter_mut().filter(|nic| nic.vf.is_none()) {
        nic.speed = derive::speed::speed(nic, None, &settings.thresholds);
    }
    let pfs: BTreeMap<NicId, Nic> =
        nics.iter().filter(|nic| nic.sriov.is_some()).map(|nic| (nic.id.clone(), nic.clone())).collect();
    for nic in nics.iter_mut().filter(|nic| nic.vf.is_some()) {
        let pf = nic.vf.as_ref().and_then(|vf| pfs.get(&vf.pf));
        nic.speed = derive::speed::speed(nic, pf, &settings.thresholds);
    }
}

/// What the node stands on: default routes, API server, node addresses, storage, configuration.
fn uplink_roots(
    files: &dyn Files,
    kernel: &dyn Kernel,
    nics: &mut [Nic],
    settings: &ProbeSettings,
    failures: &mut Vec<Failure>,
) -> (Vec<derive::protected::Root>, derive::protected::Knowledge) {
    use derive::protected::{Knowledge, Root};
    let by_index: BTreeMap<u32, usize> = nics
        .iter()
        .enumerate()
        .filter(|(_, nic)| nic.link.is_some())
        .filter_map(|(at, nic)| Some((nic.generation.ifindex?, at)))
        .collect();
    let mut roots = Vec::new();
    let routes = keep(kernel.default_routes().map(Some), failures).unwrap_or_default();
    for route in &routes {
        for at in route.hops.iter().filter_map(|hop| by_index.get(&hop.index?).copied()) {
            let label = format!("default route (table {})", route.table);
            roots.push(Root { reason: ProtectionReason::DefaultRoute, label, nic: at });
            if let Some(nic) = nics.get_mut(at) {
                nic.default_route = true;
            }
        }
    }
    let mut knowledge = if roots.is_empty() { Knowledge::Lacking } else { Knowledge::Full };
    let mut towards = |server: std::net::IpAddr, reason, label: String, roots: &mut Vec<Root>| {
        let hop = keep(kernel.route_to(server), failures).filter(|hop| !hop.local);
        if let Some(at) = hop.and_then(|hop| by_index.get(&hop.index).copied()) {
            roots.push(Root { reason, label, nic: at });
        }
    };
    for server in &settings.api_servers {
        towards(
            *server,
            ProtectionReason::ApiServer,
            format!("route to the API server {server}"),
            &mut roots,
        );
    }
    for storage in read::storage::in_use(files) {
        if let Some(server) = storage.server {
            towards(server, ProtectionReason::Storage, format!("{} from {server}", storage.what), &mut roots);
        }
        if let Some(at) =
            storage.interface.and_then(|name| nics.iter().position(|nic| nic.name.as_ref() == Some(&name)))
        {
            roots.push(Root { reason: ProtectionReason::Storage, label: storage.what, nic: at });
        }
    }
    for (at, nic) in nics.iter().enumerate() {
        let own = nic.addresses.iter().find(|own| settings.node_addresses.contains(&own.address));
        if let Some(own) = own {
            let label = format!("node address {}", own.address);
            roots.push(Root { reason: ProtectionReason::NodeAddress, label, nic: at });
        }
        if settings.protected.iter().any(|name| is_named(nic, name)) {
            roots.push(Root {
                reason: ProtectionReason::Configured,
                label: "configuration".to_owned(),
                nic: at,
            });
        }
    }
    if !settings.protected.is_empty() {
        knowledge = Knowledge::Full;
    }
    (roots, knowledge)
}

/// The NIC goes by this name: netdev name, altname, id, PCI address or MAC, in any case.
pub fn is_named(nic: &Nic, name: &str) -> bool {
    nic.name.as_deref() == Some(name)
        || nic.alt_names.iter().any(|alt| alt == name)
        || nic.id.as_str().eq_ignore_ascii_case(name)
        || name.parse::<PciAddress>().is_ok_and(|address| nic.pci_address() == Some(address))
        || name
            .parse::<crate::model::HwAddr>()
            .is_ok_and(|mac| nic.mac == Some(mac) || nic.permanent_mac == Some(mac))
}

/// Held VFs, capacity, secondary, extra MACs.
fn derive_usage(nics: &mut [Nic], hypervisor: Option<&str>, settings: &ProbeSettings) {
    let vf_holders: BTreeMap<NicId, Option<Held>> = nics
        .iter()
        .filter(|nic| nic.kind == NicKind::VirtualFunction)
        .map(|nic| (nic.id.clone(), derive::held::of_vf(nic)))
        .collect();
    let mut entries = BTreeMap::new();
    for nic in nics.iter_mut() {
        if let Some(sriov) = &mut nic.sriov {
            for entry in &mut sriov.vfs {
                entry.held = entry.nic.as_ref().and_then(|id| vf_holders.get(id)).cloned().flatten();
                if let Some(id) = &entry.nic {
                    entries.insert(id.clone(), entry.clone());
                }
            }
        }
        if let (Some(capacity), Some(sriov)) = (derive::capacity::capacity(nic), &mut nic.sriov) {
            sriov.capacity = capacity;
        }
    }
    for nic in nics.iter_mut() {
        let excluded = settings.excluded.iter().any(|name| is_named(nic, name));
        nic.secondary = derive::secondary::secondary(nic, excluded);
        nic.extra_macs = derive::extra_macs::extra_macs(nic, entries.get(&nic.id), hypervisor, &[]);
    }
    // Bonds and VLANs after what is below them; a VLAN on a bond after the bond.
    for kind in [NicKind::Bond, NicKind::Vlan] {
        let known: BTreeMap<String, crate::model::ExtraMacs> =
            nics.iter().filter_map(|nic| Some((nic.name.clone()?, nic.extra_macs.clone()))).collect();
        for nic in nics.iter_mut().filter(|nic| nic.kind == kind) {
            let lower: Vec<_> =
                nic.stacking.lower.iter().filter_map(|name| known.get(name).cloned()).collect();
            nic.extra_macs = derive::extra_macs::extra_macs(nic, None, hypervisor, &lower);
        }
    }
}
