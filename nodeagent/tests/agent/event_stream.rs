//! The event stream itself: resume, reset, filters, limits, clients that do not read. REQUIRES: root, veth.

use std::io::Write;
use std::os::unix::net::UnixStream;

use crate::harness::{self, Lab, http, wait_for};
use nix::sys::socket::{setsockopt, sockopt};

#[test]
fn stream_goes_on_behind_the_last_event_id() {
    let lab = Lab::new();
    let agent = lab.agent();
    let mut first = agent.events("?type=nic.added", &[]);
    lab.ip("link add name one type veth peer name two");
    let seen = first.wait_for_type("nic.added", "virtual-one")["id"].as_str().unwrap().to_owned();
    drop(first);
    lab.ip("link add name three type veth peer name four");
    agent.wait_for_nic("three", "there", |_| true);

    let mut by_header = agent.events("?type=nic.added", &[("last-event-id", &seen)]);
    let mut by_query = agent.events(&format!("?after={seen}"), &[]);

    // `one` and `two` came in one or two readings; both ways begin right behind `one`.
    let next = |events: &mut harness::events::Events| loop {
        let event = events.next();
        assert_ne!(event["nic"], "virtual-one", "{event} came again");
        if event["nic"] == "virtual-three" {
            break;
        }
    };
    next(&mut by_header);
    next(&mut by_query);
}

#[test]
fn whole_run_can_be_read_from_its_beginning() {
    let lab = Lab::new();
    let agent = lab.agent();
    let epoch = agent.get("/v1/node").json()["agent"]["epoch"].as_str().unwrap().to_owned();

    let mut events = agent.events(&format!("?after={epoch}-0"), &[]);

    let event = events.next();
    assert_eq!(
        (event["type"].as_str(), event["cause"].as_str()),
        (Some("nic.added"), Some("start")),
        "{event}"
    );
    assert_eq!(event["id"], format!("{epoch}-1"));
}

#[test]
fn id_of_an_earlier_run_yields_a_reset() {
    let lab = Lab::new();
    let mut agent = lab.agent();
    let old = agent.events("", &[]).last_id;
    let old = if old.is_empty() { "0-1".to_owned() } else { old };
    agent.stop();
    let agent = lab.agent();

    let mut events = agent.events("?type=nic.added", &[("last-event-id", &old)]);

    let event = events.next();
    assert_eq!(event["type"], "reset", "{event}");
    lab.ip("link add name one type veth peer name two");
    events.wait_for_type("nic.added", "virtual-one");
}

#[test]
fn client_that_missed_too_much_is_told_to_read_everything_again() {
    let lab = Lab::new();
    let agent = lab.agent();
    lab.ip("link add name one type veth peer name two");
    agent.wait_for_nic("one", "there", |_| true);
    let epoch = agent.get("/v1/node").json()["agent"]["epoch"].as_str().unwrap().to_owned();
    // More events than the log keeps: each changes 400 NICs.
    let batch: String =
        (0..200).map(|number| format!("link add name v{number} type veth peer name w{number}\n")).collect();
    std::fs::write(lab.path("batch"), batch).unwrap();
    lab.ip(&format!("-batch {}", lab.path("batch").display()));
    for mtu in [1400, 1300, 1200] {
        let batch: String = (0..200)
            .map(|number| format!("link set v{number} mtu {mtu}\nlink set w{number} mtu {mtu}\n"))
            .collect();
        std::fs::write(lab.path("batch"), batch).unwrap();
        lab.ip(&format!("-batch {}", lab.path("batch").display()));
        agent.wait_for_nic("w199", "the last MTU", |nic| nic["link"]["mtu"] == mtu);
    }

    let mut events = agent.events(&format!("?after={epoch}-1"), &[]);

    let event = events.next();
    assert_eq!(event["type"], "reset", "{event}");
    assert_eq!(event["generation"], agent.get("/v1/nics").json()["generation"]);
}

#[test]
fn wrong_parameters_are_refused() {
    let lab = Lab::new();
    let agent = lab.agent();

    let kind = agent.get("/v1/events?type=nic.add");
    assert_eq!((kind.status, kind.problem().as_str()), (400, "invalid-value"));
    assert_eq!(kind.json()["nearest"][0], "nic.added");
    let after = agent.get("/v1/events?after=yesterday");
    assert_eq!((after.status, after.json()["parameter"].as_str()), (400, Some("after")));
    assert_eq!(agent.get("/v1/events?since=1").problem(), "unknown-parameter");
    assert_eq!(agent.get_with("/v1/events", &[("last-event-id", "x")]).problem(), "invalid-value");
}

#[test]
fn streams_beyond_the_limit_are_refused_and_a_place_becomes_free_again() {
    let lab = Lab::new();
    lab.configure("limits: { eventStreams: 2 }");
    let agent = lab.agent();
    let (first, _second) = (agent.events("", &[]), agent.events("", &[]));

    let third = agent.get("/v1/events");

    assert_eq!((third.status, third.problem().as_str()), (503, "too-many-streams"));
    assert!(agent.get("/metrics").text().contains("multi_nic_event_streams 2"));
    drop(first);
    wait_for("a free place", || {
        agent.get("/metrics").text().contains("multi_nic_event_streams 1").then_some(())
    });
    drop(agent.events("", &[]));
}

#[test]
fn client_that_does_not_read_is_dropped_and_others_go_on() {
    let lab = Lab::new();
    lab.configure("limits: { writeSeconds: 1 }");
    let agent = lab.agent();
    let mut stuck = UnixStream::connect(&agent.socket).unwrap();
    setsockopt(&stuck, sockopt::RcvBuf, &2048).unwrap();
    stuck.write_all(b"GET /v1/events HTTP/1.1\r\nhost: localhost\r\n\r\n").unwrap();
    wait_for("the stuck client", || {
        agent.get("/metrics").text().contains("multi_nic_event_streams 1").then_some(())
    });
    let batch: String =
        (0..100).map(|number| format!("link add name v{number} type veth peer name w{number}\n")).collect();
    std::fs::write(lab.path("batch"), batch).unwrap();
    lab.ip(&format!("-batch {}", lab.path("batch").display()));
    // A link that is seen with its new MTU for the first time has come, not changed.
    agent.wait_for_nic("v99", "there", |_| true);
    let mut reading = agent.events("", &[]);

    let mut mtu = 1400;
    wait_for("the stuck client to be dropped", || {
        mtu = if mtu == 1400 { 1300 } else { 1400 };
        let batch: String = (0..100).map(|number| format!("link set v{number} mtu {mtu}\n")).collect();
        std::fs::write(lab.path("batch"), batch).unwrap();
        lab.ip(&format!("-batch {}", lab.path("batch").display()));
        reading.wait_for_change("virtual-v99", "/link/mtu", &mtu.into());
        agent.get("/metrics").text().contains("multi_nic_event_streams 1").then_some(())
    });
    drop(stuck);
    lab.ip("link add name last type veth peer name least");
    reading.wait_for_type("nic.added", "virtual-last");
}

#[test]
fn stream_ends_when_the_agent_ends() {
    let lab = Lab::new();
    let mut agent = lab.agent();
    let events = agent.events("", &[]);

    let (status, took) = agent.stop();

    assert!(status.success(), "{status}");
    assert!(took < std::time::Duration::from_secs(2), "{took:?}");
    assert!(events.ends());
    assert!(http::unix(&agent.socket, "GET", "/livez", &[]).is_err());
}
