//! What the agent says of its node, and what it does for pods, with and without the API server.

use std::time::Duration;

use cni::Command;
use serde_json::{Value, json};

use crate::cluster::{Cluster, NODE};
use crate::harness::pods::Pod;
use crate::harness::wait_for;
use crate::node::Machine;

/// What is published of a NIC.
fn published(cluster: &Cluster, name: &str) -> Option<Value> {
    let object = cluster.get("hostinterface", NODE)?;
    object["spec"]["interfaces"].as_array()?.iter().find(|one| one["interfaceName"] == name).cloned()
}

fn version(cluster: &Cluster) -> String {
    cluster.get("hostinterface", NODE).unwrap()["metadata"]["resourceVersion"].to_string()
}

/// Two slices: this node's blocks in one, other hosts in both.
pub(crate) fn blocks(cluster: &Cluster) {
    cluster.slice(
        "red",
        "red",
        &[
            (
                0,
                "10.0.0.0/24",
                "192.168.0.0/18",
                &["n1 m0 10.0.0.1 192.168.0.0/24", "n2 eth5 10.0.0.2 192.168.1.0/24"],
            ),
            (1, "10.0.1.0/24", "192.168.64.0/18", &["n1 m1 10.0.1.1 192.168.64.0/24"]),
        ],
    );
    cluster.slice(
        "red-slice-1",
        "red",
        &[(1, "10.0.1.0/24", "192.168.64.0/18", &["n3 eth1 10.0.1.3 192.168.66.0/24"])],
    );
}

pub(crate) const ROUTES: [&str; 3] = [
    "30000 from 192.168.0.0/16",
    "192.168.1.0/24 via 10.0.0.2 dev m0",
    "192.168.66.0/24 via 10.0.1.3 dev m1",
];

#[test]
#[ignore = "needs an API server"]
fn the_node_is_published_on_change_only_and_a_flap_is_no_change() {
    let cluster = Cluster::new();
    let machine = Machine::new(&cluster);
    let mut agent = machine.agent();

    let m0 = wait_for("the NICs", || published(&cluster, "m0"));
    assert_eq!((&m0["netAddress"], &m0["hostIP"]), (&json!("10.0.0.0/24"), &json!("10.0.0.1")));
    let object = cluster.get("hostinterface", NODE).unwrap();
    let node = cluster.get("node", NODE).unwrap();
    assert_eq!(object["spec"]["nodeUID"], node["metadata"]["uid"]);
    assert_eq!(object["spec"]["interfaces"].as_array().unwrap().len(), 2);

    // A restart writes nothing, and neither does somebody else's label.
    wait_for("quiet", || {
        let before = version(&cluster);
        std::thread::sleep(Duration::from_secs(7));
        (version(&cluster) == before).then_some(())
    });
    cluster.must(&["label", "hostinterface", NODE, "site=a"], "");
    let before = version(&cluster);
    assert!(agent.stop().0.success());
    let agent = machine.agent();
    std::thread::sleep(Duration::from_secs(7));
    assert_eq!(version(&cluster), before, "{}", agent.log());

    // Shorter than ten seconds, and then longer.
    machine.lab.ip("addr del 10.0.0.1/24 dev m0");
    std::thread::sleep(Duration::from_secs(2));
    machine.lab.ip("addr add 10.0.0.1/24 dev m0");
    std::thread::sleep(Duration::from_secs(7));
    assert_eq!(version(&cluster), before, "{}", agent.log());
    machine.lab.ip("link del w0");
    let suspended =
        wait_for("the loss", || published(&cluster, "m0").filter(|one| one["state"] == "suspended"));
    assert_eq!((&suspended["netAddress"], &suspended["hostIP"]), (&json!("10.0.0.0/24"), &json!("10.0.0.1")));

    // Not the agent's any more.
    cluster.must(&["label", "hostinterface", NODE, "multi-nic-unmanaged=True"], "");
    let before = version(&cluster);
    machine.lab.ip("link set m1 mtu 1400");
    std::thread::sleep(Duration::from_secs(7));
    assert_eq!(version(&cluster), before, "{}", agent.log());
}

#[test]
#[ignore = "needs an API server"]
fn pods_start_and_stop_while_the_server_is_away_also_after_a_cold_start() {
    let cluster = Cluster::new();
    let machine = Machine::new(&cluster);
    let mut agent = machine.agent();
    let pod = Pod::new();
    assert!(machine.call(Command::Add, "a", &pod).unwrap_err().contains("red"), "there is no network yet");

    cluster.network("red");
    wait_for("the missing blocks", || {
        machine.call(Command::Add, "a", &pod).err().filter(|error| error.contains("no CIDR object of red"))
    });
    blocks(&cluster);
    wait_for("a pod with its NICs", || machine.call(Command::Add, "a", &pod).ok());
    assert_eq!(pod.addresses("net1-0"), ["192.168.0.1/18"]);
    assert_eq!(pod.addresses("net1-1"), ["192.168.64.1/18"]);
    wait_for("routes", || (machine.routes() == ROUTES).then_some(()));
    let allocations = wait_for("the mirror", || {
        let pool = cluster.get("ippool", "red-192.168.0.0-24")?;
        pool["spec"]["allocations"].as_array().filter(|all| !all.is_empty()).cloned()
    });
    let wanted = json!({"pod": "pod-a", "namespace": "default", "index": 1, "address": "192.168.0.1"});
    assert_eq!(allocations, [wanted]);
    let report = wait_for("the report of routes", || {
        let object = cluster.get("hostinterface", NODE)?;
        object["status"]["routes"].as_array()?.first().filter(|one| one["present"] == 2).cloned()
    });
    assert_eq!((&report["network"], &report["wanted"]), (&json!("red"), &json!(2)));

    machine.cut(true);
    assert!(agent.stop().0.success());
    assert_eq!(machine.routes(), ROUTES, "routes stay when the agent ends");
    machine.lab.ip("route flush table 5066240");
    let agent = machine.agent();
    let other = Pod::new();
    machine.call(Command::Add, "b", &other).unwrap();
    assert_eq!(other.addresses("net1-0"), ["192.168.0.2/18"]);
    machine.call(Command::Del, "b", &other).unwrap();
    wait_for("routes from memory", || (machine.routes() == ROUTES).then_some(()));

    // What happened meanwhile is taken up when it is back.
    cluster.slice(
        "red-slice-1",
        "red",
        &[(1, "10.0.1.0/24", "192.168.64.0/18", &["n4 eth1 10.0.1.4 192.168.67.0/24"])],
    );
    machine.cut(false);
    let moved = [ROUTES[0], ROUTES[1], "192.168.67.0/24 via 10.0.1.4 dev m1"];
    wait_for("the other host", || (machine.routes() == moved).then_some(()));
    machine.call(Command::Del, "a", &pod).unwrap();
    wait_for("an empty mirror", || {
        let pool = cluster.get("ippool", "red-192.168.0.0-24")?;
        (pool["spec"]["allocations"] == json!([])).then_some(())
    });

    cluster.must(&["delete", "mnn", "red"], "");
    cluster.must(&["delete", "cidr", "red", "red-slice-1"], "");
    wait_for("the end of the routes", || machine.routes().is_empty().then_some(()));
    wait_for("the end of their report", || {
        let object = cluster.get("hostinterface", NODE)?;
        object["status"]["routes"].is_null().then_some(())
    });
    assert!(machine.call(Command::Add, "c", &pod).is_err(), "{}", agent.log());
}
