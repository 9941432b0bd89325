//! Links on the real kernel, with `ip -d -j link` as the witness.
//!
//! REQUIRES: root (network namespaces); kinds veth, bridge, vxlan, macvlan, tun, ifb.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "test code outside of test functions"
)]

mod harness;

use std::os::fd::AsFd;

use harness::{another_namespace, enter_private_namespace, ip, ip_json, ip_words};
use netlink::route::{self, LinkDetail, MacvlanMode};
use netlink::{Error, ErrorAttribute, Family, Socket};

fn socket() -> Socket {
    Socket::open(Family::Route).unwrap()
}

#[test]
fn every_field_of_every_link_is_what_ip_says() {
    enter_private_namespace();
    ip("link add ve0 type veth peer name ve1");
    ip("link set ve1 alias a-note group 7 mtu 1400 up");
    ip("link property add dev ve1 altname an-alternative-name-of-more-than-15 altname short");
    ip("link add br0 type bridge stp_state 1 priority 4096");
    ip("link add vx0 type vxlan id 42 local 192.0.2.1 remote 192.0.2.2 dstport 4789 ttl 9 nolearning");
    ip("link add vx1 type vxlan id 43 group 239.1.1.1 dev ve0 dstport 4790 srcport 4000 5000 l2miss");
    ip("link set vx0 master br0");
    ip("link set dev vx0 type bridge_slave cost 7 hairpin on learning off");
    for (mode, name) in [("bridge", "mv0"), ("private", "mv1"), ("vepa", "mv2"), ("source", "mv3")] {
        ip(&format!("link add link ve0 name {name} type macvlan mode {mode}"));
    }
    ip("link set mv3 type macvlan macaddr add 02:00:00:00:00:07");
    ip("link add ifb9 type ifb");
    ip("tuntap add tap0 mode tap multi_queue");
    ip("tuntap add tun0 mode tun");

    let links = route::links(&mut socket()).unwrap();

    assert!(links.failures.is_empty(), "{:?}", links.failures);
    assert_eq!(links.links.len(), 12 + default_links());
    ip_words::assert_same_as_ip(&links.links, &ip_json("link show"));
}

/// Links that a new namespace has besides those that a test makes, `lo` among them.
fn default_links() -> usize {
    let others = std::thread::spawn(|| {
        enter_private_namespace();
        ip_json("link show").len()
    });
    others.join().unwrap()
}

#[test]
fn a_link_is_found_by_index_by_name_and_by_each_alternative_name() {
    enter_private_namespace();
    ip("link add ve0 type veth peer name ve1");
    ip("link property add dev ve0 altname an-alternative-name-of-more-than-15 altname short");
    let mut socket = socket();

    let by_name = route::link_by_name(&mut socket, "ve0").unwrap().unwrap();

    for name in ["an-alternative-name-of-more-than-15", "short"] {
        assert_eq!(route::link_by_name(&mut socket, name).unwrap().as_ref(), Some(&by_name), "{name}");
    }
    assert_eq!(route::link_by_index(&mut socket, by_name.index).unwrap().as_ref(), Some(&by_name));
    assert_eq!(by_name.alt_names, ["an-alternative-name-of-more-than-15", "short"]);
}

#[test]
fn a_name_that_no_link_has_finds_none_instead_of_another_link() {
    enter_private_namespace();
    let mut socket = socket();

    for name in ["nope", "a-name-of-more-than-15-bytes", "", "nul\0", &"x".repeat(127), &"x".repeat(4000)] {
        assert_eq!(route::link_by_name(&mut socket, name).unwrap(), None, "{name}");
    }
    assert_eq!(route::link_by_index(&mut socket, 4_000_000).unwrap(), None);
    assert_eq!(route::link_by_index(&mut socket, 0).unwrap(), None);
}

#[test]
fn thousands_of_links_are_all_there_and_in_order() {
    enter_private_namespace();
    let lines: String = (0..1500).map(|n| format!("link add a{n} type veth peer name b{n}\n")).collect();
    harness::ip_batch(&lines);

    let links = route::links(&mut socket()).unwrap();

    let names: Vec<&str> = links.links.iter().map(|link| link.name.as_str()).collect();
    let witness = ip_json("link show");
    assert_eq!(witness.len(), 3000 + default_links());
    assert_eq!(names, witness.iter().map(|link| link["ifname"].as_str().unwrap()).collect::<Vec<_>>());
}

#[test]
fn links_of_another_namespace_are_read_through_its_number_and_through_a_socket_in_it() {
    enter_private_namespace();
    let other = another_namespace();
    let mut here = socket();
    assert_eq!(route::namespace_id_of(&mut here, other.as_fd()).unwrap(), None);
    assert_eq!(route::namespace_ids(&mut here).unwrap(), Vec::<i32>::new());
    ip("link add ve0 type veth peer name ve1");
    let path = format!("/proc/{}/fd/{}", std::process::id(), std::os::fd::AsRawFd::as_raw_fd(&other));
    harness::run("ip", &format!("link set ve1 netns {path}"));

    let id = route::namespace_id_of(&mut here, other.as_fd()).unwrap();

    let id = id.expect("a number, now that a link crosses the border");
    assert_eq!(route::namespace_ids(&mut here).unwrap(), [id]);
    let through_number = route::links_in(&mut here, id).unwrap().links;
    let mut there = Socket::open_in(other.as_fd(), Family::Route).unwrap();
    let mut through_socket = route::links(&mut there).unwrap().links;
    let ve1 = route::link_by_name(&mut there, "ve1").unwrap().unwrap();
    let ve0 = route::link_by_name(&mut here, "ve0").unwrap().unwrap();
    assert_eq!((ve0.lower, ve0.lower_netnsid), (Some(ve1.index), Some(id)));
    for link in &mut through_socket {
        // Each namespace has its own number for the other.
        link.lower_netnsid =
            through_number.iter().find(|same| same.index == link.index).unwrap().lower_netnsid;
    }
    assert_eq!(through_number, through_socket);
    assert!(through_number.iter().any(|link| link.name == "ve1"));
    // The caller's thread has not moved.
    assert!(route::link_by_name(&mut socket(), "ve1").unwrap().is_none());
}

#[test]
fn the_kernels_own_sentence_and_the_attribute_are_in_the_error() {
    enter_private_namespace();

    let error = route::links_in(&mut socket(), 4711).unwrap_err();

    let Error::Kernel { operation, source } = &error else { panic!("{error:?}") };
    assert_eq!(operation, "list links of namespace 4711");
    assert_eq!(source.errno, 22);
    let message = source.message.as_deref().expect("the kernel's sentence");
    assert!(message.contains("nvalid target network namespace"), "{message}");
    assert_eq!(source.to_string(), format!("{message} (EINVAL)"));
    assert_eq!(source.attribute, None::<ErrorAttribute>);
}

#[test]
fn details_have_types() {
    enter_private_namespace();
    ip("link add ve0 type veth peer name ve1");
    ip("link add link ve0 name mv0 type macvlan mode passthru");

    let link = route::link_by_name(&mut socket(), "mv0").unwrap().unwrap();

    let Some(LinkDetail::Macvlan(macvlan)) = &link.detail else { panic!("{link:?}") };
    assert_eq!(macvlan.mode, Some(MacvlanMode::Passthru));
    let json = serde_json::to_string(&link).unwrap();
    assert_eq!(serde_json::from_str::<route::Link>(&json).unwrap(), link);
}
