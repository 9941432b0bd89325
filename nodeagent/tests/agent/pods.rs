//! Who holds what, over the API: whom it is told, and what changes it. REQUIRES: root, veth, macvlan.

use crate::harness::pods::Pod;
use crate::harness::{self, Lab, http};
use serde_json::{Value, json};

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

#[test]
fn a_pod_is_attached_seen_and_detached_over_the_socket() {
    let lab = Lab::new();
    lab.with_network(2, 8);
    let agent = lab.agent();
    wait_for_masters(&agent, 2);
    let pod = Pod::new();
    let wish = json!({
        "network": "red", "containerId": "c1", "ifname": "net1", "netns": pod.netns(),
        "args": "K8S_POD_NAMESPACE=default;K8S_POD_NAME=trainer-0",
    });
    let before = agent.get("/v1/attachments");

    let made = agent.send("POST", "/v1/attachments", &wish);

    assert_eq!(made.status, 201, "{}", made.text());
    assert_eq!(made.header("location"), Some("/v1/attachments/red/c1/net1"));
    let shown = made.json();
    assert_eq!((&shown["phase"], &shown["tool"]), (&json!("attached"), &json!("multiNic")));
    assert_eq!(shown["pod"]["name"], "trainer-0");
    assert_eq!(pod.addresses("net1-0"), [shown["links"][0]["addresses"][0]["address"].as_str().unwrap()]);
    assert_eq!(pod.addresses("net1-1"), [shown["links"][1]["addresses"][0]["address"].as_str().unwrap()]);
    let steps: Vec<&str> =
        shown["timings"].as_array().unwrap().iter().map(|one| one["step"].as_str().unwrap()).collect();
    assert!(steps.contains(&"reserve") && steps.contains(&"wired"), "{steps:?}");

    // The same again is there already; another one under its key is refused.
    assert_eq!(agent.send("POST", "/v1/attachments", &wish).status, 200);
    let mut other = wish.clone();
    other["args"] = "MAC=02:00:00:00:00:07".into();
    let refused = agent.send("POST", "/v1/attachments", &other);
    assert_eq!((refused.status, refused.problem().as_str()), (422, "invalid-attachment"));

    // Seen, by every filter.
    assert_eq!(agent.get("/v1/attachments/red/c1/net1").json(), shown);
    let list = agent.get_with("/v1/attachments", &[("if-none-match", before.header("etag").unwrap())]);
    assert_eq!((list.status, &list.json()["attachments"][0]), (200, &shown));
    for (filter, count) in [
        ("network=red", 1),
        ("network=blue", 0),
        ("pod=trainer-0&namespace=default", 1),
        ("pod=trainer-1", 0),
        ("nic=m0", 1),
        ("nic=m7", 0),
        ("phase=attached", 1),
        ("phase=lost", 0),
    ] {
        let found = agent.get(&format!("/v1/attachments?{filter}")).json();
        assert_eq!(found["attachments"].as_array().unwrap().len(), count, "{filter}");
        assert_eq!(found["total"], 1, "{filter}");
    }
    assert_eq!(agent.get("/v1/networks/red").json()["attachments"], 1);
    let used = agent.get("/v1/addresses?network=red").json()["networks"][0].clone();
    assert_eq!((&used["totals"]["used"], used["blocks"].as_array().unwrap().len()), (&json!(2), 2));

    // Taken away, to the last link; the addresses rest.
    let gone = agent.send("DELETE", "/v1/attachments/red/c1/net1", &Value::Null);
    assert_eq!((gone.status, gone.body.len()), (204, 0));
    assert_eq!(pod.ip("link").as_array().unwrap().len(), 1);
    let rest = agent.get("/v1/addresses").json()["networks"][0]["totals"].clone();
    assert_eq!((&rest["used"], &rest["quarantined"]), (&json!(0), &json!(2)));
    let again = agent.send("DELETE", "/v1/attachments/red/c1/net1", &Value::Null);
    assert_eq!(again.problem(), "unknown-attachment");
}

#[test]
fn what_cannot_be_attached_is_refused_with_its_reason_and_leaves_nothing() {
    let lab = Lab::new();
    lab.with_network(1, 8);
    let agent = lab.agent();
    wait_for_masters(&agent, 1);
    let pod = Pod::new();
    let wish = |change: &dyn Fn(&mut Value)| {
        let mut wish =
            json!({ "network": "red", "containerId": "c1", "ifname": "net1", "netns": pod.netns() });
        change(&mut wish);
        let reply = agent.send("POST", "/v1/attachments", &wish);
        (reply.status, reply.problem(), reply.json())
    };
    let own = "/proc/self/ns/net";

    type Change<'a> = &'a dyn Fn(&mut Value);
    let cases: [(Change<'_>, u16, &str); 9] = [
        (&|wish| wish["network"] = "blue".into(), 404, "unknown-network"),
        (&|wish| wish["netns"] = "/nowhere".into(), 422, "invalid-attachment"),
        (&|wish| wish["netns"] = "/etc/hostname".into(), 422, "invalid-attachment"),
        (&|wish| wish["netns"] = own.into(), 422, "invalid-attachment"),
        (&|wish| wish["containerId"] = "../c1".into(), 422, "invalid-attachment"),
        (&|wish| wish["config"] = json!({ "name": "blue" }), 422, "invalid-body"),
        (&|wish| wish["surprise"] = 1.into(), 422, "invalid-body"),
        (
            &|wish| {
                wish["config"] = json!({ "plugin": { "type": "bridge" }, "ipam": { "type": "none" } });
            },
            422,
            "invalid-attachment",
        ),
        (
            &|wish| {
                wish["config"] = json!({ "plugin": { "type": "macvlan" }, "ipam": { "type": "dhcp" } });
            },
            422,
            "invalid-attachment",
        ),
    ];
    for (change, status, code) in cases {
        let (found, problem, body) = wish(change);
        assert_eq!((found, problem.as_str()), (status, code), "{body}");
        assert!(body["detail"].is_string(), "{body}");
    }

    assert_eq!(agent.get("/v1/attachments").json()["total"], 0);
    assert_eq!(pod.ip("link").as_array().unwrap().len(), 1);
}

#[test]
fn changes_over_tcp_are_refused_also_in_standalone_mode() {
    let lab = Lab::new();
    let agent = lab.agent();

    for (method, path) in [("POST", "/v1/attachments"), ("DELETE", "/v1/attachments/red/c1/net1")] {
        let reply = http::tcp_with(agent.tcp(), method, path, &[("host", "localhost")], "{}").unwrap();
        assert_eq!((reply.status, reply.problem().as_str()), (403, "socket-only"), "{method}");
    }
    let reply = agent.send("PUT", "/v1/attachments", &Value::Null);
    assert_eq!((reply.status, reply.problem().as_str()), (405, "method-not-allowed"));
    assert_eq!(reply.json()["allowed"], json!(["GET", "HEAD", "POST"]));
}

#[test]
fn attaches_failures_and_a_full_network_become_events_and_metrics() {
    let lab = Lab::new();
    // Four addresses, two of them the ends.
    lab.with_network(1, 2);
    let agent = lab.agent();
    wait_for_masters(&agent, 1);
    let pods: Vec<Pod> = (0..4).map(|_| Pod::new()).collect();
    let mut events =
        agent.events("?type=attachment.attached,attachment.detached,attachment.failed,addresses.full", &[]);
    let attach = |number: usize| {
        let netns = pods[number].netns();
        let id = format!("c{number}");
        let wish = json!({
            "network": "red", "containerId": id, "ifname": "net1", "netns": netns, "args": "K8S_POD_NAME=p",
        });
        agent.send("POST", "/v1/attachments", &wish)
    };

    let free = agent.get("/v1/addresses").json()["networks"][0]["totals"]["free"].as_u64().unwrap();
    let statuses: Vec<u16> = (0..4).map(|number| attach(number).status).collect();
    let full = attach(3);
    agent.send("DELETE", "/v1/attachments/red/c0/net1", &Value::Null);

    let free = usize::try_from(free).unwrap();
    let wanted: Vec<u16> = (0..4).map(|number| if number < free { 201 } else { 409 }).collect();
    assert!((1..4).contains(&free), "{free}");
    assert_eq!(statuses, wanted);
    assert_eq!((full.problem().as_str(), &full.json()["cniCode"]), ("nothing-left", &json!(101)));
    let failures = 4 - free + 1;
    // Each attach, the full network once, each failure, the detach.
    let seen: Vec<Value> = (0..free + 1 + failures + 1).map(|_| events.next()).collect();
    let count = |kind: &str| seen.iter().filter(|event| event["type"] == kind).count();
    assert_eq!(count("attachment.attached"), free);
    assert_eq!(count("attachment.failed"), failures);
    assert_eq!(count("addresses.full"), 1);
    assert_eq!(count("attachment.detached"), 1);
    assert_eq!(seen[0]["attachment"]["containerId"], "c0");
    assert_eq!(seen[0]["attachment"]["pod"]["name"], "p");
    let failed = seen.iter().find(|event| event["type"] == "attachment.failed").unwrap();
    assert_eq!(failed["failure"]["cniCode"], 101);
    let metrics = agent.get("/metrics").text();
    for line in [
        format!("multi_nic_attaches_total {free}"),
        "multi_nic_detaches_total 1".to_owned(),
        format!(r#"multi_nic_attach_failures_total{{reason="noAddress"}} {failures}"#),
        format!(r#"multi_nic_attach_step_duration_seconds_count{{step="wired"}} {free}"#),
        r#"multi_nic_call_duration_seconds_count{command="ADD"} 5"#.to_owned(),
        format!(r#"multi_nic_attachments{{network="red",phase="attached"}} {}"#, free - 1),
    ] {
        assert!(metrics.lines().any(|one| one == line), "{line} is not in\n{metrics}");
    }
    assert!(metrics.contains(r#"state="quarantined"} 1"#), "{metrics}");
}

#[test]
fn events_about_pods_are_kept_from_who_may_not_see_pods() {
    let lab = Lab::new();
    lab.with_network(1, 8);
    let agent = lab.agent_with(&["--reprobe-interval", "off", "--listen", "10.0.0.1:0"]);
    let address = agent.tcp();

    let asked =
        http::tcp(address, "GET", "/v1/events?type=attachment.attached", &[("host", "10.0.0.1")]).unwrap();

    assert_eq!((asked.status, asked.problem().as_str()), (403, "socket-only"));
}

#[test]
fn a_dry_run_says_which_nics_and_why_not_the_others() {
    let lab = Lab::new();
    lab.with_network(2, 8);
    let agent = lab.agent();
    wait_for_masters(&agent, 2);
    let plugin = json!({ "type": "macvlan", "mode": "bridge" });

    let one =
        agent.send("POST", "/v1/select", &json!({ "network": "red", "nics": 1, "plugin": plugin })).json();
    let none = agent.send("POST", "/v1/select", &json!({ "masters": ["m7"], "plugin": plugin })).json();
    let nets = agent.send("POST", "/v1/select", &json!({ "masterNets": ["10.0.1.0/24"] })).json();

    assert_eq!(one["chosen"][0]["master"], "m0");
    assert_eq!(one["chosen"].as_array().unwrap().len(), 1);
    let out = one["leftOut"].as_array().unwrap().iter().find(|nic| nic["name"] == "m1").unwrap();
    assert_eq!(out["rule"], "enoughChosen");
    assert_eq!(none["chosen"], json!([]));
    assert!(none["refused"].as_str().unwrap().contains("m7"), "{none}");
    assert_eq!(nets["chosen"][0]["master"], "m1");
    for (body, code) in [
        (json!({ "network": "blue" }), "unknown-network"),
        (json!({ "masterNets": ["ten"] }), "invalid-body"),
        (json!({ "plugin": { "type": "ipvlan", "mode": "l4" } }), "invalid-body"),
        (json!({ "nic": 1 }), "invalid-body"),
    ] {
        assert_eq!(agent.send("POST", "/v1/select", &body).problem(), code, "{body}");
    }
    assert_eq!(agent.get("/v1/attachments").json()["total"], 0);
}

#[test]
fn what_was_attached_is_there_after_a_restart() {
    let lab = Lab::new();
    lab.with_network(1, 8);
    let mut agent = lab.agent();
    wait_for_masters(&agent, 1);
    let pod = Pod::new();
    let wish = json!({ "network": "red", "containerId": "c1", "ifname": "net1", "netns": pod.netns() });
    let made = agent.send("POST", "/v1/attachments", &wish).json();
    agent.stop();

    let agent = lab.agent();

    assert_eq!(agent.get("/v1/attachments/red/c1/net1").json(), made);
}

fn wait_for_masters(agent: &harness::Agent, count: usize) {
    harness::wait_for("the network's masters", || {
        let network = agent.get("/v1/networks/red");
        let interfaces =
            if network.status == 200 { network.json()["interfaces"].clone() } else { Value::Null };
        (interfaces.as_array().map_or(0, Vec::len) == count).then_some(())
    });
}
