//! The lab VM as a host with VFs: its real inventory, networks on its PFs, and what `ip` says of a VF.

use std::collections::BTreeMap;
use std::fs;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, UdpSocket};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use attach::network::{Block, Network, NetworkInterface, Networks};
use hwprobe::{Inventory, NicId, Probe, ProbeSettings};
use serde_json::{Value, json};

use crate::harness::{Host, Pod, ip, ip_json};

pub(crate) const PFS: [&str; 2] = ["0000:41:00.0", "0000:81:00.0"];

pub(crate) fn folder(pci: &str) -> PathBuf {
    Path::new("/sys/bus/pci/devices").join(pci)
}

pub(crate) fn name(pci: &str) -> Option<String> {
    let mut entries = fs::read_dir(folder(pci).join("net")).ok()?;
    Some(entries.next()?.unwrap().file_name().to_str().unwrap().to_owned())
}

pub(crate) fn wait<T>(what: &str, look: impl Fn() -> Option<T>) -> T {
    let end = Instant::now() + Duration::from_secs(30);
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(Instant::now() < end, "{what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// PCI address of VF number `index` of a PF.
pub(crate) fn vf(pf: &str, index: usize) -> String {
    let target = fs::read_link(folder(pf).join(format!("virtfn{index}"))).unwrap();
    target.file_name().unwrap().to_str().unwrap().to_owned()
}

/// So many new VFs of each PF, and a network `neta` with blocks on both; an uplink that is neither.
pub(crate) fn vf_host(count: usize) -> Host {
    if !Path::new("/sys/class/net/up0").exists() {
        ip("link add up0 type dummy");
        ip("address add 10.99.0.1/24 dev up0");
        ip("link set up0 up");
        ip("route add default via 10.99.0.254 dev up0");
    }
    for pf in PFS {
        make_vfs(pf, count);
    }
    this_machine()
}

/// The machine as it is, also for another process of the test.
pub(crate) fn this_machine() -> Host {
    let mut networks = BTreeMap::new();
    networks.insert("neta".to_owned(), Arc::new(network()));
    Host {
        folder: tempfile::tempdir().unwrap(),
        inventory: Arc::new(Mutex::new(Arc::new(inventory()))),
        networks: Arc::new(Mutex::new(Arc::new(Networks { networks, classes: BTreeMap::new() }))),
        boot: cni::note::boot_id(),
        annotated: Arc::new(Mutex::new(Ok(Vec::new()))),
        events: Arc::default(),
    }
}

fn inventory() -> Inventory {
    Probe::live(ProbeSettings::default()).unwrap().inventory()
}

pub(crate) fn make_vfs(pf: &str, count: usize) {
    ip(&format!("link set {} up", wait("the PF's netdev", || name(pf))));
    fs::write(folder(pf).join("sriov_numvfs"), "0").unwrap();
    fs::write(folder(pf).join("sriov_numvfs"), count.to_string()).unwrap();
    let carrier = folder(pf).join("net").join(name(pf).unwrap()).join("carrier");
    wait("the PF's carrier", || fs::read_to_string(&carrier).ok().filter(|text| text.trim() == "1"));
    for index in 0..count {
        wait("the VF's netdev", || name(&vf(pf, index)));
    }
}

fn network() -> Network {
    let interfaces = PFS.iter().enumerate().map(|(number, pf)| NetworkInterface {
        master: name(pf).unwrap(),
        nic: Some(NicId::new(*pf)),
        net_address: None,
        index: number as u32,
        blocks: vec![Block {
            pod: format!("192.168.{number}.0/24").parse().unwrap(),
            interface: format!("192.168.{number}.0/24").parse().unwrap(),
            excludes: Vec::new(),
        }],
    });
    Network { name: "neta".to_owned(), interfaces: interfaces.collect(), ..Network::default() }
}

/// Reads the machine anew, as the agent does with each event.
pub(crate) fn look(host: &Host) {
    *host.inventory.lock().unwrap() = Arc::new(inventory());
}

/// What `ip link show PF` says of a VF.
pub(crate) fn admin(pf: &str, index: usize) -> Value {
    let shown = ip_json(&format!("link show {}", name(pf).unwrap()));
    shown[0]["vfinfo_list"].as_array().unwrap().iter().find(|vf| vf["vf"] == index).unwrap().clone()
}

/// Everything that must be as it was when the first `count` VFs of both PFs have come back (TRAPS V1). A MAC that the
/// driver made up is `random`.
pub(crate) fn states(count: usize) -> Vec<Value> {
    let (links, addresses) = (ip_json("link show"), ip_json("address show"));
    let of = |all: &Value, name: &str| {
        all.as_array().unwrap().iter().find(|link| link["ifname"] == name).unwrap().clone()
    };
    let mut states = Vec::new();
    for pf in PFS {
        let pf_link = of(&links, &name(pf).unwrap());
        for index in 0..count {
            let pci = vf(pf, index);
            let vfs = pf_link["vfinfo_list"].as_array().unwrap();
            let mut admin = vfs.iter().find(|vf| vf["vf"] == index).unwrap().clone();
            let file = |name: &str| {
                fs::read_to_string(folder(&pci).join(name)).unwrap_or_default().trim().to_owned()
            };
            let driver = fs::read_link(folder(&pci).join("driver")).ok();
            let driver = driver.map(|path| path.file_name().unwrap().to_str().unwrap().to_owned());
            let (mut link, mut own) = (Value::Null, Value::Null);
            if let Some(name) = name(&pci) {
                (link, own) = (of(&links, &name), of(&addresses, &name)["addr_info"].clone());
                if file(&format!("net/{name}/addr_assign_type")) == "1" {
                    if admin["address"] == link["address"] {
                        admin["address"] = json!("random");
                    }
                    link["address"] = json!("random");
                }
                link["ifindex"] = Value::Null;
            }
            let taken = Path::new("/var/lib/cni/sriov/pci").join(&pci).exists();
            states.push(json!({"admin": admin, "link": link, "addresses": own, "driver": driver,
                "override": file("driver_override"), "allocated": taken}));
        }
    }
    states
}

/// Whether packets from one pod arrive at an address of another one.
pub(crate) fn reaches(from: &Pod, to: &Pod, address: &str) -> bool {
    let target = SocketAddr::new(address.parse().unwrap(), 4000);
    let ear = to.inside(|| UdpSocket::bind(target)).unwrap();
    ear.set_read_timeout(Some(Duration::from_millis(500))).unwrap();
    let mouth = from.inside(|| UdpSocket::bind((IpAddr::from(Ipv4Addr::UNSPECIFIED), 0))).unwrap();
    (0..20).any(|_| {
        drop(mouth.send_to(b"hello", target));
        ear.recv(&mut [0; 16]).is_ok_and(|length| length == 5)
    })
}
