//! Situations of the field, each a row: what is protected, secondary, how fast, how many VFs, how many MACs.
//!
//! The rows point into the machines of `machines/`; where a row needs a setting or a turn of events, it is
//! made here.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "test code outside of test functions"
)]

#[path = "machines/collection.rs"]
#[expect(dead_code, reason = "the tests of the machines use all of it")]
mod collection;

use std::collections::BTreeSet;

use collection::{Machine, machines};
use hwprobe::{
    ExtraMacsAnswer, ExtraMacsSource, Inventory, Nic, NicKind, NotSecondary, Probe, ProbeSettings,
    ProtectionReason, Snapshot, SpeedMbps, SpeedSource, SriovZeroReason, Unusable, UplinkBasis,
};
use netlink::route::RouteHop;

fn machine(name: &str) -> Machine {
    machines().into_iter().find(|machine| machine.name == name).unwrap_or_else(|| panic!("no machine {name}"))
}

fn inventory(snapshot: Snapshot, settings: &ProbeSettings) -> Inventory {
    Probe::of_snapshot(snapshot, settings.clone()).inventory()
}

/// The NIC with this id or name.
fn nic<'a>(found: &'a Inventory, name: &str) -> &'a Nic {
    let is = |nic: &&Nic| nic.id.as_str() == name || nic.name.as_deref() == Some(name);
    found.nics.iter().find(is).unwrap_or_else(|| panic!("no NIC {name}"))
}

#[test]
fn secondary_is_what_nobody_needs_whether_it_is_up_or_not() {
    use NotSecondary::{Enslaved, Held, NotHardware, Protected};
    use Unusable::{AdminDown, NoCarrier, NoGlobalAddress, NoNetdev, NoVfCapacity};
    type Row = (&'static str, &'static str, &'static [NotSecondary], [bool; 3], &'static [Unusable]);
    // Situation; machine and NIC; why it is not secondary; usable for L3, L2, SR-IOV; what is missing.
    let rows: &[(&str, Row)] = &[
        ("a rail without IP", ("gpu-8x10", "rail0", &[], [false, true, true], &[NoGlobalAddress])),
        ("a PF that is down", ("cx7-ib", "ibs2", &[], [false, false, true], &[AdminDown, NoGlobalAddress])),
        ("IPoIB", ("cx7-ib", "ibs1", &[], [true, true, true], &[])),
        ("a SLAAC address alone", ("bnxt-npar", "ens1f2", &[], [true, true, false], &[NoVfCapacity])),
        (
            "a link-local address alone",
            ("no-uplink", "enp2s0", &[], [false, true, false], &[NoGlobalAddress, NoVfCapacity]),
        ),
        (
            "up without carrier",
            ("old-partial", "p1p1", &[], [false; 3], &[NoCarrier, NoGlobalAddress, NoVfCapacity]),
        ),
        ("a VLAN", ("virtual-zoo", "bond0.200", &[], [true, true, false], &[NoVfCapacity])),
        ("a VLAN in a VRF", ("virtual-zoo", "vlan-in-vrf", &[], [true, true, false], &[NoVfCapacity])),
        ("a bond", ("no-capacity", "bond0", &[], [true, true, false], &[NoVfCapacity])),
        ("a sub-function", ("sf-switchdev", "enp8s0f0s88", &[], [true, true, false], &[NoVfCapacity])),
        (
            "a VF that lies free on vfio-pci",
            ("e810-breakout", "0000:b1:01.4", &[], [false; 3], &[NoNetdev, NoVfCapacity]),
        ),
        (
            "a VF without a driver",
            ("e810-breakout", "0000:b1:01.3", &[], [false; 3], &[NoNetdev, NoVfCapacity]),
        ),
        ("a VF that a virtual machine has open", ("cx6dx-dual", "0000:3b:00.3", &[Held], [false; 3], &[])),
        ("a VF in a pod", ("cx6dx-dual", "0000:3b:00.2", &[Held], [false; 3], &[])),
        ("a PF in a pod", ("no-capacity", "0000:65:00.0", &[Held], [false; 3], &[])),
        ("a slave of a bond", ("no-capacity", "slave0", &[Enslaved], [false; 3], &[])),
        ("an uplink of another table", ("two-uplinks", "wan1", &[Protected], [false; 3], &[])),
        ("the port of br-ex", ("ovn-br-ex", "ens3f0", &[Protected, Enslaved], [false; 3], &[])),
        ("the VF of a netvsc", ("azure-accelerated", "enP36129s1", &[Protected, Enslaved], [false; 3], &[])),
        ("what NFS is mounted over", ("nfs-storage", "eno2", &[Protected], [false; 3], &[])),
        ("the remembered uplink", ("dhcp-renewal", "eno1", &[Protected], [false; 3], &[])),
        ("a representor", ("sf-switchdev", "enp8s0f0npf0vf0", &[NotHardware], [false; 3], &[])),
        ("a bridge", ("virtual-zoo", "br0", &[NotHardware], [false; 3], &[])),
        ("a macvlan", ("virtual-zoo", "macvlan0", &[NotHardware], [false; 3], &[])),
        ("an IPoIB partition", ("cx7-ib", "ibs1.8001", &[NotHardware], [false; 3], &[])),
    ];

    for (situation, (machine_name, name, reasons, usable, missing)) in rows {
        let found = machine(machine_name).inventory();
        let secondary = &nic(&found, name).secondary;

        let got = [secondary.usable.l3, secondary.usable.l2, secondary.usable.sriov];

        assert_eq!(secondary.reasons, *reasons, "{situation}");
        assert_eq!(secondary.is_secondary, reasons.is_empty(), "{situation}");
        assert_eq!(got, *usable, "{situation}");
        assert_eq!(secondary.usable.missing, *missing, "{situation}");
    }
}

#[test]
fn the_administrator_excludes_by_any_name() {
    for name in ["lan0", "0000:66:00.0", "90:E2:BA:33:44:52"] {
        let settings = ProbeSettings { excluded: vec![name.to_owned()], ..ProbeSettings::default() };

        let found = inventory(machine("two-uplinks").snapshot(), &settings);

        assert_eq!(nic(&found, "lan0").secondary.reasons, [NotSecondary::Excluded], "{name}");
    }
}

#[test]
fn what_the_cluster_or_the_administrator_names_is_protected() {
    let with = |change: &dyn Fn(&mut ProbeSettings)| {
        let mut settings = ProbeSettings::default();
        change(&mut settings);
        let mut snapshot = machine("nfs-storage").snapshot();
        let mut hop = RouteHop::default();
        hop.index = 5;
        snapshot.kernel.routes_to.insert("10.22.0.99".parse().unwrap(), Ok(Some(hop)));
        let found = inventory(snapshot, &settings);
        nic(&found, "eno4").protected.clone().map(|protection| protection.reason)
    };

    let named = |name: &str| with(&|settings| settings.protected = vec![name.to_owned()]);
    assert_eq!(with(&|_| ()), None);
    assert_eq!(
        with(&|settings| settings.api_servers = vec!["10.22.0.99".parse().unwrap()]),
        Some(ProtectionReason::ApiServer)
    );
    assert_eq!(
        with(&|settings| settings.node_addresses = vec!["10.22.0.3".parse().unwrap()]),
        Some(ProtectionReason::NodeAddress)
    );
    for name in ["eno4", "0000:02:00.3", "98:f2:b3:00:10:03"] {
        assert_eq!(named(name), Some(ProtectionReason::Configured), "{name}");
    }
}

#[test]
fn protected_nics_of_the_configuration_say_what_carries_the_node() {
    let settings = ProbeSettings { protected: vec!["eno1".to_owned()], ..ProbeSettings::default() };

    let found = inventory(machine("no-uplink").snapshot(), &settings);

    assert_eq!(found.node.uplink.basis, UplinkBasis::Computed);
    assert!(found.warnings.is_empty(), "{:?}", found.warnings);
}

#[test]
fn every_source_of_a_speed_has_a_machine() {
    use SpeedSource::{
        DeviceTable, InfinibandRate, Link, Nominal, PcieLimit, PhysicalFunction, SupportedModes, Unknown,
    };
    let rows = [
        (Link, "two-uplinks", "wan0", Some(10_000)),
        (InfinibandRate, "cx7-ib", "ibs2", Some(400_000)),
        (SupportedModes, "cx6dx-dual", "ens1f0v2", Some(100_000)),
        (PcieLimit, "gpu-8x10", "rail7", Some(252_061)),
        (DeviceTable, "no-capacity", "0000:64:00.0", Some(40_000)),
        (PhysicalFunction, "e810-breakout", "ens5f0v1", Some(25_000)),
        (Nominal, "vmware-vmxnet3", "ens160", Some(10_000)),
        (Unknown, "aws-ena-efa", "ens32", None),
    ];

    for (source, machine_name, name, mbps) in rows {
        let speed = &nic(&machine(machine_name).inventory(), name).speed.clone();

        assert_eq!((speed.source, speed.mbps), (source, mbps.and_then(SpeedMbps::new)), "{name}");
    }
    let all: BTreeSet<String> = machines()
        .iter()
        .flat_map(|machine| machine.inventory().nics)
        .map(|nic| format!("{:?}", nic.speed.source))
        .collect();
    assert_eq!(all.len(), rows.len(), "{all:?}");
}

#[test]
fn a_silent_port_has_the_rate_of_its_own_rdma_port() {
    let machine = machine("mlx4-vpi");
    let mut snapshot = machine.snapshot();
    for answers in snapshot.kernel.ethtool.values_mut() {
        answers.link_modes = None;
    }

    let found = inventory(snapshot, &machine.settings());

    assert_eq!(nic(&found, "enp36s0").speed.mbps, SpeedMbps::new(40_000));
    assert_eq!(nic(&found, "ibp36s0d1").speed.mbps, SpeedMbps::new(56_000));
}

#[test]
fn every_reason_to_give_no_vf_has_a_pf() {
    use SriovZeroReason::{
        AllHeld, DriverLacksSupport, Enslaved, FirmwareOff, NoDriver, PassedThrough, PfHeld,
    };
    let found = machine("no-capacity").inventory();

    let rows = [
        (FirmwareOff, "fwoff", [0, 0, 0]),
        (Enslaved, "slave1", [64, 0, 0]),
        (PassedThrough, "0000:62:00.0", [63, 0, 0]),
        (DriverLacksSupport, "byparam", [16, 0, 0]),
        (NoDriver, "0000:64:00.0", [64, 0, 0]),
        (PfHeld, "0000:65:00.0", [64, 0, 0]),
        (AllHeld, "allheld", [2, 2, 2]),
    ];
    for (reason, name, [total, enabled, held]) in rows {
        let capacity = &nic(&found, name).sriov.as_ref().unwrap().capacity;

        assert_eq!(capacity.reason, Some(reason), "{name}");
        assert_eq!([capacity.total, capacity.enabled, capacity.held], [total, enabled, held], "{name}");
        assert_eq!([capacity.free, capacity.creatable], [0, 0], "{name}");
    }
    let slave_with_vfs = &nic(&found, "slave0").sriov.as_ref().unwrap().capacity;
    assert_eq!((slave_with_vfs.reason, slave_with_vfs.free, slave_with_vfs.creatable), (None, 2, 0));
}

#[test]
fn vfs_are_counted_by_their_links_and_a_number_that_would_hang_is_not_read() {
    let machine = machine("cx6dx-dual");
    let mut snapshot = machine.snapshot();
    let path = "sys/devices/pci0000:3a/0000:3a:00.0/0000:3b:00.0/sriov_numvfs";
    snapshot.tree.files.remove(path);
    snapshot.tree.unreadable.insert(path.to_owned(), "I/O error (EIO)".to_owned());

    let found = inventory(snapshot, &machine.settings());

    let capacity = &nic(&found, "ens1f0np0").sriov.as_ref().unwrap().capacity;
    assert_eq!((capacity.enabled, capacity.held), (4, 2));
}

#[test]
fn whether_a_port_passes_more_macs_depends_on_who_is_in_between() {
    use ExtraMacsAnswer::{Limited, No, Unknown, Yes};
    use ExtraMacsSource::{Driver, Hypervisor, LinkType, LowerLink, PhysicalPort, VfSettings, VfUnseen};
    type Firmware = Option<(&'static str, &'static str)>;
    let same: Firmware = None;
    let google = Some(("Google", "Google Compute Engine"));
    let rows: &[(&str, Firmware, &str, &str, ExtraMacsAnswer, ExtraMacsSource)] = &[
        ("a port on bare metal", same, "two-uplinks", "lan0", Yes, PhysicalPort),
        ("AWS", same, "aws-ena-efa", "ens32", No, Hypervisor),
        ("AWS bare metal", Some(("Amazon EC2", "c5n.metal")), "aws-ena-efa", "ens32", No, Driver),
        ("Google, virtio", google, "virtual-zoo", "eth2", No, Hypervisor),
        ("Azure", same, "azure-accelerated", "eth0", No, Hypervisor),
        ("VMware", same, "vmware-vmxnet3", "ens192", Limited, Hypervisor),
        ("virtio", same, "virtio-mmio", "eth1", Limited, Driver),
        ("Xen", same, "xen-domu", "eth1", Limited, Driver),
        ("an emulated e1000e", same, "virtual-zoo", "eth0", Limited, Hypervisor),
        ("InfiniBand", same, "cx7-ib", "ibs1", No, LinkType),
        ("a VF with spoof check", same, "e810-breakout", "ens5f0v0", Limited, VfSettings),
        ("a VF without trust", same, "cx6dx-dual", "ens1f0v2", Limited, VfSettings),
        ("a trusted VF", same, "cx6dx-dual", "ens1f0v3", Yes, VfSettings),
        (
            "a VF of a PF on the host",
            Some(("QEMU", "q35")),
            "azure-accelerated",
            "enP36129s1",
            Unknown,
            VfUnseen,
        ),
        ("a bond on bare metal", same, "no-capacity", "bond0", Yes, LowerLink),
        ("a VLAN on a bond in a VM", same, "virtual-zoo", "bond0.200", Limited, LowerLink),
    ];

    for (situation, firmware, machine_name, name, answer, source) in rows {
        let machine = machine(machine_name);
        let mut snapshot = machine.snapshot();
        if let Some((vendor, product)) = firmware {
            let files = &mut snapshot.tree.files;
            files.insert("sys/class/dmi/id/sys_vendor".to_owned(), (*vendor).to_owned());
            files.insert("sys/class/dmi/id/product_name".to_owned(), (*product).to_owned());
        }

        let found = inventory(snapshot, &machine.settings());

        let macs = &nic(&found, name).extra_macs;
        assert_eq!((macs.answer, macs.source), (*answer, *source), "{situation}");
    }
}

#[test]
fn another_device_at_the_same_address_is_another_generation() {
    let machine = machine("cx6dx-dual");
    let before = machine.snapshot();
    let (mut made_anew, mut other_netdev) = (before.clone(), before.clone());
    let folder = "sys/devices/pci0000:3a/0000:3a:00.0/0000:3b:00.4";
    *made_anew.tree.inodes.get_mut(folder).unwrap() += 1000;
    let link = other_netdev.kernel.links.as_mut().unwrap().iter_mut().find(|link| link.name == "ens1f0v2");
    link.unwrap().index += 1000;

    let generation =
        |snapshot: &Snapshot, id: &str| nic(&inventory(snapshot.clone(), &machine.settings()), id).generation;

    let (vf, sibling) = ("0000:3b:00.4", "0000:3b:00.5");
    assert_ne!(generation(&made_anew, vf), generation(&before, vf), "the PF made the VF anew");
    assert_ne!(generation(&other_netdev, vf), generation(&before, vf), "the driver was bound anew");
    assert_eq!(generation(&made_anew, sibling), generation(&before, sibling));
    assert_eq!(generation(&before, vf), generation(&before, vf));
}

#[test]
fn a_sub_function_has_a_generation_of_its_own() {
    let machine = machine("sf-switchdev");
    let found = machine.inventory();

    let device = |name: &str| nic(&found, name).generation.device;

    assert!(device("enp8s0f0s88").is_some());
    assert_ne!(device("enp8s0f0s88"), device("enp8s0f0np0"));
}

#[test]
fn an_ipoib_partition_is_none_of_the_ports_although_its_device_is_theirs() {
    let machine = machine("cx7-ib");
    let mut snapshot = machine.snapshot();
    let links = snapshot.kernel.links.as_mut().unwrap();
    let parent = links.iter().find(|link| link.name == "ibs1").unwrap().clone();
    let child = links.iter_mut().find(|link| link.name == "ibs1.8001").unwrap();
    (child.parent_bus, child.parent_device) = (parent.parent_bus, parent.parent_device);

    let found = inventory(snapshot, &machine.settings());

    assert_eq!(nic(&found, "ibs1.8001").kind, NicKind::IpoibChild);
    assert_eq!(nic(&found, "0000:6b:00.0").name.as_deref(), Some("ibs1"));
}
