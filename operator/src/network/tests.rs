use std::collections::BTreeMap;

use crds::{HostInterfaceSpec, Interface, RouteReport};
use serde_json::json;

use super::*;
use crate::index::{News, Told};
use crate::seen::{Blocks, Host, Meta, Namespace, Node, Version, Versioned};

const NOW: &str = "2026-12-01T00:00:00Z";

/// A cluster in the making.
struct Cluster {
    index: Index,
    version: u64,
}

impl Cluster {
    /// Two nodes with two NICs each, a namespace, and a network in it.
    fn new() -> Self {
        let mut cluster = Self { index: Index::default(), version: 0 };
        for last in 1..=2 {
            cluster.node(last);
            cluster.host(last, "");
        }
        let namespace = Namespace { meta: meta("default"), active: true };
        let namespace = cluster.next(namespace);
        cluster.index.take(News::Namespace(Told::Changed(namespace)));
        cluster.network("net", "192.168.0.0/16", "2026-01-01T00:00:00Z");
        cluster
    }

    fn next<T>(&mut self, object: T) -> Versioned<T> {
        self.version += 1;
        Versioned { version: Version(self.version.to_string()), object }
    }

    fn node(&mut self, last: u8) {
        let mut meta = meta(&format!("n{last}"));
        meta.uid = format!("node-{last}");
        let addresses = vec![format!("172.16.0.{last}")];
        let node = self.next(Node {
            meta,
            addresses,
            pod_ranges: vec![format!("10.244.{last}.0/24")],
            ..Node::default()
        });
        self.index.take(News::Node(Told::Changed(node)));
    }

    fn host(&mut self, last: u8, node_uid: &str) {
        let nic = |number: u8| Interface {
            interface_name: format!("eth{number}"),
            net_address: format!("10.0.{number}.0/24"),
            host_ip: format!("10.0.{number}.{last}"),
            ..Interface::default()
        };
        let spec = HostInterfaceSpec {
            host_name: format!("n{last}"),
            interfaces: vec![nic(1), nic(2)],
            node_uid: node_uid.into(),
        };
        let host = self.next(Host { meta: meta(&format!("n{last}")), spec, ..Host::default() });
        self.index.take(News::Host(Told::Changed(host)));
    }

    fn network(&mut self, name: &str, subnet: &str, created: &str) {
        let spec = serde_json::from_value(json!({
            "subnet": subnet, "multiNICIPAM": true,
            "ipam": r#"{"type": "multi-nic-ipam", "hostBlock": 6, "interfaceBlock": 2, "vlanMode": "l3"}"#,
            "plugin": {"cniVersion": "0.3.0", "type": "ipvlan", "args": {"mode": "l3"}},
        }))
        .unwrap();
        let mut meta = meta(name);
        (meta.uid, meta.created, meta.generation) = (format!("uid-{name}"), created.into(), 1);
        let network = self.next(Network { meta, spec, ..Network::default() });
        self.index.take(News::Network(Told::Changed(network)));
    }

    /// Changes the network as it is.
    fn edit(&mut self, change: impl FnOnce(&mut Network)) {
        let mut network = self.index.networks.get(&Key::cluster("net")).unwrap().clone();
        change(&mut network);
        let network = self.next(network);
        self.index.take(News::Network(Told::Changed(network)));
    }

    fn plan(&self) -> NetworkPlan {
        plan(&self.index, "net", &Failures::new(), NOW)
    }

    /// Does what is planned until nothing is, as a server that refuses nothing would; how often something was written.
    fn settle(&mut self) -> usize {
        for writes in 0.. {
            let plan = self.plan();
            let todo: Vec<Write> = plan.writes.into_iter().chain(plan.status).collect();
            if todo.is_empty() {
                return writes;
            }
            assert!(writes < 5, "it does not come to an end: {todo:#?}");
            for write in todo {
                self.carry_out(write);
            }
        }
        unreachable!()
    }

    fn carry_out(&mut self, write: Write) {
        match write {
            Write::Attachment { key, network, definition, .. } => {
                let mut one = crate::seen::Attachment {
                    config: definition.config,
                    resource_name: definition.resource_name,
                    owner: network.uid,
                    ..Default::default()
                };
                one.meta.key = key;
                one.meta.labels.insert(attachment::GENERATED_LABEL.into(), "true".into());
                let one = self.next(one);
                self.index.take(News::Attachment(Told::Changed(one)));
            }
            Write::CreateBlocks { name, spec } | Write::UpdateBlocks { name, spec, .. } => {
                let blocks = self.next(Blocks { meta: meta(&name), spec: *spec });
                self.index.take(News::Blocks(Told::Changed(blocks)));
            }
            Write::NetworkStatus { status, .. } => self.edit(|network| network.status = *status),
            other => panic!("{other:?}"),
        }
    }

    fn condition(&self, kind: &str) -> (String, String, String) {
        let network = self.index.networks.get(&Key::cluster("net")).unwrap();
        let one = network.status.conditions.iter().find(|one| one.kind == kind).unwrap();
        (one.status.clone(), one.reason.clone(), one.message.clone())
    }

    fn reason(&self, kind: &str) -> String {
        self.condition(kind).1
    }

    fn reports(&mut self, present: u32) {
        for last in 1..=2 {
            let mut host = self.index.hosts.get(&Key::cluster(&format!("n{last}"))).unwrap().clone();
            host.routes =
                vec![RouteReport { network: "net".into(), wanted: 2, present, message: String::new() }];
            let host = self.next(host);
            self.index.take(News::Host(Told::Changed(host)));
        }
    }
}

fn meta(name: &str) -> Meta {
    Meta { key: Key::cluster(name), uid: format!("uid-{name}"), ..Meta::default() }
}

#[test]
fn a_network_becomes_blocks_and_definitions_and_then_nothing_more_is_written() {
    let mut cluster = Cluster::new();

    assert_eq!(cluster.settle(), 2, "objects, then the status");
    cluster.reports(2);
    assert_eq!(cluster.settle(), 1);

    let network = cluster.index.networks.get(&Key::cluster("net")).unwrap().clone();
    assert_eq!(
        cluster.condition("Ready"),
        ("True".into(), "AsWanted".into(), "everything is as it should be".into())
    );
    assert_eq!(
        (
            network.status.config_status.as_str(),
            network.status.route_status.as_str(),
            network.status.message.as_str()
        ),
        ("Success", "Success", "")
    );
    let discovery = network.status.discovery;
    assert_eq!((discovery.exist_daemon, discovery.info_available, discovery.cidr_processed), (2, 2, 2));
    let nad = cluster.index.attachments.get(&Key::within("default", "net")).unwrap();
    let config: serde_json::Value = serde_json::from_str(&nad.config).unwrap();
    assert_eq!(config["masterNets"], json!(["10.0.1.0/24", "10.0.2.0/24"]));
    assert_eq!(config["plugin"], json!({"cniVersion": "0.3.0", "mode": "l3", "type": "ipvlan"}));
}

#[test]
fn times_of_conditions_change_only_with_their_status() {
    let mut cluster = Cluster::new();
    cluster.settle();
    let before = cluster.index.networks.get(&Key::cluster("net")).unwrap().status.clone();
    cluster.reports(2);

    let later = plan(&cluster.index, "net", &Failures::new(), "2026-12-02T00:00:00Z");

    let Some(Write::NetworkStatus { status, .. }) = later.status else { panic!() };
    let time = |status: &crds::NetworkStatus, kind: &str| {
        status.conditions.iter().find(|one| one.kind == kind).unwrap().last_transition_time.clone()
    };
    assert_eq!(time(&status, "Discovered"), time(&before, "Discovered"));
    assert_eq!(time(&status, "RoutesReady"), "2026-12-02T00:00:00Z");
}

#[test]
fn different_mtus_are_told_with_the_smallest_which_auto_takes() {
    let mut cluster = Cluster::new();
    for (last, mtu) in [(1, 9000), (2, 1500)] {
        let mut host = cluster.index.hosts.get(&Key::cluster(&format!("n{last}"))).unwrap().clone();
        host.spec.interfaces.iter_mut().for_each(|nic| nic.mtu = Some(mtu));
        let host = cluster.next(host);
        cluster.index.take(News::Host(Told::Changed(host)));
    }
    cluster.settle();
    let (status, reason, message) = cluster.condition("Discovered");
    assert_eq!((status.as_str(), reason.as_str()), ("True", "MtuMismatch"));
    assert!(message.contains("eth1 on n2 has 1500, eth1 on n1 has 9000"), "{message}");

    cluster.edit(|network| network.spec.mtu = "auto".into());
    cluster.settle();

    assert_eq!(cluster.reason("Discovered"), "AsWanted");
    let nad = cluster.index.attachments.get(&Key::within("default", "net")).unwrap();
    assert!(nad.config.contains(r#""mtu":1500"#), "{}", nad.config);
}

#[test]
fn missing_routes_are_told_with_their_host() {
    let mut cluster = Cluster::new();
    cluster.settle();
    assert_eq!(cluster.reason("RoutesReady"), "WaitingForAgents");

    cluster.reports(1);
    cluster.settle();

    let (status, reason, message) = cluster.condition("RoutesReady");
    assert_eq!((status.as_str(), reason.as_str()), ("False", "RoutesMissing"));
    assert_eq!(message, "routes are missing: n1 has 1 of 2, n2 has 1 of 2");
}

#[test]
fn the_younger_of_two_networks_that_overlap_waits() {
    let mut cluster = Cluster::new();
    cluster.network("elder", "192.168.128.0/17", "2025-01-01T00:00:00Z");
    cluster.network("younger", "192.168.128.0/17", "2026-02-01T00:00:00Z");

    cluster.settle();

    let (status, reason, message) = cluster.condition("AddressesAssigned");
    assert_eq!((status.as_str(), reason.as_str()), ("False", "SubnetOverlapsNetwork"));
    assert!(message.contains("192.168.0.0/16 overlaps 192.168.128.0/17 of network elder"), "{message}");
    assert_eq!(cluster.index.blocks.iter().map(|blocks| blocks.spec.cidr.len()).sum::<usize>(), 0);
}

#[test]
fn addresses_of_nodes_and_ordinary_pods_are_not_given() {
    for (subnet, wanted) in [
        ("172.16.0.0/16", "contains 172.16.0.1 of node n1"),
        ("10.244.0.0/16", "overlaps 10.244.1.0/24, where pods of node n1"),
        ("10.0.0.0/16", "contains 10.0.1.1 of eth1 on n1"),
    ] {
        let mut cluster = Cluster::new();
        cluster.edit(|network| network.spec.subnet = subnet.into());

        cluster.settle();

        let (_, reason, message) = cluster.condition("AddressesAssigned");
        assert_eq!(reason, "SubnetOverlapsCluster");
        assert!(message.contains(wanted), "{message}");
    }
}

#[test]
fn a_text_that_cannot_be_parsed_takes_nothing_away() {
    let mut cluster = Cluster::new();
    cluster.settle();
    let before: Vec<_> = cluster.index.attachments.iter().cloned().collect();

    cluster.edit(|network| network.spec.ipam = "{nonsense".into());
    cluster.settle();

    assert_eq!(cluster.index.attachments.iter().cloned().collect::<Vec<_>>(), before);
    let (_, reason, message) = cluster.condition("NetworkAttachmentsReady");
    assert_eq!(reason, "InvalidSpec", "{message}");
    assert!(cluster.condition("AddressesAssigned").2.contains("spec.ipam"));
    let network = cluster.index.networks.get(&Key::cluster("net")).unwrap();
    assert_eq!(network.status.config_status, "Failed");
}

#[test]
fn what_an_agent_of_another_machine_tells_counts_for_nothing() {
    let mut cluster = Cluster::new();
    cluster.host(2, "another-machine");

    cluster.settle();

    let hosts: Vec<_> = cluster
        .index
        .blocks
        .iter()
        .flat_map(|blocks| &blocks.spec.cidr)
        .flat_map(|entry| entry.hosts.iter().map(|host| host.host_name.as_str()))
        .collect();
    assert_eq!(hosts, ["n1", "n1"]);
}

#[test]
fn a_refused_change_is_told_and_the_rest_is_there() {
    let mut cluster = Cluster::new();
    let key = WriteKey { kind: "NetworkAttachmentDefinition", key: Key::within("default", "net") };
    let failures = BTreeMap::from([(key, "denied by webhook".to_owned())]);

    let plan = plan(&cluster.index, "net", &failures, NOW);

    let Some(status) = plan.status else { panic!("nothing is told") };
    cluster.carry_out(status);
    let (_, reason, message) = cluster.condition("NetworkAttachmentsReady");
    assert_eq!((reason.as_str(), message.as_str()), ("WriteRefused", "default/net: denied by webhook"));
}

#[test]
fn a_network_that_is_gone_leaves_its_blocks_to_be_deleted_if_its_kind_is_there() {
    let mut cluster = Cluster::new();
    cluster.settle();
    cluster.index.take(News::Network(Told::Gone(Key::cluster("net"), "uid-net".into())));

    let plan = cluster.plan();

    let gone = Write::DeleteBlocks {
        name: "net".into(),
        uid: "uid-net".into(),
        network: "net".into(),
        network_gone: true,
    };
    assert_eq!((plan.writes, plan.status), (vec![gone], None));
}

#[test]
fn finalizers_of_the_predecessor_come_off_what_is_being_deleted_and_others_stay() {
    let mut cluster = Cluster::new();
    cluster.edit(|network| {
        network.meta.finalizers = vec!["finalizers.multinicnetwork.multinic.fms.io".into(), "mine".into()];
    });
    assert!(!cluster.plan().writes.iter().any(|write| matches!(write, Write::Finalizers { .. })));

    cluster.edit(|network| network.meta.deleting = true);

    let plan = cluster.plan();
    let [Write::Finalizers { kind: Finalized::Network, keep, .. }] = plan.writes.as_slice() else {
        panic!("{plan:?}")
    };
    assert_eq!(keep, &["mine"]);
}

#[test]
fn while_the_predecessor_serves_nodes_nobody_gets_new_blocks_and_nobody_loses_any() {
    let mut cluster = Cluster::new();
    cluster.settle();
    let before = cluster.index.blocks.get(&Key::cluster("net")).unwrap().spec.clone();
    let old = |cluster: &mut Cluster, node_uid: &str| {
        cluster.host(2, node_uid);
        let mut host = cluster.index.hosts.get(&Key::cluster("n2")).unwrap().clone();
        host.meta.finalizers = vec!["finalizers.hostinterface.multinic.fms.io".into()];
        let host = cluster.next(host);
        cluster.index.take(News::Host(Told::Changed(host)));
    };
    old(&mut cluster, "");
    cluster.node(3);
    cluster.host(3, "node-3");
    cluster.settle();

    let reason = |cluster: &Cluster| {
        let network = cluster.index.networks.get(&Key::cluster("net")).unwrap();
        let of = |one: &&crds::Condition| one.kind == "AddressesAssigned";
        let one = network.status.conditions.iter().find(of).unwrap();
        (one.status.clone(), one.reason.clone(), one.message.clone())
    };
    assert_eq!(cluster.index.blocks.get(&Key::cluster("net")).unwrap().spec, before);
    let (status, word, message) = reason(&cluster);
    assert_eq!((status.as_str(), word.as_str()), ("Unknown", "MigrationInProgress"));
    assert!(message.contains("4 of 6") && message.contains("n2"), "{message}");

    // Our agent has written over it; the finalizer stays until the object goes.
    old(&mut cluster, "node-2");
    cluster.settle();

    assert_eq!(reason(&cluster).1, "AsWanted");
    assert_ne!(cluster.index.blocks.get(&Key::cluster("net")).unwrap().spec, before);
}

#[test]
fn a_host_without_a_node_goes_unless_nobody_manages_it() {
    let mut cluster = Cluster::new();
    cluster.host(7, "");
    let mut own = cluster.index.hosts.get(&Key::cluster("n7")).unwrap().clone();
    own.meta.key = Key::cluster("n8");
    own.meta.labels.insert(crds::UNMANAGED_LABEL.into(), "True".into());
    let own = cluster.next(own);
    cluster.index.take(News::Host(Told::Changed(own)));

    assert_eq!(
        plan_rest(&cluster.index, NOW),
        [Write::DeleteHost { name: "n7".into(), uid: "uid-n7".into() }]
    );
}

#[test]
fn that_there_is_no_multus_is_a_fault_unless_agents_do_without() {
    let mut cluster = Cluster::new();
    cluster.index.take(News::Attachment(Told::NoSuchKind));
    cluster.settle();
    assert_eq!(cluster.reason("NetworkAttachmentsReady"), "MultusMissing");

    cluster.index.without_multus = true;
    cluster.settle();

    assert_eq!(cluster.reason("NetworkAttachmentsReady"), "AsWanted");
}
