//! What is wrong is said in words.

use serde_json::Value;

use crate::wiring::Lab;

const WIRE: &[&str] = &["--from", "10.7.1.1", "--to", "10.7.1.2"];

fn reason(lab: &Lab, arguments: &[&str]) -> (String, String, Value) {
    let (code, outcome) = lab.measure(1, arguments);
    assert_eq!((code, &outcome["kind"]), (1, &"failed".into()), "{outcome}");
    let text = |name: &str| outcome[name].as_str().unwrap().to_owned();
    (text("reason"), text("sentence"), outcome)
}

#[test]
fn a_host_where_nobody_listens_refuses() {
    let (reason, sentence, _) = reason(&Lab::new(2), WIRE);

    assert_eq!(reason, "refused");
    assert!(sentence.contains("nothing listens on its port 5301"), "{sentence}");
}

#[test]
fn a_firewall_that_drops_connections_is_told_from_a_dead_wire() {
    let lab = Lab::new(2);
    let _listener = lab.serve(2);
    lab.hosts[1].rules("add table inet t; add chain inet t in { type filter hook input priority 0; }");

    lab.hosts[1].rules("add rule inet t in iifname net1 meta l4proto tcp drop");
    let (first, _, outcome) = reason(&lab, WIRE);
    assert_eq!((first.as_str(), &outcome["answered"]), ("timedOut", &true.into()), "{outcome}");

    lab.hosts[1].rules("add rule inet t in iifname net1 meta l4proto udp drop");
    let (second, sentence, outcome) = reason(&lab, WIRE);
    assert_eq!((second.as_str(), &outcome["answered"]), ("timedOut", &false.into()), "{outcome}");
    assert!(sentence.contains("no answer from 10.7.1.2"), "{sentence}");

    let (code, _) = lab.measure(1, &["--from", "10.7.0.1", "--to", "10.7.0.2"]);
    assert_eq!(code, 0, "the other wire is as it was");
}

#[test]
fn where_no_route_leads_that_is_said() {
    let lab = Lab::new(2);

    let (v4, sentence, _) = reason(&lab, &["--from", "10.7.1.1", "--to", "10.99.0.2"]);
    assert_eq!(v4, "noRoute", "{sentence}");
    assert!(sentence.contains("no route from 10.7.1.1 by net1 to 10.99.0.2"), "{sentence}");

    let (v6, sentence, _) = reason(&lab, &["--from", "fd07:1::1", "--to", "fd99::2"]);
    assert_eq!(v6, "noRoute", "{sentence}");
}

#[test]
fn an_address_of_nobody_is_unreachable() {
    let lab = Lab::new(2);
    lab.hosts[0].must("sysctl -qw net.ipv4.neigh.net1.retrans_time_ms=100");

    let (reason, sentence, _) = reason(&lab, &["--from", "10.7.1.1", "--to", "10.7.1.77"]);

    assert_eq!(reason, "unreachable", "{sentence}");
    assert!(sentence.contains("nobody answers for 10.7.1.77 on the wire of net1"), "{sentence}");
}

#[test]
fn a_source_that_the_pod_does_not_have_is_said() {
    let (reason, sentence, _) = reason(&Lab::new(2), &["--from", "10.7.1.9", "--to", "10.7.1.2"]);

    assert_eq!(reason, "noSource");
    assert!(sentence.contains("10.7.1.9"), "{sentence}");
}

#[test]
fn a_path_that_swallows_large_packets_is_told_by_its_mtu() {
    let lab = Lab::new(2);
    let _listener = lab.serve(2);
    // The switch port towards host 2 takes no more than this and tells nobody; hosts believe in 9000.
    for host in &lab.hosts {
        host.must("ip link set net1 mtu 9000");
    }
    lab.wires.must("ip link set p1w1 mtu 9000");
    lab.wires.must("ip link set p2w1 mtu 1500");

    let (reason, sentence, _) = reason(&lab, WIRE);

    assert_eq!(reason, "largeStalled", "{sentence}");
    assert!(sentence.contains("the MTU of net1 is larger than that of the path"), "{sentence}");
}
