//! Hosts: network namespaces with NICs on the wires `sw1`, `sw2`, `sw3`, a real agent in each.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::path::PathBuf;
use std::process::{Child, Command};
use std::thread;

use nix::sched::{CloneFlags, setns, unshare};
use serde_json::Value;

use crate::harness::api_way::ApiWay;
use crate::harness::{Agent, Lab, run};
use crate::wait_for;

/// Wires between hosts.
pub(crate) const WIRES: u32 = 3;

/// Makes the wires, in the network of the calling thread.
pub(crate) fn make_wires() {
    for wire in 1..=WIRES {
        run("ip", &format!("link add sw{wire} type bridge"));
        run("ip", &format!("link set sw{wire} up"));
    }
}

/// Bytes that hosts have put on a wire.
pub(crate) fn bytes_on(wire: u32) -> u64 {
    let ports = fs::read_dir(format!("/sys/class/net/sw{wire}/brif")).unwrap().flatten();
    let count = |port: fs::DirEntry| {
        let file = port.path().join("../../statistics/rx_bytes");
        let link = format!("/sys/class/net/{}/statistics/rx_bytes", port.file_name().to_string_lossy());
        let text = fs::read_to_string(link).or_else(|_| fs::read_to_string(file)).unwrap();
        text.trim().parse::<u64>().unwrap()
    };
    ports.map(count).sum()
}

/// Last number of a host's IPv4 addresses: most are in a block that another host gives its pods where pods live in the
/// hosts' own networks.
pub(crate) fn address(number: u32) -> u32 {
    if number <= 2 { number } else { number + 15 }
}

pub(crate) struct Node {
    pub(crate) name: String,
    pub(crate) number: u32,
    /// NICs, `eth1` and so on: that on each wire up to this one.
    pub(crate) nics: u32,
    // Before the folder that its log is in.
    agent: Option<Agent>,
    lab: Lab,
    network: File,
    mounts: File,
    kubeconfig: PathBuf,
}

impl Node {
    /// A host without an agent. Its loopback leads to the API server.
    pub(crate) fn new(number: u32, nics: u32, kubeconfig: PathBuf, way: &ApiWay, port: u16) -> Self {
        // Names of tables are the host's own.
        fs::create_dir_all("/etc/iproute2/rt_tables.d").unwrap();
        let build = || {
            let lab = Lab::new();
            // The strictest: an address of a pod is never expected on a NIC.
            fs::write("/proc/sys/net/ipv4/conf/all/rp_filter", "1").unwrap();
            for nic in 1..=nics {
                // The other end is a port of a wire in the machine's own network.
                lab.ip(&format!("link add eth{nic} type veth peer name sw{nic}-n{number} netns 1"));
                fs::write(format!("/proc/sys/net/ipv6/conf/eth{nic}/keep_addr_on_down"), "1").unwrap();
                lab.ip(&format!("link set eth{nic} up"));
                lab.ip(&format!("addr add 10.10.{nic}.{}/24 dev eth{nic}", address(number)));
                lab.ip(&format!("addr add fd10:10:{nic}::{number}/64 dev eth{nic} nodad"));
            }
            way.open_at(port);
            lab.configure("included: [eth1, eth2, eth3]\n");
            let own = |kind| File::open(format!("/proc/thread-self/ns/{kind}")).unwrap();
            (lab, own("net"), own("mnt"))
        };
        let (lab, network, mounts) = thread::scope(|scope| scope.spawn(build).join()).expect("a host");
        for nic in 1..=nics {
            run("ip", &format!("link set sw{nic}-n{number} master sw{nic} up"));
        }
        Self { name: format!("n{number}"), number, nics, lab, network, mounts, kubeconfig, agent: None }
    }

    /// Does something in the host's namespaces.
    pub(crate) fn inside<T: Send>(&self, work: impl FnOnce() -> T + Send) -> T {
        let enter = || {
            // A thread that shares its root and folder cannot change its mounts.
            unshare(CloneFlags::CLONE_FS).unwrap();
            setns(&self.network, CloneFlags::CLONE_NEWNET).unwrap();
            setns(&self.mounts, CloneFlags::CLONE_NEWNS).unwrap();
            work()
        };
        let ended = thread::scope(|scope| scope.spawn(enter).join());
        ended.unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    }

    pub(crate) fn ip(&self, arguments: &str) -> String {
        self.inside(|| run("ip", arguments))
    }

    /// What `ip -j` says; a table that is not there is an empty one.
    fn ip_json(&self, arguments: &str) -> Vec<Value> {
        let said = self.inside(|| {
            Command::new("ip").arg("-j").args(arguments.split_whitespace()).output().expect("ip").stdout
        });
        serde_json::from_slice(&said).unwrap_or_default()
    }

    /// Starts the agent, and waits until it is ready.
    pub(crate) fn start_agent(&mut self) {
        let kubeconfig = self.kubeconfig.to_str().unwrap();
        let mode = ["--kubeconfig", kubeconfig, "--node-name", &self.name];
        let agent = self.inside(|| self.lab.agent_in(&mode, &["--listen", "127.0.0.1:0"]));
        self.agent = Some(agent);
    }

    /// Ends the agent without a word.
    pub(crate) fn kill_agent(&mut self) {
        let mut agent = self.agent.take().expect("an agent");
        agent.signal(nix::sys::signal::Signal::SIGKILL);
        agent.wait();
    }

    /// Ends the agent as systemd does.
    pub(crate) fn stop_agent(&mut self) {
        let mut agent = self.agent.take().expect("an agent");
        assert!(agent.stop().0.success());
    }

    pub(crate) fn agent(&self) -> &Agent {
        self.agent.as_ref().expect("an agent")
    }

    /// What the executable that Multus starts finds in its environment, beside the call's own.
    pub(crate) fn folders(&self) -> [(&'static str, PathBuf); 2] {
        [("MULTI_NIC_RUN_DIR", self.lab.path("run")), ("MULTI_NIC_STATE_DIR", self.lab.path("state"))]
    }

    /// What the host forwards and how strict it is with sources.
    pub(crate) fn settings(&self) -> [String; 3] {
        let files = ["ipv4/ip_forward", "ipv6/conf/all/forwarding", "ipv4/conf/all/rp_filter"];
        self.inside(|| files.map(|file| fs::read_to_string(format!("/proc/sys/net/{file}")).unwrap()))
    }

    /// Notes each change of routes and rules from now on.
    pub(crate) fn watch_routes(&self) -> Watch {
        let file = tempfile::NamedTempFile::new().unwrap();
        let to = file.reopen().unwrap();
        let start = || Command::new("ip").args(["monitor", "route", "rule"]).stdout(to).spawn().expect("ip");
        let watch = Watch { child: self.inside(start), file };
        // It listens when it has its socket.
        wait_for("ip monitor", || {
            let all = fs::read_dir(format!("/proc/{}/fd", watch.child.id())).ok()?;
            let mut links = all.flatten().filter_map(|one| fs::read_link(one.path()).ok());
            links.any(|link| link.to_string_lossy().starts_with("socket:")).then_some(())
        });
        watch
    }

    /// Networks whose table a rule of ours leads to.
    pub(crate) fn rules(&self) -> BTreeSet<String> {
        let rules = [self.ip_json("-4 rule"), self.ip_json("-6 rule")].concat();
        let ours = rules.iter().filter(|rule| rule["protocol"] == "77");
        ours.map(|rule| rule["table"].as_str().unwrap().to_owned()).collect()
    }

    /// Routes in a network's table, as `ip` has them: `destination via gateway dev link`.
    pub(crate) fn routes(&self, network: &str) -> BTreeSet<String> {
        let family = |family: &str| self.ip_json(&format!("-{family} route show table {network}"));
        let word = |route: &Value, key: &str| route[key].as_str().unwrap_or_default().to_owned();
        let line = |route: &Value| {
            assert_eq!(route["protocol"], "77", "{route}");
            format!("{} via {} dev {}", word(route, "dst"), word(route, "gateway"), word(route, "dev"))
        };
        [family("4"), family("6")].concat().iter().map(line).collect()
    }
}

/// Notes of changes.
pub(crate) struct Watch {
    child: Child,
    file: tempfile::NamedTempFile,
}

impl Watch {
    /// What happened to routes and rules of ours.
    pub(crate) fn changes(mut self) -> Vec<String> {
        let _ = self.child.kill();
        let _ = self.child.wait();
        let text = fs::read_to_string(self.file.path()).unwrap();
        text.lines().filter(|line| line.contains("proto 77")).map(str::to_owned).collect()
    }
}
