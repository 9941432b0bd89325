//! Two wires: a NIC of the host on each, whose links the containers get, and a peer at the other end.

use std::fs;
use std::net::Ipv4Addr;
use std::path::Path;

use serde_json::Value;

use super::{Container, remove_namespaces, run, try_run, wait_for};

/// PCI addresses of (the NIC that the containers get links of, the NIC at the other end of its wire).
const NICS: [(&str, &str); 2] = [("0000:41:00.0", "0000:82:00.0"), ("0000:81:00.0", "0000:02:00.0")];

/// Packets of one proof. What else passes a quiet link meanwhile is less than half of it.
const PINGS: u64 = 10;

/// A link that a container is to have.
#[derive(Debug, Clone)]
pub(crate) struct Expected {
    /// Its name in the container.
    pub(crate) name: String,
    /// The wire that it leads to: 0 or 1.
    pub(crate) wire: usize,
}

/// Both wires, with their peers. The peers are given back when this is dropped.
pub(crate) struct Wires {
    masters: Vec<String>,
}

impl Wires {
    pub(crate) fn new() -> Self {
        assert!(Path::new("/run/vm").is_dir(), "this runs in a machine of lab/vm-run only");
        // What a test that failed left: podman's and containerd's namespaces.
        remove_namespaces(&["netns-", "cni-", "runtimes-"]);
        let mut masters = Vec::new();
        for (wire, (master, peer)) in NICS.into_iter().enumerate() {
            let master = netdev(master);
            run("ip", &format!("link set {master} up"));
            run("ip", &format!("address replace {}/24 dev {master}", host_address(wire)));
            let namespace = peer_namespace(wire);
            run("ip", &format!("netns add {namespace}"));
            let peer = netdev(peer);
            run("ip", &format!("link set {peer} netns {namespace}"));
            run("ip", &format!("-n {namespace} address add {}/16 dev {peer}", peer_address(wire)));
            run("ip", &format!("-n {namespace} link set {peer} up"));
            masters.push(master);
        }
        for master in &masters {
            wait_for(&format!("carrier on {master}"), || {
                fs::read_to_string(format!("/sys/class/net/{master}/carrier")).ok().filter(|up| up == "1\n")
            });
        }
        Self { masters }
    }

    /// The host's NIC on a wire.
    pub(crate) fn master(&self, wire: usize) -> &str {
        &self.masters[wire]
    }

    /// The container has exactly these links, each with an address of its wire, and each reaches the peer of its
    /// wire over the NIC of that wire, whose counter shows it (TRAPS P18).
    pub(crate) fn check(&self, container: &Container, links: &[Expected]) {
        let mut names = link_names(container);
        names.sort();
        let mut wanted: Vec<String> = links.iter().map(|link| link.name.clone()).collect();
        wanted.push("lo".to_owned());
        wanted.sort();
        // The cluster network's, where there is one.
        names.retain(|name| name != "eth0" || wanted.contains(name));
        assert_eq!(names, wanted, "links of the container");
        for link in links {
            let address = address(container, link);
            let expected = pod_block(link.wire);
            assert!(
                u32::from(address) & 0xffff_f000 == u32::from(expected),
                "{} has {address}, which is not in {expected}/20",
                link.name
            );
            let before: Vec<u64> = self.masters.iter().map(|master| sent(master)).collect();
            ping(container, link, peer_address(link.wire));
            for (wire, before) in before.iter().enumerate() {
                // The driver of an emulated igb updates its counters as it is asked.
                let passed = sent(self.master(wire)) - before;
                if wire == link.wire {
                    assert!(passed >= PINGS, "{}: {passed} packets on its own wire {wire}", link.name);
                } else {
                    assert!(passed < PINGS / 2, "{}: {passed} packets on the other wire {wire}", link.name);
                }
            }
        }
    }

    /// Two containers reach one another over each of their links, and it is that link that carries it.
    pub(crate) fn check_pair(&self, one: &Container, other: &Container, links: &[Expected]) {
        for link in links {
            let before: Vec<u64> = links.iter().map(|link| sent_by(one, link)).collect();
            ping(one, link, address(other, link));
            for (other_link, before) in links.iter().zip(before) {
                let passed = sent_by(one, other_link) - before;
                if other_link.name == link.name {
                    assert!(passed >= PINGS, "{}: {passed} packets sent", link.name);
                } else {
                    assert!(
                        passed < PINGS / 2,
                        "{passed} packets of {} left by {}",
                        link.name,
                        other_link.name
                    );
                }
            }
        }
    }
}

impl Drop for Wires {
    fn drop(&mut self) {
        for (wire, (_, peer)) in NICS.into_iter().enumerate() {
            let _ = try_run("ip", &format!("netns delete {}", peer_namespace(wire)));
            // Its NIC comes back by itself.
            let come =
                || Path::new("/sys/bus/pci/devices").join(peer).join("net").read_dir().ok()?.next()?.ok();
            if !std::thread::panicking() {
                wait_for(&format!("{peer} back"), come);
            }
        }
    }
}

/// Addresses of containers on a wire: the first /20 of its /16.
pub(crate) fn pod_block(wire: usize) -> Ipv4Addr {
    Ipv4Addr::new(10, second(wire), 0, 0)
}

/// The host's own address on a wire, in a network that is not the containers'.
pub(crate) fn host_address(wire: usize) -> Ipv4Addr {
    Ipv4Addr::new(192, 168, second(wire), 1)
}

fn peer_address(wire: usize) -> Ipv4Addr {
    Ipv4Addr::new(10, second(wire), 255, 250)
}

fn second(wire: usize) -> u8 {
    62 + u8::try_from(wire).expect("few wires")
}

fn peer_namespace(wire: usize) -> String {
    format!("runtimes-peer{wire}")
}

/// The netdev on a PCI device.
pub(crate) fn netdev(pci: &str) -> String {
    wait_for(&format!("a netdev on {pci}"), || {
        let entry = Path::new("/sys/bus/pci/devices").join(pci).join("net").read_dir().ok()?.next()?.ok()?;
        entry.file_name().into_string().ok()
    })
}

fn link_names(container: &Container) -> Vec<String> {
    let links: Value = serde_json::from_str(&container.run("ip -j link")).expect("JSON of ip");
    let names = links.as_array().expect("links").iter();
    names.map(|link| link["ifname"].as_str().expect("a name").to_owned()).collect()
}

/// The one IPv4 address of a link.
fn address(container: &Container, link: &Expected) -> Ipv4Addr {
    let text = container.run(&format!("ip -j -4 address show dev {}", link.name));
    let links: Value = serde_json::from_str(&text).expect("JSON of ip");
    let all = links[0]["addr_info"].as_array().expect("addresses");
    assert_eq!(all.len(), 1, "addresses of {}: {all:?}", link.name);
    assert_eq!(all[0]["prefixlen"], 16, "{}: {all:?}", link.name);
    all[0]["local"].as_str().expect("an address").parse().expect("IPv4")
}

fn ping(container: &Container, link: &Expected, to: Ipv4Addr) {
    // -A: the next one as soon as the last is answered.
    container.run(&format!("/bin/busybox ping -q -A -c {PINGS} -w 20 -I {} {to}", link.name));
}

fn sent(master: &str) -> u64 {
    tx(&run("ip", &format!("-j -s link show dev {master}")))
}

fn sent_by(container: &Container, link: &Expected) -> u64 {
    tx(&container.run(&format!("ip -j -s link show dev {}", link.name)))
}

fn tx(json: &str) -> u64 {
    let links: Value = serde_json::from_str(json).expect("JSON of ip");
    links[0]["stats64"]["tx"]["packets"].as_u64().expect("a counter")
}
