//! The former group: the seed's sample as it stands, and a cluster of the predecessor that moves over.

use serde_json::{Value, json};

use crate::cluster::{Cluster, sample};

const FORMER: &str = "multinicnetworks.net.cogadvisor.io";

fn original(name: &str) -> Value {
    let mut object = sample(name, &["default"]);
    object["apiVersion"] = json!("net.cogadvisor.io/v1");
    object
}

#[test]
#[ignore = "needs an API server"]
fn the_seeds_sample_works_unchanged_and_goes_with_its_original() {
    let cluster = Cluster::new();
    cluster.host("h1", 1, 2);
    let _operator = cluster.operator("a");

    cluster.apply(&original("multi-nic-sample"));

    cluster.until_reason("multi-nic-sample", "NetworkAttachmentsReady", "AsWanted");
    assert!(cluster.config("multi-nic-sample", "default").is_some());
    let said = cluster.until("the original is told", || {
        let original = cluster.get(FORMER, "multi-nic-sample", "")?;
        (original["status"]["configStatus"] == "Success").then_some(original["status"].clone())
    });
    assert_eq!(said["discovery"], json!({"existDaemon": 1, "infoAvailable": 1, "cidrProcessed": 1}));

    let mut changed = original("multi-nic-sample");
    changed["spec"]["namespaces"] = json!(["default", "kube-public"]);
    cluster.apply(&changed);
    cluster.until("the mirror follows", || cluster.config("multi-nic-sample", "kube-public"));

    cluster.must(&["delete", FORMER, "multi-nic-sample"], "");
    cluster.until("everything is gone", || {
        let left = cluster.get("mnn", "multi-nic-sample", "").or(cluster.get("cidr", "multi-nic-sample", ""));
        left.is_none().then_some(())
    });
}

#[test]
#[ignore = "needs an API server"]
fn blocks_of_the_predecessor_come_along_and_nobody_is_moved() {
    let cluster = Cluster::new();
    cluster.host("h1", 1, 1);
    cluster.host("h2", 2, 1);
    // As the predecessor left it: h2 came first.
    let host = |index: u32, name: &str, last: u32| {
        json!({"hostIndex": index, "hostName": name, "interfaceName": "eth1", "hostIP": format!("10.0.1.{last}"),
               "podCIDR": format!("192.168.{index}.0/24"), "ippool": format!("net-192.168.{index}.0-24")})
    };
    cluster.apply(&json!({
        "apiVersion": "net.cogadvisor.io/v1", "kind": "CIDR", "metadata": {"name": "net"},
        "spec": {
            "config": {"name": "net", "type": "ipvlan", "subnet": "192.168.0.0/16", "masterNets": ["10.0.1.0/24"],
                       "hostBlock": 6, "interfaceBlock": 2, "vlanMode": "l3"},
            "cidr": [{"netAddress": "10.0.1.0/24", "interfaceIndex": 0, "vlanCIDR": "192.168.0.0/18",
                      "hosts": [host(3, "h2", 2), host(4, "h1", 1)]}],
        },
    }));
    let _operator = cluster.operator("a");

    cluster.apply(&original("net"));

    let cidr = cluster.until("the blocks are there", || cluster.get("cidrs.multinic.fms.io", "net", ""));
    let pods: Vec<_> = cidr["spec"]["cidr"][0]["hosts"]
        .as_array()
        .unwrap()
        .iter()
        .map(|host| host["podCIDR"].clone())
        .collect();
    assert_eq!(pods, ["192.168.3.0/24", "192.168.4.0/24"]);
}
