//! The operator's blocks and the agents' routes together: whatever hosts and NICs do.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Instant;

use crds::{CidrSpec, Interface, NetworkSpec};
use ipnet::IpNet;
use operator::blocks::{Input, Presence};
use proptest::prelude::*;
use serde_json::json;

use super::super::super::known::{Kind, Known, Object, Said};
use super::super::super::slice::Slice;
use super::super::{View, routes};
use crate::planning::samples::machine;

/// What happens.
#[derive(Debug, Clone, Copy)]
enum Step {
    /// A NIC comes, and with the first one its host.
    Join(u8, u8),
    /// A cable goes out, or in again.
    Flap(u8, u8),
    /// A NIC is taken out of a host that has others.
    Remove(u8, u8),
    /// An agent tells nothing, or tells again.
    Silence(u8),
    /// A Node is deleted.
    Leave(u8),
}

fn step() -> impl Strategy<Value = Step> {
    let (host, nic) = (0u8..6, 0u8..3);
    prop_oneof![
        5 => (host.clone(), nic.clone()).prop_map(|(host, nic)| Step::Join(host, nic)),
        2 => (host.clone(), nic.clone()).prop_map(|(host, nic)| Step::Flap(host, nic)),
        1 => (host.clone(), nic).prop_map(|(host, nic)| Step::Remove(host, nic)),
        1 => host.clone().prop_map(Step::Silence),
        1 => host.prop_map(Step::Leave),
    ]
}

/// A host: its NICs by number, and whether its agent is silent.
#[derive(Debug, Clone, Default)]
struct Host {
    nics: BTreeMap<u8, Interface>,
    silent: bool,
}

#[derive(Debug, Default)]
struct Cluster {
    hosts: BTreeMap<String, Host>,
    objects: BTreeMap<String, CidrSpec>,
}

/// NICs 0 and 1 are on a network of their own, NIC 2 is on that of NIC 1.
fn net_of(nic: u8) -> u8 {
    nic.min(1)
}

fn interface(host: u8, nic: u8) -> Interface {
    let (net, last) = (net_of(nic), 10 * nic + host + 1);
    Interface {
        interface_name: format!("eth{nic}"),
        net_address: format!("10.0.{net}.0/24"),
        host_ip: format!("10.0.{net}.{last}"),
        pci_address: format!("0000:0{nic}:00.0"),
        net_addresses: vec![format!("10.0.{net}.0/24")],
        host_ips: vec![format!("10.0.{net}.{last}"), format!("fd00:{net}::{last}")],
        ..Interface::default()
    }
}

fn spec() -> NetworkSpec {
    serde_json::from_value(json!({
        "multiNICIPAM": true, "ipam": r#"{"type": "multi-nic-ipam", "vlanMode": "l3"}"#,
        "plugin": {"cniVersion": "1.0.0", "type": "ipvlan", "args": {"mode": "l3"}},
        "subnets": [
            {"cidr": "192.168.0.0/16", "hostBlock": 6, "interfaceBlock": 2},
            {"cidr": "fd10:20::/64", "hostBlock": 6, "interfaceBlock": 2},
        ],
    }))
    .unwrap()
}

impl Cluster {
    fn take(&mut self, step: Step) {
        let name = |host: u8| format!("h{host}");
        match step {
            Step::Join(host, nic) => {
                self.hosts.entry(name(host)).or_default().nics.entry(nic).or_insert(interface(host, nic));
            }
            Step::Flap(host, nic) => {
                let nics = self.hosts.get_mut(&name(host)).map(|host| &mut host.nics);
                if let Some(nic) = nics.and_then(|nics| nics.get_mut(&nic)) {
                    nic.state = if nic.state.is_empty() { crds::SUSPENDED.into() } else { String::new() };
                }
            }
            Step::Remove(host, nic) => {
                let host = self.hosts.get_mut(&name(host));
                if let Some(host) = host.filter(|host| host.nics.len() > 1 && !host.silent) {
                    host.nics.remove(&nic);
                }
            }
            Step::Silence(host) => {
                // What comes while it is silent is told when it speaks again.
                if let Some(host) = self.hosts.get_mut(&name(host)) {
                    host.silent = !host.silent;
                }
            }
            Step::Leave(host) => drop(self.hosts.remove(&name(host))),
        }
    }

    fn plan(&mut self) {
        let told: BTreeMap<&String, Vec<Interface>> =
            self.hosts.iter().map(|(name, host)| (name, host.nics.values().cloned().collect())).collect();
        let presence = |(name, host): (&'_ String, &Host)| match host.silent {
            true => Presence::Silent,
            false => Presence::Here(told[name].as_slice()),
        };
        let hosts = self.hosts.iter().map(|one| (one.0.as_str(), presence(one))).collect();
        let objects = self.objects.iter().map(|(name, object)| (name.as_str(), object)).collect();
        let (spec, taken) = (spec(), BTreeSet::new());
        let input = Input {
            name: "red",
            spec: &spec,
            objects: &objects,
            hosts: &hosts,
            taken: &taken,
            frozen: false,
        };
        self.objects = operator::blocks::plan(&input).objects;
    }

    /// Who has which blocks: by host and NIC.
    fn blocks(&self) -> BTreeMap<(String, String), Vec<IpNet>> {
        let hosts = self.objects.values().flat_map(|object| &object.cidr).flat_map(|entry| &entry.hosts);
        let blocks = |texts: &[String]| texts.iter().map(|text| text.parse().unwrap()).collect();
        hosts
            .map(|one| ((one.host_name.clone(), one.interface_name.clone()), blocks(&one.pod_cidrs)))
            .collect()
    }

    /// Rank of each NIC of a host among those on its network, as the operator numbered them.
    fn ranks(&self, host: &str) -> BTreeMap<String, (String, u32)> {
        let entries = self.objects.values().flat_map(|object| &object.cidr);
        let of = |entry: &crds::CidrEntry| {
            let one = entry.hosts.iter().find(|one| one.host_name == host)?;
            Some((one.interface_name.clone(), (entry.net_address.clone(), entry.ordinal)))
        };
        entries.filter_map(of).collect()
    }

    /// The routes that the agent of a host wants: `destination via gateway dev link`.
    fn routes(&self, host: &str) -> BTreeSet<String> {
        let (mut known, now) = (Known::default(), Instant::now());
        known.take(Kind::Network, Said::There("red".into(), Object::Network(Box::new(spec()))), now);
        for (name, object) in &self.objects {
            let (slice, problems) = Slice::read(name, Some("red"), object, host);
            assert_eq!(problems, Vec::<String>::new());
            known.take(Kind::Slice, Said::There(name.clone(), Object::Slice(Box::new(slice))), now);
        }
        let (inventory, classes) = (machine(&[]), BTreeMap::new());
        let all = routes(View { node: host, known: &known, inventory: &inventory, classes: &classes });
        let red = all.get("red").map(|network| network.routes.clone()).unwrap_or_default();
        red.iter().map(|one| format!("{} via {} dev {}", one.destination, one.gateway, one.link)).collect()
    }
}

proptest! {
    /// Blocks are disjoint, nobody who stays is moved, and two hosts that share a NIC network reach one another both ways
    /// by NICs of equal rank, and nobody else.
    #[test]
    fn hosts_that_share_a_nic_network_have_routes_both_ways(
        steps in proptest::collection::vec(step(), 1..30))
    {
        let mut cluster = Cluster::default();
        for step in steps {
            let before = cluster.blocks();
            cluster.take(step);
            cluster.plan();
            let blocks = cluster.blocks();
            let all: Vec<(&(String, String), &IpNet)> =
                blocks.iter().flat_map(|(place, nets)| nets.iter().map(move |net| (place, net))).collect();
            for (at, (place, block)) in all.iter().enumerate() {
                let apart = |other: &IpNet| !block.contains(other) && !other.contains(*block);
                prop_assert!(all[at + 1..].iter().all(|(_, other)| apart(other)), "{block} of {place:?} is not its own");
            }
            for (place, nets) in &before {
                prop_assert!(blocks.get(place).is_none_or(|now| now == nets), "{place:?} was moved by {step:?}");
            }

            let ranks: BTreeMap<&String, _> =
                cluster.hosts.keys().map(|host| (host, cluster.ranks(host))).collect();
            for host in cluster.hosts.keys() {
                let mut wanted = BTreeSet::new();
                for (mine, rank) in &ranks[host] {
                    for (other, theirs) in ranks.iter().filter(|(other, _)| **other != host) {
                        let Some((nic, _)) = theirs.iter().find(|(_, one)| *one == rank) else { continue };
                        let interface = interface(
                            other[1..].parse().unwrap(), nic["eth".len()..].parse().unwrap());
                        for (block, gateway) in
                            blocks[&((*other).clone(), nic.clone())].iter().zip(&interface.host_ips)
                        {
                            let gateway: std::net::IpAddr = gateway.parse().unwrap();
                            wanted.insert(format!("{block} via {gateway} dev {mine}"));
                        }
                    }
                }
                prop_assert_eq!(cluster.routes(host), wanted, "of {}", host);
            }
            // Every NIC that its agent told of while it had a carrier has blocks of both families.
            for (name, host) in cluster.hosts.iter().filter(|(_, host)| !host.silent) {
                for nic in host.nics.values().filter(|nic| nic.state.is_empty()) {
                    let place = (name.clone(), nic.interface_name.clone());
                    prop_assert_eq!(blocks.get(&place).map(Vec::len), Some(2), "{:?}", place);
                }
            }
        }
    }
}
