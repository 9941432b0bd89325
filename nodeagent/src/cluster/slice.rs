//! A slice of a network's blocks, as this node needs it: its own blocks, and where those of the others are. Pure.

use std::net::IpAddr;

use crds::{CidrHost, CidrSpec};
use ipnet::IpNet;
use serde::{Deserialize, Serialize};

/// One CIDR object.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct Slice {
    pub(super) network: String,
    /// Addresses of all pods, one a family at most; none: pods live in the hosts' networks.
    pub(super) subnets: Vec<IpNet>,
    /// Hosts route to one another's blocks (`vlanMode` l3 or l3s).
    pub(super) routed: bool,
    /// Ranges that are never given.
    pub(super) excludes: Vec<IpNet>,
    pub(super) entries: Vec<Entry>,
}

/// Blocks of one NIC network and ordinal.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct Entry {
    /// Number of the interface: the same in every slice.
    pub(super) index: u32,
    /// The NIC network.
    pub(super) net: Option<IpNet>,
    /// Addresses of all pods on it, one a family at most, IPv4 first.
    pub(super) interface: Vec<IpNet>,
    /// This node's NIC there.
    pub(super) own: Option<Own>,
    /// The other hosts.
    pub(super) peers: Vec<Peer>,
}

/// This node's NIC on a NIC network.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct Own {
    /// Name that it was published under.
    pub(super) name: String,
    /// PCI address, when it has one.
    pub(super) pci: Option<String>,
    /// This node's blocks, one a family at most, IPv4 first.
    pub(super) pods: Vec<IpNet>,
}

/// Another host on a NIC network: its blocks with the next hop to each. There are thousands, so it is small.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Peer {
    pub(super) v4: Option<(IpNet, IpAddr)>,
    pub(super) v6: Option<(IpNet, IpAddr)>,
}

impl Peer {
    /// Its blocks with the way to each.
    pub(super) fn ways(&self) -> impl Iterator<Item = (IpNet, IpAddr)> {
        [self.v4, self.v6].into_iter().flatten()
    }
}

impl Slice {
    /// Reads a CIDR object; what cannot be read of it is left out and told.
    pub(super) fn read(
        object: &str,
        label: Option<&str>,
        spec: &CidrSpec,
        node: &str,
    ) -> (Self, Vec<String>) {
        let mut problems = Vec::new();
        let config = &spec.config;
        let named =
            [label.unwrap_or_default(), &config.name, object].into_iter().find(|name| !name.is_empty());
        let mut subnets: Vec<IpNet> =
            nets(&config.subnets.iter().map(|one| one.cidr.clone()).collect::<Vec<_>>());
        if subnets.is_empty() {
            subnets = nets(std::slice::from_ref(&config.subnet));
        }
        let excludes = config.subnets.iter().flat_map(|one| &one.exclude_cidrs).chain(&config.exclude_cidrs);
        let mut slice = Self {
            network: named.unwrap_or_default().to_owned(),
            subnets,
            routed: matches!(config.vlan_mode.as_str(), "l3" | "l3s"),
            excludes: excludes.filter_map(|text| ipam::parse_exclude(text).ok()).collect(),
            entries: Vec::new(),
        };
        for entry in &spec.cidr {
            let interface = several(&entry.vlan_cidrs, &entry.vlan_cidr);
            let mut read = Entry {
                index: entry.interface_index,
                net: entry.net_address.parse().ok(),
                interface,
                ..Entry::default()
            };
            for host in &entry.hosts {
                let pods = several(&host.pod_cidrs, &host.pod_cidr);
                if pods.is_empty() || (host.host_name == node && pods.len() > read.interface.len()) {
                    let place = format!("host {} on {}", host.host_name, entry.net_address);
                    problems.push(format!("{place}: its blocks cannot be read"));
                } else if host.host_name == node {
                    let pci = Some(host.pci_address.clone()).filter(|pci| !pci.is_empty());
                    read.own = Some(Own { name: host.interface_name.clone(), pci, pods });
                } else {
                    read.peers.push(peer(host, &pods));
                }
            }
            slice.entries.push(read);
        }
        (slice, problems)
    }
}

fn peer(host: &CidrHost, pods: &[IpNet]) -> Peer {
    let texts = host.host_ips.iter().chain([&host.host_ip, &host.link_local]);
    let hops: Vec<IpAddr> = texts.filter_map(|text| text.parse().ok()).collect();
    let of = |v4: bool| {
        let block = pods.iter().find(|net| net.addr().is_ipv4() == v4)?;
        Some((*block, *hops.iter().find(|hop| hop.is_ipv4() == v4)?))
    };
    Peer { v4: of(true), v6: of(false) }
}

/// The list, or the single one of the predecessor; IPv4 first.
fn several(list: &[String], single: &str) -> Vec<IpNet> {
    let mut found = if list.is_empty() { nets(&[single.to_owned()]) } else { nets(list) };
    found.sort_by_key(|net| net.addr().is_ipv6());
    found
}

fn nets(texts: &[String]) -> Vec<IpNet> {
    texts.iter().filter_map(|text| text.parse::<IpNet>().ok()).map(|net| net.trunc()).collect()
}

#[cfg(test)]
mod tests;
