//! Hosts into objects.

use std::collections::{BTreeMap, BTreeSet};

use crds::{CidrConfig, CidrEntry, CidrHost, CidrSpec};
use ipam::{Addresses, Plan};
use ipnet::IpNet;

use super::{EntryKey, HOSTS_OF_AN_OBJECT, Input};

/// Every object with its hosts. The first has the network's name and every interface, also one without hosts; it is
/// what readers that know of no other objects see.
pub(super) fn divide(
    input: &Input<'_>,
    config: &CidrConfig,
    plan: &Plan,
    addresses: &Addresses,
    blocks: BTreeMap<(EntryKey, String), CidrHost>,
) -> BTreeMap<String, CidrSpec> {
    let places = places(input, &blocks);
    let mut objects: BTreeMap<String, CidrSpec> = BTreeMap::new();
    let names = places.values().cloned().chain(std::iter::once(input.name.to_owned()));
    for name in names {
        objects.entry(name).or_insert_with(|| CidrSpec { config: config.clone(), cidr: Vec::new() });
    }
    let mut hosts: BTreeMap<(String, EntryKey), Vec<CidrHost>> = BTreeMap::new();
    for ((key, host), entry) in blocks {
        let name = places.get(&host).map_or(input.name, String::as_str);
        hosts.entry((name.to_owned(), key)).or_default().push(entry);
    }
    let mut keys: Vec<(u32, EntryKey, &str)> = plan
        .interfaces
        .iter()
        .map(|(key, entry)| (entry.index, EntryKey::of_plan(key), key.as_str()))
        .collect();
    keys.sort();
    for (index, key, in_plan) in keys {
        let vlans = interface_blocks(plan, addresses, in_plan);
        for (name, object) in &mut objects {
            let mut hosts = hosts.remove(&(name.clone(), key.clone())).unwrap_or_default();
            if hosts.is_empty() && name != input.name {
                continue;
            }
            hosts.sort_by(|left, right| {
                (left.host_index, &left.host_name).cmp(&(right.host_index, &right.host_name))
            });
            object.cidr.push(CidrEntry {
                net_address: key.net.clone(),
                interface_index: index,
                vlan_cidr: vlans.first().map(IpNet::to_string).unwrap_or_default(),
                hosts,
                ordinal: key.ordinal,
                vlan_cidrs: if vlans.len() < 2 {
                    Vec::new()
                } else {
                    vlans.iter().map(IpNet::to_string).collect()
                },
            });
        }
    }
    objects
}

/// Which object each host is in: the one that it is in now, else the first that has room.
fn places(input: &Input<'_>, blocks: &BTreeMap<(EntryKey, String), CidrHost>) -> BTreeMap<String, String> {
    let all: BTreeSet<&String> = blocks.keys().map(|(_, host)| host).collect();
    let mut places: BTreeMap<String, String> = BTreeMap::new();
    let mut sizes: BTreeMap<String, usize> = BTreeMap::new();
    // The first object before the others, whatever the letters say.
    let mut objects: Vec<_> = input.objects.iter().collect();
    objects.sort_by_key(|(name, _)| number(input.name, name));
    for (name, object) in objects {
        for host in object.cidr.iter().flat_map(|entry| &entry.hosts) {
            if all.contains(&host.host_name) && !places.contains_key(&host.host_name) {
                places.insert(host.host_name.clone(), (*name).to_owned());
                *sizes.entry((*name).to_owned()).or_default() += 1;
            }
        }
    }
    for host in all {
        if places.contains_key(host) {
            continue;
        }
        let with_room = (0u32..).map(|number| object_name(input.name, number)).find(|name| {
            !input.taken.contains(name.as_str())
                && sizes.get(name).is_none_or(|size| *size < HOSTS_OF_AN_OBJECT)
        });
        let Some(name) = with_room else { continue };
        *sizes.entry(name.clone()).or_default() += 1;
        places.insert(host.clone(), name);
    }
    places
}

/// Name of an object: the network's for the first.
fn object_name(network: &str, number: u32) -> String {
    if number == 0 { network.to_owned() } else { format!("{network}-slice-{number}") }
}

/// Number of an object of the network, for people and for labels.
pub fn number(network: &str, object: &str) -> u32 {
    let rest = object.strip_prefix(network).and_then(|rest| rest.strip_prefix("-slice-"));
    rest.and_then(|number| number.parse().ok()).unwrap_or(0)
}

/// The blocks of all hosts on an interface, a family each.
fn interface_blocks(plan: &Plan, addresses: &Addresses, key: &str) -> Vec<IpNet> {
    let Some(entry) = plan.interfaces.get(key) else { return Vec::new() };
    match addresses {
        Addresses::HostNetworks { .. } => entry.nets.clone(),
        Addresses::Subnets(subnets) => subnets
            .iter()
            .filter_map(|subnet| ipam::sub_block(subnet.cidr, entry.index, subnet.interface_block).ok())
            .collect(),
    }
}
