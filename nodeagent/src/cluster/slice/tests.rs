use crds::CidrSpec;
use serde_json::{Value, json};

use super::{Entry, Own, Peer, Slice};

fn spec(value: Value) -> CidrSpec {
    serde_json::from_value(value).unwrap()
}

fn host(index: u32, name: &str, more: Value) -> Value {
    let mut host = json!({
        "hostIndex": index, "hostName": name, "interfaceName": "eth1", "hostIP": format!("10.0.1.{}", index + 1),
        "podCIDR": format!("192.168.{index}.0/24"),
    });
    host.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    host
}

fn cidr(hosts: &[Value], config: Value) -> CidrSpec {
    let mut all = json!({
        "name": "red", "type": "ipvlan", "subnet": "192.168.0.0/16", "masterNets": ["10.0.1.0/24"],
        "hostBlock": 6, "interfaceBlock": 2, "vlanMode": "l3",
    });
    all.as_object_mut().unwrap().extend(config.as_object().unwrap().clone());
    spec(json!({
        "config": all,
        "cidr": [{"netAddress": "10.0.1.0/24", "interfaceIndex": 0, "vlanCIDR": "192.168.0.0/18", "hosts": hosts}],
    }))
}

#[test]
fn an_object_of_the_predecessor_is_read_as_it_is() {
    let spec =
        cidr(&[host(0, "n1", json!({})), host(1, "n2", json!({}))], json!({"excludeCIDRs": ["192.168.0.9"]}));

    let (slice, problems) = Slice::read("red", None, &spec, "n1");

    assert_eq!(problems, Vec::<String>::new());
    let wanted = Slice {
        network: "red".to_owned(),
        subnets: vec!["192.168.0.0/16".parse().unwrap()],
        routed: true,
        excludes: vec!["192.168.0.9/32".parse().unwrap()],
        entries: vec![Entry {
            index: 0,
            net: Some("10.0.1.0/24".parse().unwrap()),
            interface: vec!["192.168.0.0/18".parse().unwrap()],
            own: Some(Own {
                name: "eth1".to_owned(),
                pci: None,
                pods: vec!["192.168.0.0/24".parse().unwrap()],
            }),
            peers: vec![Peer {
                v4: Some(("192.168.1.0/24".parse().unwrap(), "10.0.1.2".parse().unwrap())),
                v6: None,
            }],
        }],
    };
    assert_eq!(slice, wanted);
}

#[test]
fn ipv6_goes_by_the_global_address_else_by_the_link_local_one() {
    let pods = json!(["fd10:20::/72", "192.168.1.0/24"]);
    let global = json!({"podCIDRs": pods, "hostIPs": ["10.0.1.2", "2001:db8::2"], "linkLocal": "fe80::2"});
    let local = json!({"podCIDRs": pods, "linkLocal": "fe80::2"});
    let spec = cidr(&[host(1, "n2", global), host(1, "n3", local)], json!({}));

    let (slice, _) = Slice::read("red", None, &spec, "n1");

    let hops: Vec<String> =
        slice.entries[0].peers.iter().map(|peer| peer.v6.unwrap().1.to_string()).collect();
    assert_eq!(hops, ["2001:db8::2", "fe80::2"]);
    assert_eq!(slice.entries[0].peers[0].v4.unwrap().1.to_string(), "10.0.1.2");
}

#[test]
fn the_label_says_whose_slice_it_is() {
    let spec = cidr(&[], json!({"name": "", "vlanMode": "l2"}));

    assert_eq!(Slice::read("red-slice-1", Some("red"), &spec, "n1").0.network, "red");
    assert_eq!(Slice::read("red", None, &spec, "n1").0.network, "red");
    assert!(!Slice::read("red", None, &spec, "n1").0.routed);
}

#[test]
fn a_host_that_cannot_be_read_leaves_the_others() {
    let broken = host(0, "n2", json!({"podCIDR": "x"}));
    let hopless = host(1, "n3", json!({"hostIP": ""}));
    let spec = cidr(&[broken, hopless, host(2, "n1", json!({}))], json!({}));

    let (slice, problems) = Slice::read("red", None, &spec, "n1");

    assert_eq!(problems, ["host n2 on 10.0.1.0/24: its blocks cannot be read"]);
    assert!(slice.entries[0].own.is_some());
    assert_eq!(slice.entries[0].peers, [Peer::default()]);
}
