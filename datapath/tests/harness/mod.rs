//! What the tests on a real kernel share: a scratch host, pods without a name, the witness `ip`.
#![allow(dead_code, unreachable_pub, reason = "each test file is a crate of its own and uses a part")]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "test code outside of test functions"
)]

use std::fs::File;
use std::os::fd::{AsFd, OwnedFd};
use std::process::Command;
use std::time::{Duration, Instant};

use datapath::netns::{HostNamespace, PodNamespace, inside};
use datapath::{DatapathError, Made, MultipathRoute, PodLink, PodRoute, Source, Taken, unwire, wire};
use netlink::route::{MacvlanMode, NewLinkKind};
use netlink::{Family, Socket};
use nix::sched::{CloneFlags, unshare};
use serde_json::Value;

/// The group that the tests' links carry.
pub const GROUP: u32 = 77;

/// A host: the namespace of this test's thread.
pub struct Host {
    pub socket: Socket,
    pub home: HostNamespace,
    /// Where the far ends of the masters' wires are.
    pub wire: OwnedFd,
}

impl Host {
    /// A host that has what the thread's namespace has.
    pub fn here() -> Self {
        Self {
            socket: Socket::open(Family::Route).unwrap(),
            home: HostNamespace::current().unwrap(),
            wire: namespace(),
        }
    }

    /// A scratch host with veth masters `m0`, `m1` …, each with a far end `w0`, `w1` … in the namespace `wire`.
    pub fn with_masters(masters: u32) -> Self {
        unshare(CloneFlags::CLONE_NEWNET).expect("a new network namespace (needs root)");
        let host = Self::here();
        let wire = path_of(&host.wire);
        for number in 0..masters {
            ip(&format!("link add m{number} type veth peer name w{number}"));
            ip(&format!("link set w{number} netns {wire}"));
            ip(&format!("link set m{number} up"));
            inside(host.wire.as_fd(), || ip(&format!("link set w{number} up"))).unwrap();
        }
        host
    }

    pub fn wire(&mut self, pod: &mut PodNamespace, links: &[PodLink]) -> Result<Made, DatapathError> {
        self.wire_until(pod, links, &[], "")
    }

    /// Stops before the step `failing`.
    pub fn wire_until(
        &mut self,
        pod: &mut PodNamespace,
        links: &[PodLink],
        multipath: &[MultipathRoute],
        failing: &str,
    ) -> Result<Made, DatapathError> {
        let mut step = |name: &'static str| match name == failing {
            true => Err(DatapathError::NoLink { what: format!("for step {name}") }),
            false => Ok(()),
        };
        wire(&mut self.socket, &self.home, pod, GROUP, links, multipath, &mut step)
    }

    /// Takes links away that were made of no device; all must go.
    pub fn unwire(&mut self, pod: &mut PodNamespace, links: &[PodLink]) {
        let links: Vec<(PodLink, Option<Taken>)> = links.iter().map(|link| (link.clone(), None)).collect();
        self.unwire_taken(pod, &links);
    }

    pub fn unwire_taken(&mut self, pod: &mut PodNamespace, links: &[(PodLink, Option<Taken>)]) {
        let left = unwire(&mut self.socket, &self.home, pod, GROUP, links).unwrap();
        assert!(left.is_empty(), "{left:?}");
    }
}

/// A program's standard output; it must succeed.
pub fn run(program: &str, words: &str) -> String {
    let output = Command::new(program).args(words.split_whitespace()).output().unwrap();
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{program} {words}: {error}");
    String::from_utf8(output.stdout).unwrap()
}

pub fn ip(words: &str) -> String {
    run("ip", words)
}

/// What `ip -j -d` says.
pub fn json(words: &str) -> Vec<Value> {
    let text = ip(&format!("-j -d {words}"));
    if text.trim().is_empty() { Vec::new() } else { serde_json::from_str(&text).unwrap() }
}

/// What `ip -j -d` says inside.
pub fn json_in(namespace: impl AsFd, words: &str) -> Vec<Value> {
    inside(namespace.as_fd(), || json(words)).unwrap()
}

pub fn ip_in(namespace: impl AsFd, words: &str) -> String {
    inside(namespace.as_fd(), || ip(words)).unwrap()
}

/// Names of the links inside, without the loopback.
pub fn names_in(namespace: impl AsFd) -> Vec<String> {
    let names = json_in(namespace, "link show");
    names.iter().map(|link| link["ifname"].as_str().unwrap().to_owned()).filter(|name| name != "lo").collect()
}

/// A namespace without a name: it lives as long as the descriptor.
pub fn namespace() -> OwnedFd {
    std::thread::spawn(|| {
        unshare(CloneFlags::CLONE_NEWNET).unwrap();
        ip("link set lo up");
        OwnedFd::from(File::open("/proc/thread-self/ns/net").unwrap())
    })
    .join()
    .unwrap()
}

/// A path by which other programs find a namespace while its descriptor is open.
pub fn path_of(namespace: impl AsFd) -> String {
    use std::os::fd::AsRawFd;
    format!("/proc/{}/fd/{}", std::process::id(), namespace.as_fd().as_raw_fd())
}

pub fn pod() -> PodNamespace {
    PodNamespace::open(namespace()).unwrap()
}

pub fn index(name: &str) -> u32 {
    u32::try_from(json(&format!("link show {name}"))[0]["ifindex"].as_u64().unwrap()).unwrap()
}

/// A link `net1-POSITION` above `master`.
pub fn above(position: u16, master: &str, kind: NewLinkKind, addresses: &[&str]) -> PodLink {
    PodLink {
        position,
        name: format!("net1-{position}"),
        alt_name: None,
        index: 1000 + u32::from(position),
        source: Source::Above { kind, master: index(master) },
        mtu: None,
        address: None,
        addresses: addresses.iter().map(|address| address.parse().unwrap()).collect(),
        routes: Vec::new(),
        policy: None,
        announce: true,
        duplicate_check: None,
    }
}

pub fn macvlan_mode(mode: MacvlanMode) -> NewLinkKind {
    NewLinkKind::Macvlan { mode, sources: Vec::new() }
}

pub fn macvlan(position: u16, master: &str, address: &str) -> PodLink {
    above(position, master, macvlan_mode(MacvlanMode::Bridge), &[address])
}

/// A device that moves.
pub fn device(position: u16, name: &str, addresses: &[&str]) -> PodLink {
    let moved = Source::Device { index: index(name) };
    PodLink { source: moved, ..above(position, name, NewLinkKind::Dummy, addresses) }
}

pub fn route(destination: &str, gateway: Option<&str>) -> PodRoute {
    PodRoute {
        destination: destination.parse().unwrap(),
        gateway: gateway.map(|gateway| gateway.parse().unwrap()),
        mtu: None,
        advmss: None,
        metric: None,
        table: None,
        scope: None,
    }
}

/// A setting of a link as the namespace shows it.
pub fn setting(namespace: impl AsFd, family: &str, link: &str, setting: &str) -> String {
    let file = format!("/proc/sys/net/{family}/conf/{link}/{setting}");
    inside(namespace.as_fd(), || std::fs::read_to_string(file).unwrap().trim().to_owned()).unwrap()
}

/// Waits until `holds`; panics with `what` after 30 s.
pub fn wait_until(what: &str, mut holds: impl FnMut() -> bool) {
    let end = Instant::now() + Duration::from_secs(30);
    while !holds() {
        assert!(Instant::now() < end, "{what} within 30 s");
        std::thread::sleep(Duration::from_millis(20));
    }
}
