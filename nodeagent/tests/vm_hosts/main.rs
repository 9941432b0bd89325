//! In the lab VM: six hosts of a cluster reach one another NIC to NIC (lab cluster B).
//!
//! Hosts are network namespaces with a real agent each; the operator and the API server are real, and pods are attached by
//! the real executable, called as Multus calls it. `ip` is the witness of routes, and counters of the wires of where
//! packets went. One test: what it costs to set up is paid once.
//! REQUIRES: root, KUBECONFIG, kubectl, busybox.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stderr,
    reason = "a test may fail by panicking, in its helpers too"
)]

mod cluster;
#[path = "../harness/mod.rs"]
mod harness;
#[path = "../../../lab/kubectl.rs"]
mod kubectl;
mod node;
mod pod;
mod trouble;
mod world;

use std::time::{Duration, Instant};

use world::World;

/// How long something may take, in a machine with an emulated CPU that others use, too.
const PATIENCE: Duration = Duration::from_secs(180);

/// Waits until `look` finds something. Each look costs: it is seldom.
fn wait_for<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let end = Instant::now() + PATIENCE;
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(Instant::now() < end, "waited {} s for {what}", PATIENCE.as_secs());
        std::thread::sleep(Duration::from_millis(300));
    }
}

/// Networks whose pods are routed by their hosts: IPv4, IPv6, both, and pods in the hosts' own networks.
const ROUTED: [&str; 4] = ["four", "six", "dual", "bare"];

#[test]
#[ignore = "needs the lab VM"]
fn six_hosts_reach_one_another_over_each_nic() {
    let begun = Instant::now();
    let stage = |name: &str| eprintln!("[{:3} s] {name}", begun.elapsed().as_secs());
    stage("six hosts");
    let mut world = World::new();
    stage("networks");
    world.make(&ROUTED);
    world.routes_are_as_wanted();
    stage("pods");
    world.pods(&ROUTED);
    stage("each pod reaches each other one");
    world.reach(&ROUTED);
    world.hosts_reach();
    for node in &world.nodes {
        assert_eq!(node.settings(), ["0\n", "0\n", "1\n"], "{} forwards nothing", node.name);
    }

    stage("NICs flap");
    trouble::nics_flap(&world);
    stage("an agent is killed");
    trouble::an_agent_is_killed(&mut world);
    stage("the API server is away");
    trouble::the_api_server_is_away(&mut world);
    stage("a network is deleted and made again");
    trouble::a_network_is_deleted_and_made_again(&mut world);
    stage("a host leaves and comes again");
    trouble::a_host_leaves_and_comes_again(&mut world);

    stage("pods on one ethernet, without routes");
    world.end_pods();
    world.make(&["flat"]);
    world.pods(&["flat"]);
    world.reach(&["flat"]);
    assert!(world.nodes.iter().all(|node| !node.rules().contains("flat")));
    stage("everything is deleted");
    world.end_pods();
    world.delete_all();
    stage("ended");
}
