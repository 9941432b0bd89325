//! How many requests things take (asserted) and how long (printed; compare, the machine is shared).

use std::time::Instant;

use serde_json::{Value, json};

use crate::cluster::{Cluster, Request};

/// Makes many objects with one kubectl.
fn create(cluster: &Cluster, items: Vec<Value>) {
    let list = json!({"apiVersion": "v1", "kind": "List", "items": items});
    cluster.must(&["create", "-f", "-"], &list.to_string());
}

fn writes(asked: &[Request], resource: &str) -> usize {
    asked.iter().filter(|one| one.is_write() && one.resource == resource).count()
}

#[test]
#[ignore = "needs an API server"]
fn a_hundred_namespaces_take_a_request_each() {
    let cluster = Cluster::new();
    cluster.host("h1", 1, 2);
    let namespace = |number: u32| {
        json!({"apiVersion": "v1", "kind": "Namespace",
               "metadata": {"name": format!("many-{}-{number}", std::process::id()), "labels": {"test": "many"}}})
    };
    create(&cluster, (0..100).map(namespace).collect());
    let _operator = cluster.operator("a");
    cluster.network("warm", &["default"]);
    cluster.until("it works", || cluster.config("warm", "default"));
    let before = cluster.asked().len();
    let active =
        cluster.must(&["get", "namespaces", "--field-selector", "status.phase=Active", "-o", "name"], "");
    let namespaces = active.lines().count();

    let begun = Instant::now();
    cluster.network("net", &[]);
    cluster.until("the last definition", || {
        let all = cluster.kubectl(
            &["get", "net-attach-def", "-A", "--field-selector", "metadata.name=net", "-o", "name"],
            "",
        );
        (all.lines().count() == namespaces).then_some(())
    });
    println!("from apply to the last of {namespaces} definitions: {:.1} s", begun.elapsed().as_secs_f64());
    cluster.until_reason("net", "NetworkAttachmentsReady", "AsWanted");

    let asked = cluster.asked().split_off(before);
    assert_eq!(writes(&asked, "network-attachment-definitions"), namespaces);
    assert!(writes(&asked, "multinicnetworks") <= 2, "{asked:?}");
}

/// Nodes: `OPERATOR_NODES`, else 200.
#[test]
#[ignore = "needs an API server"]
fn many_nodes_take_one_write_for_each_hundred_and_bounded_memory() {
    let nodes: u32 = std::env::var("OPERATOR_NODES").ok().and_then(|text| text.parse().ok()).unwrap_or(200);
    let cluster = Cluster::new();
    let node =
        |number: u32| json!({"apiVersion": "v1", "kind": "Node", "metadata": {"name": format!("n{number}")}});
    create(&cluster, (0..nodes).map(node).collect());
    let host = |number: u32| {
        let nic = |nic: u32| {
            json!({"interfaceName": format!("eth{nic}"), "netAddress": format!("10.{nic}.0.0/16"),
                   "hostIP": format!("10.{nic}.{}.{}", number / 250, number % 250 + 1),
                   "pciAddress": format!("0000:0{nic}:00.0"), "mtu": 9000, "class": "high", "speedMbps": 100_000})
        };
        json!({"apiVersion": "multinic.fms.io/v1", "kind": "HostInterface", "metadata": {"name": format!("n{number}")},
               "spec": {"hostName": format!("n{number}"), "interfaces": (1..=8).map(nic).collect::<Vec<_>>()}})
    };
    create(&cluster, (0..nodes).map(host).collect());
    let operator = cluster.operator("a");
    let mut network = crate::cluster::sample("net", &["default"]);
    network["spec"]["subnet"] = json!("172.16.0.0/12");
    network["spec"]["ipam"] =
        json!(r#"{"type": "multi-nic-ipam", "hostBlock": 12, "interfaceBlock": 3, "vlanMode": "l3"}"#);

    let begun = Instant::now();
    cluster.apply(&network);
    cluster.until_reason("net", "AddressesAssigned", "AsWanted");
    println!("from apply to the last of {nodes} nodes with 8 NICs: {:.1} s", begun.elapsed().as_secs_f64());

    let asked = cluster.asked();
    assert_eq!(writes(&asked, "cidrs"), nodes.div_ceil(100) as usize);
    assert!(writes(&asked, "multinicnetworks") <= 2, "{asked:?}");

    // One more joins: one small object changes.
    let before = asked.len();
    create(&cluster, vec![node(nodes), host(nodes)]);
    cluster.until("it has a block", || {
        let condition = cluster.condition("net", "AddressesAssigned")?;
        condition["message"].as_str()?.starts_with(&format!("{} NICs", (nodes + 1) * 8)).then_some(())
    });
    let asked = cluster.asked().split_off(before);
    assert_eq!(writes(&asked, "cidrs"), 1);
    let memory = operator.peak_memory();
    println!("peak memory of the operator with {nodes} nodes: {memory} MB");
    assert!(nodes > 200 || memory <= 64, "{memory} MB");
}
