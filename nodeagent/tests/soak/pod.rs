//! A pod's network namespace, and what the kernel says is in it.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File};
use std::net::IpAddr;
use std::path::{Path, PathBuf};

use nix::ifaddrs::getifaddrs;
use nix::mount::{MntFlags, MsFlags, mount, umount2};
use nix::sched::{CloneFlags, setns, unshare};

/// Links by name, with their addresses; link-local ones are the kernel's own business.
pub(crate) type Links = BTreeMap<String, BTreeSet<IpAddr>>;

/// A namespace with a name, as runtimes make them.
#[derive(Debug)]
pub(crate) struct Pod {
    pub(crate) path: PathBuf,
}

impl Pod {
    /// Makes one at a path.
    pub(crate) fn new(path: PathBuf) -> Self {
        let file = path.clone();
        let made = std::thread::spawn(move || {
            unshare(CloneFlags::CLONE_NEWNET).unwrap();
            File::create(&file).unwrap();
            let none: Option<&str> = None;
            mount(Some("/proc/thread-self/ns/net"), &file, none, MsFlags::MS_BIND, none).unwrap();
        });
        made.join().unwrap();
        Self { path }
    }

    /// Does something in there.
    pub(crate) fn inside<T: Send>(&self, work: impl FnOnce() -> T + Send) -> T {
        std::thread::scope(|scope| {
            let thread = scope.spawn(|| {
                setns(File::open(&self.path).unwrap(), CloneFlags::CLONE_NEWNET).unwrap();
                work()
            });
            thread.join().unwrap()
        })
    }

    /// What is in there besides loopback.
    pub(crate) fn links(&self) -> Links {
        let mut links = self.inside(links_here);
        links.remove("lo");
        links
    }

    /// Its rules beyond those that every namespace has.
    pub(crate) fn rules(&self) -> Vec<String> {
        let all = self.inside(|| crate::harness::run("ip", "rule") + &crate::harness::run("ip", "-6 rule"));
        let own = all.lines().filter(|rule| !["0:", "32766:", "32767:"].iter().any(|n| rule.starts_with(n)));
        own.map(str::to_owned).collect()
    }
}

impl Drop for Pod {
    fn drop(&mut self) {
        let _ = umount2(Path::new(&self.path), MntFlags::MNT_DETACH);
        let _ = fs::remove_file(&self.path);
    }
}

/// Links of the calling thread's namespace.
pub(crate) fn links_here() -> Links {
    let mut links = Links::new();
    for entry in getifaddrs().unwrap() {
        let addresses = links.entry(entry.interface_name).or_default();
        let Some(address) = entry.address else { continue };
        if let Some(v4) = address.as_sockaddr_in() {
            addresses.insert(IpAddr::V4(v4.ip()));
        } else if let Some(v6) = address.as_sockaddr_in6()
            && !v6.ip().is_unicast_link_local()
        {
            addresses.insert(IpAddr::V6(v6.ip()));
        }
    }
    links
}
