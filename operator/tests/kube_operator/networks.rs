//! What becomes of a network.

use serde_json::{Value, json};

use crate::cluster::Cluster;

#[test]
#[ignore = "needs an API server"]
fn the_seeds_sample_becomes_definitions_blocks_and_conditions() {
    let cluster = Cluster::new();
    cluster.host("h1", 1, 2);
    cluster.host("h2", 2, 2);
    let _operator = cluster.operator("a");

    cluster.network("multi-nic-sample", &["default"]);

    cluster.until_reason("multi-nic-sample", "Ready", "WaitingForAgents");
    let expected = json!({
        "cniVersion": "0.3.0", "name": "multi-nic-sample", "type": "multi-nic",
        "ipam": {"hostBlock": 6, "interfaceBlock": 2, "type": "multi-nic-ipam", "vlanMode": "l3"},
        "dns": {}, "plugin": {"cniVersion": "0.3.0", "mode": "l3", "type": "ipvlan"},
        "subnet": "192.168.0.0/16", "masterNets": ["10.0.1.0/24", "10.0.2.0/24"],
        "multiNICIPAM": true, "daemonIP": "", "daemonPort": 11000,
    });
    assert_eq!(cluster.config("multi-nic-sample", "default"), Some(expected));
    assert_eq!(cluster.config("multi-nic-sample", "kube-system"), None);

    let cidr = cluster.get("cidr", "multi-nic-sample", "default").unwrap();
    let pods: Vec<&str> = cidr["spec"]["cidr"]
        .as_array()
        .unwrap()
        .iter()
        .flat_map(|entry| entry["hosts"].as_array().unwrap())
        .map(|host| host["podCIDR"].as_str().unwrap())
        .collect();
    assert_eq!(pods, ["192.168.0.0/24", "192.168.1.0/24", "192.168.64.0/24", "192.168.65.0/24"]);

    let network = cluster.get("mnn", "multi-nic-sample", "default").unwrap();
    let status = &network["status"];
    assert_eq!(
        (&status["configStatus"], &status["routeStatus"], &status["discovery"]),
        (
            &json!("Success"),
            &json!("WaitForRoutes"),
            &json!({"existDaemon": 2, "infoAvailable": 2, "cidrProcessed": 2})
        )
    );
    let report = json!([{"network": "multi-nic-sample", "wanted": 2, "present": 2}]);
    for host in ["h1", "h2"] {
        let object = json!({
            "apiVersion": "multinic.fms.io/v1", "kind": "HostInterface", "metadata": {"name": host},
            "status": {"routes": report},
        });
        patch_status(&cluster, host, &object["status"]);
    }
    cluster.until_reason("multi-nic-sample", "Ready", "AsWanted");
    let printed = cluster.must(&["get", "mnn"], "");
    assert!(
        printed.lines().nth(1).is_some_and(|line| line.contains("ipvlan") && line.contains("True")),
        "{printed}"
    );
    let refused: Vec<_> = cluster.asked().into_iter().filter(|one| one.code == 403).collect();
    assert_eq!(refused, [], "deploy/base/operator-rbac.yaml gives too little");
}

/// The lab's kubectl cannot write a status.
fn patch_status(cluster: &Cluster, host: &str, status: &Value) {
    let path = format!("/apis/multinic.fms.io/v1/hostinterfaces/{host}");
    let mut object: Value = serde_json::from_str(&cluster.must(&["get", "--raw", &path], "")).unwrap();
    object["status"] = status.clone();
    cluster.must(&["replace", "--raw", &format!("{path}/status"), "-f", "-"], &object.to_string());
}

#[test]
#[ignore = "needs an API server"]
fn namespaces_get_and_lose_their_definition_at_once() {
    let cluster = Cluster::new();
    cluster.host("h1", 1, 1);
    cluster.namespace("red");
    let _operator = cluster.operator("a");
    cluster.network("everywhere", &[]);
    cluster.network("listed", &["red", "blue"]);
    cluster
        .until("red has both", || cluster.config("everywhere", "red").and(cluster.config("listed", "red")));
    cluster.until_reason("listed", "NetworkAttachmentsReady", "NamespaceMissing");

    cluster.namespace("blue");
    cluster.until("blue has both", || {
        cluster.config("everywhere", "blue").and(cluster.config("listed", "blue"))
    });

    cluster.network("listed", &["blue"]);
    cluster.until("red has lost it", || cluster.config("listed", "red").is_none().then_some(()));
    assert!(cluster.config("everywhere", "red").is_some());
    cluster.until_reason("listed", "NetworkAttachmentsReady", "AsWanted");
}

#[test]
#[ignore = "needs an API server"]
fn a_definition_that_was_edited_by_hand_is_left_alone_until_it_is_deleted() {
    let cluster = Cluster::new();
    cluster.host("h1", 1, 1);
    let _operator = cluster.operator("a");
    cluster.network("net", &["default"]);
    cluster.until("it is there", || cluster.config("net", "default"));

    let edit = r#"{"spec": {"config": "{\"type\": \"mine\"}"}}"#;
    cluster.must(&["patch", "net-attach-def", "net", "--type=merge", "-p", edit], "");

    let condition = cluster.until_reason("net", "NetworkAttachmentsReady", "NameConflict");
    assert!(condition["message"].as_str().unwrap().contains("default/net: `kubectl"), "{condition}");
    assert_eq!(cluster.config("net", "default"), Some(json!({"type": "mine"})));

    cluster.must(&["delete", "net-attach-def", "net"], "");
    cluster.until_reason("net", "NetworkAttachmentsReady", "AsWanted");
    assert_eq!(cluster.config("net", "default").unwrap()["type"], "multi-nic");
}

#[test]
#[ignore = "needs an API server"]
fn somebody_elses_definition_is_neither_changed_nor_deleted() {
    let cluster = Cluster::new();
    cluster.host("h1", 1, 1);
    cluster.apply(&json!({
        "apiVersion": "k8s.cni.cncf.io/v1", "kind": "NetworkAttachmentDefinition",
        "metadata": {"name": "net", "namespace": "default"}, "spec": {"config": "{\"type\": \"theirs\"}"},
    }));
    let _operator = cluster.operator("a");

    cluster.network("net", &["default"]);
    cluster.until_reason("net", "NetworkAttachmentsReady", "NameConflict");
    cluster.must(&["delete", "mnn", "net"], "");
    cluster.until("the blocks are gone", || cluster.get("cidr", "net", "").is_none().then_some(()));

    assert_eq!(cluster.config("net", "default"), Some(json!({"type": "theirs"})));
}

#[test]
#[ignore = "needs an API server"]
fn a_deleted_network_takes_everything_with_it_also_with_the_predecessors_finalizers() {
    let cluster = Cluster::new();
    cluster.host("h1", 1, 2);
    let operator = cluster.operator("a");
    cluster.network("net", &["default"]);
    cluster.until("it is there", || cluster.config("net", "default").and(cluster.get("cidr", "net", "")));
    cluster.apply(&json!({
        "apiVersion": "multinic.fms.io/v1", "kind": "IPPool",
        "metadata": {"name": "net-192.168.0.0-24", "labels": {"hostname": "h1", "netname": "net"}},
        "spec": {"podCIDR": "192.168.0.0/24", "vlanCIDR": "192.168.0.0/18", "netAttachDef": "net", "hostName": "h1",
                 "interfaceName": "eth1", "excludes": [], "allocations": []},
    }));
    let finalized = [
        ("mnn", "net", "multinicnetwork"),
        ("cidr", "net", "cidr"),
        ("ippool", "net-192.168.0.0-24", "ippool"),
    ];
    for (kind, name, finalizer) in finalized {
        let finalizers =
            format!(r#"{{"metadata":{{"finalizers":["finalizers.{finalizer}.multinic.fms.io"]}}}}"#);
        cluster.must(&["patch", kind, name, "--type=merge", "-p", &finalizers], "");
    }

    cluster.must(&["delete", "mnn", "net", "--timeout=60s"], "");

    cluster.until("everything is gone", || {
        let left = cluster.get("cidr", "net", "").or(cluster.get("net-attach-def", "net", "default"));
        left.or(cluster.get("ippool", "net-192.168.0.0-24", "")).is_none().then_some(())
    });
    // What is deleted while no operator runs is noticed by the next one.
    cluster.network("net", &["default"]);
    cluster.until("it is there again", || cluster.get("cidr", "net", ""));
    operator.stop();
    cluster.must(&["delete", "mnn", "net"], "");
    assert!(cluster.get("cidr", "net", "").is_some());
    let _operator = cluster.operator("b");
    cluster.until("the blocks are gone", || cluster.get("cidr", "net", "").is_none().then_some(()));
}

#[test]
#[ignore = "needs an API server"]
fn hosts_join_and_leave_and_nobody_is_moved() {
    let cluster = Cluster::new();
    cluster.host("h1", 1, 1);
    cluster.host("h2", 2, 1);
    let _operator = cluster.operator("a");
    cluster.network("net", &["default"]);
    let hosts = || -> Option<Vec<String>> {
        let cidr = cluster.get("cidr", "net", "")?;
        let hosts = cidr["spec"]["cidr"]
            .as_array()?
            .iter()
            .flat_map(|entry| entry["hosts"].as_array().unwrap().clone());
        Some(
            hosts
                .map(|host| {
                    format!("{}={}", host["hostName"].as_str().unwrap(), host["podCIDR"].as_str().unwrap())
                })
                .collect(),
        )
    };
    let until = |wanted: &[&str]| {
        cluster.until(&format!("{wanted:?}"), || hosts().filter(|found| found == wanted));
    };
    until(&["h1=192.168.0.0/24", "h2=192.168.1.0/24"]);

    cluster.must(&["delete", "node", "h1"], "");
    until(&["h2=192.168.1.0/24"]);
    cluster.until("its HostInterface is gone", || {
        cluster.get("hostinterface", "h1", "").is_none().then_some(())
    });

    cluster.host("h3", 3, 1);
    until(&["h2=192.168.1.0/24", "h3=192.168.2.0/24"]);
}
