//! The executable as the last plugin of the cluster network's list: pods that ask for nothing need no agent (TRAPS C1).
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "test code outside of test functions"
)]

mod harness;

use std::time::Duration;

use cni::protocol::Answer;
use harness::{Ended, Host, run, taken};
use serde_json::{Value, json};

const CAPABILITY: &str = "io.kubernetes.cri.pod-annotations";

fn before() -> Value {
    json!({"cniVersion": "0.4.0", "interfaces": [{"name": "eth0", "sandbox": "/run/netns/x"}],
        "ips": [{"version": "4", "address": "10.99.0.2/24", "interface": 0}], "dns": {}})
}

fn entry(runtime: &Value) -> Value {
    json!({"cniVersion": "0.4.0", "name": "lab", "type": "multi-nic", "fromAnnotations": true,
        "prevResult": before(), "runtimeConfig": runtime})
}

fn call(host: &Host, command: &str, config: &Value) -> Ended {
    run(host.call(command), &config.to_string())
}

#[test]
fn a_pod_that_asks_for_nothing_starts_and_stops_at_once_without_an_agent() {
    let host = Host::new();
    for annotations in [json!(null), json!({}), json!({"k8s.v1.cni.cncf.io/networks": ""})] {
        let config = entry(&json!({CAPABILITY: annotations}));
        let added = call(&host, "ADD", &config);
        assert_eq!(added.json(), before());
        for command in ["CHECK", "DEL"] {
            let ended = call(&host, command, &config);
            assert_eq!((ended.status, ended.stdout.as_str()), (0, ""), "{command}");
            assert!(ended.time < Duration::from_secs(1), "nobody is waited for: {ended:?}");
        }
    }
    assert!(host.notes().is_empty(), "nothing is owed for such a pod");
}

#[test]
fn a_node_stays_ready_whatever_the_agent_does() {
    let ended = call(&Host::new(), "STATUS", &{
        let mut config = entry(&json!({}));
        config["cniVersion"] = "1.1.0".into();
        config
    });
    assert_eq!((ended.status, ended.stdout.as_str()), (0, ""));
}

#[test]
fn a_pod_that_asks_waits_for_the_agent_and_its_del_leaves_a_note() {
    let host = Host::new();
    let asks = entry(&json!({CAPABILITY: {"k8s.v1.cni.cncf.io/networks": "red"}}));
    assert_eq!(call(&host, "ADD", &asks).code(), 11);
    // The runtime does not say what the pod asks for: only the agent can find out.
    assert_eq!(call(&host, "ADD", &entry(&json!({}))).code(), 11);
    assert_eq!(call(&host, "DEL", &asks).status, 0);
    let notes = host.notes();
    assert_eq!((notes.len(), notes[0].network.as_str()), (1, "lab"));
}

#[test]
fn the_agent_gets_the_whole_entry_and_its_answer_is_printed() {
    let host = Host::new();
    let config = entry(&json!({CAPABILITY: {"k8s.v1.cni.cncf.io/networks": "red"}}));
    let agent = host.agent(|connection| {
        let call = taken(&connection).0;
        connection
            .send(&Answer::Done { output: Some("{\"done\":1}".to_owned()), debts: vec![] }, None)
            .unwrap();
        call
    });
    assert_eq!(call(&host, "ADD", &config).stdout, "{\"done\":1}\n");
    assert_eq!(agent.join().unwrap().config, config.to_string());
}

#[test]
fn an_entry_that_comes_first_is_told_so() {
    let mut config = entry(&json!({CAPABILITY: null}));
    config.as_object_mut().unwrap().remove("prevResult");
    let ended = call(&Host::new(), "ADD", &config);
    assert_eq!((ended.code(), ended.message().as_str()), (7, "prevResult: is missing"));
}
