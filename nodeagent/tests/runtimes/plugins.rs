//! What the runtimes call: Debian's plugins, which prove the harness, and ours.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::{Value, json};

use super::wires::{Expected, Wires, host_address, pod_block};
use super::{run, wait_for, write};

/// Why ours is not run yet; `None` once the agent serves CNI and prints the list (`multi-nicd cni-config NETWORK`).
const OURS_WAITS_FOR: Option<&str> = None;

/// Who calls the plugins. They differ in how many lists they take and in what they demand of a result.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Runtime {
    /// All lists that are named, as `eth0`, `eth1` …
    Podman,
    /// The first list of the folder, as `eth0`.
    Ctr,
    /// The first two lists of the folder; the result of the first must have an interface `eth0`.
    Cri,
}

/// A network list as it stands in `/etc/cni/net.d`.
pub(crate) struct List {
    /// Its name.
    pub(crate) name: String,
    /// The JSON text.
    pub(crate) text: String,
}

/// Plugins under test.
pub(crate) trait Plugins {
    /// The lists for a runtime.
    fn lists(&self, runtime: Runtime) -> Vec<List>;
    /// The links on the wires that a container gets by them. Others (of the cluster network) are not among them.
    fn links(&self, runtime: Runtime) -> Vec<Expected>;
    /// Folder of the executables.
    fn folder(&self) -> &Path;
    /// The addresses that are given now, whoever holds them.
    fn held(&self) -> Vec<String>;
    /// What happens to their state when the machine starts again.
    fn reboot(&mut self);
}

fn expected(names: &[&str]) -> Vec<Expected> {
    let link = |(wire, name): (usize, &&str)| Expected { name: (*name).to_owned(), wire };
    names.iter().enumerate().map(link).collect()
}

fn list(name: &str, plugin: &Value) -> List {
    let text = json!({"cniVersion": "0.4.0", "name": name, "plugins": [plugin]}).to_string();
    List { name: name.to_owned(), text }
}

/// Debian's `ipvlan` and `host-local`: one list a wire.
pub(crate) struct Debian {
    masters: Vec<String>,
}

/// Where host-local keeps what it gave.
const LEASES: &str = "/var/lib/cni/networks";

impl Debian {
    pub(crate) fn on(wires: &Wires) -> Self {
        let _ = fs::remove_dir_all(LEASES);
        Self { masters: [0, 1].map(|wire| wires.master(wire).to_owned()).to_vec() }
    }
}

impl Plugins for Debian {
    fn lists(&self, runtime: Runtime) -> Vec<List> {
        let one = |(wire, master): (usize, &String)| {
            let block = pod_block(wire);
            let range = json!({"subnet": format!("{block}/16"),
                "rangeStart": block.to_string().replace(".0.0", ".0.2"),
                "rangeEnd": block.to_string().replace(".0.0", ".15.254")});
            let ipam = json!({"type": "host-local", "ranges": [[range]]});
            list(
                &format!("wire{wire}"),
                &json!({"type": "ipvlan", "master": master, "mode": "l2", "ipam": ipam}),
            )
        };
        let count = self.links(runtime).len();
        self.masters.iter().enumerate().take(count).map(one).collect()
    }

    fn links(&self, runtime: Runtime) -> Vec<Expected> {
        match runtime {
            Runtime::Ctr => expected(&["eth0"]),
            Runtime::Podman | Runtime::Cri => expected(&["eth0", "eth1"]),
        }
    }

    fn folder(&self) -> &Path {
        Path::new("/usr/lib/cni")
    }

    fn held(&self) -> Vec<String> {
        let Ok(networks) = fs::read_dir(LEASES) else { return Vec::new() };
        let files =
            networks.flat_map(|network| fs::read_dir(network.expect("a folder").path()).expect("leases"));
        let names = files.map(|file| file.expect("a lease").file_name().into_string().expect("text"));
        names.filter(|name| name.parse::<std::net::IpAddr>().is_ok()).collect()
    }

    fn reboot(&mut self) {
        // Debian's podman: tmpfiles.d/podman.conf empties this folder at every start of the machine.
        let _ = fs::remove_dir_all(LEASES);
    }
}

/// `multi-nic` and an agent in standalone mode: one list for both wires.
pub(crate) struct Ours {
    agent: Option<Child>,
    folder: PathBuf,
}

const NETWORK: &str = "two-wires";
const CONFIG: &str = "/run/runtimes/config";
const BOOT_ID: &str = "/proc/sys/kernel/random/boot_id";

impl Ours {
    /// Starts the agent; nothing, and why, while it cannot do it yet.
    pub(crate) fn on(_wires: &Wires) -> Option<Self> {
        if let Some(reason) = OURS_WAITS_FOR {
            println!("skipped: {reason}");
            return None;
        }
        let masters = [0, 1].map(|wire| {
            let [a, b, c, _] = host_address(wire).octets();
            format!("{a}.{b}.{c}.0/24")
        });
        // Two interface blocks of /16, sixteen host blocks of /20 each: this host's are the first ones.
        let network = json!({
            "apiVersion": "multinic.fms.io/v1", "kind": "MultiNicNetwork", "metadata": {"name": NETWORK},
            "spec": {
                "subnet": format!("{}/15", pod_block(0)),
                "ipam": r#"{"type": "multi-nic-ipam", "hostBlock": 4, "interfaceBlock": 1}"#,
                "multiNICIPAM": true, "masterNets": masters,
                "plugin": {"cniVersion": "0.4.0", "type": "ipvlan", "args": {"mode": "l2"}},
                "attachPolicy": {"strategy": "none"}}});
        // YAML is a superset of JSON.
        write(format!("{CONFIG}/{NETWORK}.yaml"), &network.to_string());
        let built = Path::new(env!("CARGO_BIN_EXE_multi-nicd")).parent().expect("a folder").join("multi-nic");
        let folder = PathBuf::from("/run/runtimes/bin");
        fs::create_dir_all(&folder).expect("a folder");
        fs::copy(&built, folder.join("multi-nic")).unwrap_or_else(|error| {
            panic!("{}: {error}: build it with `cargo build -p cni --bins`", built.display())
        });
        let _ = fs::remove_dir_all("/var/lib/multi-nic");
        let mut ours = Self { agent: None, folder };
        ours.start();
        Some(ours)
    }

    fn start(&mut self) {
        let log = fs::File::create("/run/runtimes/agent.log").expect("the log");
        let mut agent = Command::new(env!("CARGO_BIN_EXE_multi-nicd"));
        agent.args(["--standalone", "--no-tcp", "--config", CONFIG, "--log-format", "text"]);
        agent.stdin(Stdio::null()).stdout(Stdio::null()).stderr(log);
        self.agent = Some(agent.spawn().expect("start multi-nicd"));
        let serves = Path::new("/run/multi-nic/cni.sock");
        wait_for("the agent", || (serves.exists() && self.ask("/readyz").is_some()).then_some(()));
    }

    fn stop(&mut self) {
        let Some(mut agent) = self.agent.take() else { return };
        kill(Pid::from_raw(i32::try_from(agent.id()).expect("a pid")), Signal::SIGTERM)
            .expect("stop the agent");
        agent.wait().expect("the agent's end");
    }

    fn ask(&self, path: &str) -> Option<Value> {
        let socket = "/run/multi-nic/api.sock";
        let answer = super::try_run("curl", &format!("-sf --unix-socket {socket} http://localhost{path}"));
        serde_json::from_str(&answer.ok()?).ok()
    }
}

impl Plugins for Ours {
    fn lists(&self, runtime: Runtime) -> Vec<List> {
        let text = run(env!("CARGO_BIN_EXE_multi-nicd"), &format!("--config {CONFIG} cni-config {NETWORK}"));
        let ours = List { name: NETWORK.to_owned(), text };
        if runtime != Runtime::Cri {
            return vec![ours];
        }
        // The kubelet's own network: CRI wants an interface of exactly that name from the first list.
        let range = json!({"type": "host-local", "subnet": "10.99.0.0/24"});
        vec![
            list("cluster", &json!({"type": "bridge", "bridge": "lab0", "isGateway": true, "ipam": range})),
            ours,
        ]
    }

    fn links(&self, runtime: Runtime) -> Vec<Expected> {
        match runtime {
            Runtime::Podman | Runtime::Ctr => expected(&["eth0-0", "eth0-1"]),
            Runtime::Cri => expected(&["eth1-0", "eth1-1"]),
        }
    }

    fn folder(&self) -> &Path {
        &self.folder
    }

    fn held(&self) -> Vec<String> {
        let answer = self.ask("/v1/attachments").expect("the agent's attachments");
        let attachments = answer["attachments"].as_array().expect("a list");
        let links = attachments.iter().flat_map(|attachment| attachment["result"]["ips"].as_array());
        links.flatten().map(|ip| ip["address"].to_string()).collect()
    }

    fn reboot(&mut self) {
        self.stop();
        // Another boot is another id; everything else of it was done to the runtime already.
        write("/run/runtimes/boot_id", "0f5b1c5e-0000-4000-8000-000000000001\n");
        run("mount", &format!("--bind /run/runtimes/boot_id {BOOT_ID}"));
        self.start();
    }
}

impl Drop for Ours {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("{}", fs::read_to_string("/run/runtimes/agent.log").unwrap_or_default());
        }
        self.stop();
        let _ = super::try_run("umount", BOOT_ID);
    }
}
