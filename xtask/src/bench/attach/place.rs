//! Where it happens: a host with masters, and the namespaces of its pods.

use std::fs::{self, File};
use std::os::fd::{AsFd, BorrowedFd};
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};
use nix::mount::{MsFlags, mount};
use nix::sched::{CloneFlags, unshare};

use super::MANY;
use crate::program;

/// A private host.
pub(super) struct Place {
    folder: PathBuf,
    pods: Vec<Pod>,
}

/// A pod without anything in it.
pub(super) struct Pod {
    /// Path of its network namespace.
    pub(super) path: PathBuf,
    namespace: File,
}

impl AsFd for Pod {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.namespace.as_fd()
    }
}

impl Place {
    /// Moves this thread, and so all that it starts, to a fresh host with [`MANY`] masters and `pods` pods.
    pub(super) fn new(folder: &Path, pods: usize) -> Result<Self> {
        unshare(CloneFlags::CLONE_NEWNET | CloneFlags::CLONE_NEWNS).context("own namespaces: needs root")?;
        let none: Option<&str> = None;
        mount(none, "/", none, MsFlags::MS_REC | MsFlags::MS_PRIVATE, none).context("private mounts")?;
        // /sys shows the network namespace of whoever mounted it.
        mount(Some("sysfs"), "/sys", Some("sysfs"), MsFlags::empty(), none).context("an own /sys")?;
        let folder = folder.join("attach");
        let _ = fs::remove_dir_all(&folder);
        fs::create_dir_all(folder.join("pods"))?;
        ip("link set lo up")?;
        for index in 0..MANY {
            let name = master(index);
            ip(&format!("link add {name} type veth peer name w{index}"))?;
            ip(&format!("address add 10.{}.0.1/24 dev {name}", host_net(index)))?;
            ip(&format!("link set {name} up"))?;
            ip(&format!("link set w{index} up"))?;
        }
        let pods =
            (0..pods).map(|index| Pod::new(folder.join(format!("pods/{index}")))).collect::<Result<_>>()?;
        Ok(Self { folder, pods })
    }

    /// A folder on the disk that the agent's memory is on.
    pub(super) fn folder(&self) -> &Path {
        &self.folder
    }

    /// The pods.
    pub(super) fn pods(&self) -> &[Pod] {
        &self.pods
    }

    /// One pod.
    pub(super) fn pod(&self, index: usize) -> Result<&Pod> {
        self.pods.get(index).context("too few pods")
    }

    /// Kind of the file system that [`Place::folder`] is on.
    pub(super) fn file_system(&self) -> Result<String> {
        let out = program::stdout(Command::new("stat").args(["-f", "-c", "%T"]).arg(&self.folder))?;
        Ok(String::from_utf8_lossy(&out).trim().to_owned())
    }
}

impl Pod {
    fn new(path: PathBuf) -> Result<Self> {
        File::create(&path)?;
        let at = path.clone();
        // The namespace is the thread's; the mount keeps it.
        let made = std::thread::spawn(move || -> Result<()> {
            unshare(CloneFlags::CLONE_NEWNET)?;
            let none: Option<&str> = None;
            Ok(mount(Some("/proc/thread-self/ns/net"), &at, none, MsFlags::MS_BIND, none)?)
        });
        made.join().map_err(|_| anyhow::anyhow!("a thread panicked"))?.context("make a pod's namespace")?;
        Ok(Self { namespace: File::open(&path)?, path })
    }
}

/// Name of a master.
pub(super) fn master(index: usize) -> String {
    format!("m{index}")
}

/// Second byte of the network that a master's own address is in.
pub(super) fn host_net(index: usize) -> usize {
    200 + index
}

pub(super) fn ip(arguments: &str) -> Result<()> {
    program::must(Command::new("ip").args(arguments.split_whitespace()))
}
