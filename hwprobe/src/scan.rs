//! The flow of a probe from top to bottom: devices, netdevs, kernel answers, then what follows from them.

mod answers;
mod hardware;
mod holders;
mod kind;
mod uplink;
mod usage;

use std::collections::BTreeMap;

use netlink::route::Link;

use crate::derive;
use crate::model::{Failure, Inventory, Nic};
use crate::read::pci::{PciFunctions, keep};
use crate::read::virtual_topology::{self, VirtualTopology};
use crate::read::{self, devices::Device};
use crate::settings::ProbeSettings;
use crate::source::{Files, INVENTED_INDEX, Kernel, shared};

pub use uplink::is_named;

/// Where systemd-networkd keeps what it heard over LLDP, a file a link.
const LLDP: &str = "run/systemd/netif/lldp";

/// Reads everything and derives the rest.
pub(crate) fn inventory(files: &dyn Files, kernel: &dyn Kernel, settings: &ProbeSettings) -> Inventory {
    let mut failures = Vec::new();
    let node = read::node::node(files, &mut failures);
    let mut links = keep(kernel.links().map(Some), &mut failures).unwrap_or_default();
    failures.extend(kernel.unread_links());
    // The cached key: links are large to move.
    links.sort_by_cached_key(|link| link.index);
    let mut functions = read::pci::functions(files);
    failures.append(&mut functions.failures);
    let mut gpus = std::mem::take(&mut functions.gpus);
    let devices = place_links(files, &links, &mut functions);

    let lldp = files.list(LLDP).unwrap_or_default();
    let mut scan = Scan { files, kernel, links: &links, nics: Vec::new(), failures, lldp };
    scan.hardware(functions.network, &devices);
    scan.virtual_links(&devices);
    scan.sort();
    scan.kernel_answers(settings);
    scan.stacking();
    scan.vf_entries();
    scan.holders();

    let Scan { mut nics, mut failures, .. } = scan;
    let told = virtual_topology(files, &mut failures);
    for gpu in &mut gpus {
        gpu.numa_node = gpu.numa_node.or_else(|| told.0.get(&gpu.pci)?.numa_node);
    }
    for nic in &mut nics {
        derive::topology::apply(nic, &gpus, &told);
    }
    usage::speeds(&mut nics, settings);
    let mut node = node;
    let (roots, knowledge) = uplink::roots(files, kernel, &mut nics, settings, &mut failures);
    node.uplink = derive::protected::protect(&mut nics, &roots, knowledge, &settings.remembered);
    usage::usage(&mut nics, node.hypervisor.as_deref(), settings);

    for nic in &mut nics {
        nic.generation.ifindex = nic.generation.ifindex.filter(|index| *index < INVENTED_INDEX);
    }

    let mut inventory = Inventory { node, nics, gpus, warnings: Vec::new(), failures };
    inventory.warnings = derive::warnings::warnings(&inventory);
    inventory
}

/// The topology file of a virtual machine; empty where there is none.
fn virtual_topology(files: &dyn Files, failures: &mut Vec<Failure>) -> VirtualTopology {
    let Some(text) = keep(files.text(virtual_topology::FILE), failures) else {
        return VirtualTopology::default();
    };
    VirtualTopology::parse(&text).unwrap_or_else(|why| {
        let source = format!("/{}", virtual_topology::FILE);
        failures.push(Failure { source, error: format!("it is no topology: {why}") });
        VirtualTopology::default()
    })
}

/// Finds the device behind each link. A function that carries a netdev is a network function whatever its
/// class, and also when the bus folder of a partial tree does not list it.
fn place_links(files: &dyn Files, links: &[Link], functions: &mut PciFunctions) -> BTreeMap<u32, Device> {
    let behind = |links: &[Link]| -> Vec<_> {
        links
            .iter()
            .filter_map(|link| Some((link.index, read::devices::behind(files, link, &functions.network)?)))
            .collect()
    };
    let mut devices = BTreeMap::new();
    for (index, device) in shared(links, |_, links| behind(links)) {
        if let Some((address, folder)) = &device.pci
            && !functions.network.contains_key(address)
        {
            functions.network.insert(*address, read::pci::function_at(files, *address, folder));
        }
        devices.insert(index, device);
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

impl Scan<'_> {
    fn name_of(&self, index: u32) -> Option<String> {
        let at = self.links.binary_search_by_key(&index, |link| link.index).ok()?;
        self.links.get(at).map(|link| link.name.clone())
    }

    /// Hardware by PCI address (the order of the map), then other buses, then virtual links by name.
    fn sort(&mut self) {
        self.nics.sort_by(|a, b| {
            let rank = |nic: &Nic| (!nic.hardware, nic.pci_address().is_none());
            (rank(a), a.pci_address(), &a.id).cmp(&(rank(b), b.pci_address(), &b.id))
        });
    }
}
