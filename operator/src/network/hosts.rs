//! Which hosts there are.

use std::collections::BTreeMap;

use crds::NetworkSpec;

use crate::blocks::{Presence, net_order};
use crate::index::Index;
use crate::seen::Key;

/// Every host that is there (TRAPS O3, O5): one whose agent told of it, and one whose Node is there though nobody tells.
///
/// A HostInterface that an agent of another machine wrote under the name (its `nodeUID` is not the Node's) counts as
/// nobody's. One that lists no NICs takes nothing away: an agent that found nothing at its start is no departure.
pub fn presences(index: &Index) -> BTreeMap<&str, Presence<'_>> {
    let mut hosts: BTreeMap<&str, Presence<'_>> =
        index.nodes.iter().map(|node| (node.meta.key.name.as_str(), Presence::Silent)).collect();
    for host in index.hosts.iter().filter(|host| !host.meta.deleting) {
        let name = host.meta.key.name.as_str();
        let node = index.nodes.get(&Key::cluster(name));
        let known = host.is_unmanaged() || node.is_some();
        let same =
            node.is_none_or(|node| host.spec.node_uid.is_empty() || host.spec.node_uid == node.meta.uid);
        if known && same && !host.spec.interfaces.is_empty() {
            hosts.insert(name, Presence::Here(&host.spec.interfaces));
        } else if known {
            hosts.entry(name).or_insert(Presence::Silent);
        }
    }
    hosts
}

/// Nodes whose HostInterface is still the predecessor's: its finalizer is on it, and no agent of ours has written over it.
///
/// Their daemons know only what the predecessor's operator told them, so nobody gets new blocks that they would have to
/// route to (TRAPS C8).
pub(super) fn of_predecessor(index: &Index) -> Vec<String> {
    let old = index.hosts.iter().filter(|host| {
        let meta = &host.meta;
        !meta.deleting
            && !host.is_unmanaged()
            && host.spec.node_uid.is_empty()
            && meta.finalizers.iter().any(|name| super::is_former_finalizer(name))
            && index.nodes.get(&Key::cluster(&meta.key.name)).is_some()
    });
    old.map(|host| host.meta.key.name.clone()).collect()
}

/// MTUs of the hosts' NICs in these networks, each with a NIC that has it, in words.
pub(super) fn mtus(nets: &[String], hosts: &BTreeMap<&str, Presence<'_>>) -> BTreeMap<u32, String> {
    let mut found = BTreeMap::new();
    for (host, presence) in hosts {
        let Presence::Here(nics) = presence else { continue };
        for nic in nics.iter() {
            let mtu = nic.mtu.and_then(|mtu| u32::try_from(mtu).ok()).filter(|mtu| *mtu > 0);
            if let Some(mtu) = mtu.filter(|_| nic.networks().any(|net| nets.contains(net))) {
                found.entry(mtu).or_insert_with(|| format!("{} on {host}", nic.interface_name));
            }
        }
    }
    found
}

/// Networks of the hosts' NICs, for networks whose addresses others give.
pub(super) fn nets(spec: &NetworkSpec, hosts: &BTreeMap<&str, Presence<'_>>) -> Vec<String> {
    if !spec.master_nets.is_empty() {
        return spec.master_nets.clone();
    }
    let here = hosts.values().filter_map(|presence| match presence {
        Presence::Here(nics) => Some(nics.iter()),
        Presence::Silent => None,
    });
    net_order(here.flatten().map(|nic| &nic.net_address).filter(|net| !net.is_empty()))
}
