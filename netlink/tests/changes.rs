//! Change events and uevents on the real kernel.
//!
//! REQUIRES: root (network namespaces); kind veth.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "test code outside of test functions"
)]

mod harness;

use std::os::fd::AsFd;
use std::time::{Duration, Instant};

use harness::{another_namespace, enter_private_namespace, ip};
use netlink::events::{Event, EventSocket};
use netlink::uevent::UeventSocket;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

fn readable(descriptor: impl AsFd, within: Duration) -> bool {
    let mut ready = [PollFd::new(descriptor.as_fd(), PollFlags::POLLIN)];
    poll(&mut ready, PollTimeout::try_from(within).unwrap()).unwrap() > 0
}

/// Waits until `wanted` has been seen; the events up to then.
fn until(socket: &mut EventSocket, wanted: impl Fn(&Event) -> bool) -> Vec<Event> {
    let end = Instant::now() + Duration::from_secs(30);
    let mut seen = Vec::new();
    while Instant::now() < end {
        if readable(&*socket, Duration::from_millis(500)) {
            seen.extend(socket.receive().unwrap());
        }
        if seen.iter().any(&wanted) {
            return seen;
        }
    }
    panic!("the event did not come, but {seen:#?}");
}

fn named(event: &Event, wanted: &str) -> bool {
    matches!(event, Event::LinkChanged(link) if link.name == wanted)
}

#[test]
fn links_addresses_and_routes_are_told_as_they_change() {
    enter_private_namespace();
    let mut socket = EventSocket::open().unwrap();
    assert!(socket.receive().unwrap().is_empty());
    assert!(!readable(&socket, Duration::from_millis(50)), "nothing has changed");

    ip("link add ve0 type veth peer name ve1");
    until(&mut socket, |event| named(event, "ve0"));
    ip("link set ve0 name new0");
    until(&mut socket, |event| named(event, "new0"));
    ip("link set new0 up");
    until(
        &mut socket,
        |event| matches!(event, Event::LinkChanged(link) if link.name == "new0" && link.is_up()),
    );
    ip("link set ve1 up");
    ip("address add 192.0.2.1/24 dev new0");
    until(
        &mut socket,
        |event| matches!(event, Event::AddressChanged(address) if address.address.to_string() == "192.0.2.1"),
    );
    ip("route add default via 192.0.2.254");
    until(&mut socket, |event| {
        matches!(event, Event::RouteChanged(route)
            if route.is_default() && route.hops[0].gateway == Some("192.0.2.254".parse().unwrap()))
    });
    ip("route del default");
    until(&mut socket, |event| matches!(event, Event::RouteRemoved(route) if route.is_default()));
    ip("address del 192.0.2.1/24 dev new0");
    until(
        &mut socket,
        |event| matches!(event, Event::AddressRemoved(address) if address.address.to_string() == "192.0.2.1"),
    );
    ip("link del new0");
    until(&mut socket, |event| matches!(event, Event::LinkRemoved(link) if link.name == "new0"));
    assert!(!readable(&socket, Duration::from_millis(50)) || !socket.receive().unwrap().is_empty());
}

#[test]
fn a_link_that_moves_away_says_where_to() {
    enter_private_namespace();
    let other = another_namespace();
    ip("link add ve0 type veth peer name ve1");
    let mut socket = EventSocket::open().unwrap();
    let mut there = EventSocket::open_in(other.as_fd()).unwrap();

    let path = format!("/proc/{}/fd/{}", std::process::id(), std::os::fd::AsRawFd::as_raw_fd(&other));
    ip(&format!("link set ve1 netns {path}"));

    let seen = until(&mut socket, |event| matches!(event, Event::LinkRemoved(link) if link.name == "ve1"));
    let Some(Event::LinkRemoved(gone)) = seen.iter().find(|event| matches!(event, Event::LinkRemoved(_)))
    else {
        panic!("{seen:?}")
    };
    let id = gone.new_netnsid.expect("where the link went");
    assert!(gone.new_index.is_some());
    let arrived = until(&mut there, |event| named(event, "ve1"));
    assert!(!arrived.is_empty());
    let number = Event::NamespaceAppeared(id);
    assert!(seen.contains(&number) || until(&mut socket, |event| *event == number).contains(&number));
}

#[test]
fn a_burst_that_overflows_the_buffer_is_told_and_later_changes_are_heard_again() {
    enter_private_namespace();
    // The kernel rounds so small a size up to its own least, a few kB.
    let mut socket = EventSocket::open_with(1).unwrap();
    let lines: String = (0..300).map(|n| format!("link add a{n} type veth peer name b{n}\n")).collect();
    harness::ip_batch(&lines);

    let seen = until(&mut socket, |event| *event == Event::Overrun);

    let whole = seen.iter().filter(|event| matches!(event, Event::LinkChanged(_))).count();
    assert!(whole < 600, "with {whole} events nothing was lost");
    ip("link set a0 name after-all");
    until(&mut socket, |event| named(event, "after-all"));
}

#[test]
fn an_ethtool_change_names_the_nic_by_index() {
    enter_private_namespace();
    ip("link add ve0 type veth peer name ve1");
    let index = harness::ip_json("link show ve0")[0]["ifindex"].as_u64().unwrap();
    let mut socket = EventSocket::open().unwrap();

    harness::run("ethtool", "-K ve0 gro on tx off");

    until(
        &mut socket,
        |event| matches!(event, Event::Ethtool { index: Some(told), .. } if u64::from(*told) == index),
    );
}

#[test]
fn the_kernel_tells_of_a_new_device_by_uevent() {
    enter_private_namespace();
    let mut socket = UeventSocket::open().unwrap();
    assert!(socket.receive().unwrap().is_empty());

    ip("link add ve0 type veth peer name ve1");

    let end = Instant::now() + Duration::from_secs(30);
    let mut seen = Vec::new();
    while Instant::now() < end && !seen.iter().any(|event| is_add_of(event, "ve0")) {
        readable(&socket, Duration::from_millis(500));
        seen.extend(socket.receive().unwrap());
    }
    let event = seen.iter().find(|event| is_add_of(event, "ve0")).unwrap_or_else(|| panic!("{seen:?}"));
    assert_eq!(event.subsystem.as_deref(), Some("net"));
    assert_eq!(event.devpath, "/devices/virtual/net/ve0");
    assert!(event.seqnum.is_some());
    let index = harness::ip_json("link show ve0")[0]["ifindex"].to_string();
    assert_eq!(event.env.get("IFINDEX"), Some(&index));
}

fn is_add_of(event: &netlink::uevent::Uevent, interface: &str) -> bool {
    event.action == "add" && event.env.get("INTERFACE").is_some_and(|name| name == interface)
}

#[test]
fn what_others_send_is_not_taken_for_the_kernels_word() {
    enter_private_namespace();
    let mut socket = UeventSocket::open().unwrap();
    let mut liar = netlink_sys::Socket::new(netlink_sys::protocols::NETLINK_KOBJECT_UEVENT).unwrap();
    liar.bind_auto().unwrap();

    let lie = b"add@/devices/lie\0ACTION=add\0DEVPATH=/devices/lie\0SUBSYSTEM=net\0SEQNUM=1\0";
    let sent = liar.send_to(lie, &netlink_sys::SocketAddr::new(0, 1), 0);

    // Root may send to the group; the datagram is there, and is dropped.
    assert_eq!(sent.unwrap(), lie.len());
    assert!(readable(&socket, Duration::from_secs(5)), "the lie arrived");
    assert!(socket.receive().unwrap().is_empty());
}
