//! A captured tree is a stranger's: its links lead nowhere outside of it, and its circles end.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;

use hwprobe::{Probe, ProbeSettings};

use crate::collection::{machines, text};

const SECRET: &str = "kept-outside-5f21";

/// The tree of cx6dx-dual below `root`, with whatever `replace` does in place of each text file.
fn tree(root: &Path, replace: &dyn Fn(&Path)) -> String {
    let machine = machines().into_iter().find(|machine| machine.name == "cx6dx-dual").unwrap();
    let snapshot = machine.snapshot();
    crate::collection::write(&snapshot.tree, root);
    for path in snapshot.tree.files.keys() {
        // Without these there would be no device to ask anything of.
        if !path.ends_with("/uevent") && !path.ends_with("/class") {
            fs::remove_file(root.join(path)).unwrap();
            replace(&root.join(path));
        }
    }
    let record = Probe::record(Some(root), &ProbeSettings::default()).unwrap();
    let inventory = Probe::tree(root, ProbeSettings::default()).unwrap().inventory();
    assert!(inventory.nics.iter().filter(|nic| nic.hardware).count() > 5);
    text(&inventory) + &serde_json::to_string(&record).unwrap()
}

#[test]
fn links_never_lead_out_of_a_captured_tree() {
    let outside = tempfile::tempdir().unwrap();
    let secret = outside.path().join("secret");
    fs::write(&secret, SECRET).unwrap();
    let climb = "../".repeat(40) + secret.strip_prefix("/").unwrap().to_str().unwrap();
    let dir = || tempfile::tempdir_in(outside.path()).unwrap();

    let plain = tree(dir().path(), &|place| fs::write(place, SECRET).unwrap());
    let absolute = tree(dir().path(), &|place| symlink(&secret, place).unwrap());
    let relative = tree(dir().path(), &|place| symlink(&climb, place).unwrap());

    assert!(plain.contains(SECRET), "these files are read when they are files");
    assert!(!absolute.contains(SECRET));
    assert!(!relative.contains(SECRET));
}

#[test]
fn a_folder_outside_of_the_tree_shows_no_device() {
    let outside = tempfile::tempdir().unwrap();
    let device = outside.path().join("devices/pci0000:00/0000:00:1f.0");
    fs::create_dir_all(&device).unwrap();
    fs::write(device.join("uevent"), "PCI_CLASS=20000\nPCI_ID=8086:1521\nDRIVER=igb\n").unwrap();
    let root = tempfile::tempdir_in(outside.path()).unwrap();
    let bus = root.path().join("sys/bus/pci/devices");
    let inside = root.path().join("sys/devices/pci0000:00/0000:00:02.0");
    fs::create_dir_all(&bus).unwrap();
    fs::create_dir_all(inside.parent().unwrap()).unwrap();
    fs::create_dir_all(&inside).unwrap();
    fs::write(inside.join("uevent"), "PCI_CLASS=20000\nPCI_ID=8086:1521\nDRIVER=igb\n").unwrap();
    symlink("../../../devices/pci0000:00/0000:00:02.0", bus.join("0000:00:02.0")).unwrap();
    symlink(&device, bus.join("0000:00:1f.0")).unwrap();
    symlink(outside.path().join("devices/pci0000:00"), root.path().join("sys/devices/pci0000:01")).unwrap();
    symlink("../../../devices/pci0000:01/0000:00:1f.0", bus.join("0000:01:1f.0")).unwrap();

    let found = Probe::tree(root.path(), ProbeSettings::default()).unwrap().inventory();

    let ids: Vec<&str> = found.nics.iter().map(|nic| nic.id.as_str()).collect();
    assert_eq!(ids, ["0000:00:02.0"]);
}

#[test]
fn circles_of_links_end() {
    let root = tempfile::tempdir().unwrap();
    let place = |path: &str| root.path().join(path);
    fs::create_dir_all(place("sys/class/net")).unwrap();
    fs::create_dir_all(place("sys/bus/pci/devices")).unwrap();
    fs::create_dir_all(place("proc/sys/kernel")).unwrap();
    symlink("hostname", place("proc/sys/kernel/hostname")).unwrap();
    symlink("..", place("sys/class/net/eth0")).unwrap();
    symlink("eth2", place("sys/class/net/eth1")).unwrap();
    symlink("eth1", place("sys/class/net/eth2")).unwrap();
    symlink("0000:00:02.0", place("sys/bus/pci/devices/0000:00:02.0")).unwrap();
    symlink(".", place("sys/devices")).unwrap();

    let found = Probe::tree(root.path(), ProbeSettings::default()).unwrap().inventory();

    let names: Vec<&str> = found.nics.iter().filter_map(|nic| nic.name.as_deref()).collect();
    assert_eq!(names, ["eth0", "eth1", "eth2"]);
}
