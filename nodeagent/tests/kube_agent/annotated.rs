//! Pods with the annotation, without Multus (TRAPS C1, C2, C9).

use serde_json::{Value, json};

use crate::cluster::{Cluster, NODE};
use crate::harness::pods::Pod;
use crate::harness::wait_for;
use crate::node::Machine;
use crate::runtime::{Runtime, Sandbox};
use crate::serving::blocks;

const NETWORKS: &str = "k8s.v1.cni.cncf.io/networks";
const STATUS: &str = "k8s.v1.cni.cncf.io/network-status";

/// The cluster network: Debian's ptp.
fn write_list(runtime: &Runtime, subnet: &str) {
    let data = runtime.state.join("host-local");
    let list = json!({"cniVersion": "0.4.0", "name": "lab", "plugins": [
        {"type": "ptp", "ipam": {"type": "host-local", "subnet": subnet, "dataDir": data,
            "routes": [{"dst": "0.0.0.0/0"}]}}]});
    std::fs::write(runtime.lists.join("10-lab.conflist"), list.to_string()).unwrap();
}

/// A pod object of this node.
fn sandbox(cluster: &Cluster, name: &str, networks: Option<&str>) -> Sandbox {
    let annotations = networks.map_or_else(|| json!({}), |networks| json!({NETWORKS: networks}));
    cluster.apply(&json!({
        "apiVersion": "v1", "kind": "Pod",
        "metadata": {"name": name, "namespace": "default", "annotations": annotations},
        "spec": {"nodeName": NODE, "automountServiceAccountToken": false,
                 "containers": [{"name": "c", "image": "localhost/none:1"}]},
    }));
    let object = cluster.get("pod", name).unwrap();
    Sandbox {
        id: format!("id-{name}"),
        name: name.to_owned(),
        uid: object["metadata"]["uid"].as_str().unwrap().to_owned(),
        annotations: Some(object["metadata"]["annotations"].clone()),
    }
}

fn status(cluster: &Cluster, name: &str) -> Option<Vec<Value>> {
    let object = cluster.get("pod", name)?;
    serde_json::from_str(object["metadata"]["annotations"][STATUS].as_str()?).ok()
}

#[test]
#[ignore = "needs an API server"]
fn pods_get_what_their_annotation_asks_for_without_multus() {
    let cluster = Cluster::new();
    cluster.must(&["delete", "pods", "--all", "--force", "--grace-period=0"], "");
    let machine = Machine::new(&cluster);
    let path = |name: &str| machine.lab.path(name);
    let runtime = Runtime { lists: path("net.d"), run: path("run"), state: path("state") };
    std::fs::create_dir_all(&runtime.lists).unwrap();
    write_list(&runtime, "10.99.0.0/24");
    cluster.network("red");
    blocks(&cluster);
    let lists = runtime.lists.to_str().unwrap().to_owned();
    let mut agent = machine.agent_with(&["--chain", &lists]);
    wait_for("our list", || runtime.list().0.ends_with("00-multi-nic.conflist").then_some(()));

    let asked = r#"[{"name": "red", "interface": "fast", "ips": ["192.168.0.9"], "cni-args": {"masters": ["m0"]}},
        {"name": "red"}]"#;
    let (web, pod) = (sandbox(&cluster, "web", Some(asked)), Pod::new());
    let added = wait_for("a pod with its NICs", || runtime.add(&web, &pod).ok());
    assert_eq!(pod.addresses("fast-0"), ["192.168.0.9/18"]);
    assert_eq!(pod.addresses("net2-1"), ["192.168.64.1/18"]);
    let names: Vec<_> = added["interfaces"].as_array().unwrap().iter().map(|one| &one["name"]).collect();
    assert_eq!(names[1..], ["eth0", "fast-0", "net2-0", "net2-1"]);
    assert_eq!(added["ips"][0]["address"], "10.99.0.2/24", "the cluster's address stays the first");
    let told = wait_for("what the pod got in its status", || status(&cluster, "web"));
    assert_eq!((&told[0]["name"], &told[0]["default"]), (&json!("lab"), &json!(true)));
    assert_eq!((&told[1]["name"], &told[1]["ips"]), (&json!("default/red"), &json!(["192.168.0.9"])));
    assert_eq!((&told[3]["interface"], &told[3]["ips"]), (&json!("net2-1"), &json!(["192.168.64.1"])));

    // Of a runtime that hands no annotations over, the API server is asked.
    let (old, old_pod) = (Sandbox { annotations: None, ..sandbox(&cluster, "old", Some("red")) }, Pod::new());
    let of_old = runtime.add(&old, &old_pod).unwrap();
    assert_eq!(old_pod.addresses("net1-0"), ["192.168.0.2/18"]);
    wait_for("its status", || status(&cluster, "old"));

    // What a pod asks wrongly is said to it.
    let (wrong, wrong_pod) = (sandbox(&cluster, "wrong", Some("rod")), Pod::new());
    let error = runtime.add(&wrong, &wrong_pod).unwrap_err();
    assert_eq!((&error["code"], &error["details"]), (&json!(7), &json!("did you mean `red`?")));

    // The API server is away: pods with the annotation start all the same.
    let (cold, cold_pod) = (sandbox(&cluster, "cold", Some("red")), Pod::new());
    machine.cut(true);
    assert!(agent.stop().0.success());
    let mut agent = machine.agent_with(&["--chain", &lists]);
    let of_cold = runtime.add(&cold, &cold_pod).unwrap();
    assert_eq!(cold_pod.addresses("net1-0"), ["192.168.0.3/18"]);
    assert_eq!(status(&cluster, "cold"), None);
    machine.cut(false);
    wait_for("the status that could not be written", || status(&cluster, "cold"));

    // The agent is away: a pod that asks for nothing starts and stops, one that asks is told to try again.
    assert!(agent.stop().0.success());
    let (plain, plain_pod) = (sandbox(&cluster, "plain", None), Pod::new());
    let of_plain = runtime.add(&plain, &plain_pod).unwrap();
    assert_eq!(plain_pod.addresses("eth0").len(), 1);
    runtime.del(&plain, &plain_pod, &of_plain).unwrap();
    let (late, late_pod) = (sandbox(&cluster, "late", Some("red")), Pod::new());
    assert_eq!(runtime.add(&late, &late_pod).unwrap_err()["code"], 11);
    runtime.del(&cold, &cold_pod, &of_cold).unwrap();
    let agent = machine.agent_with(&["--chain", &lists]);
    wait_for("what was deleted without the agent", || cold_pod.addresses("net1-0").is_empty().then_some(()));

    // The cluster network writes its list anew, again and again; ours follows.
    for number in 0..100 {
        write_list(&runtime, &format!("10.{number}.0.0/24"));
    }
    wait_for("the newest list", || {
        let (file, list) = runtime.list();
        let newest = list["plugins"][0]["ipam"]["subnet"] == "10.99.0.0/24";
        (newest && list["plugins"][1]["type"] == "multi-nic" && file.ends_with("00-multi-nic.conflist"))
            .then_some(())
    });
    runtime.del(&web, &pod, &added).unwrap();
    runtime.del(&old, &old_pod, &of_old).unwrap();
    let left = pod.ip("link");
    assert_eq!(left.as_array().unwrap().len(), 1, "lo alone: {left}\n{}", agent.log());
    std::fs::remove_file(runtime.lists.join("10-lab.conflist")).unwrap();
    wait_for("an empty folder", || std::fs::read_dir(&runtime.lists).unwrap().next().is_none().then_some(()));
    drop(agent);
    cluster.must(&["delete", "pods", "--all", "--force", "--grace-period=0"], "");
}
