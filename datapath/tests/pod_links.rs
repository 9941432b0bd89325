//! Links of pods on the running kernel, in a network namespace made for each test.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "test code outside of test functions"
)]

use std::os::fd::OwnedFd;
use std::process::Command;

use datapath::netns::{HostNamespace, PodNamespace, inside};
use datapath::{MultipathRoute, PodLink, PodRoute, PolicyTable, Source, Taken, unwire, wire};
use netlink::route::{MacvlanMode, NewLinkKind};
use netlink::{Family, Socket};
use nix::sched::{CloneFlags, unshare};
use serde_json::Value;

/// A scratch host with veth masters `m0`, `m1` …, each with a peer `w0`, `w1` … as its wire.
struct Host {
    socket: Socket,
    home: HostNamespace,
}

fn host(masters: u32) -> Host {
    unshare(CloneFlags::CLONE_NEWNET).unwrap();
    for number in 0..masters {
        ip(&format!("link add m{number} type veth peer name w{number}"));
        ip(&format!("link set m{number} up"));
        ip(&format!("link set w{number} up"));
    }
    Host { socket: Socket::open(Family::Route).unwrap(), home: HostNamespace::current().unwrap() }
}

fn ip(words: &str) -> String {
    let output = Command::new("ip").args(words.split_whitespace()).output().unwrap();
    assert!(output.status.success(), "ip {words}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

fn json(words: &str) -> Value {
    let text = ip(&format!("-j -d {words}"));
    if text.trim().is_empty() { Value::Array(Vec::new()) } else { serde_json::from_str(&text).unwrap() }
}

/// A namespace without a name: it lives as long as the descriptor.
fn namespace() -> OwnedFd {
    std::thread::spawn(|| {
        unshare(CloneFlags::CLONE_NEWNET).unwrap();
        OwnedFd::from(std::fs::File::open("/proc/thread-self/ns/net").unwrap())
    })
    .join()
    .unwrap()
}

fn pod() -> PodNamespace {
    PodNamespace::open(namespace()).unwrap()
}

fn index(name: &str) -> u32 {
    let links = json(&format!("link show {name}"));
    u32::try_from(links[0]["ifindex"].as_u64().unwrap()).unwrap()
}

fn macvlan(position: u16, master: &str, address: &str) -> PodLink {
    PodLink {
        position,
        name: format!("net1-{position}"),
        alt_name: None,
        index: 1000 + u32::from(position),
        source: Source::Above {
            kind: NewLinkKind::Macvlan { mode: MacvlanMode::Bridge, sources: Vec::new() },
            master: index(master),
        },
        mtu: None,
        address: None,
        addresses: vec![address.parse().unwrap()],
        routes: Vec::new(),
        policy: None,
        announce: true,
        duplicate_check: None,
    }
}

fn without_steps(_: &'static str) -> Result<(), datapath::DatapathError> {
    Ok(())
}

#[test]
fn two_links_come_with_names_addresses_routes_rules_and_settings() {
    let mut host = host(2);
    let mut pod = pod();
    let mut links = [macvlan(0, "m0", "192.168.0.1/18"), macvlan(1, "m1", "192.168.64.1/18")];
    links[0].alt_name = Some("net1".to_owned());
    links[0].addresses.push("fd10:20::1/66".parse().unwrap());
    links[0].routes = vec![PodRoute {
        destination: "10.0.0.0/8".parse().unwrap(),
        gateway: Some("192.168.0.254".parse().unwrap()),
        mtu: None,
        advmss: None,
        metric: None,
        table: None,
        scope: None,
    }];
    for link in &mut links {
        link.policy = Some(PolicyTable { gateways: Vec::new() });
    }
    let several = MultipathRoute {
        destination: "172.16.0.0/16".parse().unwrap(),
        gateways: vec!["192.168.0.254".parse().unwrap(), "192.168.64.254".parse().unwrap()],
    };

    let made =
        wire(&mut host.socket, &host.home, &mut pod, 77, &links, &[several], &mut without_steps).unwrap();

    assert_eq!(made.links.len(), 2);
    assert!(made.links.iter().all(|link| link.mtu == 1500 && link.address.is_some()));
    let (shown, routes, rules, rules6, own) = inside(std::os::fd::AsFd::as_fd(&pod), || {
        (
            json("address show"),
            json("route show"),
            json("rule show"),
            json("-6 rule show"),
            json("route show table 1296958440"),
        )
    })
    .unwrap();
    let link = shown.as_array().unwrap().iter().find(|link| link["ifname"] == "net1-0").unwrap();
    assert_eq!(link["altnames"][0], "net1");
    assert_eq!(link["group"], "77");
    let addresses: Vec<&str> =
        link["addr_info"].as_array().unwrap().iter().map(|a| a["local"].as_str().unwrap()).collect();
    assert_eq!(&addresses[..2], ["192.168.0.1", "fd10:20::1"]);
    assert!(addresses.len() == 3 && addresses[2].starts_with("fe80:"), "and a link-local one: {link}");
    let text = routes.to_string();
    for wanted in ["192.168.0.0/18", "192.168.64.0/18", "10.0.0.0/8", "172.16.0.0/16"] {
        assert!(text.contains(wanted), "{wanted} in {text}");
    }
    assert!(rules.to_string().contains("20001"), "{rules}");
    assert!(rules6.to_string().contains("20000"), "{rules6}");
    assert!(own.to_string().contains("192.168.0.0/18"), "{own}");
    let setting = |name: &str, setting: &str, family: &str| {
        let file = format!("/proc/sys/net/{family}/conf/{name}/{setting}");
        inside(std::os::fd::AsFd::as_fd(&pod), || std::fs::read_to_string(file).unwrap()).unwrap()
    };
    assert_eq!(setting("net1-0", "rp_filter", "ipv4").trim(), "2");
    assert_eq!(setting("net1-0", "arp_ignore", "ipv4").trim(), "1");
    assert_eq!(setting("net1-0", "arp_announce", "ipv4").trim(), "2");
    assert_eq!(setting("net1-0", "accept_ra", "ipv6").trim(), "0");
    assert_eq!(setting("net1-1", "disable_ipv6", "ipv6").trim(), "1");

    let links: Vec<(PodLink, Option<Taken>)> = links.into_iter().map(|link| (link, None)).collect();
    let left = unwire(&mut host.socket, &host.home, &mut pod, 77, &links).unwrap();

    assert!(left.is_empty(), "{left:?}");
    let (links, rules) =
        inside(std::os::fd::AsFd::as_fd(&pod), || (json("link show"), json("rule show"))).unwrap();
    assert_eq!(links.as_array().unwrap().len(), 1, "{links}");
    assert!(!rules.to_string().contains("2000"), "{rules}");
}

#[test]
fn a_failure_in_the_middle_leaves_nothing() {
    let mut host = host(2);
    let mut pod = pod();
    let mut links = [macvlan(0, "m0", "192.168.0.1/18"), macvlan(1, "m1", "192.168.64.1/18")];
    for link in &mut links {
        link.policy = Some(PolicyTable { gateways: Vec::new() });
    }
    for failing in ["links", "sysctls", "addresses", "readBack"] {
        let mut step = |name: &'static str| {
            if name == failing {
                return Err(datapath::DatapathError::NoLink { what: failing.to_owned() });
            }
            Ok(())
        };
        let error = wire(&mut host.socket, &host.home, &mut pod, 77, &links, &[], &mut step).unwrap_err();
        assert!(error.to_string().contains(failing), "{error}");
        let (links, rules) =
            inside(std::os::fd::AsFd::as_fd(&pod), || (json("link show"), json("rule show"))).unwrap();
        assert_eq!(links.as_array().unwrap().len(), 1, "{failing}: {links}");
        assert_eq!(rules.as_array().unwrap().len(), 3, "{failing}: {rules}");
    }
    links[1].routes = vec![PodRoute {
        destination: "10.0.0.0/8".parse().unwrap(),
        gateway: Some("::1".parse().unwrap()),
        mtu: None,
        advmss: None,
        metric: None,
        table: None,
        scope: None,
    }];

    let error =
        wire(&mut host.socket, &host.home, &mut pod, 77, &links, &[], &mut without_steps).unwrap_err();

    assert!(error.to_string().contains("route to 10.0.0.0/8 over net1-1"), "{error}");
    let links = inside(std::os::fd::AsFd::as_fd(&pod), || json("link show")).unwrap();
    assert_eq!(links.as_array().unwrap().len(), 1, "{links}");
}

#[test]
fn a_taken_name_is_refused_before_anything_is_made() {
    let mut host = host(1);
    let mut pod = pod();
    inside(std::os::fd::AsFd::as_fd(&pod), || ip("link add net1-0 type veth peer name other")).unwrap();

    let links = [macvlan(0, "m0", "192.168.0.1/18")];
    let error =
        wire(&mut host.socket, &host.home, &mut pod, 77, &links, &[], &mut without_steps).unwrap_err();

    assert_eq!(error.to_string(), "the pod already has an interface `net1-0`; nothing was changed");
}

#[test]
fn a_device_comes_back_as_it_was() {
    let mut host = host(1);
    let mut pod = pod();
    ip("address add 10.9.0.1/24 dev m0");
    ip("link set m0 mtu 1400");
    let before = json("address show m0");
    let mut link = macvlan(0, "m0", "192.168.0.1/18");
    link.source = Source::Device { index: index("m0") };
    link.mtu = Some(1300);
    link.address = Some(netlink::LinkAddress::new([2, 0, 0, 0, 0, 9]));

    let made = wire(
        &mut host.socket,
        &host.home,
        &mut pod,
        77,
        std::slice::from_ref(&link),
        &[],
        &mut without_steps,
    )
    .unwrap();

    let taken = made.links[0].taken.clone().unwrap();
    assert_eq!((taken.name.as_str(), taken.mtu, taken.up), ("m0", 1400, true));
    assert_eq!(made.links[0].mtu, 1300);
    let inner = inside(std::os::fd::AsFd::as_fd(&pod), || json("address show net1-0")).unwrap();
    assert_eq!(inner[0]["address"], "02:00:00:00:00:09");

    let left = unwire(&mut host.socket, &host.home, &mut pod, 77, &[(link, Some(taken))]).unwrap();

    assert!(left.is_empty(), "{left:?}");
    let after = json("address show m0");
    for field in ["address", "mtu", "flags", "group"] {
        assert_eq!(before[0][field], after[0][field], "{field}");
    }
    assert_eq!(after[0]["addr_info"][0]["local"], "10.9.0.1");
}

#[test]
fn a_stranger_in_the_group_survives() {
    let mut host = host(2);
    let mut pod = pod();
    let links = [macvlan(0, "m0", "192.168.0.1/18"), macvlan(1, "m1", "192.168.64.1/18")];
    wire(&mut host.socket, &host.home, &mut pod, 77, &links, &[], &mut without_steps).unwrap();
    inside(std::os::fd::AsFd::as_fd(&pod), || {
        ip("link add stranger type veth peer name other");
        ip("link set stranger group 77");
    })
    .unwrap();

    let links: Vec<(PodLink, Option<Taken>)> = links.into_iter().map(|link| (link, None)).collect();
    unwire(&mut host.socket, &host.home, &mut pod, 77, &links).unwrap();

    let names = inside(std::os::fd::AsFd::as_fd(&pod), || json("link show")).unwrap();
    let names: Vec<&str> =
        names.as_array().unwrap().iter().map(|link| link["ifname"].as_str().unwrap()).collect();
    assert!(names.contains(&"stranger") && !names.contains(&"net1-0"), "{names:?}");
}
