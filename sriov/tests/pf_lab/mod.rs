//! The two igb PFs of the lab VM, one test at a time, each put back to no VFs.

use std::fs::{self, File};
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use nix::fcntl::{Flock, FlockArg};
use serde_json::Value;
use sriov::{Applied, Deadlines, DesiredPf, NoClaims, PfControl, PfLocks, Roots, VfDriver, VfGroup, Works};

/// First PF of the lab.
pub(crate) const PF: &str = "0000:41:00.0";
/// Second PF.
pub(crate) const OTHER: &str = "0000:81:00.0";

/// The lab for one test.
pub(crate) struct Lab {
    _alone: Flock<File>,
    /// What is tested.
    pub(crate) control: PfControl,
    /// Its list of stuck work.
    pub(crate) works: Works,
    /// Its locks.
    pub(crate) locks: PfLocks,
}

impl Lab {
    /// Both PFs up, without VFs.
    pub(crate) fn new() -> Self {
        Self::with(Deadlines::default())
    }

    /// The same with other deadlines.
    pub(crate) fn with(deadlines: Deadlines) -> Self {
        let file = File::create(std::env::temp_dir().join("sriov-vm-pf.lock")).unwrap();
        let alone = Flock::lock(file, FlockArg::LockExclusive).map_err(|(_, errno)| errno).unwrap();
        for left in ["udev/rules.d/10-multi-nic.rules", "systemd/network/00-multi-nic.network"] {
            let _ = fs::remove_file(Path::new("/run").join(left));
        }
        let (works, locks) = (Works::new(), PfLocks::new());
        let control = PfControl::new(Roots::default(), works.clone(), locks.clone(), deadlines);
        let lab = Self { _alone: alone, control, works, locks };
        for pf in [PF, OTHER] {
            lab.reset(pf);
            run(&format!("ip link set {} up", netdev(pf)));
        }
        lab
    }

    fn reset(&self, pf: &str) {
        let file = device(pf, "sriov_numvfs");
        if read(&file) != "0" {
            fs::write(&file, "0").unwrap();
        }
        fs::write(device(pf, "sriov_drivers_autoprobe"), "1").unwrap();
    }

    /// Makes a PF so, with nobody's claims.
    pub(crate) fn apply(&self, pf: &str, desired: &DesiredPf) -> Applied {
        self.control.apply(pf, desired, &NoClaims).unwrap()
    }
}

impl Drop for Lab {
    fn drop(&mut self) {
        for pf in [PF, OTHER] {
            if Path::new(&device(pf, "")).exists() {
                self.reset(pf);
            }
        }
    }
}

/// So many VFs with their own drivers.
pub(crate) fn vfs(count: u16) -> DesiredPf {
    DesiredPf { count, ..DesiredPf::default() }
}

/// VFs `first` to `last` with this driver.
pub(crate) fn group(first: u16, last: u16, driver: VfDriver) -> VfGroup {
    VfGroup {
        range: first..=last,
        driver,
        mtu: None,
        rdma: false,
        resource: String::new(),
        policy: "test".into(),
    }
}

/// A file of a PCI function.
pub(crate) fn device(pci: &str, file: &str) -> String {
    format!("/sys/bus/pci/devices/{pci}/{file}")
}

/// A file, trimmed.
pub(crate) fn read(path: &str) -> String {
    fs::read_to_string(path).unwrap().trim().to_owned()
}

/// What `sriov_numvfs` says.
pub(crate) fn count(pf: &str) -> String {
    read(&device(pf, "sriov_numvfs"))
}

/// Name of the netdev of a function.
pub(crate) fn netdev(pci: &str) -> String {
    let mut names = fs::read_dir(device(pci, "net")).unwrap();
    names.next().unwrap().unwrap().file_name().into_string().unwrap()
}

/// Address of VF `index`.
pub(crate) fn vf(pf: &str, index: u16) -> String {
    let target = fs::read_link(device(pf, &format!("virtfn{index}"))).unwrap();
    target.file_name().unwrap().to_str().unwrap().to_owned()
}

/// Driver of a function; empty: none.
pub(crate) fn driver(pci: &str) -> String {
    let target = fs::read_link(device(pci, "driver"));
    target.map(|to| to.file_name().unwrap().to_str().unwrap().to_owned()).unwrap_or_default()
}

/// Drivers of the VFs of a PF, by index.
pub(crate) fn drivers(pf: &str, count: u16) -> Vec<String> {
    (0..count).map(|index| driver(&vf(pf, index))).collect()
}

/// Runs a command line and returns what it prints; it must succeed.
pub(crate) fn run(line: &str) -> String {
    let output = Command::new("sh").arg("-c").arg(line).output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{line}: {text}{}", String::from_utf8_lossy(&output.stderr));
    text
}

/// `ip -j -d link show NAME`.
pub(crate) fn ip_link(name: &str) -> Value {
    let text = run(&format!("ip -j -d link show dev {name}"));
    serde_json::from_str::<Value>(&text).unwrap()[0].clone()
}

/// Waits until `holds`; panics with `what` after 30 s.
pub(crate) fn wait_until(what: &str, mut holds: impl FnMut() -> bool) {
    let end = Instant::now() + Duration::from_secs(30);
    while !holds() {
        assert!(Instant::now() < end, "{what} within 30 s");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// A network namespace, gone at the end of the test.
pub(crate) struct Namespace(pub(crate) &'static str);

impl Namespace {
    /// A new one of this name.
    pub(crate) fn new(name: &'static str) -> Self {
        run(&format!("ip netns add {name}"));
        Self(name)
    }
}

impl Drop for Namespace {
    fn drop(&mut self) {
        let _ = Command::new("ip").args(["netns", "del", self.0]).status();
        // The kernel gives netdevs back from a work queue.
        std::thread::sleep(Duration::from_millis(300));
    }
}
