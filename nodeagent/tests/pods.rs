//! Who holds what, over the API: whom it is told, and what changes it. REQUIRES: root, veth, macvlan.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a test may fail by panicking, in its helpers too"
)]

mod harness;

use harness::{Lab, http};

#[test]
fn a_node_without_networks_and_pods_says_so() {
    let lab = Lab::new();
    let agent = lab.agent();

    assert_eq!(agent.get("/v1/networks").json(), serde_json::json!({ "networks": [] }));
    assert_eq!(agent.get("/v1/addresses").json(), serde_json::json!({ "networks": [] }));
    assert_eq!(agent.get("/v1/attachments").json(), serde_json::json!({ "total": 0, "attachments": [] }));
    assert_eq!(agent.get("/v1/networks/red").problem(), "unknown-network");
    assert_eq!(agent.get("/v1/addresses?network=red").problem(), "unknown-network");
    assert_eq!(agent.get("/v1/attachments/red/c1/net1").problem(), "unknown-attachment");
    assert_eq!(agent.get("/v1/attachments?phase=atached").problem(), "invalid-value");
    assert_eq!(agent.get("/v1/attachments?pot=x").problem(), "unknown-parameter");
}

#[test]
fn who_holds_what_is_told_on_loopback_and_not_on_other_addresses() {
    let lab = Lab::new();
    lab.ip("link add one type veth peer name two");
    lab.ip("link set one up");
    lab.ip("addr add 192.0.2.1/24 dev one");
    let agent = lab.agent_with(&["--reprobe-interval", "off", "--listen", "192.0.2.1:0"]);
    let address = agent.tcp();

    let reply = http::tcp(address, "GET", "/v1/attachments", &[("host", &address.to_string())]).unwrap();
    let open = http::tcp(address, "GET", "/v1/nics", &[("host", &address.to_string())]).unwrap();

    assert_eq!((reply.status, reply.problem().as_str()), (403, "socket-only"));
    assert_eq!(open.status, 200);
}

#[test]
fn unchanged_lists_are_not_sent_again() {
    let lab = Lab::new();
    let agent = lab.agent();
    let first = agent.get("/v1/attachments");

    let second = agent.get_with("/v1/attachments", &[("if-none-match", first.header("etag").unwrap())]);

    assert_eq!((second.status, second.body.len()), (304, 0));
}
