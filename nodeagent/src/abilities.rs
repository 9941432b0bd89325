//! Whether the agent may do what it will have to do for pods, tried at its start (TRAPS C4).
//!
//! In a container that depends on capabilities, mounts, AppArmor, SELinux and seccomp together: only trying tells. What can
//! be tried without consequence is tried for real, on a loopback link in a network namespace of our own; what changes the
//! machine is only opened for writing.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};
use std::thread;

use datapath::netns::inside;
use hwprobe::{Warning, WarningCode};
use netlink::route::{LinkSettings, set_link};
use netlink::{Family, PacketSocket, Socket};
use nix::sched::{CloneFlags, unshare};

use crate::agent::chain;
use crate::inventory::cache::CacheHandle;

/// Where what is tried stands.
#[derive(Debug, Clone)]
pub(crate) struct Places {
    /// The host's `/proc`.
    pub(crate) procfs: PathBuf,
    /// `/sys`.
    pub(crate) sysfs: PathBuf,
    /// Folder of the durable memory.
    pub(crate) state_dir: PathBuf,
    /// Folder of the sockets.
    pub(crate) run_dir: PathBuf,
}

/// Something that cannot be done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Missing {
    /// What, in one word.
    what: &'static str,
    /// What for, and why not.
    why: String,
    /// What gives the right.
    fix: &'static str,
}

/// Tries everything on a thread of its own and raises a warning for each thing that does not work; pods are served
/// meanwhile.
pub(crate) fn look(places: Places, cache: CacheHandle) {
    let looked = thread::Builder::new().name("abilities".to_owned()).spawn(move || {
        for Missing { what, why, fix } in missing(&places) {
            tracing::error!(what, why, "something that pods need cannot be done");
            cache.raise_warning(Warning::new(WarningCode::RightMissing, None, why, fix), what);
        }
    });
    if let Err(error) = looked {
        tracing::warn!(%error, "nobody looks what the agent may do");
    }
}

/// What cannot be done. The calling thread is in another network namespace afterwards: let it end.
fn missing(places: &Places) -> Vec<Missing> {
    let mut missing = Vec::new();
    let mut note = |what: &'static str, purpose: &str, fix: &'static str, tried: io::Result<()>| {
        let works = tried.is_ok();
        if let Err(error) = tried {
            missing.push(Missing { what, why: format!("{purpose}: {}", chain(&error)), fix });
        }
        works
    };
    let fix = "give the agent CAP_SYS_ADMIN, and a seccomp profile that lets unshare and setns pass";
    // What follows must not be tried in the host's own namespace.
    if note("namespaces", "network namespaces of pods cannot be entered", fix, leave()) {
        note("links", "links of pods cannot be changed", "give the agent CAP_NET_ADMIN", raise_loopback());
        let fix = "give the agent CAP_NET_RAW";
        let announcer = PacketSocket::open().map(drop).map_err(io::Error::other);
        note("announcements", "addresses of pods cannot be announced", fix, announcer);
        let fix = "mount the host's /proc and name it with --procfs; AppArmor must let it be written";
        note("settings", "settings of pods' links cannot be written", fix, write_setting(&places.procfs));
    }
    let fix = "mount the host's /sys over the agent's; AppArmor must let it be written";
    note("devices", "PFs and drivers cannot be changed", fix, open_device_setting(&places.sysfs));
    let fix = "give the agent CAP_SYS_PTRACE and the host's process ids (hostPID)";
    let purpose = "who has a device, and who calls, cannot be seen";
    note("processes", purpose, fix, fs::read_link("/proc/1/ns/net").map(drop));
    let fix = "mount the folder from the host, writable";
    for (what, folder) in [("state", &places.state_dir), ("sockets", &places.run_dir)] {
        note(what, &format!("{} cannot be written", folder.display()), fix, write_file(folder));
    }
    missing
}

/// Goes into a new network namespace, out of it, and in again.
fn leave() -> io::Result<()> {
    let home = File::open("/proc/thread-self/ns/net")?;
    unshare(CloneFlags::CLONE_NEWNET)?;
    inside(home.as_fd(), || ()).map_err(io::Error::other)
}

/// Raises the loopback link of this namespace.
fn raise_loopback() -> io::Result<()> {
    let mut socket = Socket::open(Family::Route).map_err(io::Error::other)?;
    let up = LinkSettings { up: Some(true), ..LinkSettings::default() };
    let verdicts = socket.apply(&[set_link(1, &up)]);
    verdicts.into_iter().try_for_each(|verdict| verdict.map(drop)).map_err(io::Error::other)
}

/// Writes a setting of that link: what it is.
fn write_setting(procfs: &Path) -> io::Result<()> {
    let file = procfs.join("sys/net/ipv4/conf/lo/rp_filter");
    fs::read(&file).and_then(|value| fs::write(&file, value)).map_err(|error| named(&file, &error))
}

/// Opens a setting of the PCI bus. Nothing is written: it would be for all devices.
fn open_device_setting(sysfs: &Path) -> io::Result<()> {
    let file = sysfs.join("bus/pci/drivers_autoprobe");
    match OpenOptions::new().write(true).open(&file) {
        // A machine without PCI.
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        opened => opened.map(drop).map_err(|error| named(&file, &error)),
    }
}

fn write_file(folder: &Path) -> io::Result<()> {
    let file = folder.join(".written-to-see");
    File::create(&file)?.sync_all()?;
    fs::remove_file(&file)
}

fn named(file: &Path, error: &io::Error) -> io::Error {
    io::Error::new(error.kind(), format!("{}: {error}", file.display()))
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::*;

    /// Names a folder, and makes this program tell what is missing there.
    const TELL: &str = "ABILITIES_TEST_FOLDER";

    fn places(root: &Path) -> Places {
        fs::create_dir_all(root.join("sys/bus/pci")).unwrap();
        fs::write(root.join("sys/bus/pci/drivers_autoprobe"), "1").unwrap();
        for folder in ["state", "run"] {
            fs::create_dir_all(root.join(folder)).unwrap();
        }
        Places {
            procfs: "/proc".into(),
            sysfs: root.join("sys"),
            state_dir: root.join("state"),
            run_dir: root.join("run"),
        }
    }

    /// Whether PID 1 can be looked into is this machine's business: it may be a container itself.
    fn names(missing: &[Missing]) -> Vec<&'static str> {
        missing.iter().map(|one| one.what).filter(|what| *what != "processes").collect()
    }

    #[test]
    fn root_of_this_machine_lacks_nothing_and_nothing_is_left() {
        let root = tempfile::tempdir().unwrap();
        let places = places(root.path());

        assert_eq!(names(&missing(&places)), [""; 0]);
        assert_eq!(fs::read_dir(&places.state_dir).unwrap().count(), 0);
    }

    #[test]
    fn what_is_not_mounted_is_named() {
        let root = tempfile::tempdir().unwrap();
        let mut places = places(root.path());
        places.procfs = root.path().join("no-proc");
        places.run_dir = root.path().join("no-run");

        let missing = missing(&places);

        assert_eq!(names(&missing), ["settings", "sockets"]);
        assert!(missing[0].why.contains("no-proc/sys/net/ipv4/conf/lo/rp_filter"), "{missing:?}");
    }

    #[test]
    fn a_capability_that_is_missing_is_named() {
        for (capability, wanted) in
            [("net_raw", "announcements"), ("sys_admin", "namespaces"), ("net_admin", "links")]
        {
            let root = tempfile::tempdir().unwrap();
            let output = Command::new("setpriv")
                .args(["--bounding-set", &format!("-{capability}")])
                .arg(std::env::current_exe().unwrap())
                .args(["--exact", "abilities::tests::this_program_tells", "--nocapture"])
                .env(TELL, root.path())
                .output()
                .unwrap();
            let said = String::from_utf8_lossy(&output.stdout).into_owned();
            assert!(said.contains(&format!("missing: {wanted}")), "without {capability}: {said}");
        }
    }

    /// Only says something when another test starts it with fewer rights.
    #[test]
    fn this_program_tells() {
        if let Some(root) = std::env::var_os(TELL) {
            println!("missing: {}", names(&missing(&places(Path::new(&root)))).join(" "));
        }
    }
}
