//! The old daemon's routes (CONTRACTS §6) as an old executable sees them. REQUIRES: root, veth.

use crate::harness::{self, Agent, Lab, http};
use serde_json::{Value, json};

const FLAGS: [&str; 5] = ["--reprobe-interval", "off", "--listen", "127.0.0.1:0", "--legacy-api"];

fn agent_with_masters(lab: &Lab, masters: u32, host_bits: u32) -> Agent {
    lab.with_network(masters, host_bits);
    let agent = lab.agent_with(&FLAGS);
    harness::wait_for("the network's masters", || {
        let interfaces = agent.get("/v1/networks/red").json()["interfaces"].clone();
        (interfaces.as_array().map_or(0, Vec::len) == masters as usize).then_some(())
    });
    agent
}

/// What an old executable sends: over TCP, with this body.
fn ask(agent: &Agent, path: &str, body: &Value) -> Value {
    let reply = post(agent, path, &body.to_string());
    assert_eq!((reply.status, reply.header("content-type")), (200, Some("application/json")), "{path}");
    reply.json()
}

fn post(agent: &Agent, path: &str, body: &str) -> http::Reply {
    http::tcp_with(agent.tcp(), "POST", path, &[("host", "localhost")], body).unwrap()
}

fn wish(pod: &str, masters: &[&str]) -> Value {
    json!({ "pod": pod, "namespace": "default", "host": "", "def": "red", "masters": masters })
}

#[test]
fn they_are_not_there_unless_asked_for() {
    let lab = Lab::new();
    let agent = lab.agent();

    let reply = post(&agent, "/allocate", "{}");

    assert_eq!((reply.status, reply.problem().as_str()), (404, "unknown-path"));
}

#[test]
fn addresses_are_given_on_each_master_and_taken_back() {
    let lab = Lab::new();
    let agent = agent_with_masters(&lab, 2, 8);

    let first = ask(&agent, "/allocate", &wish("p1", &["m0", "m1", "m7"]));
    let again = ask(&agent, "/allocate", &wish("p1", &["m0", "m1"]));
    let second = ask(&agent, "/allocate", &wish("p2", &["m0"]));

    assert_eq!(
        first,
        json!([
            { "interface": "m0", "ip": "192.168.0.1", "block": "18" },
            { "interface": "m1", "ip": "192.168.64.1", "block": "18" },
        ])
    );
    assert_eq!(again, first, "the same pod has the same addresses");
    assert_eq!(second, json!([{ "interface": "m0", "ip": "192.168.0.2", "block": "18" }]));
    let held = agent.get("/v1/attachments?pod=p1").json()["attachments"][0].clone();
    assert_eq!((&held["tool"], &held["containerId"]), (&json!("legacy"), &json!("legacy-default_p1")));
    let freed = ask(&agent, "/deallocate", &wish("p1", &[]));
    assert_eq!(freed, first);
    assert_eq!(ask(&agent, "/deallocate", &wish("p1", &[])), Value::Null);
    // CONTRACTS §5.8: a pod that is tried again gets other addresses on every interface.
    let other = ask(&agent, "/allocate", &wish("p1", &["m0", "m1"]));
    for (one, two) in first.as_array().unwrap().iter().zip(other.as_array().unwrap()) {
        assert_eq!(one["interface"], two["interface"]);
        assert_ne!(one["ip"], two["ip"]);
    }
}

#[test]
fn what_was_given_outlives_a_restart() {
    let lab = Lab::new();
    let mut agent = agent_with_masters(&lab, 1, 8);
    let first = ask(&agent, "/allocate", &wish("p1", &["m0"]));
    agent.stop();

    let agent = lab.agent_with(&FLAGS);

    assert_eq!(ask(&agent, "/allocate", &wish("p1", &["m0"])), first);
    assert_ne!(ask(&agent, "/allocate", &wish("p2", &["m0"])), first);
}

#[test]
fn a_full_block_a_strange_host_and_nonsense_give_nothing() {
    let lab = Lab::new();
    let agent = agent_with_masters(&lab, 1, 2);
    let mut given = 0;
    while ask(&agent, "/allocate", &wish(&format!("p{given}"), &["m0"])) != Value::Null {
        given += 1;
        assert!(given < 5, "a block of four addresses");
    }

    assert!(given > 0);
    let mut strange = wish("p0", &["m0"]);
    strange["host"] = "no-such-host-anywhere".into();
    assert_eq!(ask(&agent, "/allocate", &strange), Value::Null);
    assert_eq!(
        ask(&agent, "/allocate", &json!({ "pod": "../x", "namespace": "default", "def": "red" })),
        Value::Null
    );
    assert_eq!(post(&agent, "/allocate", "nonsense").json(), Value::Null);
    assert_eq!(post(&agent, "/select", "nonsense").json(), json!({ "deviceIDs": null, "masters": null }));
}

#[test]
fn nics_are_selected_and_listed_in_the_old_form() {
    let lab = Lab::new();
    let agent = agent_with_masters(&lab, 2, 8);
    let select = |args: Value, nets: Value| {
        ask(
            &agent,
            "/select",
            &json!({ "pod": "p1", "namespace": "default", "host": "", "def": "red", "masterNets": nets, "args": args }),
        )
    };

    assert_eq!(select(json!({}), json!([])), json!({ "deviceIDs": [], "masters": ["m0", "m1"] }));
    assert_eq!(select(json!({ "nics": 1 }), Value::Null)["masters"], json!(["m0"]));
    assert_eq!(select(json!({ "masters": ["m1", "m7"] }), json!([]))["masters"], json!(["m1"]));
    // The old daemon took a name that nobody has for "all NICs".
    assert_eq!(select(json!({ "masters": ["m7"] }), json!([]))["masters"], json!([]));
    assert_eq!(select(json!({}), json!(["10.0.1.0/24"]))["masters"], json!(["m1"]));
    let list = ask(&agent, "/interface", &json!({}));
    let m0 = json!({ "interfaceName": "m0", "netAddress": "10.0.0.0/24", "hostIP": "10.0.0.1", "vendor": "", "product": "", "pciAddress": "" });
    assert!(list.as_array().unwrap().contains(&m0), "{list}");
}

#[test]
fn routes_are_refused_in_the_old_form_and_hellos_are_answered() {
    let lab = Lab::new();
    let agent = agent_with_masters(&lab, 1, 8);

    for path in ["/addl3", "/deletel3", "/addroute", "/deleteroute"] {
        let said = ask(&agent, path, &json!({ "name": "red", "subnet": "192.168.0.0/16", "routes": [] }));
        assert_eq!(said["success"], false, "{path}");
        assert!(said["msg"].as_str().unwrap().ends_with(';'), "{said}");
    }
    assert_eq!(ask(&agent, "/join", &json!({ "hifs": [] })), "");
    assert_eq!(ask(&agent, "/greet", &json!("203.0.113.9")), "");
    let moved = post(&agent, "/select/", "{}");
    assert_eq!((moved.status, moved.header("location")), (301, Some("/select")));
    let wrong = http::tcp(agent.tcp(), "GET", "/allocate", &[("host", "localhost")]).unwrap();
    assert_eq!(wrong.status, 405);
}

#[test]
fn browsers_and_other_hosts_are_refused() {
    let lab = Lab::new();
    lab.with_network(1, 8);
    let mut flags = FLAGS;
    flags[3] = "10.0.0.1:0";
    let elsewhere = lab.agent_with(&flags);

    let reply = http::tcp_with(elsewhere.tcp(), "POST", "/select", &[("host", "10.0.0.1")], "{}").unwrap();

    assert_eq!((reply.status, reply.problem().as_str()), (403, "socket-only"));
    drop(elsewhere);
    let agent = lab.agent_with(&FLAGS);
    for (name, value) in [("origin", "http://evil.example"), ("sec-fetch-site", "cross-site")] {
        let headers = [("host", "localhost"), (name, value)];
        let reply = http::tcp_with(agent.tcp(), "POST", "/deallocate", &headers, "{}").unwrap();
        assert_eq!((reply.status, reply.problem().as_str()), (403, "forbidden-origin"), "{name}");
    }
}
