//! `/v1/pools` and the events `pool.*`.

use std::os::unix::net::UnixListener;

use serde_json::{Value, json};

use crate::harness::events::Events;
use crate::harness::{Agent, http, wait_for};
use crate::{RESOURCE, SOCKET, machine};

const TYPES: &str = "?type=pool.changed,pool.registered,pool.refused";

/// The only pool.
fn pool(agent: &Agent) -> Value {
    let list = agent.get("/v1/pools").json();
    assert_eq!((&list["enabled"], list["pools"].as_array().map(Vec::len)), (&json!(true), Some(1)), "{list}");
    list["pools"][0].clone()
}

/// Reads on until an event of the pool tells that this member went to this value.
fn told(events: &mut Events, kind: &str, path: &str, to: &Value) -> Value {
    loop {
        let event = events.next();
        assert_eq!((&event["pool"], &event["cause"]), (&json!(RESOURCE), &json!("agent")), "{event}");
        let mut changes = event["changes"].as_array().into_iter().flatten();
        if event["type"] == kind && changes.any(|change| change["path"] == path && change["to"] == *to) {
            return event;
        }
    }
}

#[test]
fn a_pool_is_shown_as_it_is_from_the_first_list_to_the_kubelets_end() {
    let (lab, mut kubelet) = machine();
    kubelet.pods(&[["web", RESOURCE, "virtual-m0#0"]]);
    let agent = lab.agent();
    let mut events = agent.events(TYPES, &[]);
    let early = pool(&agent);
    assert_eq!((&early["state"], &early["counts"]), (&json!("waiting"), &Value::Null), "{early}");
    assert_eq!(early["selector"], "NICs that pods may have with name m0 or m1");

    kubelet.start();
    told(&mut events, "pool.changed", "/counts/total", &json!(4));
    let list = kubelet.registered();
    told(&mut events, "pool.registered", "/state", &json!("registered"));

    let now = pool(&agent);
    assert_eq!(
        (&now["resource"], &now["kind"], &now["shares"], &now["use"]),
        (&json!(RESOURCE), &json!("nic"), &json!(2), &json!("netdevice"))
    );
    assert_eq!(now["counts"], json!({"total": 4, "healthy": 4, "held": 1, "free": 3}));
    assert!(now["since"].as_str() > early["since"].as_str() && now["lastError"].is_null(), "{now}");
    let first = &now["devices"][0];
    assert_eq!(
        (&first["id"], &first["port"], &first["held"], &first["holders"]),
        (
            &json!("virtual-m0#0"),
            &json!("virtual-m0"),
            &json!(true),
            &json!([format!("pod default/web (resource {RESOURCE})")])
        )
    );

    lab.ip("link set w1 down");
    told(&mut events, "pool.changed", "/counts/healthy", &json!(2));
    let now = pool(&agent);
    assert_eq!(now["counts"], json!({"total": 4, "healthy": 2, "held": 1, "free": 1}));
    assert_eq!(now["devices"][2]["trouble"], "m1 has no carrier: check its cable and the switch");

    drop(list);
    kubelet.stop();
    told(&mut events, "pool.changed", "/state", &json!("waiting"));
    told(&mut events, "pool.refused", "/state", &json!("failed"));
    assert_eq!(pool(&agent)["state"], "failed");
}

#[test]
fn why_a_pool_was_refused_is_told_and_stays_to_be_seen() {
    let (lab, mut kubelet) = machine();
    kubelet.refuse(true);
    kubelet.start();
    let agent = lab.agent();
    let failed = wait_for("the refusal", || Some(pool(&agent)).filter(|pool| pool["state"] == "failed"));
    let mut events = agent.events(TYPES, &[]);

    kubelet.refuse(false);
    while !kubelet.plugins().join(SOCKET).exists() {
        kubelet.registration();
    }
    let _list = kubelet.watch(SOCKET);

    told(&mut events, "pool.registered", "/state", &json!("registered"));
    let now = pool(&agent);
    assert!(failed["lastError"]["message"].as_str().unwrap().contains("not today"), "{failed}");
    assert_eq!((&now["state"], &now["lastError"]), (&json!("registered"), &failed["lastError"]));
}

#[test]
fn a_resource_of_another_plugin_is_shown_as_taken() {
    let (lab, mut kubelet) = machine();
    kubelet.start();
    let rival = UnixListener::bind(kubelet.plugins().join(SOCKET)).unwrap();
    let agent = lab.agent();

    let taken = wait_for("the rival", || Some(pool(&agent)).filter(|pool| pool["state"] == "taken"));

    let why = taken["lastError"]["message"].as_str().unwrap();
    assert!(why.contains("listens on") && why.contains(SOCKET), "{taken}");
    let mut events = agent.events(TYPES, &[]);
    drop(rival);
    let _list = kubelet.registered();
    told(&mut events, "pool.registered", "/state", &json!("registered"));
}

#[test]
fn who_may_not_see_pods_sees_the_pool_but_nobodys_name() {
    let (lab, mut kubelet) = machine();
    kubelet.pods(&[["web", RESOURCE, "virtual-m0#0"], ["other", "example.com/nics", "virtual-m1#0"]]);
    kubelet.start();
    lab.ip("address add 192.0.2.7/24 dev w0");
    let agent = lab.agent_with(&["--reprobe-interval", "off", "--listen", "192.0.2.7:0"]);
    let _list = kubelet.registered();
    let whole = wait_for("the holders", || {
        Some(agent.get("/v1/pools")).filter(|whole| whole.json()["pools"][0]["counts"]["held"] == 1)
    });
    assert!(whole.text().contains("default/web") && whole.text().contains("pod other"), "{}", whole.text());

    let host = agent.tcp().to_string();
    let ask = |headers: &[(&str, &str)]| http::tcp(agent.tcp(), "GET", "/v1/pools", headers).unwrap();
    let seen = ask(&[("host", &host)]);

    let pool = &seen.json()["pools"][0];
    assert_eq!(pool["counts"], whole.json()["pools"][0]["counts"]);
    assert_eq!((&pool["devices"][0]["held"], &pool["devices"][0]["holders"]), (&json!(true), &Value::Null));
    assert_eq!(pool["devices"][2]["trouble"], "somebody else has it");
    assert!(!seen.text().contains("web") && !seen.text().contains("pod other"), "{}", seen.text());
    let etag = seen.header("etag").unwrap();
    assert_eq!(ask(&[("host", &host), ("if-none-match", etag)]).status, 304);
    assert_eq!(agent.get_with("/v1/pools", &[("if-none-match", etag)]).status, 200, "it shows more");
    assert_eq!(agent.get("/v1/pools?pool=x").problem(), "unknown-parameter");
}

#[test]
fn an_agent_that_offers_nothing_has_no_pools() {
    let lab = crate::harness::Lab::new();
    let agent = lab.agent();

    assert_eq!(agent.get("/v1/pools").json(), json!({"enabled": false, "pools": []}));
}
