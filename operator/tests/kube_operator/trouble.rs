//! An API server that goes away, and kinds that do.

use std::process::{Command, Stdio};
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::cluster::Cluster;

#[test]
#[ignore = "needs an API server"]
fn an_api_server_that_hangs_and_comes_back_finds_the_operator_as_it_was() {
    let cluster = Cluster::new();
    for host in 1..=4 {
        cluster.host(&format!("h{host}"), host, 2);
    }
    let operator = cluster.operator("a");
    cluster.network("before", &["default"]);
    cluster.until("it is there", || cluster.config("before", "default"));
    let server = Pid::from_raw(cluster.pid("kube-apiserver"));

    // Changes are under way when it stops, and more come as soon as it is back.
    let mut load = Command::new("bash")
        .args(["-c", "for i in $(seq 40); do kubectl create namespace load-$i; kubectl label namespace load-$i test=operator; done"])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    cluster.network("everywhere", &[]);
    std::thread::sleep(Duration::from_millis(300));
    kill(server, Signal::SIGSTOP).unwrap();
    std::thread::sleep(Duration::from_secs(20));
    kill(server, Signal::SIGCONT).unwrap();
    load.wait().unwrap();

    // The Lease has run out meanwhile: whoever led ends, its Deployment starts it anew.
    drop(operator);
    let _operator = cluster.operator("b");
    cluster.until("the last namespace has its definition", || cluster.config("everywhere", "load-40"));
    cluster.until_reason("everywhere", "NetworkAttachmentsReady", "AsWanted");
}

#[test]
#[ignore = "needs an API server"]
fn a_kind_that_vanishes_is_no_network_that_is_deleted() {
    let cluster = Cluster::new();
    cluster.host("h1", 1, 1);
    let _operator = cluster.operator("a");
    cluster.network("net", &["default"]);
    cluster.until("it is there", || cluster.get("cidr", "net", ""));

    cluster.must(&["delete", "crd", "multinicnetworks.multinic.fms.io", "--timeout=60s"], "");
    std::thread::sleep(Duration::from_secs(5));

    assert!(cluster.get("cidr", "net", "").is_some(), "its blocks are gone (TRAPS O4)");
    cluster.install();
    cluster.network("net", &["default"]);
    cluster.until_reason("net", "AddressesAssigned", "AsWanted");
}
