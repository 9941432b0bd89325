//! Addresses that two would give: a network's against those of other networks, of nodes, of ordinary pods.

use crds::Addressing;
use ipnet::IpNet;

use crate::condition::Reason;
use crate::index::Index;
use crate::seen::Network;

/// Why nothing new is numbered in a network; absent when nothing is in the way. Of two networks that overlap the younger
/// one waits.
pub(super) fn refusal(index: &Index, network: &Network) -> Option<(Reason, String)> {
    let own = subnets(network);
    if own.is_empty() {
        return None;
    }
    let age = |one: &Network| (one.meta.created.clone(), one.meta.key.clone());
    let elder = index.networks.iter().filter(|other| {
        other.meta.key != network.meta.key && !other.meta.deleting && age(other) < age(network)
    });
    for other in elder {
        if let Some((net, of_other)) = pairs(&own, &subnets(other)).next() {
            let message = format!(
                "{net} overlaps {of_other} of network {}; give one of them another subnet",
                other.meta.key.name
            );
            return Some((Reason::SubnetOverlapsNetwork, message));
        }
    }
    for node in index.nodes.iter() {
        let name = &node.meta.key.name;
        let ranges = node.pod_ranges.iter().filter_map(|text| text.parse::<IpNet>().ok());
        let ranges: Vec<IpNet> = ranges.collect();
        if let Some((net, range)) = pairs(&own, &ranges).next() {
            let message = format!(
                "{net} overlaps {range}, where pods of node {name} have their cluster addresses; take another subnet"
            );
            return Some((Reason::SubnetOverlapsCluster, message));
        }
        let addresses = node.addresses.iter().filter_map(|text| text.parse::<std::net::IpAddr>().ok());
        for address in addresses {
            if let Some(net) = own.iter().find(|net| net.contains(&address)) {
                let message = format!("{net} contains {address} of node {name}; take another subnet");
                return Some((Reason::SubnetOverlapsCluster, message));
            }
        }
    }
    for host in index.hosts.iter() {
        let nics = &host.spec.interfaces;
        for nic in nics {
            let Ok(address) = nic.host_ip.parse::<std::net::IpAddr>() else { continue };
            if let Some(net) = own.iter().find(|net| net.contains(&address)) {
                let (name, nic) = (&host.meta.key.name, &nic.interface_name);
                let message = format!("{net} contains {address} of {nic} on {name}; take another subnet");
                return Some((Reason::SubnetOverlapsCluster, message));
            }
        }
    }
    None
}

/// The addresses of a network; none when it takes those of its hosts, or others give them.
fn subnets(network: &Network) -> Vec<IpNet> {
    match network.spec.addressing() {
        Ok(Addressing::Subnets(all)) => all.iter().map(|blocks| blocks.cidr).collect(),
        _ => Vec::new(),
    }
}

fn pairs<'a>(left: &'a [IpNet], right: &'a [IpNet]) -> impl Iterator<Item = (IpNet, IpNet)> + 'a {
    left.iter().flat_map(move |own| {
        right
            .iter()
            .filter(move |other| own.contains(*other) || other.contains(own))
            .map(move |other| (*own, *other))
    })
}
