//! What pods with GPUs get on recorded machines, by strategy `topology`.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::print_stdout,
    reason = "test code outside of test functions"
)]

mod speed;

use std::collections::BTreeMap;
use std::path::Path;

use attach::network::{Network, Policy, Strategy};
use attach::select::{Asked, Known, LinkUse, Rule, Selection, Wish, select};
use attach::usage::Usage;
use hwprobe::{Inventory, PciAddress};

fn machine(name: &str) -> Inventory {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../hwprobe/tests/machines");
    serde_json::from_slice(&std::fs::read(root.join(name).join("expected.json")).unwrap()).unwrap()
}

fn wish(policy: Policy, gpus: &[&str], count: Option<u32>) -> Wish {
    let network = Network { name: "rails".to_owned(), policy, ..Network::default() };
    let asked = Asked {
        link: LinkUse::Macvlan { passthru: false },
        count,
        gpus: gpus.iter().map(|gpu| gpu.parse::<PciAddress>().unwrap()).collect(),
        ..Asked::default()
    };
    asked.of(Some(&network)).unwrap()
}

fn selection(machine: &Inventory, gpus: &[&str], count: u32) -> Selection {
    let policy = Policy { strategy: Strategy::Topology, ..Policy::default() };
    let known =
        Known { inventory: machine, network: None, classes: &BTreeMap::new(), usage: &Usage::default() };
    select(&known, &wish(policy, gpus, Some(count))).unwrap()
}

fn names(selection: &Selection) -> Vec<&str> {
    selection.chosen.iter().map(|one| one.master.as_str()).collect()
}

#[test]
fn eight_gpus_behind_four_switches_have_a_rail_each() {
    let machine = machine("gpu-8x10");
    let gpus: Vec<String> = machine.gpus.iter().map(|gpu| gpu.pci.to_string()).collect();
    let gpus: Vec<&str> = gpus.iter().map(String::as_str).collect();
    let all = selection(&machine, &gpus, 8);
    assert_eq!(all.chosen.len(), 8);
    for (gpu, chosen) in gpus.iter().zip(&all.chosen) {
        let nic = machine.nics.iter().find(|nic| nic.id == chosen.nic).unwrap();
        let relation = nic.gpus.iter().find(|one| one.gpu.to_string() == *gpu).unwrap();
        assert_eq!(relation.relation, hwprobe::Relation::SameSwitch, "{gpu} and {}", chosen.master);
    }
    // Two NICs of the node itself are farther away, or carry it.
    let others: Vec<Rule> = all.left_out.iter().map(|one| one.rule).collect();
    assert!(
        others.iter().all(|rule| matches!(rule, Rule::FartherFromGpus | Rule::NotSecondary)),
        "{others:?}"
    );
    // A pod with the last GPU alone has a rail of its switch.
    let last = selection(&machine, &gpus[7..], 1);
    let nic = machine.nics.iter().find(|nic| nic.id == last.chosen[0].nic).unwrap();
    assert_eq!((nic.gpus[0].relation, nic.gpus[0].hops), (hwprobe::Relation::SameSwitch, Some(3)));
    assert!(
        nic.gpus.iter().any(|one| one.gpu.to_string() == gpus[7] && one.relation == nic.gpus[0].relation)
    );
}

#[test]
fn without_switches_the_socket_decides() {
    let machine = machine("gpu-dual-socket");
    assert_eq!(names(&selection(&machine, &["0000:b1:00.0"], 2)), ["rail0", "rail1"]);
    assert_eq!(names(&selection(&machine, &["0000:31:00.0"], 2)), ["rail2", "rail3"]);
    // One GPU of each socket: one NIC of each socket, the first GPU's first.
    assert_eq!(names(&selection(&machine, &["0000:d1:00.0", "0000:31:00.0"], 2)), ["rail0", "rail2"]);
}

#[test]
fn a_virtual_machine_goes_by_what_its_cloud_says() {
    let machine = machine("gpu-vm");
    let order = ["0001:00:00.0", "0002:00:00.0", "0003:00:00.0", "0004:00:00.0"];
    assert_eq!(
        names(&selection(&machine, &order, 4)),
        ["rail0", "rail1", "rail2", "rail3"],
        "all of them, as ever"
    );
    assert_eq!(names(&selection(&machine, &order[..2], 2)), ["rail3", "rail2"]);
    assert_eq!(names(&selection(&machine, &order[3..], 1)), ["rail0"]);
    let farther = selection(&machine, &order[3..], 1);
    let out = farther.left_out.iter().find(|out| out.name.as_deref() == Some("rail2")).unwrap();
    assert_eq!((out.rule, out.why.contains("otherNuma")), (Rule::FartherFromGpus, true), "{}", out.why);
}
