use std::sync::Arc;

use attach::network::{Block, Network, NetworkInterface, Networks};
use attach::record::Attachment;
use serde_json::json;

use super::pools;

fn networks() -> Networks {
    let block = |pod: &str, interface: &str| Block {
        pod: pod.parse().unwrap(),
        interface: interface.parse().unwrap(),
        excludes: vec![],
    };
    let mut v4 = block("192.168.1.0/24", "192.168.0.0/18");
    v4.excludes = vec!["192.168.1.128/25".parse().unwrap()];
    let interface = NetworkInterface {
        master: "eth1".to_owned(),
        blocks: vec![v4, block("fd10:20:0:0:100::/72", "fd10:20::/66")],
        ..NetworkInterface::default()
    };
    let red = Network { name: "red".to_owned(), interfaces: vec![interface], ..Network::default() };
    Networks { networks: [("red".to_owned(), Arc::new(red))].into(), ..Networks::default() }
}

/// An attachment as the store has it.
fn attached(network: &str, container: &str, pod: Option<&str>, addresses: &[&str]) -> Arc<Attachment> {
    let lease = |text: &&str| {
        let (address, block) = text.split_once(' ').unwrap();
        json!([0, {"address": address, "block": block}])
    };
    let record = json!({
        "key": {"network": network, "containerId": container, "ifname": "net1"},
        "phase": "attached", "boot": "b", "netns": "/run/netns/x", "sweepable": true, "digest": 1, "config": "{}",
        "since": 1, "group": 1, "links": [],
        "addresses": addresses.iter().map(lease).collect::<Vec<_>>(),
        "pod": pod.map(|name| json!({"namespace": "ns", "name": name, "uid": ""})),
    });
    Arc::new(serde_json::from_value(record).unwrap())
}

#[test]
fn each_block_is_an_object_with_those_who_hold_its_addresses() {
    let all = [
        attached("red", "c2", None, &["192.168.1.9/18 192.168.1.0/24"]),
        attached(
            "red",
            "c1",
            Some("pod1"),
            &["192.168.1.2/18 192.168.1.0/24", "fd10:20:0:0:100::80/66 fd10:20:0:0:100::/72"],
        ),
        attached("blue", "c3", Some("pod3"), &["192.168.1.3/18 192.168.1.0/24"]),
    ];

    let pools = pools(&networks(), &all, "n1");

    assert_eq!(pools.keys().collect::<Vec<_>>(), ["red-192.168.1.0-24", "red-fd10-20-0-0-100---72"]);
    let v4 = serde_json::to_value(&pools["red-192.168.1.0-24"]).unwrap();
    let wanted = json!({
        "podCIDR": "192.168.1.0/24", "vlanCIDR": "192.168.0.0/18", "netAttachDef": "red", "hostName": "n1",
        "interfaceName": "eth1", "excludes": ["192.168.1.128/25"],
        "allocations": [
            {"pod": "pod1", "namespace": "ns", "index": 2, "address": "192.168.1.2"},
            {"pod": "c2", "namespace": "", "index": 9, "address": "192.168.1.9"},
        ],
    });
    assert_eq!(v4, wanted);
    let v6 = &pools["red-fd10-20-0-0-100---72"].allocations;
    assert_eq!((v6.len(), v6[0].index, v6[0].address.as_str()), (1, 128, "fd10:20::100:0:0:80"));
}
