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
use datapath::{
    DatapathError, Made, MultipathRoute, PodLink, PodRoute, PolicyTable, Source, Taken, unwire, wire,
};
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

/// Sends back what comes to one address, until it is dropped.
pub struct Echo {
    stop: std::sync::Arc<std::sync::atomic::AtomicBool>,
    thread: Option<std::thread::JoinHandle<()>>,
}

const ECHO_PORT: u16 = 7007;

impl Echo {
    pub fn at(namespace: impl AsFd, address: &str) -> Self {
        let address: std::net::IpAddr = address.parse().unwrap();
        let socket =
            inside(namespace.as_fd(), || std::net::UdpSocket::bind((address, ECHO_PORT)).unwrap()).unwrap();
        socket.set_read_timeout(Some(Duration::from_millis(50))).unwrap();
        let stop = std::sync::Arc::new(std::sync::atomic::AtomicBool::new(false));
        let stopped = std::sync::Arc::clone(&stop);
        let thread = std::thread::spawn(move || {
            let mut buffer = [0; 100];
            while !stopped.load(std::sync::atomic::Ordering::Relaxed) {
                if let Ok((length, from)) = socket.recv_from(&mut buffer) {
                    let _ = socket.send_to(&buffer[..length], from);
                }
            }
        });
        Self { stop, thread: Some(thread) }
    }
}

impl Drop for Echo {
    fn drop(&mut self) {
        self.stop.store(true, std::sync::atomic::Ordering::Relaxed);
        self.thread.take().unwrap().join().unwrap();
    }
}

/// How many of `count` datagrams come back from an echo; each gets half a second.
pub fn talk(from: impl AsFd, source: &str, target: &str, count: u32) -> u32 {
    let (source, target): (std::net::IpAddr, std::net::IpAddr) =
        (source.parse().unwrap(), target.parse().unwrap());
    let socket = inside(from.as_fd(), || std::net::UdpSocket::bind((source, 0)).unwrap()).unwrap();
    socket.set_read_timeout(Some(Duration::from_millis(500))).unwrap();
    if socket.connect((target, ECHO_PORT)).is_err() {
        return 0;
    }
    let mut back = 0;
    for number in 0..count {
        let mut buffer = [0; 100];
        if socket.send(&number.to_be_bytes()).is_ok() && socket.recv(&mut buffer).is_ok() {
            back += 1;
        }
    }
    back
}

/// Whether anything at all comes back.
pub fn reaches(from: impl AsFd, source: &str, target: &str) -> bool {
    (0..4).any(|_| talk(&from, source, target, 1) == 1)
}

/// How many packets have come in at a far end.
fn arrived(host: &Host, far: &str) -> u64 {
    json_in(&host.wire, &format!("-s link show {far}"))[0]["stats64"]["rx"]["packets"].as_u64().unwrap()
}

/// Gives the far ends of two wires neighbours' addresses, and both the way to one place beyond.
pub fn dress_far_ends(host: &Host, fars: &[String; 2]) {
    for (far, net) in fars.iter().zip([1, 2]) {
        ip_in(&host.wire, &format!("address add 10.{net}.0.9/24 dev {far}"));
        ip_in(&host.wire, &format!("-6 address add fd0{net}::9/64 dev {far} nodad"));
    }
    ip_in(&host.wire, "address add 10.3.0.9/32 dev lo");
    ip_in(&host.wire, "-6 address add fd03::9/128 dev lo");
}

/// A pod on two wires: what has an address of link 1 leaves by link 1, though link 0 has the route (TRAPS P18). The
/// counters at the far ends are the witness.
pub fn assert_addresses_keep_to_their_nics(
    host: &mut Host,
    masters: &[String; 2],
    fars: &[String; 2],
    kind: &NewLinkKind,
) {
    let mut pod = pod();
    let mut links = [
        above(0, &masters[0], kind.clone(), &["10.1.0.1/24", "fd01::1/64"]),
        above(1, &masters[1], kind.clone(), &["10.2.0.1/24", "fd02::1/64"]),
    ];
    for (link, net) in links.iter_mut().zip([1, 2]) {
        let gateways = [format!("10.{net}.0.9"), format!("fd0{net}::9")];
        let gateways = gateways.iter().map(|gateway| gateway.parse().unwrap()).collect();
        link.policy = Some(PolicyTable { gateways });
    }
    links[0].routes = vec![route("10.3.0.0/24", Some("10.1.0.9")), route("fd03::/64", Some("fd01::9"))];
    host.wire(&mut pod, &links).unwrap();
    for (from, to, by) in [
        ("10.1.0.1", "10.3.0.9", 0),
        ("10.2.0.1", "10.3.0.9", 1),
        ("fd01::1", "fd03::9", 0),
        ("fd02::1", "fd03::9", 1),
        ("10.1.0.1", "10.1.0.9", 0),
        ("10.2.0.1", "10.2.0.9", 1),
    ] {
        let _echo = Echo::at(&host.wire, to);
        assert!(reaches(&pod, from, to), "{kind:?}: {from} to {to}");
        let before = [arrived(host, &fars[0]), arrived(host, &fars[1])];
        assert_eq!(talk(&pod, from, to, 50), 50, "{kind:?}: {from} to {to}");
        let now = [arrived(host, &fars[0]) - before[0], arrived(host, &fars[1]) - before[1]];
        // Neighbour discovery may add a few on either wire.
        assert!(now[by] >= 50 && now[1 - by] < 25, "{kind:?}: {from} to {to}: {now:?}");
    }
    if matches!(kind, NewLinkKind::Macvlan { .. }) {
        // Somebody asks the address of link 1 by the wire of link 0; the reply leaves by link 1. (ipvlan hands no
        // packet to a link that does not have its address.)
        ip_in(&host.wire, "route replace 10.2.0.1/32 via 10.1.0.1");
        let echo = Echo::at(&pod, "10.2.0.1");
        let before = arrived(host, &fars[1]);
        assert_eq!(talk(&host.wire, "10.3.0.9", "10.2.0.1", 50), 50, "replies come");
        assert!(arrived(host, &fars[1]) - before >= 50, "by the address's own link");
        drop(echo);
        ip_in(&host.wire, "route del 10.2.0.1/32");
    }
    host.unwire(&mut pod, &links);
}
