use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;

/// A NIC as agents tell of it.
fn nic(name: &str, net: &str, address: &str, pci: &str) -> Interface {
    Interface {
        interface_name: name.into(),
        net_address: net.into(),
        host_ip: address.into(),
        pci_address: pci.into(),
        ..Interface::default()
    }
}

fn spec(subnet: &str, master_nets: &[&str]) -> NetworkSpec {
    serde_json::from_value(json!({
        "subnet": subnet, "multiNICIPAM": true, "masterNets": master_nets,
        "ipam": r#"{"type": "multi-nic-ipam", "hostBlock": 6, "interfaceBlock": 2, "vlanMode": "l3"}"#,
        "plugin": {"cniVersion": "0.3.0", "type": "ipvlan", "args": {"mode": "l3"}},
    }))
    .unwrap()
}

type Hosts = BTreeMap<String, Vec<Interface>>;

/// Plans upon what an earlier plan left.
fn again(spec: &NetworkSpec, objects: &BTreeMap<String, CidrSpec>, hosts: &Hosts) -> Wanted {
    let objects = objects.iter().map(|(name, object)| (name.as_str(), object)).collect();
    let hosts = hosts
        .iter()
        .map(|(name, nics)| {
            let presence = if nics.is_empty() { Presence::Silent } else { Presence::Here(nics.as_slice()) };
            (name.as_str(), presence)
        })
        .collect();
    let taken = BTreeSet::from(["other", "net-slice-1"]);
    plan(&Input { name: "net", spec, objects: &objects, hosts: &hosts, taken: &taken, frozen: false })
}

fn first(spec: &NetworkSpec, hosts: &Hosts) -> Wanted {
    again(spec, &BTreeMap::new(), hosts)
}

/// Two hosts as in the worked example of CONTRACTS §5.1.
fn two_hosts() -> Hosts {
    let of = |last: u8| {
        vec![
            nic("eth1", "10.0.1.0/24", &format!("10.0.1.{last}"), "0000:01:00.0"),
            nic("eth2", "10.0.2.0/24", &format!("10.0.2.{last}"), "0000:02:00.0"),
        ]
    };
    Hosts::from([("h1".into(), of(1)), ("h2".into(), of(2))])
}

/// `entry net@ordinal index vlan: host=podCIDR …`, one line each.
fn lines(wanted: &Wanted) -> Vec<String> {
    let entries =
        wanted.objects.iter().flat_map(|(name, object)| object.cidr.iter().map(move |entry| (name, entry)));
    entries
        .map(|(name, entry)| {
            let hosts: Vec<String> = entry
                .hosts
                .iter()
                .map(|host| format!("{}:{}={}{}", host.host_index, host.host_name, host.pod_cidr, host.state))
                .collect();
            format!(
                "{name} {}@{} {} {}: {}",
                entry.net_address,
                entry.ordinal,
                entry.interface_index,
                entry.vlan_cidr,
                hosts.join(" ")
            )
        })
        .collect()
}

#[test]
fn the_worked_example_is_the_predecessors_to_the_letter() {
    let spec = spec("192.168.0.0/16", &["10.0.1.0/24", "10.0.2.0/24"]);

    let wanted = first(&spec, &two_hosts());

    assert_eq!(wanted.complaints, []);
    assert_eq!((wanted.assigned, wanted.expected), (4, 4));
    let host = |index: u32, name: &str, nic: &str, ip: &str, pod: &str, pci: &str| {
        json!({
            "hostIndex": index, "hostName": name, "interfaceName": nic, "hostIP": ip, "podCIDR": pod,
            "ippool": format!("net-{}", pod.replace('/', "-")), "pciAddress": pci,
        })
    };
    let object: Value = serde_json::to_value(&wanted.objects["net"]).unwrap();
    let expected = json!({
        "config": {
            "name": "net", "type": "ipvlan", "subnet": "192.168.0.0/16",
            "masterNets": ["10.0.1.0/24", "10.0.2.0/24"], "hostBlock": 6, "interfaceBlock": 2, "vlanMode": "l3",
        },
        "cidr": [
            {"netAddress": "10.0.1.0/24", "interfaceIndex": 0, "vlanCIDR": "192.168.0.0/18", "hosts": [
                host(0, "h1", "eth1", "10.0.1.1", "192.168.0.0/24", "0000:01:00.0"),
                host(1, "h2", "eth1", "10.0.1.2", "192.168.1.0/24", "0000:01:00.0"),
            ]},
            {"netAddress": "10.0.2.0/24", "interfaceIndex": 1, "vlanCIDR": "192.168.64.0/18", "hosts": [
                host(0, "h1", "eth2", "10.0.2.1", "192.168.64.0/24", "0000:02:00.0"),
                host(1, "h2", "eth2", "10.0.2.2", "192.168.65.0/24", "0000:02:00.0"),
            ]},
        ],
    });
    assert_eq!(object, expected);
}

#[test]
fn the_same_cluster_is_planned_to_the_same_blocks() {
    let spec = spec("192.168.0.0/16", &[]);
    let wanted = first(&spec, &two_hosts());

    assert_eq!(again(&spec, &wanted.objects, &two_hosts()), wanted);
    assert_eq!(wanted.nets, ["10.0.1.0/24", "10.0.2.0/24"]);
}

#[test]
fn blocks_made_by_the_predecessor_stay() {
    let spec = spec("192.168.0.0/16", &["10.0.1.0/24"]);
    // Its own choice: host 5 first, no PCI addresses, another order of hosts.
    let former: CidrSpec = serde_json::from_value(json!({
        "config": {"name": "net", "type": "ipvlan", "subnet": "192.168.0.0/16", "masterNets": ["10.0.1.0/24"],
                   "hostBlock": 6, "interfaceBlock": 2, "vlanMode": "l3"},
        "cidr": [{"netAddress": "10.0.1.0/24", "interfaceIndex": 2, "vlanCIDR": "192.168.128.0/18", "hosts": [
            {"hostIndex": 5, "hostName": "h2", "interfaceName": "eth1", "hostIP": "10.0.1.2",
             "podCIDR": "192.168.133.0/24", "ippool": "net-192.168.133.0-24"}]}],
    }))
    .unwrap();

    let wanted = again(&spec, &BTreeMap::from([("net".into(), former)]), &two_hosts());

    assert_eq!(
        lines(&wanted),
        ["net 10.0.1.0/24@0 2 192.168.128.0/18: 5:h2=192.168.133.0/24 6:h1=192.168.134.0/24"]
    );
    assert_eq!(wanted.objects["net"].cidr[0].hosts[0].pci_address, "0000:01:00.0");
}

#[test]
fn two_nics_of_a_host_on_one_network_are_two_interfaces_and_equal_ranks_pair() {
    let net = "10.0.1.0/24";
    let a =
        vec![nic("eth2", net, "10.0.1.12", "0000:02:00.0"), nic("eth1", net, "10.0.1.11", "0000:01:00.0")];
    let b = vec![nic("eth1", net, "10.0.1.21", "0000:01:00.0")];
    let c =
        vec![nic("ens1", net, "10.0.1.31", "0000:05:00.0"), nic("ens2", net, "10.0.1.32", "0000:06:00.0")];
    let hosts = Hosts::from([("a".into(), a), ("b".into(), b), ("c".into(), c)]);

    let wanted = first(&spec("192.168.0.0/16", &[]), &hosts);

    assert_eq!(
        lines(&wanted),
        [
            "net 10.0.1.0/24@0 0 192.168.0.0/18: 0:a=192.168.0.0/24 1:b=192.168.1.0/24 2:c=192.168.2.0/24",
            "net 10.0.1.0/24@1 1 192.168.64.0/18: 0:a=192.168.64.0/24 1:c=192.168.65.0/24",
        ]
    );
    let names = |index: usize| -> Vec<&str> {
        wanted.objects["net"].cidr[index].hosts.iter().map(|host| host.interface_name.as_str()).collect()
    };
    assert_eq!((names(0), names(1)), (vec!["eth1", "eth1", "ens1"], vec!["eth2", "ens2"]));
}

#[test]
fn a_rank_stays_with_its_nic_when_one_with_a_lower_address_comes() {
    let net = "10.0.1.0/24";
    let mut hosts = Hosts::from([("a".into(), vec![nic("eth5", net, "10.0.1.5", "0000:05:00.0")])]);
    let wanted = first(&spec("192.168.0.0/16", &[]), &hosts);
    hosts.get_mut("a").unwrap().push(nic("eth1", net, "10.0.1.1", "0000:01:00.0"));

    let wanted = again(&spec("192.168.0.0/16", &[]), &wanted.objects, &hosts);

    let entry = |index: usize| wanted.objects["net"].cidr[index].hosts[0].interface_name.clone();
    assert_eq!((entry(0), entry(1)), ("eth5".into(), "eth1".into()));
}

#[test]
fn a_flap_frees_nothing_and_a_departure_does_after_all_others() {
    let spec = spec("192.168.0.0/16", &["10.0.1.0/24"]);
    let mut hosts = two_hosts();
    let before = first(&spec, &hosts);

    // The address is gone for now; then the agent is silent.
    hosts.get_mut("h1").unwrap()[0].state = "suspended".into();
    let suspended = again(&spec, &before.objects, &hosts);
    assert_eq!(
        lines(&suspended),
        ["net 10.0.1.0/24@0 0 192.168.0.0/18: 0:h1=192.168.0.0/24suspended 1:h2=192.168.1.0/24"]
    );
    hosts.insert("h1".into(), Vec::new());
    assert_eq!(lines(&again(&spec, &suspended.objects, &hosts)), lines(&suspended));

    // The Node is deleted; others come.
    hosts.remove("h1");
    let gone = again(&spec, &suspended.objects, &hosts);
    assert_eq!(lines(&gone), ["net 10.0.1.0/24@0 0 192.168.0.0/18: 1:h2=192.168.1.0/24"]);
    hosts.insert("h3".into(), vec![nic("eth1", "10.0.1.0/24", "10.0.1.3", "")]);
    let later = again(&spec, &gone.objects, &hosts);
    assert_eq!(
        lines(&later),
        ["net 10.0.1.0/24@0 0 192.168.0.0/18: 1:h2=192.168.1.0/24 2:h3=192.168.2.0/24"]
    );
}

#[test]
fn a_nic_that_is_away_gets_nothing_new() {
    let mut away = nic("eth1", "10.0.1.0/24", "10.0.1.9", "");
    away.state = "suspended".into();

    let wanted = first(&spec("192.168.0.0/16", &[]), &Hosts::from([("h1".into(), vec![away])]));

    assert_eq!(lines(&wanted), [""; 0]);
}

#[test]
fn a_change_that_would_move_blocks_is_told_and_not_made() {
    let old = spec("192.168.0.0/16", &["10.0.1.0/24"]);
    let before = first(&old, &two_hosts());
    let mut new = old.clone();
    new.subnet = "172.30.0.0/16".into();

    let wanted = again(&new, &before.objects, &two_hosts());

    let Some(Complaint::WouldMove(what)) = wanted.complaints.first() else { panic!("{wanted:?}") };
    assert_eq!(what, "h1 has 192.168.0.0/24 on 10.0.1.0/24, which would become 172.30.0.0/24");
    assert_eq!(wanted.objects, before.objects);
}

#[test]
fn a_change_that_moves_nothing_reaches_the_objects() {
    let old = spec("192.168.0.0/16", &["10.0.1.0/24"]);
    let before = first(&old, &two_hosts());
    let mut new = old.clone();
    new.master_nets.push("10.0.2.0/24".into());
    new.ipam = new.ipam.replace("\"hostBlock\"", "\"excludeCIDRs\": [\"192.168.7.0/24\"], \"hostBlock\"");

    let wanted = again(&new, &before.objects, &two_hosts());

    assert_eq!(wanted.complaints, []);
    assert_eq!(wanted.objects["net"].config.exclude_cidrs, ["192.168.7.0/24"]);
    assert_eq!(wanted.objects["net"].cidr.len(), 2);
}

#[test]
fn too_many_interfaces_are_told_and_the_others_are_served() {
    let nets: Vec<String> = (0..5).map(|number| format!("10.0.{number}.0/24")).collect();
    let nics = nets.iter().map(|net| nic(&format!("eth{net}"), net, "10.0.0.1", net)).collect();

    let wanted = first(&spec("192.168.0.0/16", &[]), &Hosts::from([("h1".into(), nics)]));

    assert_eq!((wanted.assigned, wanted.expected), (4, 5));
    assert!(
        matches!(wanted.complaints.as_slice(), [Complaint::NoNumber(PlanError::NoInterfaceIndex { .. })]),
        "{:?}",
        wanted.complaints
    );
}

#[test]
fn a_disputed_network_keeps_what_it_has_and_gives_nothing_new() {
    let spec = spec("192.168.0.0/16", &["10.0.1.0/24"]);
    let mut hosts = two_hosts();
    hosts.remove("h2");
    let before = first(&spec, &hosts);
    let objects = before.objects.iter().map(|(name, object)| (name.as_str(), object)).collect();
    let all = two_hosts();
    let hosts = all.iter().map(|(name, nics)| (name.as_str(), Presence::Here(nics.as_slice()))).collect();
    let taken = BTreeSet::new();

    let input =
        Input { name: "net", spec: &spec, objects: &objects, hosts: &hosts, taken: &taken, frozen: true };
    let wanted = plan(&input);

    assert_eq!(wanted.objects, before.objects);
    assert_eq!((wanted.assigned, wanted.expected), (1, 2));
}

#[test]
fn without_a_subnet_pods_live_in_the_networks_of_the_hosts() {
    let mut spec = spec("", &[]);
    spec.ipam = r#"{"type": "multi-nic-ipam", "hostBlock": 4, "interfaceBlock": 0}"#.into();

    let wanted = first(&spec, &two_hosts());

    assert_eq!(
        lines(&wanted),
        [
            "net 10.0.1.0/24@0 0 10.0.1.0/24: 0:h1=10.0.1.0/28 1:h2=10.0.1.16/28",
            "net 10.0.2.0/24@0 1 10.0.2.0/24: 0:h1=10.0.2.0/28 1:h2=10.0.2.16/28",
        ]
    );
    assert_eq!(again(&spec, &wanted.objects, &two_hosts()).objects, wanted.objects);
}

#[test]
fn both_families_have_the_same_numbers() {
    let mut spec = spec("", &["10.0.1.0/24"]);
    spec.ipam = r#"{"type": "multi-nic-ipam", "vlanMode": "l3"}"#.into();
    spec.subnets = serde_json::from_value(json!([
        {"cidr": "fd10:20::/64", "hostBlock": 6, "interfaceBlock": 2},
        {"cidr": "192.168.0.0/16", "hostBlock": 6, "interfaceBlock": 2},
    ]))
    .unwrap();

    let wanted = first(&spec, &two_hosts());

    let entry = &wanted.objects["net"].cidr[0];
    assert_eq!(entry.vlan_cidrs, ["192.168.0.0/18", "fd10:20::/66"]);
    assert_eq!(entry.hosts[1].pod_cidr, "192.168.1.0/24");
    assert_eq!(entry.hosts[1].pod_cidrs, ["192.168.1.0/24", "fd10:20:0:0:100::/72"]);
    assert_eq!(again(&spec, &wanted.objects, &two_hosts()).objects, wanted.objects);

    // Routes of both families need next hops of both.
    let mut hosts = two_hosts();
    for nic in hosts.values_mut().flatten() {
        nic.host_ips = vec![nic.host_ip.clone(), "2001:db8::7".into()];
        nic.link_local = "fe80::7".into();
    }
    let told = again(&spec, &wanted.objects, &hosts).objects;
    let host = &told["net"].cidr[0].hosts[1];
    assert_eq!(
        (&host.host_ips[..], host.link_local.as_str()),
        (&["10.0.1.2".into(), "2001:db8::7".into()][..], "fe80::7")
    );
}

#[test]
fn a_hundred_hosts_are_in_an_object_and_stay_there() {
    let mut spec = spec("10.128.0.0/9", &["10.0.0.0/16"]);
    spec.ipam = r#"{"type": "multi-nic-ipam", "hostBlock": 12, "interfaceBlock": 1}"#.into();
    let host = |number: u32| {
        (format!("h{number:04}"), vec![nic("eth1", "10.0.0.0/16", &format!("10.0.0.{number}"), "")])
    };
    let mut hosts: Hosts = (0..250).map(host).collect();

    let before = first(&spec, &hosts);
    let sizes = |wanted: &Wanted| -> Vec<(String, usize)> {
        wanted.objects.iter().map(|(name, object)| (name.clone(), object.cidr[0].hosts.len())).collect()
    };
    // `net-slice-1` is another network's name.
    assert_eq!(
        sizes(&before),
        [("net".into(), 100), ("net-slice-2".into(), 100), ("net-slice-3".into(), 50)]
    );

    hosts.remove("h0007");
    hosts.extend([host(900)]);
    let after = again(&spec, &before.objects, &hosts);
    let changed: Vec<&String> = after
        .objects
        .iter()
        .filter(|(name, object)| before.objects.get(*name) != Some(object))
        .map(|(name, _)| name)
        .collect();
    assert_eq!(changed, ["net"], "the one that comes takes the place of the one that goes");
    let newest = after.objects["net"].cidr[0].hosts.iter().find(|host| host.host_name == "h0900").unwrap();
    assert_eq!(newest.host_index, 250, "its number is a new one");
}

proptest! {
    /// Whatever comes and goes: blocks are disjoint, nobody who stays is moved, and planning twice changes nothing.
    #[test]
    fn blocks_are_disjoint_and_never_move(
        steps in proptest::collection::vec((0u8..6, 0u8..3, 0u8..4), 1..40))
    {
        let spec = spec("192.168.0.0/16", &[]);
        let mut hosts = Hosts::new();
        let mut objects = BTreeMap::new();
        for (host, net, action) in steps {
            let name = format!("h{host}");
            let net_address = format!("10.0.{net}.0/24");
            let nics = hosts.entry(name.clone()).or_default();
            match action {
                0 => { hosts.remove(&name); }
                1 => nics.retain(|nic| nic.net_address != net_address),
                2 => nics.iter_mut().filter(|nic| nic.net_address == net_address).for_each(|nic| {
                    nic.state = if nic.state.is_empty() { "suspended".into() } else { String::new() };
                }),
                _ if nics.iter().all(|nic| nic.net_address != net_address) => {
                    nics.push(nic(&format!("eth{net}"), &net_address, &format!("10.0.{net}.{host}"), &format!("0000:0{net}:00.0")));
                }
                _ => {}
            }
            let wanted = again(&spec, &objects, &hosts);
            prop_assert_eq!(&again(&spec, &wanted.objects, &hosts).objects, &wanted.objects);
            let blocks = |objects: &BTreeMap<String, CidrSpec>| -> BTreeMap<(String, String), IpNet> {
                let entries = objects.values().flat_map(|object| object.cidr.clone());
                entries.flat_map(|entry| {
                    let net = entry.net_address.clone();
                    entry.hosts.into_iter().map(move |host| ((net.clone(), host.host_name), host.pod_cidr.parse().unwrap()))
                }).collect()
            };
            let (old, new) = (blocks(&objects), blocks(&wanted.objects));
            for (place, block) in &new {
                prop_assert!(old.get(place).is_none_or(|former| former == block), "{place:?} was moved");
                let others = new.iter().filter(|(other, _)| *other != place);
                for (other, of_other) in others {
                    prop_assert!(!block.contains(of_other) && !of_other.contains(block), "{place:?} and {other:?}");
                }
            }
            objects = wanted.objects;
        }
    }
}
