use proptest::prelude::*;

use super::*;
use crate::exclude::givable;

fn subnet(cidr: &str, interface_block: u8, host_block: u8, excludes: &[&str]) -> Subnet {
    let exclude_cidrs = excludes.iter().map(|text| text.parse().unwrap()).collect();
    Subnet { exclude_cidrs, ..Subnet::new(cidr.parse().unwrap(), interface_block, host_block) }
}

fn host_networks(host_block: u8) -> Addresses {
    Addresses::HostNetworks { host_block, exclude_cidrs: Vec::new() }
}

fn nic(key: &str, nets: &[&str]) -> Nic {
    Nic { key: key.to_owned(), nets: nets.iter().map(|net| net.parse().unwrap()).collect() }
}

fn pods(plan: &Plan, addresses: &Addresses, key: &str, host: &str) -> Vec<String> {
    plan.host(addresses, key, host).unwrap().iter().map(|plan| plan.pod.to_string()).collect()
}

#[test]
fn gaps_are_found_from_zero() {
    let rows: [(&[u32], Option<u32>); 7] = [
        (&[], None),
        (&[0], None),
        (&[1], Some(0)),
        (&[0, 1, 2], None),
        (&[0, 2, 3], Some(1)),
        (&[0, 1, 3], Some(2)),
        (&[0, 1, 3, 4], Some(2)),
    ];
    for (taken, wanted) in rows {
        assert_eq!(first_free_index(taken), wanted, "{taken:?}");
    }
}

#[test]
fn two_hosts_with_two_nics_have_the_blocks_of_the_worked_example() {
    let addresses =
        Addresses::Subnets(vec![subnet("192.168.0.0/16", 2, 6, &[]), subnet("fd10:20::/64", 2, 6, &[])]);
    // The order of the masters counts, not that of their names.
    let nets = ["10.0.2.0/24", "10.0.1.0/24"].map(Nic::named);
    let hosts = ["h2", "h1"].map(|host| (host.to_owned(), nets.iter().rev().cloned().collect()));
    let mut plan = Plan::default();

    assert!(plan.add_all(&addresses, &nets, &BTreeMap::from(hosts)).is_empty());

    assert_eq!(pods(&plan, &addresses, "10.0.2.0/24", "h1"), ["192.168.0.0/24", "fd10:20::/72"]);
    assert_eq!(pods(&plan, &addresses, "10.0.1.0/24", "h1"), ["192.168.64.0/24", "fd10:20:0:0:4000::/72"]);
    assert_eq!(pods(&plan, &addresses, "10.0.2.0/24", "h2"), ["192.168.1.0/24", "fd10:20:0:0:100::/72"]);
    assert_eq!(pods(&plan, &addresses, "10.0.1.0/24", "h2"), ["192.168.65.0/24", "fd10:20:0:0:4100::/72"]);
    let of_h1 = plan.interfaces_of(&addresses, "h1");
    let keys: Vec<(u32, &str)> = of_h1.iter().map(|(index, key, _)| (*index, *key)).collect();
    assert_eq!(keys, [(0, "10.0.2.0/24"), (1, "10.0.1.0/24")]);
}

#[test]
fn excluded_numbers_are_skipped_and_narrow_excludes_reach_the_pods() {
    let excludes =
        ["192.168.0.0/18", "192.168.64.0/24", "192.168.65.0/25", "192.168.65.128/25", "192.168.66.7/32"];
    let addresses = Addresses::Subnets(vec![subnet("192.168.0.0/16", 2, 6, &excludes)]);
    let mut plan = Plan::default();

    assert_eq!(plan.add_host(&addresses, &Nic::named("a"), "h").unwrap(), 2);

    assert_eq!(plan.interfaces["a"].index, 1);
    let host = &plan.host(&addresses, "a", "h").unwrap()[0];
    assert_eq!(host.pod.to_string(), "192.168.66.0/24");
    assert_eq!(host.excludes, ["192.168.66.7/32".parse().unwrap()]);
}

#[test]
fn a_number_counts_in_both_families_or_in_none() {
    let v6 = subnet("fd10:20::/64", 2, 6, &["fd10:20::/66", "fd10:20:0:0:4000::/72"]);
    let addresses = Addresses::Subnets(vec![subnet("192.168.0.0/16", 3, 4, &[]), v6]);
    let mut plan = Plan::default();

    assert_eq!(plan.add_host(&addresses, &Nic::named("a"), "h").unwrap(), 1);

    assert_eq!(pods(&plan, &addresses, "a", "h"), ["192.168.34.0/23", "fd10:20:0:0:4100::/72"]);
    for key in ["b", "c"] {
        plan.add_interface(&addresses, &Nic::named(key)).unwrap();
    }
    let error = plan.add_interface(&addresses, &Nic::named("d")).unwrap_err();
    assert_eq!(
        error.to_string(),
        "interface d: interfaceBlock 2 numbers 4 interfaces and all are taken or excluded; \
         raise interfaceBlock or list fewer masterNets"
    );
}

#[test]
fn freed_numbers_come_last_and_too_many_is_an_error() {
    let addresses = Addresses::Subnets(vec![subnet("10.0.0.0/24", 0, 2, &[])]);
    let (n, mut plan) = (Nic::named("n"), Plan::default());
    for host in ["a", "b", "c"] {
        plan.add_host(&addresses, &n, host).unwrap();
    }
    // Also the largest: a new host does not get the addresses of one that has just gone.
    plan.remove_host("n", "a");
    plan.remove_host("n", "c");

    assert_eq!(plan.add_host(&addresses, &n, "d").unwrap(), 3);
    assert_eq!(plan.add_host(&addresses, &n, "e").unwrap(), 0);
    assert_eq!(plan.add_host(&addresses, &n, "f").unwrap(), 2);
    assert_eq!(
        plan.add_host(&addresses, &n, "g").unwrap_err().to_string(),
        "host g on interface n: hostBlock 2 numbers 4 hosts and all are taken or excluded; raise hostBlock"
    );
    assert!(matches!(
        plan.add_interface(&addresses, &Nic::named("m")),
        Err(PlanError::NoInterfaceIndex { .. })
    ));
}

#[test]
fn a_host_moves_only_when_its_block_is_excluded() {
    let before = Addresses::Subnets(vec![subnet("10.0.0.0/24", 0, 2, &[])]);
    let after = Addresses::Subnets(vec![subnet("10.0.0.0/24", 0, 2, &["10.0.0.64/26", "10.0.0.128/27"])]);
    let (n, mut plan) = (Nic::named("n"), Plan::default());
    for host in ["a", "b", "c"] {
        plan.add_host(&before, &n, host).unwrap();
    }

    let moved: Vec<u32> = ["a", "b", "c"].map(|host| plan.add_host(&after, &n, host).unwrap()).to_vec();

    assert_eq!(moved, [0, 3, 2]);
}

#[test]
fn a_smaller_interface_block_is_refused_and_moves_nothing() {
    let before = Addresses::Subnets(vec![subnet("10.0.0.0/16", 2, 4, &[])]);
    let mut plan = Plan::default();
    for key in ["a", "b", "c"] {
        plan.add_host(&before, &Nic::named(key), "h").unwrap();
    }
    let kept = plan.clone();

    let after = Addresses::Subnets(vec![subnet("10.0.0.0/16", 1, 4, &[])]);
    let error = plan.add_host(&after, &Nic::named("c"), "h").unwrap_err();

    assert_eq!(
        error.to_string(),
        "interface c has the number 2, which interfaceBlock 1 does not have; \
         give interfaceBlock its former value, or make the network anew"
    );
    assert_eq!((plan.host(&after, "c", "h"), plan), (None, kept));
}

#[test]
fn without_subnet_pods_live_in_the_networks_of_the_nics() {
    let (addresses, mut plan) = (host_networks(4), Plan::default());
    let (a, b) = (nic("a", &["10.0.1.7/24", "fd10::/64"]), nic("b", &["10.0.2.0/24"]));
    for host in ["h1", "h2"] {
        plan.add_host(&addresses, &a, host).unwrap();
    }
    plan.add_host(&addresses, &b, "h2").unwrap();

    assert_eq!(pods(&plan, &addresses, "a", "h1"), ["10.0.1.0/28", "fd10::/68"]);
    assert_eq!(pods(&plan, &addresses, "a", "h2"), ["10.0.1.16/28", "fd10::1000:0:0:0/68"]);
    assert_eq!(pods(&plan, &addresses, "b", "h2"), ["10.0.2.0/28"]);
    assert_eq!(plan.host(&addresses, "a", "h2").unwrap()[0].interface.to_string(), "10.0.1.0/24");
    assert_eq!((plan.interfaces["a"].index, plan.interfaces["b"].index), (0, 1));
}

#[test]
fn without_subnet_and_host_block_every_host_has_the_whole_network() {
    let (addresses, mut plan) = (host_networks(0), Plan::default());
    for host in ["h1", "h2"] {
        plan.add_host(&addresses, &nic("a", &["10.0.1.0/24"]), host).unwrap();
    }

    assert_eq!(pods(&plan, &addresses, "a", "h1"), ["10.0.1.0/24"]);
    assert_eq!(pods(&plan, &addresses, "a", "h2"), ["10.0.1.0/24"]);
    assert!(Plan::default().add_all(&addresses, &[], &BTreeMap::new()).is_empty());
}

#[test]
fn two_nics_on_one_network_share_blocks_within_a_host_and_never_between_hosts() {
    let (addresses, mut plan) = (host_networks(4), Plan::default());
    let (first, second) = (nic("10.0.1.0/24", &["10.0.1.0/24"]), nic("10.0.1.0/24 second", &["10.0.1.0/24"]));
    plan.add_host(&addresses, &first, "a").unwrap();
    plan.add_host(&addresses, &second, "b").unwrap();
    plan.add_host(&addresses, &second, "a").unwrap();

    assert_eq!(pods(&plan, &addresses, &first.key, "a"), ["10.0.1.0/28"]);
    assert_eq!(pods(&plan, &addresses, &second.key, "a"), ["10.0.1.0/28"]);
    assert_eq!(pods(&plan, &addresses, &second.key, "b"), ["10.0.1.16/28"]);
}

#[test]
fn a_nic_that_comes_to_anothers_network_does_not_bring_a_taken_number_along() {
    let (addresses, mut plan) = (host_networks(4), Plan::default());
    plan.add_host(&addresses, &nic("a", &["10.0.1.0/24"]), "h1").unwrap();
    plan.add_host(&addresses, &nic("b", &["10.0.2.0/24"]), "h2").unwrap();

    plan.add_host(&addresses, &nic("b", &["10.0.1.0/24"]), "h2").unwrap();

    assert_eq!(pods(&plan, &addresses, "a", "h1"), ["10.0.1.0/28"]);
    assert_eq!(pods(&plan, &addresses, "b", "h2"), ["10.0.1.16/28"]);
}

#[test]
fn without_subnet_what_cannot_be_is_said() {
    let mut plan = Plan::default();
    plan.add_interface(&host_networks(4), &nic("a", &["10.0.1.0/24"])).unwrap();
    let refused = |nic: Nic, host_block| {
        plan.clone().add_interface(&host_networks(host_block), &nic).unwrap_err().to_string()
    };

    assert_eq!(
        refused(nic("b", &["10.0.0.0/16"]), 4),
        "interface b: 10.0.0.0/16 overlaps 10.0.1.0/24 of interface a; give the network a subnet"
    );
    assert_eq!(
        refused(Nic::named("b"), 4),
        "interface b: the network has no subnet and the NIC has no address; give either"
    );
    assert!(refused(nic("b", &["10.0.2.0/24"]), 7).contains("hostBlock 7 = /31"));
}

#[test]
fn a_plan_is_kept_and_one_of_before_is_understood() {
    let addresses = Addresses::Subnets(vec![subnet("10.0.0.0/24", 1, 2, &[])]);
    let mut plan = Plan::default();
    plan.add_host(&addresses, &Nic::named("n"), "h").unwrap();

    let json = serde_json::to_string(&plan).unwrap();

    assert_eq!(json, r#"{"interfaces":{"n":{"index":0,"hosts":{"h":0},"nextHost":1}},"nextIndex":1}"#);
    assert_eq!(serde_json::from_str::<Plan>(&json).unwrap(), plan);
    let older = r#"{"interfaces":{"n":{"index":0,"hosts":{"h":0}}}}"#;
    let mut older: Plan = serde_json::from_str(older).unwrap();
    assert_eq!(older.add_host(&addresses, &Nic::named("n"), "i").unwrap(), 1);
}

#[test]
fn very_many_bits_are_no_overflow() {
    let addresses = Addresses::Subnets(vec![subnet("fd00::/8", 40, 70, &["fd00::/9"])]);
    let mut plan = Plan::default();
    plan.add_host(&addresses, &Nic::named("n"), "h").unwrap_err();

    let addresses = Addresses::Subnets(vec![subnet("fd00::/8", 40, 70, &["fd00::/48"])]);
    assert_eq!(plan.add_host(&addresses, &Nic::named("n"), "h").unwrap(), 0);
    assert_eq!(pods(&plan, &addresses, "n", "h"), ["fd00:0:1::/118"]);
}

proptest! {
    #[test]
    fn nothing_moves_and_nothing_overlaps_in_any_order_of_coming_and_going(
        steps in proptest::collection::vec((any::<bool>(), 0usize..5, 0usize..12), 1..120),
        with_subnets in any::<bool>())
    {
        let excludes = ["192.168.8.0/21", "192.168.16.0/22", "192.168.20.0/23"];
        let addresses = if with_subnets {
            Addresses::Subnets(vec![subnet("192.168.0.0/16", 2, 3, &excludes), subnet("fd10:20::/64", 2, 3, &[])])
        } else {
            let exclude_cidrs = excludes.iter().map(|text| text.parse().unwrap()).collect();
            Addresses::HostNetworks { host_block: 3, exclude_cidrs }
        };
        let mut plan = Plan::default();
        for (join, number, host) in steps {
            // The last two NICs are on one network.
            let net = format!("192.168.{}.0/21", number.min(3) * 8);
            let (nic, host) = (nic(&format!("nic{number}"), &[&net]), format!("host{host}"));
            let before = plan.clone();
            if join {
                let again = plan.add_host(&addresses, &nic, &host).and_then(|index| {
                    let after = plan.clone();
                    Ok((index, plan.add_host(&addresses, &nic, &host)?, after == plan))
                });
                prop_assert!(again.is_err() || again.is_ok_and(|(one, two, same)| one == two && same));
            } else {
                plan.remove_host(&nic.key, &host);
            }
            for (key, old) in &before.interfaces {
                let Some(new) = plan.interfaces.get(key) else { continue };
                prop_assert_eq!(old.index, new.index);
                for (host, index) in &old.hosts {
                    prop_assert!(new.hosts.get(host).is_none_or(|now| now == index));
                }
            }
            let mut blocks: Vec<(String, IpNet)> = Vec::new();
            for (key, entry) in &plan.interfaces {
                for host in entry.hosts.keys() {
                    for found in plan.host(&addresses, key, host).unwrap() {
                        prop_assert!(found.interface.contains(&found.pod));
                        prop_assert!(givable(found.pod, &found.excludes) > 0);
                        prop_assert!(blocks.iter().all(|(other_host, other)| {
                            let shared = !with_subnets && host == other_host && *other == found.pod;
                            shared || !(other.contains(&found.pod) || found.pod.contains(other))
                        }), "{key} {host} {} {blocks:?}", found.pod);
                        blocks.push((host.clone(), found.pod));
                    }
                }
            }
        }
    }

    #[test]
    fn the_same_hosts_give_the_same_plan_whatever_the_order_they_are_known_in(
        hosts in proptest::collection::btree_map("[a-z]{1,4}", proptest::sample::subsequence(vec!["n1", "n2", "n3"], 1..=3), 1..9))
    {
        let addresses = Addresses::Subnets(vec![subnet("192.168.0.0/16", 2, 4, &[])]);
        let hosts: BTreeMap<String, Vec<Nic>> =
            hosts.into_iter().map(|(host, nics)| (host, nics.into_iter().map(Nic::named).collect())).collect();
        let masters = ["n3", "n1", "n2"].map(Nic::named);
        let mut plan = Plan::default();
        prop_assert!(plan.add_all(&addresses, &masters, &hosts).is_empty());
        let once = plan.clone();
        plan.add_all(&addresses, &masters, &hosts);
        prop_assert_eq!(&plan, &once);
        for (at, master) in masters.iter().enumerate() {
            prop_assert_eq!(plan.interfaces[&master.key].index as usize, at);
        }
    }
}
