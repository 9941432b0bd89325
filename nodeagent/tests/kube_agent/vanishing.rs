//! A definition that vanishes is no network that was deleted (TRAPS O4).

use std::time::Duration;

use cni::Command;

use crate::cluster::Cluster;
use crate::harness::pods::Pod;
use crate::harness::wait_for;
use crate::node::Machine;
use crate::serving::{ROUTES, blocks};

#[test]
#[ignore = "needs an API server"]
fn networks_and_routes_outlive_their_definitions() {
    let cluster = Cluster::new();
    let machine = Machine::new(&cluster);
    cluster.network("red");
    blocks(&cluster);
    let agent = machine.agent();
    wait_for("routes", || (machine.routes() == ROUTES).then_some(()));

    cluster.must(&["delete", "crd", "multinicnetworks.multinic.fms.io", "cidrs.multinic.fms.io"], "");
    std::thread::sleep(Duration::from_secs(15));

    assert_eq!(machine.routes(), ROUTES, "{}", agent.log());
    let pod = Pod::new();
    machine.call(Command::Add, "a", &pod).unwrap();
    assert_eq!(pod.addresses("net1-0"), ["192.168.0.1/18"]);
    machine.call(Command::Del, "a", &pod).unwrap();

    // The definitions are back, and the network really is not wanted any more.
    cluster.install();
    wait_for("the end of the routes", || machine.routes().is_empty().then_some(()));
}
