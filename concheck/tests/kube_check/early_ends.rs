//! A check that ends early tells what it knows and leaves nothing.

use std::io::{BufRead, BufReader};
use std::process::Child;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::cluster::{Check, Cluster};

/// Reads its progress until this is in a line.
fn until(child: &mut Child, what: &str) -> String {
    let mut lines = BufReader::with_capacity(1, child.stderr.as_mut().unwrap()).lines();
    lines
        .find_map(|line| line.ok().filter(|line| line.contains(what)))
        .unwrap_or_else(|| panic!("it never said {what}"))
}

fn signal(child: &Child, signal: Signal) {
    kill(Pid::from_raw(child.id().try_into().unwrap()), signal).unwrap();
}

#[test]
#[ignore = "needs an API server"]
fn an_interrupt_prints_what_is_known_and_takes_the_pods_away() {
    let cluster = Cluster::new(2);
    cluster.network("neta", false);
    let mut run = cluster.start(&["--seconds", "2"]);
    until(&mut run, "round 1 of 2: 2 connected");

    signal(&run, Signal::SIGINT);
    signal(&run, Signal::SIGTERM);

    let check = Check::of(run);
    assert_eq!(check.code, 1);
    assert!(check.results.contains("\nnode-1 node-2  2/2 "), "{}", check.results);
    assert!(
        check.results.contains("\nnode-2 node-1  0/2             [10.7.1.1 10.7.0.1] []\n"),
        "{}",
        check.results
    );
    assert!(check.progress.contains("not measured: "), "{}", check.progress);
    cluster.is_clean();
}

#[test]
#[ignore = "needs an API server"]
fn a_check_whose_time_is_over_prints_what_is_known() {
    let cluster = Cluster::new(2);
    cluster.network("neta", false);
    cluster.kubelet.breaks("node-2");

    let check = cluster.check(&["--timeout", "3", "--json"]);

    assert_eq!(check.code, 1);
    let report = check.json();
    assert!(report["ended"].as_str().unwrap().contains("--timeout"), "{report}");
    cluster.is_clean();
}

#[test]
#[ignore = "needs an API server"]
fn a_second_check_waits_for_nobody_alive_and_tidies_up_after_a_killed_one() {
    let cluster = Cluster::new(2);
    cluster.network("neta", false);
    let mut killed = cluster.start(&["--seconds", "200"]);
    until(&mut killed, "in 2 rounds");

    let refused = cluster.check(&[]);
    assert_eq!(refused.code, 2);
    assert!(refused.progress.contains("another check, "), "{}", refused.progress);
    assert_eq!(cluster.api.pods("multi-nic-concheck=server").len(), 2, "the other one's pods are there");
    signal(&killed, Signal::SIGKILL);
    killed.wait().unwrap();

    let check = cluster.check(&[]);

    assert_eq!(check.code, 0, "{}", check.progress);
    assert!(check.progress.contains("taking away 2 pods that an earlier check left"), "{}", check.progress);
    cluster.is_clean();
}

#[test]
#[ignore = "needs an API server"]
fn what_is_not_there_cannot_be_checked() {
    let cluster = Cluster::new(1);
    assert_eq!(cluster.check(&[]).code, 2);
    cluster.network("neta", false);

    let alone = cluster.check(&[]);
    let wrong = cluster.check(&["--network", "netb"]);
    let nowhere = cluster.check(&["--html", "/nonexistent/page.html"]);

    assert_eq!((alone.code, wrong.code, nowhere.code), (2, 2, 2));
    assert!(nowhere.progress.contains("--html /nonexistent/page.html: name a file"), "{}", nowhere.progress);
    assert!(alone.progress.contains("it has 1 host: a pair needs two"), "{}", alone.progress);
    assert!(wrong.progress.contains("there are: neta"), "{}", wrong.progress);
    cluster.is_clean();
}
