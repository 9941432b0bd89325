mod hosts;

use std::collections::BTreeMap;
use std::time::Instant;

use crds::{CidrSpec, Object as Read};
use hwprobe::Nic;
use serde_json::{Value, json};

use super::super::known::{Kind, Known, Object, Said};
use super::super::slice::Slice;
use super::*;
use crate::planning::samples::{machine, network as object, nic, shown};

/// What the cluster says: networks by name, CIDR objects by name and network.
fn known(networks: &[(&str, Value)], cidrs: &[(&str, &str, Value)]) -> Known {
    let (mut known, now) = (Known::default(), Instant::now());
    for (name, more) in networks {
        let Ok(Read::MultiNicNetwork(read)) = crds::read(&object(name, more.clone())) else {
            panic!("{name}")
        };
        known.take(Kind::Network, Said::There((*name).to_owned(), Object::Network(Box::new(read.spec))), now);
    }
    for (name, network, entries) in cidrs {
        let spec: CidrSpec = serde_json::from_value(json!({
            "config": {
                "name": network, "type": "ipvlan", "subnet": "192.168.0.0/16", "masterNets": [], "hostBlock": 6,
                "interfaceBlock": 2, "vlanMode": "l3", "excludeCIDRs": ["192.168.0.128/25", "192.168.7.0/24"],
            },
            "cidr": entries,
        }))
        .unwrap();
        let (slice, problems) = Slice::read(name, Some(network), &spec, "n1");
        assert_eq!(problems, Vec::<String>::new());
        known.take(Kind::Slice, Said::There((*name).to_owned(), Object::Slice(Box::new(slice))), now);
    }
    known
}

/// An entry with hosts `name interface address block`.
fn entry(index: u32, net: &str, interface: &str, hosts: &[&str]) -> Value {
    let host = |text: &&str| {
        let words: Vec<&str> = text.split(' ').collect();
        json!({"hostIndex": 0, "hostName": words[0], "interfaceName": words[1], "hostIP": words[2], "podCIDR": words[3]})
    };
    let hosts: Vec<Value> = hosts.iter().map(host).collect();
    json!({"netAddress": net, "interfaceIndex": index, "vlanCIDR": interface, "hosts": hosts})
}

fn two_nics() -> Value {
    json!([
        entry(
            0,
            "10.0.1.0/24",
            "192.168.0.0/18",
            &["n1 eth1 10.0.1.7 192.168.0.0/24", "n2 eth7 10.0.1.8 192.168.1.0/24"]
        ),
        entry(1, "10.0.2.0/24", "192.168.64.0/18", &["n1 eth2 10.0.2.7 192.168.64.0/24"]),
    ])
}

fn nics() -> [Nic; 2] {
    [nic("eth1", 1, &["10.0.1.7/24"]), nic("eth2", 2, &["10.0.2.7/24"])]
}

fn planned(known: &Known, nics: &[Nic]) -> Networks {
    let (inventory, classes) = (machine(nics), BTreeMap::new());
    networks(View { node: "n1", known, inventory: &inventory, classes: &classes }, &mut BTreeMap::new())
}

fn refusal(networks: &Networks, name: &str) -> String {
    networks.networks[name].refused.clone().unwrap_or_default()
}

#[test]
fn blocks_are_those_that_the_operator_gave_from_whichever_slice() {
    let second = json!([entry(1, "10.0.2.0/24", "192.168.64.0/18", &["n1 eth2 10.0.2.7 192.168.65.0/24"])]);
    let first = json!([entry(0, "10.0.1.0/24", "192.168.0.0/18", &["n1 eth1 10.0.1.7 192.168.0.0/24"])]);
    let known = known(&[("red", json!({}))], &[("red", "red", first), ("red-slice-1", "red", second)]);

    let networks = planned(&known, &nics());

    let red = &networks.networks["red"];
    assert_eq!(shown(red), ["eth1 192.168.0.0/24", "eth2 192.168.65.0/24"]);
    assert_eq!(red.refused, None);
    assert_eq!(red.interfaces[0].net_address, Some("10.0.1.0/24".parse().unwrap()));
    assert_eq!(red.interfaces[0].blocks[0].interface, "192.168.0.0/18".parse().unwrap());
    assert_eq!(red.interfaces[0].blocks[0].excludes, ["192.168.0.128/25".parse().unwrap()]);
    assert_eq!(red.interfaces[1].blocks[0].excludes, []);
}

#[test]
fn a_nic_that_lost_its_address_or_is_away_keeps_its_blocks_and_gets_no_pods() {
    let known = known(&[("red", json!({}))], &[("red", "red", two_nics())]);

    let [_, eth2] = nics();
    let one = planned(&known, &[nic("eth1", 1, &[]), eth2]);
    assert_eq!(shown(&one.networks["red"]), ["[eth1] 192.168.0.0/24", "eth2 192.168.64.0/24"]);
    assert_eq!(refusal(&one, "red"), "");

    let none = planned(&known, &[]);
    assert_eq!(shown(&none.networks["red"]), ["[eth1] 192.168.0.0/24", "[eth2] 192.168.64.0/24"]);
    let words = "none of its NICs is usable now (eth1, eth2); GET /v1/nics says why";
    assert_eq!(refusal(&none, "red"), words);
}

#[test]
fn a_network_without_blocks_here_says_what_is_missing() {
    let elsewhere = json!([entry(0, "10.0.1.0/24", "192.168.0.0/18", &["n2 eth1 10.0.1.8 192.168.1.0/24"])]);
    let wrong = json!({"subnet": "x"});
    let known =
        known(&[("red", json!({})), ("blue", json!({})), ("green", wrong)], &[("blue", "blue", elsewhere)]);

    let networks = planned(&known, &nics());

    assert!(refusal(&networks, "red").contains("no CIDR object of red"));
    assert!(refusal(&networks, "blue").contains("node n1 no block"));
    assert!(
        refusal(&networks, "green").contains("spec.subnet: `x` is no network"),
        "{}",
        refusal(&networks, "green")
    );
}

#[test]
fn a_network_with_addresses_from_elsewhere_needs_no_operator() {
    let known = known(&[("red", json!({"subnet": "", "ipam": r#"{"type": "host-local"}"#}))], &[]);

    let networks = planned(&known, &nics());

    assert_eq!(shown(&networks.networks["red"]), ["eth1 ", "eth2 "]);
    assert_eq!(refusal(&networks, "red"), "");
}

/// `destination via gateway dev link` of each.
fn routed(known: &Known, nics: &[Nic], name: &str) -> Option<Vec<String>> {
    let (inventory, classes) = (machine(nics), BTreeMap::new());
    let all = routes(View { node: "n1", known, inventory: &inventory, classes: &classes });
    let words = |one: &HostRoute| format!("{} via {} dev {}", one.destination, one.gateway, one.link);
    all.get(name).map(|network| network.routes.iter().map(words).collect())
}

#[test]
fn routes_lead_to_every_other_host_on_the_same_interface_in_whichever_slice() {
    let first = json!([
        entry(
            0,
            "10.0.1.0/24",
            "192.168.0.0/18",
            &["n1 eth1 10.0.1.7 192.168.0.0/24", "n2 eth7 10.0.1.8 192.168.1.0/24"]
        ),
        // Only others have a NIC there.
        entry(1, "10.0.2.0/24", "192.168.64.0/18", &["n2 eth8 10.0.2.8 192.168.65.0/24"]),
    ]);
    let second = json!([entry(0, "10.0.1.0/24", "192.168.0.0/18", &["n3 eth1 10.0.1.9 192.168.2.0/24"])]);
    let l2 = json!({"multiNICIPAM": false});
    let known = known(
        &[("red", json!({})), ("blue", l2)],
        &[("red", "red", first), ("red-slice-1", "red", second), ("blue", "blue", two_nics())],
    );

    let found = routed(&known, &nics(), "red");

    let wanted = ["192.168.1.0/24 via 10.0.1.8 dev eth1", "192.168.2.0/24 via 10.0.1.9 dev eth1"];
    assert_eq!(found.unwrap(), wanted);
    assert_eq!(routed(&known, &nics(), "blue"), None, "not with multi-NIC IPAM");
    // A NIC that is away just now: what is wanted stays.
    assert_eq!(routed(&known, &[], "red").unwrap(), wanted);
}

#[test]
fn pods_in_the_hosts_networks_are_routed_by_their_own_block_and_get_no_hosts_address() {
    let entries = json!([entry(
        0,
        "10.0.1.0/24",
        "10.0.1.0/24",
        &["n1 eth1 10.0.1.7 10.0.1.0/28", "n2 eth1 10.0.1.8 10.0.1.16/28", "n3 eth1 10.0.1.17 10.0.1.32/28"]
    )]);
    let config = json!({"name": "red", "type": "ipvlan", "subnet": "", "masterNets": [], "hostBlock": 4,
                        "interfaceBlock": 0, "vlanMode": "l3"});
    let spec: CidrSpec = serde_json::from_value(json!({"config": config, "cidr": entries})).unwrap();
    let (slice, _) = Slice::read("red", Some("red"), &spec, "n1");
    let mut known = known(&[("red", json!({"subnet": ""}))], &[]);
    known.take(Kind::Slice, Said::There("red".into(), Object::Slice(Box::new(slice))), Instant::now());

    let found = planned(&known, &nics());

    let block = &found.networks["red"].interfaces[0].blocks[0];
    assert_eq!(block.pod, "10.0.1.0/28".parse().unwrap());
    assert_eq!(block.excludes, ["10.0.1.7/32".parse().unwrap(), "10.0.1.8/32".parse().unwrap()]);
    assert_eq!(
        routed(&known, &nics(), "red").unwrap(),
        [
            "10.0.1.16/28 via 10.0.1.8 dev eth1",
            "10.0.1.17/32 via 10.0.1.17 dev eth1",
            "10.0.1.32/28 via 10.0.1.17 dev eth1",
        ]
    );
    let (inventory, classes) = (machine(&nics()), BTreeMap::new());
    let wanted = routes(View { node: "n1", known: &known, inventory: &inventory, classes: &classes });
    assert_eq!(wanted["red"].sources, ["10.0.1.0/28".parse().unwrap()]);
}
