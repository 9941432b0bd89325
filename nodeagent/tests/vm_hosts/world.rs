//! Hosts, networks and pods together, and what must be so between them.

use std::collections::BTreeMap;
use std::thread;

use serde_json::{Value, json};

use crate::cluster::{Cluster, NETWORKS, Operator, routes_of};
use crate::harness::api_way::ApiWay;
use crate::harness::run;
use crate::node::{Node, WIRES, address, bytes_on, make_wires};
use crate::pod::{PodOfHost, SIZE};
use crate::wait_for;

pub(crate) struct World {
    pub(crate) cluster: Cluster,
    pub(crate) nodes: Vec<Node>,
    pub(crate) pods: Vec<PodOfHost>,
    pub(crate) networks: Vec<String>,
    /// From the hosts to the API server.
    pub(crate) way: ApiWay,
    _operator: Operator,
}

/// Two NICs, but for every third host.
fn nics_of(number: u32) -> u32 {
    if number.is_multiple_of(3) { 3 } else { 2 }
}

impl World {
    /// Six hosts that are published, and the operator.
    pub(crate) fn new() -> Self {
        let cluster = Cluster::new();
        let operator = cluster.operator();
        let server = cluster.server();
        let kubeconfig = cluster.account("multi-nicd", &format!("127.0.0.1:{}", server.port()));
        let way = ApiWay::to(server);
        make_wires();
        let host = |number| Node::new(number, nics_of(number), kubeconfig.clone(), &way, server.port());
        let nodes = (1..=6).map(host).collect();
        let networks = Vec::new();
        let mut world = Self { cluster, nodes, pods: Vec::new(), networks, way, _operator: operator };
        for node in &world.nodes {
            world.cluster.node(&node.name);
        }
        thread::scope(|scope| {
            for node in &mut world.nodes {
                scope.spawn(|| node.start_agent());
            }
        });
        for node in &world.nodes {
            wait_for("a host's NICs", || {
                let published = world.cluster.host(&node.name)?;
                (published["spec"]["interfaces"].as_array()?.len() as u32 == node.nics).then_some(())
            });
        }
        world
    }

    /// A host comes into the cluster.
    pub(crate) fn join(&mut self, at: usize) {
        self.cluster.node(&self.nodes[at].name);
        self.nodes[at].start_agent();
    }

    /// Makes networks, and waits until operator and agents are content.
    pub(crate) fn make(&mut self, networks: &[&str]) {
        for name in networks {
            self.create(name);
        }
        for name in networks {
            self.cluster.wait_ready(name);
        }
    }

    pub(crate) fn create(&mut self, name: &str) {
        let (mode, fields) = network(name);
        self.cluster.network(name, mode, fields);
        self.networks.push(name.to_owned());
    }

    /// Every host has exactly the routes that the blocks of the others ask for.
    pub(crate) fn routes_are_as_wanted(&self) {
        for network in self.networks.iter().filter(|name| *name != "flat") {
            let places = self.cluster.places(network);
            for node in self.nodes.iter().filter(|node| places.iter().any(|place| place.host == node.name)) {
                let wanted = routes_of(&node.name, &places);
                assert!(!wanted.is_empty(), "{places:?}");
                let mut found = node.routes(network);
                for _ in 0..300 {
                    if found == wanted {
                        break;
                    }
                    std::thread::sleep(std::time::Duration::from_millis(300));
                    found = node.routes(network);
                }
                assert_eq!(found, wanted, "{network} on {}\n{}", node.name, node.ip("rule"));
                assert!(node.rules().contains(network), "{network} on {}", node.name);
            }
        }
    }

    /// A pod on each host, with these networks.
    pub(crate) fn pods(&mut self, networks: &[&str]) {
        for host in 0..self.nodes.len() {
            self.pod(host, networks);
        }
    }

    pub(crate) fn pod(&mut self, host: usize, networks: &[&str]) {
        let mut pod = PodOfHost::new(host, &format!("{host}{}", self.pods.len()));
        for network in networks {
            pod.attach(&self.cluster, &self.nodes[host], network);
        }
        self.pods.push(pod);
    }

    pub(crate) fn end_pods(&mut self) {
        for host in 0..self.nodes.len() {
            self.end_pods_of(host);
        }
    }

    pub(crate) fn end_pods_of(&mut self, host: usize) {
        for pod in self.pods.iter_mut().filter(|pod| pod.host == host) {
            pod.detach(&self.nodes[host], |_| true);
        }
        self.pods.retain(|pod| pod.host != host);
    }

    /// Nothing of ours is left in any host.
    pub(crate) fn delete_all(&mut self) {
        for network in self.networks.drain(..) {
            self.cluster.delete(&format!("{NETWORKS}/{network}"));
        }
        for node in &self.nodes {
            wait_for("the last rule to go", || node.rules().is_empty().then_some(()));
            wait_for("the last route to go", || {
                let left =
                    [node.ip("route show table all proto 77"), node.ip("-6 route show table all proto 77")];
                left.concat().is_empty().then_some(())
            });
        }
    }

    /// Hosts themselves still reach one another on the first wire, with their own address as source.
    pub(crate) fn hosts_reach(&self) {
        for node in &self.nodes {
            for other in self.nodes.iter().filter(|other| other.number != node.number) {
                let (from, to) = (address(node.number), address(other.number));
                node.inside(|| run("busybox", &format!("ping -q -c 1 -W 8 -I 10.10.1.{from} 10.10.1.{to}")));
            }
        }
    }

    /// Each pod reaches each other one over each wire that both are on, and packets went by that wire.
    pub(crate) fn reach(&self, networks: &[&str]) {
        let mut asked = 0;
        for wire in 1..=WIRES {
            let before: BTreeMap<u32, u64> = (1..=WIRES).map(|wire| (wire, bytes_on(wire))).collect();
            let mut packets = 0;
            for pod in &self.pods {
                for network in networks.iter().filter(|network| !pod.addresses(network, wire).is_empty()) {
                    let others = self.pods.iter().filter(|other| other.host != pod.host);
                    let targets: Vec<_> = others.flat_map(|other| other.addresses(network, wire)).collect();
                    let deaf = pod.deaf(network, wire, &targets);
                    let host = &self.nodes[pod.host];
                    assert!(
                        deaf.is_empty(),
                        "{network}, wire {wire}, from {}: {deaf:?}\n{}\n{}",
                        host.name,
                        host.ip(&format!("route show table {network}")),
                        pod.namespace.ip("addr")
                    );
                    packets += targets.len() as u64;
                }
            }
            // There and back.
            let least = 2 * packets * SIZE;
            for (other, before) in before {
                let moved = bytes_on(other) - before;
                if other == wire {
                    assert!(moved >= least, "{moved} of {least} bytes on wire {wire}");
                } else {
                    assert!(moved < least / 2, "{moved} bytes on wire {other} for pods of wire {wire}");
                }
            }
            asked += packets;
        }
        eprintln!("  {asked} pairs answered");
    }
}

/// Mode of the links of a network, and its fields.
fn network(name: &str) -> (&'static str, Value) {
    let ipam = |vlan_mode: &str, blocks: &str| {
        json!(format!(r#"{{"type": "multi-nic-ipam", "vlanMode": "{vlan_mode}"{blocks}}}"#))
    };
    let divided = r#", "hostBlock": 6, "interfaceBlock": 2"#;
    let subnet = |cidr: &str| json!({"cidr": cidr, "hostBlock": 6, "interfaceBlock": 2});
    match name {
        "four" => ("l3", json!({"subnet": "192.168.0.0/16", "ipam": ipam("l3", divided)})),
        "six" => ("l3", json!({"subnets": [subnet("fd66::/64")], "ipam": ipam("l3", "")})),
        "dual" => {
            ("l3", json!({"subnets": [subnet("172.20.0.0/16"), subnet("fd20::/64")], "ipam": ipam("l3", "")}))
        }
        "bare" => ("l3", json!({"ipam": ipam("l3", r#", "hostBlock": 4"#)})),
        "late" => ("l3", json!({"subnet": "172.21.0.0/16", "ipam": ipam("l3", divided)})),
        "flat" => ("l2", json!({"subnet": "172.22.0.0/16", "ipam": ipam("l2", divided)})),
        other => panic!("no network {other}"),
    }
}
