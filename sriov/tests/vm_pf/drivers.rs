//! Which driver each VF has, and who else is kept off fresh ones.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

use crate::pf_lab::{Lab, PF, device, drivers, group, ip_link, netdev, read, run, vf, vfs, wait_until};
use sriov::{Action, DesiredPf, NoClaims, VfDriver};

#[test]
#[ignore = "needs the lab VM"]
fn vfio_groups_are_made_with_drivers_kept_off_which_is_restored() {
    let lab = Lab::new();
    let wanted =
        DesiredPf { groups: vec![group(0, 1, VfDriver::vfio()), group(2, 2, VfDriver::Own)], ..vfs(4) };

    let applied = lab.apply(PF, &wanted);

    assert!(applied.is_complete(), "{applied:?}");
    assert_eq!(drivers(PF, 4), ["vfio-pci", "vfio-pci", "igbvf", "igbvf"]);
    assert_eq!(read(&device(PF, "sriov_drivers_autoprobe")), "1");
    assert!(applied.done.contains(&Action::SetAutoprobe(false)), "{applied:?}");
    assert!(!Path::new("/run/multi-nic/sriov/0000:41:00.0.autoprobe").exists());
    for index in [0, 1] {
        let group = fs::read_link(device(&vf(PF, index), "iommu_group")).unwrap();
        assert!(Path::new("/dev/vfio").join(group.file_name().unwrap()).exists());
    }
    assert_eq!(netdev(&vf(PF, 2)), applied.vfs[2].name.clone().unwrap());
    assert!(lab.control.plan(PF, &wanted, &NoClaims).unwrap().is_empty());
}

#[test]
#[ignore = "needs the lab VM"]
fn another_driver_for_a_range_leaves_the_other_vfs_alone_and_comes_back_without_traces() {
    let lab = Lab::new();
    lab.apply(PF, &vfs(3));
    let ifindex = |index| ip_link(&netdev(&vf(PF, index)))["ifindex"].clone();
    let before = [ifindex(0), ifindex(2)];

    let to_vfio = DesiredPf { groups: vec![group(1, 1, VfDriver::vfio())], ..vfs(3) };
    let applied = lab.apply(PF, &to_vfio);
    assert_eq!(applied.done, [Action::Bind { vf: 1, driver: VfDriver::vfio() }]);
    assert_eq!(drivers(PF, 3), ["igbvf", "vfio-pci", "igbvf"]);
    assert_eq!([ifindex(0), ifindex(2)], before);

    let back = DesiredPf { groups: vec![group(0, 2, VfDriver::Own)], ..vfs(3) };
    let applied = lab.apply(PF, &back);
    assert!(applied.is_complete(), "{applied:?}");
    assert_eq!(drivers(PF, 3), ["igbvf"; 3]);
    assert_eq!(read(&device(&vf(PF, 1), "driver_override")), "(null)");
    assert_eq!([ifindex(0), ifindex(2)], before);
}

#[test]
#[ignore = "needs the lab VM"]
fn a_change_that_ended_half_way_gives_the_drivers_back() {
    let lab = Lab::new();
    // As after a crash between the two writes.
    fs::create_dir_all("/run/multi-nic/sriov").unwrap();
    fs::write("/run/multi-nic/sriov/0000:41:00.0.autoprobe", "1").unwrap();
    fs::write(device(PF, "sriov_drivers_autoprobe"), "0").unwrap();

    let applied = lab.apply(PF, &vfs(0));
    assert_eq!(applied.done, [Action::SetAutoprobe(true)]);
    assert_eq!(read(&device(PF, "sriov_drivers_autoprobe")), "1");
    assert!(lab.control.plan(PF, &vfs(0), &NoClaims).unwrap().is_empty());

    // Who keeps drivers off by himself is obeyed, but for VFs that a group is about.
    fs::write(device(PF, "sriov_drivers_autoprobe"), "0").unwrap();
    let applied = lab.apply(PF, &vfs(1));
    assert!(applied.is_complete(), "{applied:?}");
    assert_eq!(drivers(PF, 1), [""]);
    let applied = lab.apply(PF, &DesiredPf { groups: vec![group(0, 0, VfDriver::Own)], ..vfs(1) });
    assert!(applied.is_complete(), "{applied:?}");
    assert_eq!(drivers(PF, 1), ["igbvf"]);
}

/// A udev of our own: the machine has none.
struct Udev(std::process::Child);

impl Udev {
    fn start() -> Self {
        let child = Command::new("/lib/systemd/systemd-udevd").stderr(Stdio::null()).spawn().unwrap();
        wait_until("udev runs", || Path::new("/run/udev/control").exists());
        Self(child)
    }
}

impl Drop for Udev {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
        let _ = fs::remove_file("/run/udev/control");
    }
}

#[test]
#[ignore = "needs the lab VM"]
fn network_managers_leave_fresh_vfs_alone_and_a_vf_is_ready_when_udev_is_done_with_it() {
    let lab = Lab::new();
    let _udev = Udev::start();
    let rules = "/run/udev/rules.d/10-multi-nic.rules";

    let applied = lab.apply(PF, &vfs(2));

    assert!(applied.is_complete(), "{applied:?}");
    for outcome in &applied.vfs {
        let name = outcome.name.clone().unwrap();
        // No wait: ready means that udev has said all of this.
        let told = run(&format!("udevadm info --query=property --path=/sys/class/net/{name}"));
        assert!(told.contains("NM_UNMANAGED=1") && told.contains("USEC_INITIALIZED="), "{told}");
        let path = format!("ID_PATH=pci-{}", outcome.pci.unwrap());
        let network = read("/run/systemd/network/00-multi-nic.network");
        assert!(told.contains(&path) && network.contains(&path["ID_PATH=".len()..]), "{told}\n{network}");
    }
    let pf = run(&format!("udevadm info --query=property --path=/sys/class/net/{}", netdev(PF)));
    assert!(!pf.contains("NM_UNMANAGED"), "{pf}");

    lab.apply(PF, &vfs(0));
    assert!(!Path::new(rules).exists());
}
