//! Nothing is written when nothing has changed (TRAPS O6), by the server's own log.

use std::time::Duration;

use serde_json::json;

use crate::cluster::{Cluster, Request};

#[test]
#[ignore = "needs an API server"]
fn a_second_operator_over_an_unchanged_cluster_writes_nothing_though_somebody_touches_labels() {
    let cluster = Cluster::new();
    for host in 1..=3 {
        cluster.host(&format!("h{host}"), host, 2);
    }
    cluster.namespace("red");
    let first = cluster.operator("first");
    for name in ["one", "two"] {
        cluster.network(name, &[]);
    }
    cluster.apply(&{
        let mut other = crate::cluster::sample("others", &[]);
        other["spec"]["subnet"] = json!("172.30.0.0/16");
        other["spec"]["ipam"] = json!(r#"{"type": "whereabouts", "range": "172.30.0.0/16"}"#);
        other["spec"]["multiNICIPAM"] = json!(false);
        other
    });
    cluster.until_reason("one", "Ready", "WaitingForAgents");
    // The younger of two with one subnet: a state that stays.
    cluster.until_reason("two", "AddressesAssigned", "SubnetOverlapsNetwork");
    cluster.until_reason("others", "Ready", "AsWanted");
    std::thread::sleep(Duration::from_secs(2));
    first.stop();
    let before = cluster.asked().len();

    let _second = cluster.operator("second");
    for round in 0..5 {
        for (kind, name, namespace) in [
            ("mnn", "one", "default"),
            ("cidr", "one", "default"),
            ("net-attach-def", "one", "red"),
            ("hostinterface", "h1", "default"),
            ("node", "h1", "default"),
            ("namespace", "red", "default"),
        ] {
            cluster.must(
                &["label", kind, name, "-n", namespace, "--overwrite", &format!("touched={round}")],
                "",
            );
        }
        std::thread::sleep(Duration::from_millis(500));
    }
    std::thread::sleep(Duration::from_secs(2));

    let asked: Vec<Request> = cluster.asked().split_off(before);
    assert!(
        asked.iter().any(|one| one.resource == "leases" && one.verb == "update"),
        "it never led: {asked:?}"
    );
    let writes: Vec<&Request> = asked.iter().filter(|one| one.is_write()).collect();
    assert!(writes.is_empty(), "{writes:#?}");
}
