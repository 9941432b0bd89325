//! In the lab VM: the inventory agrees with the tools, on real SR-IOV NICs in every state.
//!
//! Wants igb at 0000:41:00.0 and 0000:81:00.0, an e1000e, a vmxnet3, an 8139cp, a virtio and netdevsim.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "test code outside of test functions"
)]

mod agreement;

use std::process::Command;
use std::time::Duration;

use hwprobe::{HeldBy, Inventory, Nic, NicKind, Probe, ProbeSettings};

const PF: &str = "0000:41:00.0";
const OTHER_PF: &str = "0000:81:00.0";

fn sh(line: &str) -> String {
    let done = Command::new("bash").args(["-ec", line]).output().unwrap();
    assert!(done.status.success(), "{line}: {}", String::from_utf8_lossy(&done.stderr));
    String::from_utf8_lossy(&done.stdout).trim().to_owned()
}

fn inventory() -> Inventory {
    Probe::live(ProbeSettings::default()).unwrap().inventory()
}

fn nic<'a>(inventory: &'a Inventory, id: &str) -> &'a Nic {
    inventory.nics.iter().find(|nic| nic.id.as_str() == id).unwrap_or_else(|| panic!("no NIC {id}"))
}

fn numvfs(pf: &str, count: u16) {
    sh(&format!(
        "echo 0 > /sys/bus/pci/devices/{pf}/sriov_numvfs; echo {count} > /sys/bus/pci/devices/{pf}/sriov_numvfs"
    ));
}

fn name_of(pci: &str) -> String {
    sh(&format!("ls /sys/bus/pci/devices/{pci}/net"))
}

#[test]
#[ignore = "needs the lab VM"]
fn a_mixed_machine_agrees_with_the_tools() {
    numvfs(PF, 3);
    let pf = name_of(PF);
    sh(&format!("ip link set {pf} up; ip link set {pf} vf 0 mac 02:00:00:00:00:10 vlan 100 qos 3"));
    sh(&format!(
        "ip link set {pf} vf 1 trust on spoofchk off; ip link set {pf} alias 'rail one'; ip link property add dev {pf} altname rail-one"
    ));
    let e1000e = name_of("0000:82:00.0");
    sh(&format!("ip link set {e1000e} up; ip address add 192.168.77.1/24 dev {e1000e}"));
    sh(&format!(
        "ip link add link {e1000e} name vl77 type vlan id 77; ip link add link {e1000e} name mv0 type macvlan mode bridge"
    ));
    let vmxnet3 = name_of("0000:01:00.0");
    sh(&format!("ip link add link {vmxnet3} name ipv0 type ipvlan mode l3 private"));
    sh(
        "ip link add bond7 type bond mode active-backup; ip link add br7 type bridge; ip link add dum7 type dummy",
    );
    sh(
        "ip link add ve7 type veth peer name ve8; ip link add vx7 type vxlan id 700 dstport 4789 local 192.168.77.1; ip link set ve7 master br7",
    );
    let rtl = name_of("0000:02:00.0");
    sh(&format!("ip link set {rtl} down; ip link set {rtl} master bond7; ip link set bond7 up"));

    sh(
        "echo '7 1' > /sys/bus/netdevsim/new_device; echo 2 > /sys/bus/netdevsim/devices/netdevsim7/sriov_numvfs",
    );
    sh("devlink dev eswitch set netdevsim/netdevsim7 mode switchdev");
    // Links that came up just now tell their speed and lose their tentative addresses.
    std::thread::sleep(Duration::from_secs(4));

    let inventory = inventory();

    // A hundred processes, each slow here: compared once, in this one state that has everything.
    let (compared, differences) = agreement::compare(&inventory);
    assert_eq!(differences, Vec::<String>::new());
    // That the comparison looked at something, per tool.
    assert!(compared["devlink"] > 8, "{compared:?}");
    assert!(compared["ip"] > 300 && compared["ethtool"] > 300 && compared["lspci"] > 80, "{compared:?}");
    let kinds =
        |name: &str| inventory.nics.iter().find(|nic| nic.name.as_deref() == Some(name)).map(|nic| nic.kind);
    assert_eq!(kinds("vl77"), Some(NicKind::Vlan));
    assert_eq!(kinds("mv0"), Some(NicKind::Macvlan));
    assert_eq!(kinds("ipv0"), Some(NicKind::Ipvlan));
    assert_eq!(kinds("bond7"), Some(NicKind::Bond));
    assert_eq!(kinds(&vmxnet3), Some(NicKind::Paravirtual));
    assert_eq!(nic(&inventory, PF).numa_node, Some(0));
    assert_eq!(nic(&inventory, OTHER_PF).numa_node, Some(1));
    let on_switch: Vec<(&str, NicKind)> = inventory
        .nics
        .iter()
        .filter(|nic| nic.id.as_str().contains("netdevsim7"))
        .map(|nic| (nic.id.as_str(), nic.kind))
        .collect();
    assert_eq!(
        on_switch.iter().filter(|(_, kind)| *kind == NicKind::Representor).count(),
        2,
        "{on_switch:?}"
    );
    assert_eq!(on_switch.iter().filter(|(_, kind)| *kind == NicKind::Physical).count(), 1, "{on_switch:?}");
    sh("echo 7 > /sys/bus/netdevsim/del_device");
    sh(
        "ip link del vl77; ip link del mv0; ip link del ipv0; ip link del bond7; ip link del br7; ip link del dum7; ip link del ve7; ip link del vx7",
    );
}

#[test]
#[ignore = "needs the lab VM"]
fn vfs_stay_in_the_inventory_wherever_they_go() {
    numvfs(OTHER_PF, 4);
    let vf = |index: u16| sh(&format!("basename $(readlink /sys/bus/pci/devices/{OTHER_PF}/virtfn{index})"));
    let away = vf(1);
    sh(&format!("ip netns add hwprobe-away; ip link set {} netns hwprobe-away", name_of(&away)));
    let passed = vf(2);
    let to_vfio = format!(
        "echo vfio-pci > /sys/bus/pci/devices/{passed}/driver_override; echo {passed} > /sys/bus/pci/devices/{passed}/driver/unbind; echo {passed} > /sys/bus/pci/drivers_probe"
    );
    sh(&to_vfio);
    let bare = vf(3);
    sh(&format!("echo {bare} > /sys/bus/pci/devices/{bare}/driver/unbind"));

    let inventory = inventory();

    let held = nic(&inventory, &away).held.clone().expect("held by the namespace");
    assert_eq!((held.by, held.namespace.unwrap().name.as_deref()), (HeldBy::Namespace, Some("hwprobe-away")));
    assert!(nic(&inventory, &away).mac.is_some());
    assert_eq!(nic(&inventory, &passed).driver.as_ref().unwrap().name, "vfio-pci");
    assert_eq!(nic(&inventory, &passed).held, None);
    assert_eq!(nic(&inventory, &bare).driver, None);
    let capacity = &nic(&inventory, OTHER_PF).sriov.as_ref().unwrap().capacity;
    assert_eq!(
        (capacity.total, capacity.enabled, capacity.held, capacity.free, capacity.creatable),
        (7, 4, 1, 3, 3)
    );
}

#[test]
#[ignore = "needs the lab VM"]
fn a_vfio_group_that_a_process_has_open_is_held() {
    numvfs(OTHER_PF, 1);
    let vf = sh(&format!("basename $(readlink /sys/bus/pci/devices/{OTHER_PF}/virtfn0)"));
    let folder = format!("/sys/bus/pci/devices/{vf}");
    sh(&format!(
        "echo vfio-pci > {folder}/driver_override; echo {vf} > {folder}/driver/unbind; echo {vf} > /sys/bus/pci/drivers_probe"
    ));
    let group = sh(&format!("basename $(readlink {folder}/iommu_group)"));
    let open = std::fs::File::options().read(true).write(true).open(format!("/dev/vfio/{group}")).unwrap();

    let held = nic(&inventory(), &vf).held.clone().expect("this test has the group open");
    drop(open);
    let free = nic(&inventory(), &vf).held.clone();

    assert_eq!((held.by, held.pid), (HeldBy::Vfio, Some(std::process::id())));
    assert_eq!(free, None);
}

#[test]
#[ignore = "needs the lab VM"]
fn a_vf_made_anew_at_the_same_address_is_another_generation() {
    numvfs(OTHER_PF, 2);
    let vf = sh(&format!("basename $(readlink /sys/bus/pci/devices/{OTHER_PF}/virtfn0)"));
    let before = nic(&inventory(), &vf).generation;

    numvfs(OTHER_PF, 2);

    let after = nic(&inventory(), &vf).generation;
    assert!(before.device.is_some());
    assert_ne!(before.device, after.device);
}
