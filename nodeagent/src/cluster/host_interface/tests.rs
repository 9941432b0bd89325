use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use attach::network::DeviceClass;
use crds::Interface;
use hwprobe::{Inventory, Nic, NicId, NicKind, NotSecondary, Warning, WarningCode};

use super::{SUSPENDED, found};
use crate::planning::samples::{machine, nic};

/// The inventories of the recorded machines, by name.
fn machines() -> Vec<(String, Inventory)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../hwprobe/tests/machines");
    let folders = std::fs::read_dir(root).unwrap().map(|entry| entry.unwrap().path());
    let mut files: Vec<PathBuf> =
        folders.map(|path| path.join("expected.json")).filter(|path| path.exists()).collect();
    files.sort();
    let read = |path: PathBuf| {
        let name = path.parent().unwrap().file_name().unwrap().to_string_lossy().into_owned();
        (name, serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap())
    };
    files.into_iter().map(read).collect()
}

fn interfaces(inventory: &Inventory) -> Vec<Interface> {
    found(inventory, &BTreeMap::new()).interfaces.into_values().collect()
}

#[test]
fn recorded_machines_publish_what_a_person_expects() {
    let mut all = serde_json::Map::new();
    for (name, inventory) in machines() {
        if ["cx6dx-dual", "gpu-8x10", "lab-vfs", "lab-stacked", "virtio-pci"].contains(&name.as_str()) {
            all.insert(name, serde_json::to_value(interfaces(&inventory)).unwrap());
        }
    }
    assert_eq!(all.len(), 5);
    insta::assert_json_snapshot!(all);
}

#[test]
fn every_recorded_machine_publishes_its_secondary_nics_and_no_others() {
    let machines = machines();
    assert!(machines.len() > 20);
    for (name, inventory) in machines {
        let wanted = inventory.nics.iter().filter(|nic| {
            let idle_vf =
                nic.kind == NicKind::VirtualFunction && !nic.addresses.iter().any(|own| own.is_global());
            nic.secondary.is_secondary && nic.link.is_some() && !idle_vf
        });
        let mut wanted: Vec<&str> = wanted.map(Nic::label).collect();
        let published = interfaces(&inventory);
        let mut names: Vec<&str> = published.iter().map(|one| one.interface_name.as_str()).collect();
        wanted.sort_unstable();
        names.sort_unstable();
        assert_eq!(names, wanted, "{name}");
        for one in &published {
            assert_eq!(one.net_addresses.len(), one.host_ips.len(), "{name}");
            assert!(one.interface_name.len() <= 15 && one.speed_mbps != Some(0), "{name}");
        }
    }
}

#[test]
fn addresses_come_ipv4_first_one_of_each_network_and_lasting_ones_before_others() {
    let mut eth1 = nic("eth1", 1, &["2001:db8::7/64", "10.0.1.9/24", "10.0.1.7/24", "10.0.2.7/24"]);
    eth1.addresses[1].dynamic = true;
    let mut local = eth1.addresses[0].clone();
    (local.address, local.scope) = ("fe80::7".parse().unwrap(), "link".to_owned());
    eth1.addresses.push(local);

    let published = interfaces(&machine(&[eth1]));

    let one = &published[0];
    assert_eq!((one.net_address.as_str(), one.host_ip.as_str()), ("10.0.1.0/24", "10.0.1.7"));
    assert_eq!(one.net_addresses, ["10.0.1.0/24", "10.0.2.0/24", "2001:db8::/64"]);
    assert_eq!(one.host_ips, ["10.0.1.7", "10.0.2.7", "2001:db8::7"]);
    assert_eq!(one.link_local, "fe80::7");
}

#[test]
fn a_nic_without_carrier_is_suspended_and_warnings_come_with_it() {
    let mut eth1 = nic("eth1", 1, &[]);
    eth1.link.as_mut().unwrap().carrier = Some(false);
    let mut inventory = machine(&[eth1, nic("eth2", 2, &[])]);
    let about = |id: &str| Some(NicId::new(id));
    inventory.warnings = vec![
        Warning::new(
            WarningCode::PcieDegraded,
            about("0000:01:00.0"),
            "runs at 8 GT/s".to_owned(),
            "reseat it",
        ),
        Warning::new(WarningCode::UplinkUnknown, None, "of the node".to_owned(), ""),
    ];

    let published = interfaces(&inventory);

    assert_eq!(published[0].state, SUSPENDED);
    assert_eq!(published[0].warnings, ["pcieDegraded: runs at 8 GT/s"]);
    assert_eq!((published[1].state.as_str(), published[1].warnings.len()), ("", 0));
}

#[test]
fn what_is_not_secondary_is_not_published_but_known_to_be_there() {
    let mut uplink = nic("eth0", 1, &["192.0.2.7/24"]);
    uplink.secondary.is_secondary = false;
    uplink.secondary.reasons = vec![NotSecondary::Protected];
    uplink.pci = None;
    let mut excluded = nic("eth1", 2, &["10.0.1.7/24"]);
    excluded.secondary.is_secondary = false;
    excluded.secondary.reasons = vec![NotSecondary::Excluded];
    excluded.pci = None;
    let mut idle = nic("eth2v0", 3, &[]);
    idle.kind = NicKind::VirtualFunction;
    let mut master = nic("eth2v1", 4, &["10.0.2.7/24"]);
    master.kind = NicKind::VirtualFunction;

    let found = found(&machine(&[uplink, excluded, idle, master]), &BTreeMap::new());

    let names: Vec<&str> = found.interfaces.values().map(|one| one.interface_name.as_str()).collect();
    assert_eq!(names, ["eth2v1"]);
    assert!(found.present.contains("eth0") && found.present.contains("eth1"));
    assert_eq!(found.excluded.iter().collect::<Vec<_>>(), ["eth1"]);
}

#[test]
fn the_classes_of_a_nic_are_told_with_it() {
    let class = |text: &str| DeviceClass { expression: text.parse().ok(), ..DeviceClass::default() };
    let classes = BTreeMap::from([
        ("first".to_owned(), class("nic.name == 'eth1'")),
        ("named".to_owned(), class("nic.name.startsWith('eth')")),
    ]);
    let found = found(&machine(&[nic("eth1", 1, &[]), nic("eth2", 2, &[])]), &classes);
    let told: Vec<&[String]> = found.interfaces.values().map(|one| &one.device_classes[..]).collect();
    assert_eq!(told, [&["first".to_owned(), "named".to_owned()][..], &["named".to_owned()][..]]);
}
