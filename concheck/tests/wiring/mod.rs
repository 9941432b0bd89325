//! Hosts of tests: network namespaces with a NIC on each wire, in a network that is the test's alone.

use std::fs::File;
use std::os::fd::AsRawFd;
use std::process::{Child, Command, Output, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use nix::sched::{CloneFlags, setns, unshare};
use serde_json::Value;

/// The secret of the tests' runs.
pub(crate) const SECRET: &str = "a secret of the tests";

/// The port that pods listen on.
pub(crate) const PORT: u16 = 5301;

/// The network of a test, and its hosts by number; they end with this value.
pub(crate) struct Lab {
    /// A namespace with the bridges.
    pub(crate) wires: Namespace,
    /// The hosts.
    pub(crate) hosts: Vec<Namespace>,
}

/// A network namespace without a name: it ends when nobody is in it or holds it.
pub(crate) struct Namespace {
    file: File,
}

impl Namespace {
    /// A new one, with its loopback up.
    pub(crate) fn new() -> Self {
        let file = thread::spawn(|| {
            unshare(CloneFlags::CLONE_NEWNET).expect("root");
            File::open("/proc/thread-self/ns/net").unwrap()
        });
        let namespace = Self { file: file.join().unwrap() };
        namespace.must("ip link set lo up");
        namespace
    }

    /// A program in it.
    pub(crate) fn command(&self, program: &str) -> Command {
        let mut command = Command::new("nsenter");
        command.arg(self.path()).arg(program);
        command
    }

    fn path(&self) -> String {
        format!("--net=/proc/{}/fd/{}", std::process::id(), self.file.as_raw_fd())
    }

    /// Runs words; they must do.
    pub(crate) fn must(&self, words: &str) -> String {
        let mut words_of = words.split_whitespace();
        let output = self.command(words_of.next().unwrap()).args(words_of).output().unwrap();
        assert!(output.status.success(), "{words}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    }

    /// Sets rules of nftables.
    pub(crate) fn rules(&self, rules: &str) {
        let output = self.command("nft").arg(rules).output().unwrap();
        assert!(output.status.success(), "{rules}: {}", String::from_utf8_lossy(&output.stderr));
    }

    /// Does something on a thread in it.
    pub(crate) fn inside<T: Send>(&self, what: impl FnOnce() -> T + Send) -> T {
        thread::scope(|scope| {
            let inside = scope.spawn(|| {
                setns(&self.file, CloneFlags::CLONE_NEWNET).unwrap();
                what()
            });
            inside.join().unwrap()
        })
    }

    /// Bytes that a link has received and sent, as `ip` tells.
    pub(crate) fn counters(&self, link: &str) -> (u64, u64) {
        let text = self.must(&format!("ip -j -s link show dev {link}"));
        let links: Value = serde_json::from_str(&text).unwrap();
        let stats = &links[0]["stats64"];
        (stats["rx"]["bytes"].as_u64().unwrap(), stats["tx"]["bytes"].as_u64().unwrap())
    }
}

impl Lab {
    /// So many hosts on two wires: host `h` (from 1) has `10.7.<wire>.<h>` and `fd07:<wire>::<h>` on `net<wire>`.
    pub(crate) fn new(hosts: usize) -> Self {
        let wires = Namespace::new();
        for wire in 0..2 {
            wires.must(&format!("ip link add wire{wire} type bridge mcast_snooping 0"));
            wires.must(&format!("ip link set wire{wire} up"));
        }
        let mut lab = Self { wires, hosts: Vec::new() };
        for number in 1..=hosts {
            let host = Namespace::new();
            for wire in 0..2 {
                lab.plug(&host, number, wire);
            }
            lab.hosts.push(host);
        }
        lab
    }

    fn plug(&self, host: &Namespace, number: usize, wire: usize) {
        let near = format!("net{wire}");
        self.link(
            host,
            &format!("p{number}w{wire}"),
            &format!("wire{wire}"),
            &near,
            &format!("10.7.{wire}.{number}/24"),
        );
        host.must(&format!("ip addr add fd07:{wire}::{number}/64 dev {near} nodad"));
    }

    /// A link `near` of a host, whose other end `far` is a port of a bridge.
    pub(crate) fn link(&self, host: &Namespace, far: &str, bridge: &str, near: &str, address: &str) {
        let there = format!("/proc/{}/fd/{}", std::process::id(), host.file.as_raw_fd());
        self.wires.must(&format!("ip link add {far} type veth peer name {near} netns {there}"));
        self.wires.must(&format!("ip link set {far} master {bridge} up"));
        host.must(&format!("ip addr add {address} dev {near}"));
        host.must(&format!("ip link set {near} up"));
    }

    /// The executable as a listener on a host.
    pub(crate) fn serve(&self, host: usize) -> Program {
        let mut serve = self.hosts[host - 1].command(env!("CARGO_BIN_EXE_multi-nic-concheck"));
        let program =
            Program(serve.arg("serve").env("CONCHECK_TOKEN", SECRET).stderr(Stdio::null()).spawn().unwrap());
        self.hosts[host - 1].inside(|| {
            wait_for("the listener", || std::net::TcpStream::connect(("127.0.0.1", PORT)).ok());
        });
        program
    }

    /// The executable as a measurer on a host; its exit code and JSON.
    pub(crate) fn measure(&self, host: usize, arguments: &[&str]) -> (i32, Value) {
        let output = self.try_measure(host, SECRET, arguments);
        let said = String::from_utf8_lossy(&output.stdout);
        let json = serde_json::from_str(&said);
        (
            output.status.code().unwrap(),
            json.unwrap_or_else(|_| panic!("{said}{}", String::from_utf8_lossy(&output.stderr))),
        )
    }

    /// The same with another secret, and whatever it prints.
    pub(crate) fn try_measure(&self, host: usize, secret: &str, arguments: &[&str]) -> Output {
        let mut measure = self.hosts[host - 1].command(env!("CARGO_BIN_EXE_multi-nic-concheck"));
        measure.arg("measure").args(arguments).args([
            "--seconds",
            "1",
            "--streams",
            "2",
            "--patience-ms",
            "1500",
        ]);
        measure.env("CONCHECK_TOKEN", secret).output().unwrap()
    }
}

/// A program that ends with this value.
pub(crate) struct Program(pub(crate) Child);

impl Drop for Program {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Looks until it is there, 30 s at most.
pub(crate) fn wait_for<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let begun = Instant::now();
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(begun.elapsed() < Duration::from_secs(30), "waited in vain for {what}");
        thread::sleep(Duration::from_millis(50));
    }
}

/// Whether two counts differ by one in a hundred at most.
pub(crate) fn agree(one: u64, other: u64) -> bool {
    one.abs_diff(other) * 100 <= one.max(other)
}
