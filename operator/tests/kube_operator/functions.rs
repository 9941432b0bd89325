//! SR-IOV: with its operator's kinds, whose schema is the real one, and without.

use std::time::Duration;

use serde_json::{Value, json};

use crate::cluster::{Cluster, Request, sample};

const NAMESPACE: &str = "openshift-sriov-network-operator";

/// A node whose NIC eth1 can have virtual functions.
fn host(cluster: &Cluster, name: &str, last: u8) {
    cluster.host(name, last, 0);
    cluster.apply(&json!({
        "apiVersion": "multinic.fms.io/v1", "kind": "HostInterface", "metadata": {"name": name},
        "spec": {"hostName": name, "interfaces": [{
            "interfaceName": "eth1", "netAddress": "10.0.1.0/24", "hostIP": format!("10.0.1.{last}"),
            "pciAddress": "0000:1a:00.0", "vendor": "15b3", "product": "101d",
            "sriov": {"totalVfs": 8, "numVfs": 0, "freeVfs": 0},
        }]},
    }));
}

fn network() -> Value {
    let mut network = sample("net-c", &["default"]);
    network["spec"]["subnet"] = json!("172.34.0.0/16");
    network["spec"]["ipam"] =
        json!(r#"{"type": "multi-nic-ipam", "hostBlock": 8, "interfaceBlock": 2, "vlanMode": "l2"}"#);
    network["spec"]["plugin"] = json!({"cniVersion": "0.3.0", "type": "sriov",
        "args": {"numVfs": "2", "vlan": "999", "isRdma": "true", "maxTxRate": "1000"}});
    network
}

#[test]
#[ignore = "needs an API server"]
fn policies_and_networks_are_made_for_the_sriov_operator_and_go_with_the_network() {
    let cluster = Cluster::new();
    cluster.sriov_operator(true);
    host(&cluster, "h1", 1);
    host(&cluster, "h2", 2);
    for node in ["h1", "h2"] {
        cluster.must(&["label", "node", node, "feature.node.kubernetes.io/network-sriov.capable=true"], "");
    }
    let _operator = cluster.operator("a");

    cluster.apply(&network());

    let policy = cluster.until("the policy", || cluster.get("sriovnetworknodepolicy", "net-c", NAMESPACE));
    let spec = &policy["spec"];
    assert_eq!(
        (&spec["resourceName"], &spec["numVfs"], &spec["isRdma"], &spec["nicSelector"]["rootDevices"]),
        (&json!("netc"), &json!(2), &json!(true), &json!(["0000:1a:00.0"]))
    );
    assert_eq!(spec["nodeSelector"], json!({"feature.node.kubernetes.io/network-sriov.capable": "true"}));
    assert!(spec["priority"].is_number(), "a missing priority is the strongest: {spec}");
    let of = cluster.until("the network", || cluster.get("sriovnetwork", "net-c-net", NAMESPACE));
    assert_eq!(
        (&of["spec"]["resourceName"], &of["spec"]["vlan"], &of["spec"]["maxTxRate"]),
        (&json!("netc"), &json!(999), &json!(1000))
    );
    cluster.until_reason("net-c", "SriovReady", "AsWanted");
    let nad = cluster.get("net-attach-def", "net-c", "default").unwrap();
    assert_eq!(nad["metadata"]["annotations"]["k8s.v1.cni.cncf.io/resourceName"], "openshift.io/netc");
    let refused: Vec<_> = cluster.asked().into_iter().filter(|one| one.code == 403).collect();
    assert_eq!(refused, []);

    cluster.must(&["delete", "mnn", "net-c"], "");
    cluster.until("both are gone", || {
        let left = cluster.get("sriovnetworknodepolicy", "net-c", NAMESPACE);
        left.or(cluster.get("sriovnetwork", "net-c-net", NAMESPACE)).is_none().then_some(())
    });
}

#[test]
#[ignore = "needs an API server"]
fn what_the_server_fills_in_is_not_written_over_and_policies_of_others_are_named() {
    let cluster = Cluster::new();
    cluster.sriov_operator(true);
    host(&cluster, "h1", 1);
    let labels = ["feature.node.kubernetes.io/network-sriov.capable=true", "kubernetes.io/hostname=h1"];
    cluster.must(&[&["label", "node", "h1", "--overwrite"][..], &labels].concat(), "");
    let first = cluster.operator("first");
    cluster.apply(&network());
    let policy = cluster.until("the policy", || cluster.get("sriovnetworknodepolicy", "net-c", NAMESPACE));
    // `deviceType` is the server's, as the `logLevel` of the network.
    assert_eq!(
        policy["spec"],
        json!({"resourceName": "netc", "nodeSelector": {"feature.node.kubernetes.io/network-sriov.capable": "true"},
               "nicSelector": {"vendor": "15b3", "deviceID": "101d", "rootDevices": ["0000:1a:00.0"]},
               "numVfs": 2, "priority": 99, "isRdma": true, "deviceType": "netdevice"})
    );
    let of = cluster.until("the network", || cluster.get("sriovnetwork", "net-c-net", NAMESPACE));
    assert_eq!(of["spec"]["logLevel"], "info");
    cluster.until_reason("net-c", "SriovReady", "AsWanted");
    std::thread::sleep(Duration::from_secs(2));
    first.stop();

    let before = cluster.asked().len();
    let _second = cluster.operator("second");
    std::thread::sleep(Duration::from_secs(5));
    let asked: Vec<Request> = cluster.asked().split_off(before);
    assert!(asked.iter().any(|one| one.resource == "leases"), "it never led: {asked:?}");
    let writes: Vec<&Request> = asked.iter().filter(|one| one.is_write()).collect();
    assert!(writes.is_empty(), "{writes:#?}");

    cluster.apply(&json!({
        "apiVersion": "sriovnetwork.openshift.io/v1", "kind": "SriovNetworkNodePolicy",
        "metadata": {"name": "rails", "namespace": NAMESPACE},
        "spec": {"resourceName": "rails", "nodeSelector": {"kubernetes.io/hostname": "h1"}, "numVfs": 8,
                 "nicSelector": {"pfNames": ["eth1#1-3"]}},
    }));
    let told = cluster.until_reason("net-c", "SriovReady", "SriovPolicyOverlap");
    let message = told["message"].as_str().unwrap();
    assert!(message.contains("policy rails has VFs 1-3 of PF eth1 (0000:1a:00.0) on node h1"), "{message}");
    assert!(cluster.get("sriovnetworknodepolicy", "net-c", NAMESPACE).is_some(), "what there is stays");
}

#[test]
#[ignore = "needs an API server"]
fn without_the_sriov_operator_agents_are_told_and_told_again_when_the_network_is_gone() {
    let cluster = Cluster::new();
    host(&cluster, "h1", 1);
    let _operator = cluster.operator("a");

    cluster.apply(&network());

    let plans = || cluster.get("hostinterface", "h1", "").map(|host| host["status"]["sriovPlan"].clone());
    let plan = cluster.until("the plan", || plans().filter(|plans| plans.is_array()));
    assert_eq!(
        (&plan[0]["network"], &plan[0]["policy"]["numVfs"], &plan[0]["policy"]["nicSelector"]["rootDevices"]),
        (&json!("net-c"), &json!(2), &json!(["0000:1a:00.0"]))
    );
    cluster.must(&["delete", "mnn", "net-c"], "");
    cluster.until("it is gone", || plans().filter(|plans| plans.as_array().is_none_or(Vec::is_empty)));
}

/// Takes the rights to the SR-IOV operator's kinds away, as components of `deploy/` do; the next cluster has them again.
fn without_rights(cluster: &Cluster) {
    for kind in ["clusterrolebinding", "clusterrole"] {
        cluster.must(&["delete", kind, "multi-nic-operator-sriov"], "");
    }
}

#[test]
#[ignore = "needs an API server"]
fn told_that_there_is_no_sriov_operator_it_needs_no_right_to_its_kinds() {
    let cluster = Cluster::new();
    cluster.sriov_operator(true);
    without_rights(&cluster);
    host(&cluster, "h1", 1);
    let _operator = cluster.operator_with("a", &["--without-sriov-operator"]);

    cluster.apply(&network());

    let plans = || cluster.get("hostinterface", "h1", "").map(|host| host["status"]["sriovPlan"].clone());
    cluster.until("the plan", || plans().filter(|plans| plans.is_array()));
    let of_others = |one: &Request| one.resource.starts_with("sriov");
    let asked: Vec<_> = cluster.asked().into_iter().filter(of_others).collect();
    assert_eq!(asked, [], "it has asked for kinds that it has no right to");
    let refused: Vec<_> = cluster.asked().into_iter().filter(|one| one.code == 403).collect();
    assert_eq!(refused, []);
}

#[test]
#[ignore = "needs an API server"]
fn rights_in_the_sriov_operators_namespace_alone_are_enough() {
    const OTHER: &str = "sriov-network-operator";
    let cluster = Cluster::new();
    cluster.sriov_operator(true);
    without_rights(&cluster);
    cluster.apply(&json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": OTHER}}));
    let rights = concat!(env!("CARGO_MANIFEST_DIR"), "/../deploy/components/sriov-operator/rbac.yaml");
    cluster.must(&["apply", "-f", rights], "");
    host(&cluster, "h1", 1);
    cluster.must(&["label", "node", "h1", "feature.node.kubernetes.io/network-sriov.capable=true"], "");
    let _operator = cluster.operator_with("a", &["--sriov-namespace", OTHER]);

    cluster.apply(&network());

    cluster.until("the policy", || cluster.get("sriovnetworknodepolicy", "net-c", OTHER));
    cluster.until_reason("net-c", "SriovReady", "AsWanted");
    cluster.must(&["delete", "mnn", "net-c"], "");
    cluster.until("it is gone", || {
        cluster.get("sriovnetworknodepolicy", "net-c", OTHER).is_none().then_some(())
    });
    let refused: Vec<_> = cluster.asked().into_iter().filter(|one| one.code == 403).collect();
    assert_eq!(refused, []);
}
