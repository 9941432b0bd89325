//! What a check finds, and how it tells.

use serde_json::Value;

use crate::cluster::{Cluster, manifest};
use crate::wiring::wait_for;

#[test]
#[ignore = "needs an API server"]
fn one_create_checks_both_families_and_leaves_nothing() {
    let cluster = Cluster::new(2);
    cluster.kubelet.dual();
    cluster.network("neta", true);

    cluster.api.must(&["create", "-f", "-", "--save-config=false"], &job(&["--seconds=1", "--streams=1"]));

    let state = "jsonpath={.status.succeeded}{.status.failed}";
    wait_for("the Job's end", || {
        let said = cluster.api.must(&["get", "job", "multi-nic-concheck", "-o", state], "");
        (!said.is_empty()).then_some(())
    });
    let log = cluster.kubelet.log();
    println!("{log}");
    let lines: Vec<&str> = log.lines().collect();
    assert_eq!(lines[1], "## Connection Check: neta");
    assert!(lines[3].starts_with("FROM   TO      CONNECTED/TOTAL IPs"), "{log}");
    // In the order of the interfaces that the pod has: net1-0 is on the second wire here.
    assert!(
        lines[4].starts_with("node-1 node-2  4/4             [10.7.1.2 fd07:1::2 10.7.0.2 fd07::2] [ "),
        "{log}"
    );
    assert!(
        lines[5].starts_with("node-2 node-1  4/4             [10.7.1.1 fd07:1::1 10.7.0.1 fd07::1] [ "),
        "{log}"
    );
    assert_eq!(lines[4].matches("bits/sec").count(), 4, "{log}");
    assert_eq!(
        cluster.api.must(&["get", "job", "multi-nic-concheck", "-o", "jsonpath={.status.succeeded}"], ""),
        "1"
    );
    cluster.is_clean();
}

/// The Job alone: the account and its rights are there.
fn job(arguments: &[&str]) -> String {
    manifest(arguments).split("\n---\n").find(|part| part.contains("kind: Job")).unwrap().to_owned()
}

#[test]
#[ignore = "needs an API server"]
fn what_is_wrong_is_told_for_each_pair_in_every_form() {
    let cluster = Cluster::new(3);
    cluster.network("neta", false);
    cluster.api.apply(&serde_json::json!({
        "apiVersion": "multinic.fms.io/v1", "kind": "MultiNicNetwork", "metadata": {"name": "bare"},
        "spec": {"subnet": "", "ipam": "{}", "plugin": {"cniVersion": "1.0.0", "type": "macvlan"}},
    }));
    cluster.kubelet.breaks("node-3");
    cluster.lab.hosts[1].rules(
        "add table inet t; add chain inet t in { type filter hook input priority 0; }; \
         add rule inet t in iifname net1 ct state new drop",
    );
    let folder = tempfile::tempdir().unwrap();
    let page = folder.path().join("matrix.html");

    let check = cluster.check(&["--json", "--html", page.to_str().unwrap(), "--pod-timeout", "3"]);

    assert_eq!(check.code, 1, "{}", check.progress);
    let report = check.json();
    let networks = report["networks"].as_array().unwrap();
    assert!(networks[0]["notCheckable"].as_str().unwrap().contains("no addresses"), "{report}");
    let pairs = networks[1]["pairs"].as_array().unwrap();
    assert_eq!(pairs.len(), 6);
    let address = |from: &str, to: &str, rail: &str| -> &Value {
        let pair = pairs.iter().find(|pair| pair["from"] == from && pair["to"] == to).unwrap();
        let addresses = pair["addresses"].as_array().unwrap();
        assert_eq!(addresses.len(), 2, "{pair}");
        addresses.iter().find(|address| address["rail"] == rail).unwrap()
    };
    assert_eq!(address("node-1", "node-2", "10.0.0.0/24")["connected"], true);
    assert_eq!(address("node-2", "node-1", "10.0.1.0/24")["connected"], true);
    let blocked = address("node-1", "node-2", "10.0.1.0/24");
    assert_eq!(blocked["reason"], "timedOut");
    assert!(
        blocked["sentence"].as_str().unwrap().ends_with("nothing of node-1 arrives at node-2"),
        "{blocked}"
    );
    for (from, to) in [("node-1", "node-3"), ("node-3", "node-1")] {
        let missing = address(from, to, "10.0.0.0/24");
        let sentence = missing["sentence"].as_str().unwrap();
        assert_eq!(missing["reason"], "noPod");
        for part in [
            "no pod on node-3",
            "ErrImagePull: no such host",
            "FailedCreatePodSandBox: plugin multi-nic: no NIC fits",
        ] {
            assert!(sentence.contains(part), "{sentence}");
        }
    }
    assert!(check.progress.contains("nothing of node-1 arrives at node-2"), "{}", check.progress);
    assert!(check.progress.contains("cannot reach its own pods through the same NIC"), "{}", check.progress);
    assert!(check.progress.contains("round 1 of 2: "), "{}", check.progress);
    let page = std::fs::read_to_string(page).unwrap();
    assert!(page.contains("nothing of node-1 arrives at node-2") && page.contains("Not checked: "), "{page}");
    cluster.is_clean();
}
