use std::collections::{BTreeMap, BTreeSet};

use crds::Object;
use hwprobe::{Nic, NotSecondary};
use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::planning::candidates::{Membership, candidates};
use crate::planning::samples::{machine, network as object, nic, shown};

fn record(more: Value) -> Record {
    match crds::read(&object("red", more)) {
        Ok(Object::MultiNicNetwork(network)) => {
            assert_eq!(network.validate(), []);
            Record { spec: network.spec, ..Record::default() }
        }
        other => panic!("{other:?}"),
    }
}

/// Plans for these NICs; `used`: blocks that hold addresses.
fn plan(record: &mut Record, nics: &[Nic], used: &[&str]) -> (Network, Vec<String>) {
    let inventory = machine(nics);
    let nets: Vec<IpNet> = record.spec.master_nets.iter().map(|net| net.parse().unwrap()).collect();
    let uplink = record.spec.allow_uplink == "shared";
    let found = candidates(&inventory, &Membership { master_nets: &nets, class: None, uplink });
    let mut in_use = |block: &IpNet| used.contains(&block.to_string().as_str());
    let numbered = number(record, &found, &mut in_use);
    let own: Vec<IpAddr> = crate::planning::candidates::own_addresses(&inventory).collect();
    let errors = numbered.errors.iter().map(ToString::to_string).collect();
    (network("red", record, &numbered, &own), errors)
}

#[test]
fn nics_come_by_net_address_and_two_on_one_network_are_two() {
    let nics = [
        nic("eth0", 1, &[]),
        nic("eth4", 2, &["10.0.2.7/24"]),
        nic("eth3", 3, &["10.0.1.8/24"]),
        nic("eth2", 4, &["10.0.1.7/24", "fd00::7/64"]),
    ];

    let (network, errors) = plan(&mut record(json!({})), &nics, &[]);

    assert_eq!(errors, Vec::<String>::new());
    let wanted =
        ["eth2 192.168.0.0/24", "eth3 192.168.64.0/24", "eth4 192.168.128.0/24", "eth0 192.168.192.0/24"];
    assert_eq!(shown(&network), wanted);
    assert_eq!(network.refused, None);
    assert_eq!(network.interfaces[0].net_address, Some("10.0.1.0/24".parse().unwrap()));
    assert_eq!(network.interfaces[0].blocks[0].interface, "192.168.0.0/18".parse().unwrap());
}

#[test]
fn master_nets_choose_and_order() {
    let nics = [
        nic("eth1", 1, &["10.0.1.7/24"]),
        nic("eth2", 2, &["10.0.2.7/24"]),
        nic("eth3", 3, &["10.0.3.7/24", "10.0.2.8/24"]),
        nic("eth4", 4, &[]),
    ];

    let (network, _) = plan(&mut record(json!({"masterNets": ["10.0.2.0/24", "10.0.1.0/24"]})), &nics, &[]);

    assert_eq!(shown(&network), ["eth2 192.168.0.0/24", "eth3 192.168.64.0/24", "eth1 192.168.128.0/24"]);
    assert_eq!(network.interfaces[1].net_address, Some("10.0.2.0/24".parse().unwrap()));
}

#[test]
fn mtu_auto_is_the_smallest_of_the_networks_nics_that_are_here() {
    let with = |name: &str, slot: u32, net: &str, mtu: u32| {
        let mut nic = nic(name, slot, &[net]);
        nic.link.as_mut().unwrap().mtu = mtu;
        nic
    };
    let nics = [
        with("eth1", 1, "10.0.1.7/24", 9000),
        with("eth2", 2, "10.0.2.7/24", 4200),
        with("eth3", 3, "10.0.3.7/24", 1500),
    ];
    let mtu = |mtu: &str| {
        let more = json!({"mtu": mtu, "masterNets": ["10.0.1.0/24", "10.0.2.0/24"]});
        plan(&mut record(more), &nics, &[]).0.mtu
    };

    assert_eq!((mtu("auto"), mtu(""), mtu("9000")), (Some(4200), None, None));
}

#[test]
fn the_uplink_is_in_only_where_it_is_allowed() {
    let mut uplink = nic("eth0", 1, &["10.0.0.7/24"]);
    uplink.secondary.is_secondary = false;
    uplink.secondary.reasons = vec![NotSecondary::Protected];
    let mut slave = uplink.clone();
    slave.name = Some("eth9".to_owned());
    slave.id = NicId::new("0000:09:00.0");
    slave.secondary.reasons = vec![NotSecondary::Protected, NotSecondary::Enslaved];
    let nics = [uplink, slave];

    let (no, _) = plan(&mut record(json!({})), &nics, &[]);
    let (yes, _) = plan(&mut record(json!({"allowUplink": "shared"})), &nics, &[]);

    assert_eq!(shown(&no), Vec::<String>::new());
    let refused = no.refused.unwrap();
    assert!(refused.contains("this host has no NIC for it: it wants a secondary NIC"), "{refused}");
    assert_eq!(shown(&yes), ["eth0 192.168.0.0/24"]);
}

#[test]
fn both_families_share_the_numbers_and_addresses_of_the_host_are_not_given() {
    let subnets = json!([
        {"cidr": "fd10:20::/64", "hostBlock": 6, "interfaceBlock": 2},
        {"cidr": "10.9.0.0/16", "hostBlock": 6, "interfaceBlock": 2, "excludeCIDRs": ["10.9.0.128/25", "10.9.64.0/18"]},
    ]);
    let mut record =
        record(json!({"subnet": "", "subnets": subnets, "ipam": r#"{"type": "multi-nic-ipam"}"#}));
    let nics = [nic("eth1", 1, &["10.9.0.1/24"]), nic("eth2", 2, &["10.9.0.200/24"])];

    let (network, errors) = plan(&mut record, &nics, &[]);

    assert_eq!(errors, Vec::<String>::new());
    // The second interface block is excluded whole.
    let wanted = ["eth1 10.9.0.0/24 fd10:20::/72", "eth2 10.9.128.0/24 fd10:20:0:0:8000::/72"];
    assert_eq!(shown(&network), wanted);
    let excludes: Vec<String> =
        network.interfaces[0].blocks[0].excludes.iter().map(ToString::to_string).collect();
    assert_eq!(excludes, ["10.9.0.128/25", "10.9.0.1/32"]);
}

#[test]
fn without_a_subnet_pods_live_in_the_networks_of_the_nics() {
    let mut record = record(json!({"subnet": "", "ipam": r#"{"type": "multi-nic-ipam"}"#}));
    let here = [nic("eth1", 1, &["10.0.1.7/24"]), nic("eth2", 2, &["10.0.1.8/24"]), nic("eth3", 3, &[])];

    let (network, errors) = plan(&mut record, &here, &[]);

    assert_eq!(shown(&network), ["eth1 10.0.1.0/24", "eth2 10.0.1.0/24"]);
    let wanted = "interface 0000:03:00.0: the network has no subnet and the NIC has no address; give either";
    assert_eq!(errors, [wanted]);
    let own: Vec<String> = network.interfaces[0].blocks[0].excludes.iter().map(ToString::to_string).collect();
    assert_eq!(own, ["10.0.1.7/32", "10.0.1.8/32"]);

    // An address that is lost for a while costs no block, but no new pod comes there.
    let (network, _) = plan(&mut record, &[nic("eth1", 1, &[]), nic("eth2", 2, &["10.0.1.8/24"])], &[]);
    assert_eq!(shown(&network), ["[eth1] 10.0.1.0/24", "eth2 10.0.1.0/24"]);
}

#[test]
fn other_ipam_gets_interfaces_without_blocks_in_a_lasting_order() {
    let mut record =
        record(json!({"subnet": "", "ipam": r#"{"type": "host-local"}"#, "multiNICIPAM": false}));

    plan(&mut record, &[nic("eth2", 2, &["10.0.2.7/24"])], &[]);
    let (network, _) =
        plan(&mut record, &[nic("eth1", 1, &["10.0.1.7/24"]), nic("eth2", 2, &["10.0.2.7/24"])], &[]);

    assert_eq!(shown(&network), ["eth2 ", "eth1 "]);
    assert_eq!(network.refused, None);
}

#[test]
fn a_nic_that_is_away_gives_its_number_up_only_when_it_is_needed_and_nobody_has_its_addresses() {
    let mut record = record(json!({}));
    let four: Vec<Nic> = (1..=4).map(|slot| nic(&format!("eth{slot}"), slot, &[])).collect();
    plan(&mut record, &four, &[]);
    let fifth = nic("eth5", 5, &[]);
    let here = [four[2].clone(), four[3].clone(), fifth];

    // Blocks of eth1 and eth2 hold addresses.
    let used = ["192.168.0.0/24", "192.168.64.0/24"];
    let (network, errors) = plan(&mut record, &here, &used);
    assert_eq!(shown(&network)[..2], ["[eth1] 192.168.0.0/24", "[eth2] 192.168.64.0/24"]);
    assert_eq!(network.interfaces.len(), 4);
    assert!(
        errors[0].starts_with("interface 0000:05:00.0: interfaceBlock 2 numbers 4 interfaces"),
        "{errors:?}"
    );

    let (network, errors) = plan(&mut record, &here, &used[..1]);
    assert_eq!(errors, Vec::<String>::new());
    let wanted =
        ["[eth1] 192.168.0.0/24", "eth5 192.168.64.0/24", "eth3 192.168.128.0/24", "eth4 192.168.192.0/24"];
    assert_eq!(shown(&network), wanted);
}

#[test]
fn a_name_that_went_to_another_nic_finds_the_one_that_is_here() {
    let mut record = record(json!({}));
    plan(&mut record, &[nic("eth1", 1, &[])], &[]);

    let (network, _) = plan(&mut record, &[nic("eth1", 2, &[])], &[]);

    assert_eq!(network.interface("eth1").unwrap().nic, Some(NicId::new("0000:02:00.0")));
}

#[test]
fn fewer_interface_bits_leave_out_those_whose_number_is_gone() {
    let mut record = record(json!({}));
    let nics: Vec<Nic> = (1..=3).map(|slot| nic(&format!("eth{slot}"), slot, &[])).collect();
    plan(&mut record, &nics, &[]);
    record.spec.ipam = record.spec.ipam.replace("\"interfaceBlock\": 2", "\"interfaceBlock\": 1");

    let (network, errors) = plan(&mut record, &nics, &[]);

    assert_eq!(shown(&network), ["eth1 192.168.0.0/23", "eth2 192.168.128.0/23"]);
    assert!(
        errors[0].contains("give interfaceBlock its former value, or make the network anew"),
        "{errors:?}"
    );
}

#[test]
fn policies_are_read() {
    let policy = json!({"strategy": "devClass", "target": "100Gbps", "class": "highspeed"});
    let (network, _) = plan(&mut record(json!({"attachPolicy": policy})), &[], &[]);
    assert_eq!(network.policy.strategy, attach::network::Strategy::DevClass);
    assert_eq!(network.policy.target, SpeedMbps::new(100_000));
    assert_eq!(network.policy.class.as_deref(), Some("highspeed"));

    for (text, wanted) in [("500Mbps", Some(500)), ("64000Kbps", Some(64)), ("999Kbps", None), ("", None)] {
        assert_eq!(bandwidth(text), wanted.and_then(SpeedMbps::new), "{text}");
    }
}

proptest! {
    #[test]
    fn blocks_never_move_when_nics_come_and_go(
        steps in proptest::collection::vec((proptest::collection::btree_set(0u32..8, 0..8), any::<u8>()), 1..12),
        with_subnet in any::<bool>())
    {
        let more = if with_subnet {
            json!({"ipam": r#"{"type": "multi-nic-ipam", "hostBlock": 6, "interfaceBlock": 3}"#})
        } else {
            json!({"subnet": "", "ipam": r#"{"type": "multi-nic-ipam", "hostBlock": 3}"#})
        };
        let mut record = record(more);
        let mut known: BTreeMap<String, Vec<Block>> = BTreeMap::new();
        for (slots, noise) in steps {
            // Names change, too; the address of a NIC stays, each pair of NICs on one network.
            let nics: Vec<Nic> = slots.iter().map(|slot| {
                let address = format!("10.0.{}.{}/24", slot / 2, 7 + slot % 2);
                nic(&format!("e{}", (slot + u32::from(noise)) % 11), *slot, &[&address])
            }).collect();

            let (network, errors) = plan(&mut record, &nics, &[]);

            prop_assert_eq!(errors, Vec::<String>::new());
            let here: BTreeSet<NicId> = network.interfaces.iter().filter_map(|one| one.nic.clone()).collect();
            prop_assert_eq!(here, nics.iter().map(|nic| nic.id.clone()).collect::<BTreeSet<_>>());
            let indices: BTreeSet<u32> = network.interfaces.iter().map(|one| one.index).collect();
            prop_assert_eq!(indices.len(), network.interfaces.len());
            for one in &network.interfaces {
                let Some(nic) = &one.nic else { continue };
                let without_own: Vec<Block> =
                    one.blocks.iter().map(|block| Block { excludes: Vec::new(), ..block.clone() }).collect();
                let before = known.entry(nic.to_string()).or_insert_with(|| without_own.clone());
                prop_assert_eq!(&without_own, &*before, "{} moved", nic);
            }
            // Planning again changes nothing, also after a restart.
            let stored = serde_json::to_string(&record).unwrap();
            let mut again: Record = serde_json::from_str(&stored).unwrap();
            prop_assert_eq!(&again, &record);
            let (same, _) = plan(&mut again, &nics, &[]);
            prop_assert_eq!(same, network);
            prop_assert_eq!(again, record.clone());
        }
    }
}
