//! A scratch host in a network namespace: veth masters, an inventory of them, networks with blocks, an engine.

pub(crate) mod dhcp;

use std::collections::BTreeMap;
use std::fs::File;
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Arc, Mutex};

use attach::network::{Block, Network, NetworkInterface, Networks};
use attach::{Answer, Conversation, Engine, Gone, Parts};
use cni::protocol::{Call, DelegateCall, Outcome, PROTOCOL, Tool};
use cni::{Command as Verb, Environment};
use datapath::netns::inside;
use hwprobe::{Generation, Inventory, IpInterface, LinkFacts, Nic, NicId, NicKind, Node};
use nix::sched::{CloneFlags, unshare};
use serde_json::{Value, json};
use store::{Identity, Store};

pub(crate) fn ip(words: &str) -> String {
    let output = Command::new("ip").args(words.split_whitespace()).output().unwrap();
    assert!(output.status.success(), "ip {words}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

pub(crate) fn ip_json(words: &str) -> Value {
    let text = ip(&format!("-j -d {words}"));
    if text.trim().is_empty() { json!([]) } else { serde_json::from_str(&text).unwrap() }
}

pub(crate) fn ifindex(name: &str) -> u32 {
    u32::try_from(ip_json(&format!("link show {name}"))[0]["ifindex"].as_u64().unwrap()).unwrap()
}

/// The host: a namespace of its own with `masters` veth masters `m0`, `m1`, ….
pub(crate) struct Host {
    pub(crate) folder: tempfile::TempDir,
    pub(crate) inventory: Arc<Mutex<Arc<Inventory>>>,
    pub(crate) networks: Arc<Mutex<Arc<Networks>>>,
    pub(crate) boot: String,
    /// What any annotation comes to.
    pub(crate) annotated: Arc<Mutex<Result<Vec<attach::Wanted>, cni::Error>>>,
    /// What the engines told.
    pub(crate) events: Arc<Mutex<Vec<attach::Event>>>,
}

pub(crate) fn host(masters: u32) -> Host {
    unshare(CloneFlags::CLONE_NEWNET).unwrap();
    for number in 0..masters {
        ip(&format!("link add m{number} type veth peer name w{number}"));
        ip(&format!("link set m{number} up"));
        ip(&format!("link set w{number} up"));
        ip(&format!("address add 10.0.{number}.1/24 dev m{number}"));
    }
    let nics = (0..masters).map(nic).collect();
    let mut networks = BTreeMap::new();
    networks.insert("neta".to_owned(), Arc::new(network("neta", masters, 24, "192.168")));
    networks.insert("tiny".to_owned(), Arc::new(network("tiny", masters, 30, "172.16")));
    let networks = Networks { networks, classes: BTreeMap::new() };
    Host {
        folder: tempfile::tempdir().unwrap(),
        inventory: Arc::new(Mutex::new(Arc::new(Inventory::new(Node::default(), nics)))),
        networks: Arc::new(Mutex::new(Arc::new(networks))),
        boot: cni::note::boot_id(),
        annotated: Arc::new(Mutex::new(Ok(Vec::new()))),
        events: Arc::default(),
    }
}

fn nic(number: u32) -> Nic {
    let name = format!("m{number}");
    let mut nic = Nic::new(NicId::new(format!("virtual-{name}")), NicKind::Veth);
    nic.generation = Generation::new(Some(ifindex(&name)), None);
    nic.name = Some(name);
    let mut link = LinkFacts::new(1500, 1);
    (link.admin_up, link.carrier) = (true, Some(true));
    nic.link = Some(link);
    nic.secondary.is_secondary = true;
    nic.addresses = vec![IpInterface::new(format!("10.0.{number}.1").parse().unwrap(), 24, "global")];
    nic
}

fn network(name: &str, masters: u32, length: u8, prefix: &str) -> Network {
    let interfaces = (0..masters).map(|number| NetworkInterface {
        master: format!("m{number}"),
        nic: Some(NicId::new(format!("virtual-m{number}"))),
        net_address: Some(format!("10.0.{number}.0/24").parse().unwrap()),
        index: number,
        blocks: vec![
            Block {
                pod: format!("{prefix}.{number}.0/{length}").parse().unwrap(),
                interface: format!("{prefix}.{number}.0/{}", length.min(24)).parse().unwrap(),
                excludes: Vec::new(),
            },
            Block {
                pod: format!("fd10:{number}:{length}::/120").parse().unwrap(),
                interface: format!("fd10:{number}:{length}::/64").parse().unwrap(),
                excludes: Vec::new(),
            },
        ],
    });
    Network { name: name.to_owned(), interfaces: interfaces.collect(), ..Network::default() }
}

impl Host {
    pub(crate) fn engine(&self) -> Engine {
        let (store, _) = Store::open(self.folder.path(), &self.identity()).unwrap();
        self.engine_on(Some(Arc::new(store)))
    }

    pub(crate) fn identity(&self) -> Identity {
        Identity { machine: "0123".to_owned(), boot: self.boot.clone() }
    }

    pub(crate) fn engine_on(&self, store: Option<Arc<Store>>) -> Engine {
        let (inventory, networks) = (Arc::clone(&self.inventory), Arc::clone(&self.networks));
        let (events, annotated) = (Arc::clone(&self.events), Arc::clone(&self.annotated));
        Engine::open(Parts {
            store,
            state_dir: self.folder.path().to_owned(),
            procfs: "/proc".into(),
            boot: self.boot.clone(),
            quarantine: 60,
            inventory: Box::new(move || Some(Arc::clone(&inventory.lock().unwrap()))),
            networks: Box::new(move || Arc::clone(&networks.lock().unwrap())),
            annotated: Box::new(move |_| annotated.lock().unwrap().clone()),
            gpus: Box::new(|_| Vec::new()),
            tell: Box::new(move |event| events.lock().unwrap().push(event)),
            permits: 4,
            sriov: attach::SriovParts::default(),
        })
        .unwrap()
    }
}

/// A pod's namespace with a path, like a runtime makes them.
pub(crate) struct Pod {
    pub(crate) path: PathBuf,
    fd: OwnedFd,
}

pub(crate) fn pod() -> Pod {
    static NEXT: std::sync::atomic::AtomicU32 = std::sync::atomic::AtomicU32::new(0);
    let number = NEXT.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
    let name = format!("mn-test-{}-{number}", std::process::id());
    ip(&format!("netns add {name}"));
    let path = PathBuf::from(format!("/run/netns/{name}"));
    let fd = OwnedFd::from(File::open(&path).unwrap());
    Pod { path, fd }
}

impl Pod {
    pub(crate) fn ip(&self, words: &str) -> Value {
        inside(self.fd.as_fd(), || ip_json(words)).unwrap()
    }

    pub(crate) fn inside<T>(&self, work: impl FnOnce() -> T) -> T {
        inside(self.fd.as_fd(), work).unwrap()
    }

    pub(crate) fn run(&self, words: &str) {
        inside(self.fd.as_fd(), || ip(words)).unwrap();
    }

    pub(crate) fn fd(&self) -> OwnedFd {
        self.fd.try_clone().unwrap()
    }

    /// Names of links beside the loopback.
    pub(crate) fn links(&self) -> Vec<String> {
        let links = self.ip("link show");
        let names = links.as_array().unwrap().iter().map(|link| link["ifname"].as_str().unwrap().to_owned());
        names.filter(|name| name != "lo").collect()
    }

    /// Addresses of a link.
    pub(crate) fn addresses(&self, link: &str) -> Vec<String> {
        let shown = self.ip(&format!("address show {link}"));
        let all = shown[0]["addr_info"].as_array().cloned().unwrap_or_default();
        let global = all.iter().filter(|a| a["scope"] == "global");
        global.map(|a| format!("{}/{}", a["local"].as_str().unwrap(), a["prefixlen"])).collect()
    }

    /// The runtime takes the namespace away.
    pub(crate) fn die(self) {}
}

impl Drop for Pod {
    fn drop(&mut self) {
        let name = self.path.file_name().unwrap().to_string_lossy().into_owned();
        drop(Command::new("ip").args(["netns", "del", &name]).status());
    }
}

/// Runs real plugins, as the executable does.
pub(crate) struct Plugins;

impl Conversation for Plugins {
    fn run(&mut self, calls: Vec<DelegateCall>) -> Result<Vec<Outcome>, Gone> {
        let mut outcomes = Vec::new();
        for call in calls {
            let adding = call.environment.command == Verb::Add;
            let outcome = cni::plugin_run::run(&call, &call.environment);
            let failed = outcome.error.is_some();
            outcomes.push(outcome);
            if failed && adding {
                break;
            }
        }
        Ok(outcomes)
    }
}

pub(crate) fn conf() -> Value {
    json!({"cniVersion": "1.1.0", "name": "neta", "type": "multi-nic", "multiNICIPAM": true,
        "plugin": {"type": "macvlan", "mode": "bridge"}, "ipam": {"type": "multi-nic-ipam"}})
}

pub(crate) fn call(command: Verb, container: &str, netns: &Path, conf: &Value) -> Call {
    Call {
        protocol: PROTOCOL,
        tool: Tool::MultiNic,
        environment: Environment {
            command,
            container_id: container.to_owned(),
            netns: netns.display().to_string(),
            ifname: "net1".to_owned(),
            args: "IgnoreUnknown=1;K8S_POD_NAME=p;K8S_POD_NAMESPACE=default".to_owned(),
            path: "/usr/lib/cni".to_owned(),
            netns_override: false,
        },
        config: conf.to_string(),
        pay_debts: false,
    }
}

pub(crate) fn serve(engine: &Engine, command: Verb, container: &str, pod: &Pod, conf: &Value) -> Answer {
    engine.serve(&call(command, container, &pod.path, conf), Some(pod.fd()), &mut Plugins)
}

pub(crate) fn result(answer: Answer) -> Value {
    serde_json::from_str(&answer.result.unwrap().unwrap()).unwrap()
}

pub(crate) fn code(answer: &Answer) -> u32 {
    answer.result.as_ref().unwrap_err().code
}

/// Held addresses of a network's blocks, over all masters.
pub(crate) fn used(engine: &Engine, host: &Host, network: &str) -> u64 {
    let networks = Arc::clone(&host.networks.lock().unwrap());
    let blocks = networks.networks[network].interfaces.iter().flat_map(|interface| &interface.blocks);
    blocks.map(|block| engine.usage_of_block(network, block.pod).unwrap().used).sum()
}
