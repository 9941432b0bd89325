//! How long a choice takes. `cargo xtask bench select` runs this as it is released; as a plain test it proves that the same
//! question has the same answer.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use attach::network::{DeviceClass, Policy, Strategy};
use attach::select::{Known, LinkUse, Wish, select};
use attach::usage::Usage;
use hwprobe::{Inventory, NicId, SpeedMbps};

use crate::{machine, wish};

/// Attachments that share the NICs.
const ATTACHMENTS: usize = 200;

fn choices() -> u32 {
    std::env::var("MULTI_NIC_CHOICES").map_or(3, |text| text.parse().unwrap())
}

/// The machine with 8 GPUs, each of its eight rails twice.
fn sixteen() -> Inventory {
    let mut machine = machine("gpu-8x10");
    machine.nics.retain(|nic| nic.name.as_deref().is_some_and(|name| name.starts_with("rail")));
    for mut nic in machine.nics.clone() {
        nic.id = NicId::new(format!("{}-second", nic.id));
        nic.name = nic.name.map(|name| format!("{name}b"));
        nic.generation.ifindex = nic.generation.ifindex.map(|index| index + 1000);
        machine.nics.push(nic);
    }
    machine
}

fn used(machine: &Inventory) -> Usage {
    let mut usage = Usage::default();
    for (number, nic) in machine.nics.iter().cycle().take(ATTACHMENTS).enumerate() {
        usage.add(&nic.id, &format!("net{}", number % 7), &LinkUse::Macvlan { passthru: false });
        usage.promise(&nic.id, SpeedMbps::new(1000).unwrap());
    }
    usage
}

#[test]
fn choosing_among_sixteen_nics() {
    let machine = sixteen();
    assert_eq!((machine.nics.len(), machine.gpus.len()), (16, 8));
    let usage = used(&machine);
    let fast = DeviceClass { min_speed: SpeedMbps::new(100_000), ..DeviceClass::default() };
    let told = DeviceClass {
        expression: Some("nic.speed.mbps >= 100000".parse().unwrap()),
        ..DeviceClass::default()
    };
    let classes = BTreeMap::from([("fast".to_owned(), fast), ("told".to_owned(), told)]);
    let known = Known { inventory: &machine, network: None, classes: &classes, usage: &usage };
    let gpus: Vec<String> = machine.gpus.iter().map(|gpu| gpu.pci.to_string()).collect();
    let gpus: Vec<&str> = gpus.iter().map(String::as_str).collect();
    let policy =
        |strategy, target, class: Option<&str>| Policy { strategy, target, class: class.map(str::to_owned) };
    let target = SpeedMbps::new(800_000);
    let wishes: [(&str, Wish); 7] = [
        ("all NICs", wish(policy(Strategy::None, None, None), &[], None)),
        ("device class by speed", wish(policy(Strategy::DevClass, None, Some("fast")), &[], None)),
        ("device class by expression", wish(policy(Strategy::DevClass, None, Some("told")), &[], None)),
        ("costOpt", wish(policy(Strategy::CostOpt, target, None), &[], None)),
        ("perfOpt", wish(policy(Strategy::PerfOpt, target, None), &[], None)),
        ("topology, 8 GPUs and 8 NICs", wish(policy(Strategy::Topology, None, None), &gpus, Some(8))),
        ("topology, 8 GPUs and 4 NICs", wish(policy(Strategy::Topology, None, None), &gpus, Some(4))),
    ];
    let mut plain = None;
    for (name, wish) in wishes {
        let first = select(&known, &wish).unwrap();
        let mut best = Duration::MAX;
        for _ in 0..choices() {
            let begin = Instant::now();
            let again = select(&known, &wish).unwrap();
            best = best.min(begin.elapsed());
            assert_eq!(again, first);
        }
        let times = best.as_secs_f64() / plain.get_or_insert(best).as_secs_f64();
        println!(
            "{name}: {:.1} µs, {times:.1} times as long as all NICs ({} chosen)",
            best.as_secs_f64() * 1e6,
            first.chosen.len()
        );
    }
}
