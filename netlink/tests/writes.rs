//! Changes on the running kernel, with `ip` as the witness.
//!
//! REQUIRES: root (network namespaces); kinds veth, macvlan, bridge.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "test code outside of test functions"
)]

mod harness;

use std::os::fd::AsFd;
use std::time::{Duration, Instant};

use harness::{another_namespace, enter_private_namespace, ip, ip_json};
use netlink::route::{
    self, AddressChange, Ipv4Conf, LinkSettings, MacvlanMode, NewLink, NewLinkKind, RouteChange,
    RouteNextHop, RuleChange,
};
use netlink::{Family, LinkAddress, PacketSocket, Socket};

fn private() -> Socket {
    enter_private_namespace();
    Socket::open(Family::Route).unwrap()
}

/// Applies; every change must be accepted.
fn accepted(socket: &mut Socket, changes: &[route::Change<'_>]) {
    for (change, verdict) in changes.iter().zip(socket.apply(changes)) {
        verdict.unwrap_or_else(|error| panic!("{}: {error:?}", change.operation()));
    }
}

fn veth(name: &str, peer: &str) -> NewLink<'static> {
    NewLink { name: name.to_owned(), kind: NewLinkKind::Veth { peer: peer.to_owned() }, ..NewLink::default() }
}

fn up(index: u32) -> route::Change<'static> {
    route::set_link(index, &LinkSettings { up: Some(true), ..LinkSettings::default() })
}

fn default_over(hops: Vec<RouteNextHop>) -> RouteChange {
    RouteChange {
        destination: "0.0.0.0".parse().unwrap(),
        prefix_len: 0,
        table: 254,
        protocol: 0x4d,
        scope: 0,
        metric: Some(107),
        source: None,
        mtu: Some(1400),
        advmss: Some(1300),
        hops,
    }
}

#[test]
fn a_link_is_made_altered_and_removed_as_asked() {
    let mut socket = private();
    let asked = NewLink {
        index: Some(700),
        mtu: Some(1400),
        address: Some(LinkAddress::new([2, 0, 0, 0, 0, 7])),
        group: Some(77),
        ..veth("ve0", "ve1")
    };
    accepted(&mut socket, &[route::create_link(&asked)]);
    let made = ip_json("link show ve0")[0].clone();
    assert_eq!(
        (&made["ifindex"], &made["mtu"], &made["address"], &made["group"]),
        (&700.into(), &1400.into(), &"02:00:00:00:00:07".into(), &"77".into())
    );
    assert!(!made["flags"].to_string().contains("\"UP\""), "made down: {made}");

    let settings = LinkSettings {
        name: Some("new0".to_owned()),
        mtu: Some(1300),
        group: Some(78),
        alias: Some("a note".to_owned()),
        up: Some(true),
        ipv4: vec![(Ipv4Conf::RpFilter, 2), (Ipv4Conf::ArpIgnore, 1), (Ipv4Conf::ArpAnnounce, 2)],
        no_ipv6_address: true,
        ..LinkSettings::default()
    };
    accepted(&mut socket, &[route::set_link(700, &settings), route::add_alt_name(700, "another-name")]);
    let now = ip_json("link show new0")[0].clone();
    assert_eq!(
        (&now["mtu"], &now["group"], &now["ifalias"], &now["altnames"][0], &now["inet6_addr_gen_mode"]),
        (&1300.into(), &"78".into(), &"a note".into(), &"another-name".into(), &"none".into())
    );
    assert!(now["flags"].to_string().contains("\"UP\""), "{now}");
    for (file, value) in [("rp_filter", "2"), ("arp_ignore", "1"), ("arp_announce", "2")] {
        let text = std::fs::read_to_string(format!("/proc/sys/net/ipv4/conf/new0/{file}")).unwrap();
        assert_eq!(text.trim(), value, "{file}");
    }

    accepted(&mut socket, &[route::delete_alt_name(700, "another-name")]);
    assert!(ip_json("link show new0")[0]["altnames"].is_null());
    accepted(&mut socket, &[route::delete_link(700)]);
    assert_eq!(ip_json("link show").len(), 1);
}

#[test]
fn every_macvlan_mode_is_made_as_ip_shows_it() {
    let mut socket = private();
    accepted(&mut socket, &[route::create_link(&NewLink { index: Some(10), ..veth("ve0", "ve1") })]);
    let mode = |mode, sources| NewLink {
        name: "mv".to_owned(),
        kind: NewLinkKind::Macvlan { mode, sources },
        parent: Some(10),
        index: Some(800),
        ..NewLink::default()
    };
    for (asked, shown) in [
        (MacvlanMode::Private, "private"),
        (MacvlanMode::Vepa, "vepa"),
        (MacvlanMode::Bridge, "bridge"),
        (MacvlanMode::Passthru, "passthru"),
        (MacvlanMode::Source, "source"),
    ] {
        let sources = match asked {
            MacvlanMode::Source => {
                vec![LinkAddress::new([2, 0, 0, 0, 1, 1]), LinkAddress::new([2, 0, 0, 0, 1, 2])]
            }
            _ => Vec::new(),
        };
        accepted(&mut socket, &[route::create_link(&mode(asked, sources))]);
        let data = ip_json("link show mv")[0]["linkinfo"]["info_data"].clone();
        assert_eq!(data["mode"], shown);
        if asked == MacvlanMode::Source {
            let text = ip_json("link show mv")[0].to_string();
            assert!(text.contains("02:00:00:00:01:01") && text.contains("02:00:00:00:01:02"), "{text}");
        }
        accepted(&mut socket, &[route::delete_link(800)]);
    }
}

#[test]
fn addresses_routes_and_rules_read_back_and_go_again() {
    let mut socket = private();
    let links = [
        route::create_link(&NewLink { index: Some(10), ..veth("ve0", "pe0") }),
        route::create_link(&NewLink { index: Some(11), ..veth("ve1", "pe1") }),
        up(10),
        up(11),
    ];
    accepted(&mut socket, &links);
    let v4 = |link, address: &str| AddressChange {
        link,
        address: address.parse().unwrap(),
        prefix_len: 24,
        metric: Some(90 + link),
        no_dad: false,
    };
    let v6 = AddressChange {
        link: 10,
        address: "fd00::1".parse().unwrap(),
        prefix_len: 64,
        metric: Some(100),
        no_dad: true,
    };
    let hop = |link, gateway: &str, weight| RouteNextHop {
        link: Some(link),
        gateway: Some(gateway.parse().unwrap()),
        weight,
        onlink: false,
    };
    let single = RouteChange {
        table: 0x4d4e_000a,
        source: Some("192.0.2.1".parse().unwrap()),
        ..default_over(vec![RouteNextHop { onlink: true, ..hop(10, "203.0.113.1", 1) }])
    };
    let several = default_over(vec![hop(10, "192.0.2.254", 3), hop(11, "198.51.100.254", 1)]);
    let six = RouteChange {
        destination: "2001:db8::".parse().unwrap(),
        prefix_len: 32,
        mtu: None,
        advmss: None,
        ..default_over(vec![hop(10, "fd00::fe", 1)])
    };
    let rule = RuleChange {
        priority: 20_000,
        source: Some(("192.0.2.1".parse().unwrap(), 32)),
        destination: None,
        table: 0x4d4e_000a,
        protocol: 0x4d,
        ipv6: false,
    };
    accepted(
        &mut socket,
        &[
            route::add_address(&v4(10, "192.0.2.1")),
            route::add_address(&v4(11, "198.51.100.1")),
            route::add_address(&v6),
            route::add_route(&single),
            route::add_route(&several),
            route::add_route(&six),
            route::add_rule(&rule),
        ],
    );

    let main = ip_json("route show default")[0].clone();
    assert_eq!((&main["metric"], &main["protocol"]), (&107.into(), &"77".into()));
    assert_eq!(main["metrics"][0]["mtu"], 1400);
    assert_eq!(main["metrics"][0]["advmss"], 1300);
    let weights: Vec<_> =
        main["nexthops"].as_array().unwrap().iter().map(|hop| hop["weight"].clone()).collect();
    assert_eq!(weights, [3, 1]);
    let own = ip_json("route show table 1296957450")[0].clone();
    assert_eq!((&own["gateway"], &own["prefsrc"]), (&"203.0.113.1".into(), &"192.0.2.1".into()));
    assert!(own["flags"].to_string().contains("onlink"), "{own}");
    assert_eq!(ip_json("-6 route show 2001:db8::/32")[0]["gateway"], "fd00::fe");
    let shown = ip_json("rule show priority 20000")[0].clone();
    assert_eq!((&shown["src"], &shown["table"]), (&"192.0.2.1".into(), &"1296957450".into()));
    let ours = route::rules(&mut socket).unwrap().into_iter().find(|rule| rule.priority == 20_000).unwrap();
    assert_eq!(ours.protocol, 0x4d);
    let connected = ip_json("route show 192.0.2.0/24")[0].clone();
    assert_eq!(connected["metric"], 100);
    let address = ip_json("-6 address show dev ve0")[0]["addr_info"].clone();
    let fd = address.as_array().unwrap().iter().find(|one| one["local"] == "fd00::1").unwrap().clone();
    assert!(fd["tentative"].is_null() && fd["nodad"] == true, "{fd}");

    accepted(
        &mut socket,
        &[
            route::delete_rule(&rule),
            route::delete_route(&several),
            route::delete_route(&single),
            route::delete_route(&six),
            route::delete_address(&v4(10, "192.0.2.1")),
            route::delete_address(&v6),
        ],
    );
    assert_eq!(ip_json("rule show").len(), 3);
    assert!(ip("route show default").is_empty());
    assert!(!ip("address show dev ve0").contains("192.0.2.1"));
}

#[test]
fn an_appended_route_stands_by_until_the_first_goes() {
    let mut socket = private();
    let over = |link| default_over(vec![RouteNextHop { link: Some(link), ..RouteNextHop::default() }]);
    let made = [("ve0", "ve1", 10), ("ve2", "ve3", 12)];
    let links = made.map(|(name, peer, index)| NewLink { index: Some(index), ..veth(name, peer) });
    let links: Vec<_> = links.iter().map(route::create_link).collect();
    accepted(&mut socket, &links);
    accepted(&mut socket, &[up(10), up(12), route::add_route(&over(10))]);

    let verdicts = socket.apply(&[
        route::add_route(&over(12)),
        route::append_route(&over(12)),
        route::append_route(&over(12)),
    ]);

    let errors: Vec<_> =
        verdicts.iter().map(|verdict| verdict.as_ref().err().and_then(|e| e.errno())).collect();
    assert_eq!(errors, [Some(17), None, Some(17)], "{verdicts:?}");
    let ways = || ip_json("route show default").iter().map(|way| way["dev"].clone()).collect::<Vec<_>>();
    assert_eq!(ways(), ["ve0", "ve2"]);
    accepted(&mut socket, &[route::delete_link(10)]);
    assert_eq!(ways(), ["ve2"]);
}

#[test]
fn a_refusal_in_the_middle_has_the_kernels_words_and_stops_nobody() {
    let mut socket = private();
    let routes = default_over(vec![RouteNextHop {
        link: Some(10),
        gateway: Some("192.0.2.254".parse().unwrap()),
        ..RouteNextHop::default()
    }]);

    let verdicts = socket.apply(&[
        route::create_link(&NewLink { index: Some(10), ..veth("ve0", "ve1") }),
        up(10),
        route::add_route(&routes),
        route::delete_link(4711),
        route::add_alt_name(10, "after"),
    ]);

    assert!(verdicts[0].is_ok() && verdicts[1].is_ok() && verdicts[4].is_ok(), "{verdicts:?}");
    let Err(netlink::Error::Kernel { operation, source }) = &verdicts[2] else { panic!("{verdicts:?}") };
    assert!(operation.contains("via 192.0.2.254"), "{operation}");
    assert_eq!(source.message.as_deref(), Some("Nexthop has invalid gateway"));
    assert_eq!(verdicts[3].as_ref().unwrap_err().errno(), Some(19));
    assert_eq!(ip_json("link show after")[0]["ifname"], "ve0");
}

#[test]
fn group_zero_is_never_deleted_and_another_one_in_one_message() {
    let mut socket = private();
    assert!(route::delete_group(0).is_none());
    let mut links = vec![route::create_link(&veth("keep", "peer"))];
    for number in 0..3 {
        let name = format!("br{number}");
        links.push(route::create_link(&NewLink {
            name,
            kind: NewLinkKind::Bridge,
            group: Some(900),
            ..NewLink::default()
        }));
    }
    accepted(&mut socket, &links);

    accepted(&mut socket, &[route::delete_group(900).unwrap()]);

    let left: Vec<_> = ip_json("link show").iter().map(|link| link["ifname"].clone()).collect();
    assert_eq!(left.len(), 3, "{left:?}");
}

#[test]
fn a_recording_does_the_same_in_another_namespace() {
    let mut socket = private();
    accepted(&mut socket, &[route::create_link(&NewLink { index: Some(10), ..veth("ve0", "ve1") })]);
    let first = another_namespace();
    let child = |namespace| NewLink {
        name: "net1".to_owned(),
        kind: NewLinkKind::Macvlan { mode: MacvlanMode::Bridge, sources: Vec::new() },
        parent: Some(10),
        namespace: Some(namespace),
        index: Some(800),
        ..NewLink::default()
    };
    socket.start_recording();
    accepted(&mut socket, &[route::create_link(&child(first.as_fd()))]);
    drop(route::links(&mut socket).unwrap());
    let recording = socket.take_recording();
    assert_eq!((recording.sends().len(), recording.count()), (1, 1), "questions are not recorded");

    // The same bytes meet the link they made; with another namespace they make another one.
    let again = socket.send_again(&recording).unwrap();
    assert_eq!(again[0].as_ref().unwrap_err().errno(), Some(17), "{again:?}");
    let second = another_namespace();
    let elsewhere = recording.in_namespace(second.as_fd());
    let verdicts = socket.send_again(&elsewhere).unwrap();

    assert!(verdicts.iter().all(Result::is_ok), "{verdicts:?}");
    for namespace in [&first, &second] {
        let mut there = Socket::open_in(namespace.as_fd(), Family::Route).unwrap();
        assert_eq!(route::link_by_name(&mut there, "net1").unwrap().unwrap().index, 800);
    }
    assert!(route::link_by_index(&mut socket, 10).unwrap().is_some(), "and the socket still answers");
}

#[test]
fn a_numbered_namespace_is_read_without_holding_it() {
    let mut socket = private();
    let other = another_namespace();
    assert_eq!(route::namespace_id_of(&mut socket, other.as_fd()).unwrap(), None);

    let number = route::number_namespace(&mut socket, other.as_fd()).unwrap().unwrap();

    assert_eq!(route::number_namespace(&mut socket, other.as_fd()).unwrap(), Some(number), "asked twice");
    assert_eq!(route::links_in(&mut socket, number).unwrap().links[0].name, "lo");
    drop(other);
    let end = Instant::now() + Duration::from_secs(30);
    while route::links_in(&mut socket, number).is_ok() {
        assert!(Instant::now() < end, "the number ends with the namespace");
        std::thread::sleep(Duration::from_millis(20));
    }
}

#[test]
fn frames_go_out_and_come_in_on_the_link_that_was_named() {
    let mut socket = private();
    let mac = LinkAddress::new([2, 0, 0, 0, 0, 7]);
    let links = [
        route::create_link(&NewLink { index: Some(10), address: Some(mac.clone()), ..veth("ve0", "ve1") }),
        up(10),
    ];
    accepted(&mut socket, &links);
    ip("link set ve1 up");
    let peer = route::link_by_name(&mut socket, "ve1").unwrap().unwrap();
    // An ethertype for local experiments (IEEE 802).
    let ears = PacketSocket::listen(peer.index, 0x88b5).unwrap();
    let deaf = PacketSocket::listen(10, 0x88b5).unwrap();
    let mouth = PacketSocket::open().unwrap();

    mouth.send(10, 0x88b5, &LinkAddress::new([0xff; 6]), b"hello").unwrap();

    let end = Instant::now() + Duration::from_secs(10);
    let heard = loop {
        if let Some(packet) = ears.receive().unwrap() {
            break packet;
        }
        assert!(Instant::now() < end, "the frame arrives");
    };
    assert_eq!((heard.link, heard.protocol, heard.source), (peer.index, 0x88b5, mac));
    assert_eq!(&heard.payload, b"hello");
    assert!(deaf.receive().unwrap().is_none(), "what one sends is not heard by oneself");
    accepted(
        &mut socket,
        &[route::set_link(10, &LinkSettings { up: Some(false), ..LinkSettings::default() })],
    );
    assert_eq!(mouth.send(10, 0x88b5, &LinkAddress::new([0xff; 6]), b"x").unwrap_err().errno(), Some(100));
}
