//! Links of pods on the running kernel, in network namespaces made for each test.
//!
//! REQUIRES: root (network namespaces); kinds veth, macvlan.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "test code outside of test functions"
)]

mod harness;

use std::os::fd::AsFd;

use datapath::netns::inside;
use datapath::{DatapathError, MultipathRoute, PolicyTable};
use harness::{
    GROUP, Host, above, index, ip, ip_in, json, json_in, macvlan, macvlan_mode, names_in, pod, route, setting,
};
use netlink::LinkAddress;
use netlink::route::{MacvlanMode, NewLinkKind};

#[test]
fn two_links_come_with_names_addresses_routes_rules_and_settings() {
    let mut host = Host::with_masters(2);
    let mut pod = pod();
    let mut links = [macvlan(0, "m0", "192.168.0.1/18"), macvlan(1, "m1", "192.168.64.1/18")];
    links[0].alt_name = Some("net1".to_owned());
    links[0].addresses.push("fd10:20::1/66".parse().unwrap());
    links[0].routes =
        vec![route("10.0.0.0/8", Some("192.168.0.254")), route("2001:db8::/32", Some("fd10:20::fe"))];
    for link in &mut links {
        link.policy = Some(PolicyTable { gateways: Vec::new() });
    }
    links[1].policy = Some(PolicyTable { gateways: vec!["192.168.64.254".parse().unwrap()] });
    let several = MultipathRoute {
        destination: "172.16.0.0/16".parse().unwrap(),
        gateways: vec!["192.168.0.254".parse().unwrap(), "192.168.64.254".parse().unwrap()],
    };

    let made = host.wire_until(&mut pod, &links, &[several], "").unwrap();

    assert_eq!(made.links.len(), 2);
    assert!(made.links.iter().all(|link| link.mtu == 1500 && link.address.is_some()));
    let shown = json_in(&pod, "address show net1-0")[0].clone();
    assert_eq!((&shown["altnames"][0], &shown["group"]), (&"net1".into(), &"77".into()));
    let addresses: Vec<&str> =
        shown["addr_info"].as_array().unwrap().iter().map(|a| a["local"].as_str().unwrap()).collect();
    assert_eq!(&addresses[..2], ["192.168.0.1", "fd10:20::1"]);
    assert!(addresses.len() == 3 && addresses[2].starts_with("fe80:"), "and a link-local one: {shown}");
    assert!(shown["addr_info"][1]["tentative"].is_null(), "usable at once: {shown}");
    for (position, prefix) in [(0, "192.168.0.0/18"), (1, "192.168.64.0/18")] {
        let connected = json_in(&pod, &format!("route show {prefix}"));
        assert_eq!(connected[0]["metric"], 100 + position, "{connected:?}");
    }
    let asked = json_in(&pod, "route show 10.0.0.0/8")[0].clone();
    assert_eq!((&asked["protocol"], &asked["gateway"]), (&"77".into(), &"192.168.0.254".into()));
    assert_eq!(json_in(&pod, "-6 route show 2001:db8::/32")[0]["gateway"], "fd10:20::fe");
    assert_eq!(json_in(&pod, "route show 172.16.0.0/16")[0]["nexthops"].as_array().unwrap().len(), 2);
    for (family, priority, source) in
        [("-4", 20000, "192.168.0.1"), ("-4", 20001, "192.168.64.1"), ("-6", 20000, "fd10:20::1")]
    {
        let rules = json_in(&pod, &format!("{family} rule show priority {priority}"));
        assert_eq!((&rules[0]["src"], &rules[0]["protocol"]), (&source.into(), &"77".into()), "{rules:?}");
        assert_eq!(rules[0]["table"], (0x4d4e_0000u32 + 1000 + priority - 20000).to_string());
    }
    let own = ip_in(&pod, "route show table 1296958440");
    assert!(
        own.contains("192.168.0.0/18") && own.contains("10.0.0.0/8") && !own.contains("default"),
        "{own}"
    );
    let own = ip_in(&pod, "route show table 1296958441");
    assert!(own.contains("default via 192.168.64.254"), "{own}");

    host.unwire(&mut pod, &links);

    assert!(names_in(&pod).is_empty());
    assert_eq!(json_in(&pod, "rule show").len(), 3, "only the kernel's own");
    assert_eq!(json_in(&pod, "-6 rule show").len(), 2);
}

#[test]
fn settings_are_those_of_a_host_with_many_links() {
    let mut host = Host::with_masters(2);
    let mut pod = pod();
    let mut links = [macvlan(0, "m0", "192.168.0.1/18"), macvlan(1, "m1", "192.168.64.1/18")];
    links[0].addresses.push("fd10:20::1/66".parse().unwrap());
    let all = |family, name| setting(&pod, family, "all", name);
    let before = [all("ipv4", "rp_filter"), all("ipv4", "arp_ignore"), all("ipv6", "accept_ra")];

    host.wire(&mut harness::pod(), &links).unwrap();
    let mut other = harness::pod();
    host.wire(&mut other, &links).unwrap();

    for link in ["net1-0", "net1-1"] {
        for (name, value) in [("rp_filter", "2"), ("arp_ignore", "1"), ("arp_announce", "2")] {
            assert_eq!(setting(&other, "ipv4", link, name), value, "{link} {name}");
        }
    }
    for (name, value) in [
        ("accept_ra", "0"),
        ("autoconf", "0"),
        ("accept_redirects", "0"),
        ("keep_addr_on_down", "1"),
        ("disable_ipv6", "0"),
    ] {
        assert_eq!(setting(&other, "ipv6", "net1-0", name), value, "{name}");
    }
    assert_eq!(setting(&other, "ipv6", "net1-1", "disable_ipv6"), "1", "no IPv6 asked for");
    let all = |family, name| setting(&other, family, "all", name);
    assert_eq!(before, [all("ipv4", "rp_filter"), all("ipv4", "arp_ignore"), all("ipv6", "accept_ra")]);
    drop(std::mem::replace(&mut pod, other));
}

#[test]
fn ipv6_works_where_the_namespace_has_it_off_for_new_links() {
    let mut host = Host::with_masters(1);
    let mut pod = pod();
    inside(pod.as_fd(), || std::fs::write("/proc/sys/net/ipv6/conf/default/disable_ipv6", "1").unwrap())
        .unwrap();
    let mut link = macvlan(0, "m0", "192.168.0.1/18");
    link.addresses.push("fd10:20::1/66".parse().unwrap());

    host.wire(&mut pod, &[link]).unwrap();

    assert!(ip_in(&pod, "-6 address show net1-0").contains("fd10:20::1"));
}

#[test]
fn every_macvlan_mode_is_wired_and_goes() {
    let mut host = Host::with_masters(1);
    let mut pod = pod();
    for (mode, shown) in [
        (MacvlanMode::Bridge, "bridge"),
        (MacvlanMode::Private, "private"),
        (MacvlanMode::Vepa, "vepa"),
        (MacvlanMode::Passthru, "passthru"),
        (MacvlanMode::Source, "source"),
    ] {
        let kind = match mode {
            MacvlanMode::Source => {
                NewLinkKind::Macvlan { mode, sources: vec![LinkAddress::new([2, 0, 0, 0, 0, 1])] }
            }
            _ => macvlan_mode(mode),
        };
        let mut link = above(0, "m0", kind, &["192.168.0.1/18"]);
        if mode != MacvlanMode::Passthru {
            link.address = Some(LinkAddress::new([2, 0, 0, 0, 0, 9]));
        }

        let made = host.wire(&mut pod, std::slice::from_ref(&link)).unwrap();

        let now = json_in(&pod, "link show net1-0")[0].clone();
        assert_eq!(now["linkinfo"]["info_data"]["mode"], shown);
        assert_eq!(now["address"], made.links[0].address.clone().unwrap().to_string());
        let mac = if mode == MacvlanMode::Passthru {
            json("link show m0")[0]["address"].clone()
        } else {
            "02:00:00:00:00:09".into()
        };
        assert_eq!(now["address"], mac, "{shown}");
        host.unwire(&mut pod, &[link]);
        assert!(names_in(&pod).is_empty());
    }
}

#[test]
fn a_failure_at_any_step_leaves_nothing() {
    let mut host = Host::with_masters(2);
    let mut pod = pod();
    let mut links = [macvlan(0, "m0", "192.168.0.1/18"), macvlan(1, "m1", "192.168.64.1/18")];
    for link in &mut links {
        link.policy = Some(PolicyTable { gateways: Vec::new() });
        link.duplicate_check = Some(std::time::Duration::from_millis(10));
    }
    for failing in ["links", "sysctls", "duplicateCheck", "addresses", "readBack", "announce"] {
        let error = host.wire_until(&mut pod, &links, &[], failing).unwrap_err();

        assert_eq!(error.to_string(), format!("there is no link for step {failing}"));
        assert!(names_in(&pod).is_empty(), "{failing}");
        assert_eq!(json_in(&pod, "rule show").len(), 3, "{failing}");
    }
}

#[test]
fn what_the_kernel_refuses_is_named_in_its_own_words_and_undone() {
    let mut host = Host::with_masters(2);
    let mut pod = pod();
    let mut links = [macvlan(0, "m0", "192.168.0.1/18"), macvlan(1, "m1", "192.168.64.1/18")];
    links[1].routes = vec![route("10.0.0.0/8", Some("::1"))];
    let error = host.wire(&mut pod, &links).unwrap_err();
    assert!(error.sentence().starts_with("add the route to 10.0.0.0/8 over net1-1"), "{}", error.sentence());
    assert!(error.errno().is_some());
    assert!(names_in(&pod).is_empty());

    links[1].routes.clear();
    links[1].source = datapath::Source::Above { kind: macvlan_mode(MacvlanMode::Bridge), master: 4711 };
    let error = host.wire(&mut pod, &links).unwrap_err();
    assert!(error.sentence().contains("create net1-1 (the master is gone)"), "{}", error.sentence());
    assert!(names_in(&pod).is_empty(), "the first one, which was made, too");
}

#[test]
fn what_cannot_be_is_refused_before_anything_is_made() {
    let mut host = Host::with_masters(1);
    let mut pod = pod();
    ip_in(&pod, "link add net1-0 type veth peer name other");
    ip_in(&pod, "link property add dev other altname long-name");
    ip_in(&pod, "link add index 4000 strange type veth peer name odd");
    let free = macvlan(5, "m0", "192.168.0.1/18");
    let mut alike = free.clone();
    alike.alt_name = Some("long-name".to_owned());
    let mut numbered = free.clone();
    numbered.index = 4000;
    let mut large = free.clone();
    large.mtu = Some(9000);
    let mut masters = above(5, "m0", macvlan_mode(MacvlanMode::Passthru), &["192.168.0.1/18"]);
    masters.address = Some(LinkAddress::new([2, 0, 0, 0, 0, 9]));
    let before = names_in(&pod);

    for (link, words) in [
        (
            macvlan(0, "m0", "192.168.0.1/18"),
            "the pod already has an interface `net1-0`; nothing was changed",
        ),
        (alike, "the pod already has an interface `long-name`; nothing was changed"),
        (numbered, "number 4000 is taken in the pod by `strange`; nothing was changed"),
        (large, "net1-5: mtu 9000 is above 1500, the one of its master m0; lower it or raise the master's"),
        (masters, "net1-5: macvlan passthru has its master's MAC; take `mac` out of the request"),
    ] {
        assert_eq!(host.wire(&mut pod, &[link]).unwrap_err().to_string(), words);
        assert_eq!(names_in(&pod), before);
    }
    ip_in(&pod, &format!("link set odd group {GROUP}"));
    let error = host.wire(&mut pod, &[free]).unwrap_err();
    assert_eq!(error.to_string(), "net1-5: group 77 is in use in the pod by odd");
}

#[test]
fn a_stranger_in_the_group_survives() {
    let mut host = Host::with_masters(2);
    let mut pod = pod();
    let links = [macvlan(0, "m0", "192.168.0.1/18"), macvlan(1, "m1", "192.168.64.1/18")];
    host.wire(&mut pod, &links).unwrap();
    ip_in(&pod, "link add stranger type veth peer name other");
    ip_in(&pod, &format!("link set stranger group {GROUP}"));

    host.unwire(&mut pod, &links);

    assert_eq!(names_in(&pod).len(), 2);
    assert!(names_in(&pod).contains(&"stranger".to_owned()));
}

#[test]
fn taking_away_what_is_gone_or_half_there_is_fine() {
    let mut host = Host::with_masters(2);
    let mut pod = pod();
    let links = [macvlan(0, "m0", "192.168.0.1/18"), macvlan(1, "m1", "192.168.64.1/18")];
    host.unwire(&mut pod, &links);
    host.wire(&mut pod, &links).unwrap();
    ip("link del m0");
    assert_eq!(names_in(&pod), ["net1-1"], "the kernel took the one above it");

    host.unwire(&mut pod, &links);
    host.unwire(&mut pod, &links);

    assert!(names_in(&pod).is_empty());
}

#[test]
fn gateways_on_one_subnet_are_reached_by_different_links() {
    let mut host = Host::with_masters(2);
    let mut pod = pod();
    let links = [macvlan(0, "m0", "192.168.0.1/18"), macvlan(1, "m1", "192.168.0.2/18")];
    let several = MultipathRoute {
        destination: "172.16.0.0/16".parse().unwrap(),
        gateways: vec!["192.168.0.253".parse().unwrap(), "192.168.0.254".parse().unwrap()],
    };

    host.wire_until(&mut pod, &links, &[several], "").unwrap();

    let hops = json_in(&pod, "route show 172.16.0.0/16")[0]["nexthops"].clone();
    let links: Vec<&str> = hops.as_array().unwrap().iter().map(|hop| hop["dev"].as_str().unwrap()).collect();
    assert_eq!(links, ["net1-0", "net1-1"]);
}

#[test]
fn a_master_that_is_taken_is_named_with_who_has_it() {
    let mut host = Host::with_masters(1);
    let (mut first, mut second) = (pod(), pod());
    host.wire(&mut first, &[macvlan(0, "m0", "192.168.0.1/18")]).unwrap();
    netlink::route::number_namespace(&mut host.socket, first.as_fd()).unwrap();

    let alone = above(1, "m0", macvlan_mode(MacvlanMode::Passthru), &["192.168.0.2/18"]);
    let error = host.wire(&mut second, &[alone]).unwrap_err();

    let words = "create net1-1 (m0 already carries macvlan bridge net1-0; macvlan passthru cannot share it)";
    assert_eq!(error.to_string(), words);
    let uppers = datapath::masters::uppers(&mut host.socket, &host.home, index("m0")).unwrap();
    assert_eq!(uppers.len(), 1, "{uppers:?}");
    assert_eq!((uppers[0].name.as_str(), uppers[0].kind.as_str()), ("net1-0", "macvlan"));
    assert!(uppers[0].namespace.is_some());

    ip("link add br0 type bridge");
    ip("link add here link m0 type macvlan mode private");
    let uppers = datapath::masters::uppers(&mut host.socket, &host.home, index("m0")).unwrap();
    let mut names: Vec<&str> = uppers.iter().map(|upper| upper.name.as_str()).collect();
    names.sort_unstable();
    assert_eq!(names, ["here", "net1-0"]);
    assert!(matches!(error, DatapathError::Step { .. }));
}

#[test]
fn a_number_that_the_host_uses_is_named_so_that_another_can_be_chosen() {
    let mut host = Host::with_masters(1);
    let mut pod = pod();
    ip("link add index 1000 name back type bridge");

    let verdict = host.wire(&mut pod, &[macvlan(0, "m0", "192.168.0.1/18")]);

    // Newer kernels look in the pod only.
    match verdict {
        Ok(made) => assert_eq!(made.links[0].index, 1000),
        Err(error) => {
            assert_eq!(error.to_string(), "number 1000 is taken on this host by `back`; nothing was changed");
            assert!(names_in(&pod).is_empty());
        }
    }
    assert_eq!(
        json("link show back")[0]["linkinfo"]["info_kind"],
        "bridge",
        "and the host's link is as it was"
    );
}

#[test]
fn replies_and_packets_of_an_address_leave_by_its_own_nic() {
    let mut host = Host::with_masters(2);
    inside(host.wire.as_fd(), || std::fs::write("/proc/sys/net/ipv4/conf/all/rp_filter", "0").unwrap())
        .unwrap();
    let (masters, fars) = (["m0", "m1"].map(str::to_owned), ["w0", "w1"].map(str::to_owned));
    harness::dress_far_ends(&host, &fars);

    harness::assert_addresses_keep_to_their_nics(
        &mut host,
        &masters,
        &fars,
        &macvlan_mode(MacvlanMode::Bridge),
    );
}

#[test]
fn addresses_can_come_after_the_link_is_up() {
    let mut host = Host::with_masters(1);
    let mut pod = pod();
    let mut link = macvlan(0, "m0", "192.168.0.1/18");
    link.addresses.clear();
    let made = host.wire(&mut pod, std::slice::from_ref(&link)).unwrap();
    assert!(made.announcer.is_none(), "nothing to tell yet");
    assert!(json_in(&pod, "link show net1-0")[0]["flags"].to_string().contains("LOWER_UP"));
    link.addresses = vec!["192.168.0.1/18".parse().unwrap(), "fd10:20::1/66".parse().unwrap()];
    link.routes = vec![route("10.0.0.0/8", Some("192.168.0.254"))];
    link.policy = Some(PolicyTable { gateways: Vec::new() });

    let links = [link];
    let given = datapath::give_addresses(&mut host.socket, &host.home, &mut pod, &links, &[]).unwrap();

    assert!(given.announcer.is_some());
    let shown = ip_in(&pod, "address show net1-0");
    assert!(shown.contains("192.168.0.1/18") && shown.contains("fd10:20::1/66"), "{shown}");
    assert!(ip_in(&pod, "rule show").contains("20000"));
    assert_eq!(json_in(&pod, "route show 10.0.0.0/8")[0]["gateway"], "192.168.0.254");
    assert_eq!(setting(&pod, "ipv6", "net1-0", "accept_ra"), "0");
    host.unwire(&mut pod, &links);
    assert!(names_in(&pod).is_empty());
}
