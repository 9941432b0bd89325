//! Addresses, routes and rules on the real kernel, with `ip -j` as the witness.
//!
//! REQUIRES: root (network namespaces); kind veth.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "test code outside of test functions"
)]

mod harness;

use std::collections::BTreeSet;
use std::net::IpAddr;

use harness::{enter_private_namespace, ip, ip_json};
use netlink::route::{self, Address, RouteKind};
use netlink::{Family, Socket};
use serde_json::{Value, json};

fn socket() -> Socket {
    Socket::open(Family::Route).unwrap()
}

fn address(text: &str) -> IpAddr {
    text.parse().unwrap()
}

/// A veth pair, up, with addresses that need no detection of duplicates.
fn pair() {
    enter_private_namespace();
    ip("link add ve0 type veth peer name ve1");
    // Link-local addresses and their routes would appear at a time of their own.
    ip("link set ve0 addrgenmode none");
    ip("link set ve1 addrgenmode none");
    ip("link set ve0 up");
    ip("link set ve1 up");
    ip("address add 192.0.2.1/24 dev ve0");
    ip("address add 2001:db8::1/64 dev ve0 nodad");
}

fn index_of(name: &str) -> u32 {
    route::link_by_name(&mut socket(), name).unwrap().unwrap().index
}

/// An address in the words of `ip -j address`.
fn said(address: &Address) -> Value {
    const FLAGS: &[(u32, &str)] = &[
        (0x1, "secondary"),
        (0x2, "nodad"),
        (0x8, "dadfailed"),
        (0x20, "deprecated"),
        (0x40, "tentative"),
        (0x100, "mngtmpaddr"),
        (0x200, "noprefixroute"),
    ];
    let scope = match address.scope {
        0 => "global",
        253 => "link",
        254 => "host",
        other => panic!("a word for the scope {other}"),
    };
    let forever = u64::from(u32::MAX);
    let lifetime = |seconds: Option<u32>| seconds.map_or(forever, u64::from);
    let mut said = json!({
        "family": if address.address.is_ipv4() { "inet" } else { "inet6" },
        "local": address.address,
        "prefixlen": address.prefix_len,
        "scope": scope,
        "valid_life_time": lifetime(address.valid_lifetime),
        "preferred_life_time": lifetime(address.preferred_lifetime),
    });
    let to = said.as_object_mut().unwrap();
    let ipv6 = address.address.is_ipv6();
    for (bit, name) in FLAGS {
        if address.flags & bit != 0 {
            // The lowest bit marks a temporary address in IPv6.
            to.insert(
                (*name).replace("secondary", if ipv6 { "temporary" } else { "secondary" }),
                json!(true),
            );
        }
    }
    if address.flags & 0x80 == 0 {
        to.insert("dynamic".to_owned(), json!(true));
    }
    for (key, value) in [
        ("label", json!(address.label)),
        ("broadcast", json!(address.broadcast)),
        ("address", json!(address.peer)),
        (
            "protocol",
            json!(
                address
                    .protocol
                    .map(|number| ["0", "kernel_lo", "kernel_ra", "kernel_ll"][usize::from(number)])
            ),
        ),
    ] {
        if !value.is_null() {
            to.insert(key.to_owned(), value);
        }
    }
    said
}

#[test]
fn every_address_is_what_ip_says() {
    pair();
    ip("address add 192.0.2.2/24 dev ve0");
    ip("address add 198.51.100.1 peer 198.51.100.2/32 dev ve0");
    ip("address add 203.0.113.1/28 dev ve1 label ve1:x broadcast + valid_lft 5000 preferred_lft 0");
    ip("address add 2001:db8:1::1/56 dev ve1 noprefixroute nodad");
    ip("address add 169.254.7.7/16 dev ve1 scope link");

    let addresses = route::addresses(&mut socket()).unwrap();

    let mut theirs = BTreeSet::new();
    for link in ip_json("address show") {
        for mut entry in link["addr_info"].as_array().unwrap().iter().cloned() {
            // `ip` 6.1 does not know who made an address; a second may pass between the two.
            entry["ifindex"] = link["ifindex"].clone();
            entry["valid_life_time"] = rounded(&entry["valid_life_time"]);
            theirs.insert(entry.to_string());
        }
    }
    let mut ours = BTreeSet::new();
    for address in &addresses {
        let mut entry = said(address);
        entry["ifindex"] = json!(address.index);
        entry["valid_life_time"] = rounded(&entry["valid_life_time"]);
        let known: Value = theirs.iter().next().map(|text| serde_json::from_str(text).unwrap()).unwrap();
        if known.get("protocol").is_none() {
            entry.as_object_mut().unwrap().remove("protocol");
        }
        ours.insert(sorted(&entry));
    }
    let theirs: BTreeSet<String> =
        theirs.iter().map(|text| sorted(&serde_json::from_str(text).unwrap())).collect();
    assert_eq!(ours, theirs);
    assert_eq!(addresses.len(), ours.len());
}

fn rounded(seconds: &Value) -> Value {
    json!((seconds.as_u64().unwrap() + 50) / 100)
}

/// Text in which the order of fields does not matter.
fn sorted(value: &Value) -> String {
    let fields: std::collections::BTreeMap<_, _> = value.as_object().unwrap().iter().collect();
    serde_json::to_string(&fields).unwrap()
}

#[test]
fn default_routes_of_every_table_are_found_among_thousands_of_others() {
    pair();
    ip("route add default via 192.0.2.254");
    ip("route add default via 192.0.2.253 metric 50 src 192.0.2.1");
    ip("route add default via 192.0.2.254 table 7777");
    ip("route add unreachable default metric 4000");
    ip("-6 route add default nexthop via 2001:db8::fe weight 3 nexthop via 2001:db8::fd weight 5");
    ip("-4 route add default via inet6 2001:db8::fe dev ve0 table 9");
    let lines: String =
        (0..5000).map(|n| format!("route add 10.{}.{}.0/24 dev ve0\n", n / 256, n % 256)).collect();
    harness::ip_batch(&lines);

    let found = route::default_routes(&mut socket()).unwrap();

    let index = Some(index_of("ve0"));
    let find = |table: u32, metric: Option<u32>, v4: bool| {
        found
            .iter()
            .find(|route| route.table == table && route.metric == metric && route.destination.is_ipv4() == v4)
            .unwrap_or_else(|| panic!("table {table} metric {metric:?}: {found:#?}"))
    };
    assert!(found.iter().all(route::Route::is_default));
    // IPv6 keeps an unreachable default of its own in no table that counts; ours are six.
    assert_eq!(found.len(), 6, "{found:#?}");
    let main = find(254, None, true);
    assert_eq!((main.hops[0].index, main.hops[0].gateway), (index, Some(address("192.0.2.254"))));
    assert_eq!((main.kind, main.protocol, main.hops[0].weight), (RouteKind::Unicast, 3, None));
    let second = find(254, Some(50), true);
    assert_eq!(second.preferred_source, Some(address("192.0.2.1")));
    assert_eq!(find(7777, None, true).hops[0].gateway, Some(address("192.0.2.254")));
    assert_eq!(find(254, Some(4000), true).kind, RouteKind::Unreachable);
    assert_eq!(find(9, None, true).hops[0].gateway, Some(address("2001:db8::fe")));
    let multipath = find(254, Some(1024), false);
    let hops: Vec<_> = multipath.hops.iter().map(|hop| (hop.index, hop.gateway, hop.weight)).collect();
    assert_eq!(
        hops,
        [(index, Some(address("2001:db8::fe")), Some(3)), (index, Some(address("2001:db8::fd")), Some(5))]
    );
}

#[test]
fn routes_of_one_table_are_that_tables_and_all_routes_are_as_many_as_ip_counts() {
    pair();
    ip("route add 10.0.0.0/8 via 192.0.2.254 table 7777 metric 5");
    ip("-6 route add 2001:db8:9::/48 via 2001:db8::fe table 7777");
    ip("route add blackhole 10.9.0.0/16");

    let of_table = route::routes(&mut socket(), Some(7777)).unwrap();
    let none = route::routes(&mut socket(), Some(31_337)).unwrap();
    // A link that has just come up gets routes for a while.
    let counted = || ip_json("-4 route show table all").len() + ip_json("-6 route show table all").len();
    let all = (0..100)
        .find_map(|_| {
            let all = route::routes(&mut socket(), None).unwrap();
            if all.len() == counted() {
                return Some(all);
            }
            std::thread::sleep(std::time::Duration::from_millis(50));
            None
        })
        .expect("as many routes as ip counts");

    let destinations: Vec<_> = of_table.iter().map(|route| (route.destination, route.prefix_len)).collect();
    assert_eq!(destinations, [(address("10.0.0.0"), 8), (address("2001:db8:9::"), 48)]);
    assert!(of_table.iter().all(|route| route.table == 7777));
    assert!(none.is_empty());
    let blackhole = all.iter().find(|route| route.kind == RouteKind::Blackhole).unwrap();
    assert!(blackhole.hops.is_empty());
}

#[test]
fn looking_up_a_route_tells_interface_gateway_source_and_table() {
    pair();
    ip("route add 10.0.0.0/8 via 192.0.2.254");
    ip("route add 10.1.0.0/16 via 192.0.2.253 table 7777");
    ip("rule add to 10.1.0.0/16 table 7777");
    ip("route add unreachable 10.2.0.0/16");
    let mut socket = socket();
    let index = index_of("ve0");
    let mut to = |text: &str| route::route_to(&mut socket, address(text)).unwrap();

    let hop = to("10.0.0.1").unwrap();
    assert_eq!((hop.index, hop.gateway), (index, Some(address("192.0.2.254"))));
    assert_eq!((hop.source, hop.local), (Some(address("192.0.2.1")), false));
    assert_eq!(to("10.1.0.1").unwrap().gateway, Some(address("192.0.2.253")));
    assert_eq!(to("2001:db8::77").unwrap().index, index);
    assert!(to("192.0.2.1").unwrap().local);
    for nowhere in ["10.2.0.1", "198.51.100.1", "2001:db8:77::1"] {
        assert_eq!(to(nowhere), None, "{nowhere}");
    }
}

#[test]
fn rules_are_what_ip_says() {
    pair();
    ip("rule add from 192.0.2.0/25 table 7777 priority 100");
    ip("rule add fwmark 0x10/0xff iif ve1 table 9 priority 101");
    ip("-6 rule add to 2001:db8::/32 oif ve0 prohibit priority 102");

    let rules = route::rules(&mut socket()).unwrap();

    assert_eq!(rules.len(), ip_json("-4 rule show").len() + ip_json("-6 rule show").len());
    let rule = |priority: u32| rules.iter().find(|rule| rule.priority == priority).unwrap();
    assert_eq!((rule(100).source, rule(100).table), (Some((address("192.0.2.0"), 25)), 7777));
    assert_eq!((rule(101).mark, rule(101).mark_mask), (Some(0x10), Some(0xff)));
    assert_eq!(rule(101).incoming.as_deref(), Some("ve1"));
    let prohibit = rule(102);
    assert_eq!((prohibit.ipv6, prohibit.action), (true, 8));
    assert_eq!(prohibit.destination, Some((address("2001:db8::"), 32)));
    assert_eq!(prohibit.outgoing.as_deref(), Some("ve0"));
}
