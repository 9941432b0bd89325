//! Hosts in the CIDR objects: read, bound to the NICs that their agents tell of, written.

use std::collections::{BTreeMap, BTreeSet};

use crds::{CidrHost, Interface, SUSPENDED};
use ipam::{Addresses, HostPlan, Plan};
use ipnet::IpNet;

use super::{Arrived, EntryKey, Input, Known, Presence};

/// What the objects say of hosts.
pub(super) fn known<'a>(objects: impl Iterator<Item = &'a crds::CidrSpec>) -> Known {
    let entries = objects.flat_map(|object| &object.cidr);
    let hosts = entries.flat_map(|entry| {
        let key = EntryKey { net: entry.net_address.clone(), ordinal: entry.ordinal };
        entry.hosts.iter().map(move |host| ((key.clone(), host.host_name.clone()), host.clone()))
    });
    hosts.collect()
}

/// The numbers that the objects give.
pub(super) fn numbers(input: &Input<'_>, addresses: &Addresses) -> Plan {
    let mut plan = Plan::default();
    for entry in input.objects.values().flat_map(|object| &object.cidr) {
        let key = EntryKey { net: entry.net_address.clone(), ordinal: entry.ordinal };
        let interface = plan.interfaces.entry(key.in_plan()).or_default();
        interface.index = entry.interface_index;
        if matches!(addresses, Addresses::HostNetworks { .. }) {
            let texts = std::iter::once(&entry.vlan_cidr).chain(&entry.vlan_cidrs);
            let nets: BTreeSet<IpNet> = texts.filter_map(|text| text.parse().ok()).collect();
            interface.nets = nets.into_iter().collect();
        }
        for host in &entry.hosts {
            interface.hosts.insert(host.host_name.clone(), host.host_index);
            interface.next_host = interface.next_host.max(host.host_index.saturating_add(1));
        }
        plan.next_index = plan.next_index.max(entry.interface_index.saturating_add(1));
    }
    plan
}

/// The network that a NIC is an interface of: the first that `masterNets` lists, or its first.
fn net_of<'a>(interface: &'a Interface, master_nets: &[String]) -> Option<&'a String> {
    interface.networks().find(|net| master_nets.is_empty() || master_nets.contains(net))
}

/// Whether a host still has the NIC that an entry was made for.
pub(super) fn still_there(key: &EntryKey, entry: &CidrHost, nics: &[Interface]) -> bool {
    nics.iter().any(|nic| is_same(entry, nic) && nic.networks().any(|net| *net == key.net))
}

/// By PCI address where both have one; the predecessor wrote none.
fn is_same(entry: &CidrHost, nic: &Interface) -> bool {
    if entry.pci_address.is_empty() || nic.pci_address.is_empty() {
        entry.interface_name == nic.interface_name
    } else {
        entry.pci_address == nic.pci_address
    }
}

/// Which NIC is which interface: those that have one keep it, others take the lowest that is free on their host, in the
/// order of their PCI addresses (TRAPS O1). What is away and has none gets none.
pub(super) fn bind<'a>(known: &Known, input: &Input<'a>) -> Arrived<'a> {
    let mut entries: BTreeMap<(&str, &str), Vec<(u32, &CidrHost)>> = BTreeMap::new();
    for ((key, host), entry) in known {
        entries.entry((host, &key.net)).or_default().push((key.ordinal, entry));
    }
    let mut arrived = Arrived::new();
    for (host, presence) in input.hosts {
        let Presence::Here(nics) = presence else { continue };
        let mut by_net: BTreeMap<&String, Vec<&Interface>> = BTreeMap::new();
        for nic in nics.iter() {
            if let Some(net) = net_of(nic, &input.spec.master_nets) {
                by_net.entry(net).or_default().push(nic);
            }
        }
        for (net, mut nics) in by_net {
            nics.sort_by_key(|nic| (&nic.pci_address, &nic.interface_name));
            let known = entries.get(&(*host, net.as_str())).cloned().unwrap_or_default();
            let mut used: BTreeSet<u32> = known.iter().map(|(ordinal, _)| *ordinal).collect();
            for nic in nics {
                let bound = known.iter().find(|(_, entry)| is_same(entry, nic)).map(|(ordinal, _)| *ordinal);
                if bound.is_none() && nic.state == SUSPENDED {
                    continue;
                }
                let free = || (0u32..).find(|ordinal| !used.contains(ordinal));
                let Some(ordinal) = bound.or_else(free) else { continue };
                used.insert(ordinal);
                arrived.entry(EntryKey { net: net.clone(), ordinal }).or_default().push((*host, nic));
            }
        }
    }
    arrived
}

/// Every host that has a number, as it should be written.
pub(super) fn blocks(
    plan: &Plan,
    addresses: &Addresses,
    name: &str,
    known: &Known,
    arrived: &Arrived<'_>,
) -> BTreeMap<(EntryKey, String), CidrHost> {
    let mut found = BTreeMap::new();
    for (text, interface) in &plan.interfaces {
        let key = EntryKey::of_plan(text);
        let nics: BTreeMap<&str, &Interface> = arrived.get(&key).into_iter().flatten().copied().collect();
        for (host, index) in &interface.hosts {
            let place = (key.clone(), host.clone());
            let blocks = plan.host(addresses, text, host).unwrap_or_default();
            let Some(first) = blocks.first() else {
                // Nothing that is held is thrown away because it cannot be computed.
                found.extend(known.get(&place).map(|entry| (place.clone(), entry.clone())));
                continue;
            };
            let former = known.get(&place).cloned().unwrap_or_default();
            let mut entry = CidrHost {
                host_index: *index,
                host_name: host.clone(),
                pod_cidr: first.pod.to_string(),
                pod_cidrs: both(&blocks),
                ippool: crds::pool_name(name, &first.pod.to_string()),
                ..former
            };
            if let Some(nic) = nics.get(host.as_str()) {
                entry.interface_name.clone_from(&nic.interface_name);
                entry.pci_address.clone_from(&nic.pci_address);
                entry.state.clone_from(&nic.state);
                // The address of a NIC that is away stays the one that routes of others lead to.
                let own = [&nic.host_ip].into_iter().chain(&nic.host_ips).find(|address| !address.is_empty());
                if let Some(own) = own {
                    entry.host_ip.clone_from(own);
                }
                // IPv6 needs next hops of its own; one family is told as the predecessor told it.
                if blocks.iter().any(|block| block.pod.network().is_ipv6()) {
                    if !nic.host_ips.is_empty() {
                        entry.host_ips.clone_from(&nic.host_ips);
                    }
                    if !nic.link_local.is_empty() {
                        entry.link_local.clone_from(&nic.link_local);
                    }
                }
            }
            found.insert(place, entry);
        }
    }
    found
}

/// Blocks of both families; empty where the one of the first field says it all.
fn both(blocks: &[HostPlan]) -> Vec<String> {
    if blocks.len() < 2 { Vec::new() } else { blocks.iter().map(|block| block.pod.to_string()).collect() }
}
