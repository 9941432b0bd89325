//! From what the cluster says and the NICs that are here to the networks as attaching sees them. Pure.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;

use attach::network::{Block, DeviceClass, Network, NetworkInterface, Networks};
use attach::select::{is_for_pods, net_addresses};
use crds::{Addressing, Mtu, MultiNicNetwork, NetworkSpec};
use hwprobe::{Inventory, Nic};
use ipnet::IpNet;

use super::host_networks;
use super::known::Known;
use super::slice::{Entry, Own, Peer, Slice};
use crate::chained::{Offer, Offers};
use crate::planning::candidates::own_addresses;
use crate::planning::record::Record;
use crate::planning::{candidates_of, device_class, link, network, number, policy};
use crate::routes::{HostRoute, NetworkRoutes};

/// What is planned from.
#[derive(Debug, Clone, Copy)]
pub(super) struct View<'a> {
    /// Name of this node.
    pub(super) node: &'a str,
    pub(super) known: &'a Known,
    pub(super) inventory: &'a Inventory,
    /// Device classes of the agent's configuration; those of the cluster come before them.
    pub(super) classes: &'a BTreeMap<String, DeviceClass>,
}

/// The networks. `orders`: of networks whose addresses come from elsewhere, the order of their NICs so far.
pub(super) fn networks(view: View<'_>, orders: &mut BTreeMap<String, Record>) -> Networks {
    let known = view.known;
    let mut classes = view.classes.clone();
    classes.extend(known.classes.iter().map(|(name, spec)| (name.clone(), device_class(spec))));
    orders.retain(|name, _| known.networks.contains_key(name));
    let own: Vec<IpAddr> = own_addresses(view.inventory).collect();
    let mut networks = BTreeMap::new();
    for (name, spec) in &known.networks {
        let object = MultiNicNetwork {
            metadata: crds::Metadata { name: name.clone() },
            spec: spec.clone(),
            ..MultiNicNetwork::default()
        };
        let problems = object.validate();
        let made = if !problems.is_empty() {
            let words = problems.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ");
            Network { name: name.clone(), refused: Some(words), ..Network::default() }
        } else if matches!(spec.addressing(), Ok(Addressing::Elsewhere)) {
            let record = orders.entry(name.clone()).or_default();
            record.spec = spec.clone();
            match candidates_of(spec, &classes, view.inventory) {
                Ok(found) => {
                    let numbered = number(record, &found, &mut |_| false);
                    network(name, record, &numbered, &own)
                }
                Err(refused) => Network { name: name.clone(), refused: Some(refused), ..Network::default() },
            }
        } else {
            with_blocks(view, name, spec, &own)
        };
        networks.insert(name.clone(), Arc::new(made));
    }
    Networks { networks, classes }
}

/// A network whose blocks the operator gives.
fn with_blocks(view: View<'_>, name: &str, spec: &NetworkSpec, own: &[IpAddr]) -> Network {
    let shared = shares_uplink(spec);
    let mut interfaces = Vec::new();
    let mut slices = 0;
    // Pods that live in the hosts' own networks must not get a host's address.
    let hosts = slices_of(view.known, name).filter(|slice| slice.subnets.is_empty());
    let peers = hosts.flat_map(|slice| &slice.entries).flat_map(|entry| &entry.peers);
    let hosts: Vec<IpAddr> =
        own.iter().copied().chain(peers.flat_map(Peer::ways).map(|(_, host)| host)).collect();
    for slice in slices_of(view.known, name) {
        slices += 1;
        for entry in &slice.entries {
            let Some(mine) = &entry.own else { continue };
            let nic = nic_of(view.inventory, mine);
            let here = nic.filter(|nic| serves(nic, entry, shared));
            interfaces.push(NetworkInterface {
                master: nic.and_then(|nic| nic.name.clone()).unwrap_or_else(|| mine.name.clone()),
                nic: here.map(|nic| nic.id.clone()),
                net_address: entry.net,
                index: entry.index,
                blocks: blocks(entry, mine, &slice.excludes, &hosts),
            });
        }
    }
    interfaces.sort_by_key(|one| one.index);
    let refused = if slices == 0 {
        Some(format!("the operator has not divided its addresses yet: there is no CIDR object of {name}"))
    } else if interfaces.is_empty() {
        let node = view.node;
        Some(format!(
            "the operator has given node {node} no block of it; `kubectl describe mnn {name}` says why"
        ))
    } else if interfaces.iter().all(|one| one.nic.is_none()) {
        let names: Vec<&str> = interfaces.iter().map(|one| one.master.as_str()).collect();
        Some(format!("none of its NICs is usable now ({}); GET /v1/nics says why", names.join(", ")))
    } else {
        None
    };
    let here = interfaces.iter().filter_map(|one| one.nic.as_ref());
    let mtus = here.filter_map(|id| view.inventory.nics.iter().find(|nic| nic.id == *id)?.link.as_ref());
    // As far as one node can tell; the operator writes what all of them have into the NetConf.
    let mtu = mtus.map(|link| link.mtu).min().filter(|_| spec.link_mtu() == Ok(Mtu::Smallest));
    let (policy, allow_uplink) = (policy(spec), spec.allow_uplink == "shared");
    let (link, vlan) = link(spec);
    Network { name: name.to_owned(), policy, link, vlan, interfaces, allow_uplink, mtu, refused }
}

/// What pods may ask for by annotation. A network that cannot be written is left out; `networks` says why.
pub(super) fn offers(known: &Known) -> Offers {
    let each = known.networks.iter().filter_map(|(name, spec)| {
        let offer = Offer::of(name, spec, known.plans.contains_key(name)).ok()?;
        Some((name.clone(), offer))
    });
    each.collect()
}

/// What hosts must know of one another, by network: those in whose networks hosts route (CONTRACTS §7).
pub(super) fn routes(view: View<'_>) -> BTreeMap<String, NetworkRoutes> {
    let mut all = BTreeMap::new();
    for (name, _) in view.known.networks.iter().filter(|(_, spec)| spec.multi_nic_ipam) {
        let slices: Vec<&Slice> = slices_of(view.known, name).collect();
        // Every slice says the same of the network as a whole.
        let Some(first) = slices.first().filter(|first| first.routed) else { continue };
        let entries = || slices.iter().flat_map(|slice| &slice.entries);
        let mut wanted = NetworkRoutes { sources: first.subnets.clone(), routes: Vec::new() };
        let in_host_networks = first.subnets.is_empty();
        for (entry, mine) in entries().filter_map(|entry| Some((entry, entry.own.as_ref()?))) {
            let name = nic_of(view.inventory, mine).and_then(|nic| nic.name.clone());
            let link: Arc<str> = name.unwrap_or_else(|| mine.name.clone()).into();
            let same = || entries().filter(|other| other.index == entry.index);
            let mut ways: Vec<(IpNet, IpAddr)> =
                same().flat_map(|other| &other.peers).flat_map(Peer::ways).collect();
            if in_host_networks {
                let neighbours = entries().filter(|other| other.net == entry.net);
                ways = host_networks::ways(&mine.pods, ways, neighbours.flat_map(|other| &other.peers));
                wanted.sources.extend(&mine.pods);
            }
            let route = |(destination, gateway)| HostRoute { destination, gateway, link: Arc::clone(&link) };
            wanted.routes.extend(ways.into_iter().map(route));
        }
        wanted.sources.sort_unstable();
        wanted.sources.dedup();
        wanted.routes.sort_unstable();
        wanted.routes.dedup_by_key(|route| route.destination);
        all.insert(name.clone(), wanted);
    }
    all
}

fn slices_of<'a>(known: &'a Known, network: &'a str) -> impl Iterator<Item = &'a Slice> {
    known.slices.values().filter(move |slice| slice.network == network)
}

/// The NIC that a block was given for: by PCI address, which stays when names change.
fn nic_of<'a>(inventory: &'a Inventory, own: &Own) -> Option<&'a Nic> {
    let named = |nic: &&Nic| nic.name.as_deref() == Some(own.name.as_str());
    let on_function = |nic: &&Nic| nic.pci_address().map(|pci| pci.to_string()) == own.pci;
    if own.pci.is_some() {
        // Several netdevs on one function are told apart by name.
        let mut same = inventory.nics.iter().filter(on_function);
        return same.clone().find(named).or_else(|| same.next());
    }
    inventory.nics.iter().find(named)
}

/// Whether pods may get links on it now: it is here, free for pods, and still has an address in the entry's network.
fn serves(nic: &Nic, entry: &Entry, uplink: bool) -> bool {
    let is_in = entry.net.is_none_or(|net| net_addresses(nic).any(|own| own == net));
    nic.name.is_some() && nic.link.is_some() && is_for_pods(nic, uplink) && is_in
}

fn shares_uplink(spec: &NetworkSpec) -> bool {
    spec.allow_uplink == "shared" && ["ipvlan", "macvlan"].contains(&spec.plugin.kind.as_str())
}

fn blocks(entry: &Entry, own: &Own, excludes: &[IpNet], addresses: &[IpAddr]) -> Vec<Block> {
    let mut blocks = Vec::new();
    for pod in &own.pods {
        let same = |net: &&IpNet| net.addr().is_ipv4() == pod.addr().is_ipv4();
        let Some(interface) = entry.interface.iter().find(same) else { continue };
        let inside = |net: &&IpNet| pod.contains(*net) || net.contains(pod);
        let mut all: Vec<IpNet> = excludes.iter().filter(inside).copied().collect();
        for address in addresses.iter().filter(|address| pod.contains(*address)) {
            if !all.iter().any(|exclude| exclude.contains(address)) {
                all.push(IpNet::from(*address));
            }
        }
        blocks.push(Block { pod: *pod, interface: *interface, excludes: all });
    }
    blocks
}

#[cfg(test)]
mod tests;
