use std::time::{Duration, Instant};

use std::collections::BTreeMap;

use super::{MESSAGE, Object, PAUSE, Publisher, RETRY, RouteState, Server, Step, reports};
use crate::planning::samples::{machine, nic};

fn publisher() -> Publisher {
    Publisher {
        node: "n1".to_owned(),
        server: Server::Nothing,
        uid: Some("u".to_owned()),
        ..Publisher::default()
    }
}

fn object(spec: crds::HostInterfaceSpec) -> Server {
    Server::Object(Box::new(Object { spec, ..Object::default() }))
}

fn written(step: Step) -> crds::HostInterfaceSpec {
    match step {
        Step::Write(spec) => spec,
        other => panic!("{other:?}"),
    }
}

#[test]
fn nothing_is_written_before_the_server_and_the_node_are_known_nor_when_nothing_differs() {
    let (inventory, now) = (machine(&[nic("eth1", 1, &["10.0.1.7/24"])]), Instant::now());
    let mut without = Publisher { server: Server::Unknown, ..publisher() };
    assert_eq!(without.next(&inventory, &[], now), Step::Wait(None));
    let mut without = Publisher { uid: None, ..publisher() };
    assert_eq!(without.next(&inventory, &[], now), Step::Wait(None));

    let spec = written(publisher().next(&inventory, &[], now));
    assert_eq!((spec.host_name.as_str(), spec.node_uid.as_str(), spec.interfaces.len()), ("n1", "u", 1));

    // As after a restart.
    let mut restarted = Publisher { server: object(spec), ..publisher() };
    assert_eq!(restarted.next(&inventory, &[], now), Step::Wait(None));
    // Another Node of the same name.
    restarted.uid = Some("other".to_owned());
    assert_eq!(written(restarted.next(&inventory, &[], now)).node_uid, "other");
}

#[test]
fn an_unmanaged_object_is_never_written() {
    let mut publisher = Publisher { server: Server::Unmanaged, ..publisher() };

    assert_eq!(publisher.next(&machine(&[nic("eth1", 1, &[])]), &[], Instant::now()), Step::Wait(None));
}

#[test]
fn two_writes_have_a_pause_between_them_and_failures_a_longer_one() {
    let (mut publisher, now) = (publisher(), Instant::now());
    let spec = written(publisher.next(&machine(&[nic("eth1", 1, &[])]), &[], now));
    publisher.wrote(Some(Object { spec, ..Object::default() }), now);
    let changed = machine(&[nic("eth1", 1, &["10.0.1.7/24"])]);

    assert_eq!(publisher.next(&changed, &[], now), Step::Wait(Some(now + PAUSE)));
    written(publisher.next(&changed, &[], now + PAUSE));

    let mut pauses = Vec::new();
    for _ in 0..8 {
        publisher.wrote(None, now);
        pauses.push(publisher.not_before.unwrap() - now);
    }
    assert_eq!(pauses[..3], [RETRY.0, RETRY.0 * 2, RETRY.0 * 4]);
    assert_eq!(pauses[7], RETRY.1);
    assert!(Duration::ZERO < pauses[0]);
}

#[test]
fn how_the_routes_are_is_told_when_it_differs_and_after_the_nics() {
    let (inventory, now) = (machine(&[nic("eth1", 1, &[])]), Instant::now());
    let message = "x".repeat(2 * MESSAGE);
    let state = RouteState { wanted: 3, present: 2, message };
    let routes = reports(&BTreeMap::from([("red".to_owned(), state)]));
    assert_eq!((routes[0].wanted, routes[0].present, routes[0].message.len()), (3, 2, MESSAGE));
    let mut publisher = publisher();

    let spec = written(publisher.next(&inventory, &routes, now));
    publisher.server = object(spec.clone());
    assert_eq!(publisher.next(&inventory, &routes, now), Step::WriteRoutes(routes.clone()));
    publisher.server = Server::Object(Box::new(Object { spec, routes: routes.clone() }));

    assert_eq!(publisher.next(&inventory, &routes, now), Step::Wait(None));
}
