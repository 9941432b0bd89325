//! Every answer that the derivations can give is given by some machine.

use std::collections::BTreeSet;

use hwprobe::{Inventory, Probe, SpeedSource, SriovZeroReason};

use crate::collection::machines;

fn inventories() -> Vec<Inventory> {
    machines().iter().map(|machine| machine.inventory()).collect()
}

#[test]
fn every_source_of_a_speed_has_a_machine() {
    let inventories = inventories();
    let nics = || inventories.iter().flat_map(|found| &found.nics);
    let has = |source| nics().any(|nic| nic.speed.source == source);

    for source in [
        SpeedSource::Link,
        SpeedSource::InfinibandRate,
        SpeedSource::SupportedModes,
        SpeedSource::PcieLimit,
        SpeedSource::DeviceTable,
        SpeedSource::PhysicalFunction,
        SpeedSource::Nominal,
        SpeedSource::Unknown,
    ] {
        assert!(has(source), "{source:?}");
    }
    assert!(nics().all(|nic| nic.speed.mbps.is_some() == (nic.speed.source != SpeedSource::Unknown)));
}

#[test]
fn every_reason_to_give_no_vf_has_a_machine() {
    let inventories = inventories();
    let sriov = || inventories.iter().flat_map(|found| &found.nics).filter_map(|nic| nic.sriov.as_ref());
    let found: BTreeSet<SriovZeroReason> = sriov().filter_map(|sriov| sriov.capacity.reason).collect();

    for reason in [
        SriovZeroReason::FirmwareOff,
        SriovZeroReason::NoDriver,
        SriovZeroReason::PassedThrough,
        SriovZeroReason::DriverLacksSupport,
        SriovZeroReason::PfHeld,
        SriovZeroReason::Enslaved,
        SriovZeroReason::AllHeld,
    ] {
        assert!(found.contains(&reason), "{reason:?}");
    }
    for capacity in sriov().map(|sriov| &sriov.capacity) {
        let nothing = capacity.free == 0 && capacity.creatable == 0;
        assert_eq!(capacity.reason.is_some(), nothing, "{capacity:?}");
        assert_eq!(capacity.held + capacity.free, capacity.enabled, "{capacity:?}");
    }
}

#[test]
fn another_device_at_the_same_address_is_another_generation() {
    let machine = machines().into_iter().find(|machine| machine.name == "lab-vfs").unwrap();
    let mut snapshot = machine.snapshot();
    let generation = |snapshot: &hwprobe::Snapshot| {
        let found = Probe::of_snapshot(snapshot.clone(), machine.settings()).inventory();
        found.nics.iter().find(|nic| nic.id.as_str() == "0000:81:10.2").unwrap().generation
    };
    let before = generation(&snapshot);

    let folder = snapshot.tree.inodes.keys().find(|path| path.ends_with("/0000:81:10.2")).cloned().unwrap();
    snapshot.tree.inodes.insert(folder, 99);

    let after = generation(&snapshot);
    assert_ne!(before, after);
    assert_eq!((before.ifindex, after.ifindex), (None, None), "vfio-pci: no netdev tells them apart");
}
