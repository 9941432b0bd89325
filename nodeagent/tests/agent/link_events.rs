//! Changes of the kernel's links reach `/v1/events` and `/v1/nics` through notifications alone: the re-probe is off.
//! Order and cause are asserted, never times. REQUIRES: root, veth.

use crate::harness::Lab;
use serde_json::json;

#[test]
fn link_that_comes_and_goes_is_told_and_shown() {
    let lab = Lab::new();
    let agent = lab.agent();
    let mut events = agent.events("", &[]);

    lab.ip("link add name one type veth peer name two");
    events.wait_for_type("nic.added", "virtual-one");
    assert_eq!(agent.nic("one").unwrap()["kind"], "veth");

    lab.ip("link del one");
    events.wait_for_type("nic.removed", "virtual-one");
    assert!(agent.nic("one").is_none() && agent.nic("two").is_none());
}

#[test]
fn each_kind_of_change_is_told_with_its_member() {
    let lab = Lab::new();
    lab.ip("link add name one type veth peer name two");
    let agent = lab.agent();
    let mut events = agent.events("", &[]);
    assert_eq!(agent.nic("one").unwrap()["link"]["adminUp"], false);

    lab.ip("link set one up");
    events.wait_for_change("virtual-one", "/link/adminUp", &json!(true));
    lab.ip("link set two up");
    events.wait_for_change("virtual-one", "/link/operState", &json!("up"));
    lab.ip("link set one mtu 1400");
    events.wait_for_change("virtual-one", "/link/mtu", &json!(1400));
    lab.ip("link property add dev one altname the-first-one");
    events.wait_for_change("virtual-one", "/altNames", &json!(["the-first-one"]));
    lab.ip("link set one address 02:00:5e:10:00:77");
    events.wait_for_change("virtual-one", "/mac", &json!("02:00:5e:10:00:77"));
    lab.ip("address add 192.0.2.1/24 dev one");
    events.wait_for("the address", |event| {
        event["nic"] == "virtual-one" && event["changes"].to_string().contains("192.0.2.1")
    });
    lab.ip("link set two down");
    events.wait_for_change("virtual-one", "/link/carrier", &json!(false));

    let nic = agent.nic("the-first-one").unwrap();
    assert_eq!((&nic["link"]["mtu"], &nic["mac"]), (&json!(1400), &json!("02:00:5e:10:00:77")));
    assert_eq!(nic["addresses"][0]["address"], "192.0.2.1");
    assert_eq!(agent.get("/v1/nics?state=up&name=one").json()["nics"], json!([]));
}

#[test]
fn default_route_protects_the_link_at_once() {
    let lab = Lab::new();
    lab.ip("link add name one type veth peer name two");
    lab.ip("link set one up");
    lab.ip("link set two up");
    lab.ip("address add 192.0.2.1/24 dev one");
    let agent = lab.agent();
    assert_eq!(agent.get("/v1/node").json()["node"]["uplink"]["basis"], "unknown");
    let mut events = agent.events("", &[]);

    lab.ip("route add default via 192.0.2.254");
    events.wait_for_change("virtual-one", "/defaultRoute", &json!(true));
    let nic = agent.nic("one").unwrap();
    assert_eq!(nic["protected"]["reason"], "defaultRoute", "{nic}");
    assert_eq!(agent.get("/v1/nics?protected=true&name=one,two").json()["nics"][0]["name"], "one");

    lab.ip("route del default");
    events.wait_for_change("virtual-one", "/protected/remembered", &json!(true));
}

#[test]
fn rename_is_one_nic_going_and_one_coming() {
    // A virtual link has no identity but its name.
    let lab = Lab::new();
    lab.ip("link add name one type veth peer name two");
    let agent = lab.agent();
    let mut events = agent.events("?type=nic.added,nic.removed", &[]);

    lab.ip("link set one name three");

    events.wait_for_type("nic.removed", "virtual-one");
    events.wait_for_type("nic.added", "virtual-three");
    assert!(agent.nic("one").is_none() && agent.nic("three").is_some());
}

#[test]
fn enslaving_is_told_for_the_slave() {
    let lab = Lab::new();
    lab.ip("link add name one type veth peer name two");
    lab.ip("link add name bridge0 type bridge");
    let agent = lab.agent();
    let mut events = agent.events("", &[]);

    lab.ip("link set one master bridge0");
    events.wait_for_change("virtual-one", "/stacking/master", &json!("bridge0"));
    lab.ip("link set one nomaster");
    events.wait_for("the slave to be free", |event| {
        event["nic"] == "virtual-one"
            && event["changes"].as_array().unwrap().iter().any(|change| {
                change["path"] == "/stacking/master"
                    && change["from"] == "bridge0"
                    && change.get("to").is_none()
            })
    });
}

#[test]
fn burst_of_links_is_told_whole_and_in_order() {
    let lab = Lab::new();
    let agent = lab.agent();
    let mut events = agent.events("?type=nic.added,nic.removed", &[]);
    let batch: String =
        (0..200).map(|number| format!("link add name v{number} type veth peer name w{number}\n")).collect();
    std::fs::write(lab.path("batch"), batch).unwrap();

    lab.ip(&format!("-batch {}", lab.path("batch").display()));

    let mut missing: std::collections::BTreeSet<String> =
        (0..200).flat_map(|number| [format!("virtual-v{number}"), format!("virtual-w{number}")]).collect();
    let (mut number, mut generation) = (0, 0);
    while !missing.is_empty() {
        let event = events.next();
        assert_eq!(
            (&event["type"], &event["cause"]),
            (&json!("nic.added"), &json!("notification")),
            "{event}"
        );
        let id: openapi::EventId = event["id"].as_str().unwrap().parse().unwrap();
        assert!(id.number() > number && event["generation"].as_u64().unwrap() >= generation, "{event}");
        (number, generation) = (id.number(), event["generation"].as_u64().unwrap());
        assert!(missing.remove(event["nic"].as_str().unwrap()), "{event} came twice");
    }
    assert_eq!(agent.get("/v1/nics?kind=veth").json()["nics"].as_array().unwrap().len(), 400);
}

#[test]
fn etag_changes_with_the_inventory_and_only_then() {
    let lab = Lab::new();
    let agent = lab.agent();
    let etag = |path: &str| agent.get(path).header("etag").unwrap().to_owned();
    let paths = [
        "/v1/node",
        "/v1/nics",
        "/v1/nics/lo",
        "/v1/sriov",
        "/v1/topology",
        "/v1/classes",
        "/v1/warnings",
        "/v1/inventory",
    ];
    for path in paths {
        let first = etag(path);
        let again = agent.get_with(path, &[("if-none-match", &first)]);
        assert_eq!((again.status, again.body.len()), (304, 0), "{path}");
        assert_eq!(again.header("etag"), Some(first.as_str()), "{path}");
        assert_eq!(again.header("cache-control"), Some("no-cache"), "{path}");
    }
    let before = etag("/v1/nics");
    let mut events = agent.events("", &[]);

    lab.ip("link add name one type veth peer name two");
    events.wait_for_type("nic.added", "virtual-one");

    let after = agent.get_with("/v1/nics", &[("if-none-match", &before)]);
    assert_eq!(after.status, 200);
    assert_ne!(after.header("etag"), Some(before.as_str()));
}
