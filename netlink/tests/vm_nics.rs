//! Emulated and simulated NICs with `ip`, `ethtool` and `devlink` as the witnesses.
//!
//! Runs in a machine of the lab with `--nic igb:0:0 --nic igb:1:1 --nic e1000e:0:1
//! --nic vmxnet3:0 --nic rtl8139:1 --nic virtio:0 --modules "netdevsim vrf"`. A test that
//! changes a NIC holds the lock and puts back what it changed.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "test code outside of test functions"
)]

mod harness;

use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use harness::compare::differences;
use harness::{enter_private_namespace, ethtool_words, ip, ip_json, ip_words, run};
use netlink::devlink::{self, DeviceHandle, EswitchMode, PortFlavour};
use netlink::ethtool;
use netlink::events::{Event, EventSocket};
use netlink::route::{self, Link, LinkDetail, VfLinkState};
use netlink::{Family, Socket};
use nix::fcntl::{Flock, FlockArg};
use serde_json::{Value, json};

/// One test at a time, whatever runs them.
fn alone() -> Flock<fs::File> {
    let path = std::env::temp_dir().join("netlink-vm-nics.lock");
    let file = fs::File::create(path).unwrap();
    Flock::lock(file, FlockArg::LockExclusive).map_err(|(_, errno)| errno).unwrap()
}

fn links() -> Vec<Link> {
    let links = route::links(&mut Socket::open(Family::Route).unwrap()).unwrap();
    assert!(links.failures.is_empty(), "{:?}", links.failures);
    links.links
}

fn link(name: &str) -> Link {
    links().into_iter().find(|link| link.name == name).unwrap()
}

/// Names of the interfaces that this driver serves, by PCI address.
fn served_by(driver: &str) -> Vec<String> {
    let mut found: Vec<(String, String)> = fs::read_dir("/sys/class/net")
        .unwrap()
        .filter_map(|entry| {
            let path = entry.unwrap().path();
            let device = fs::canonicalize(path.join("device")).ok()?;
            let serves = fs::canonicalize(device.join("driver")).ok()?;
            serves.ends_with(driver).then(|| {
                let name = |path: &Path| path.file_name().unwrap().to_str().unwrap().to_owned();
                (name(&device), name(&path))
            })
        })
        .collect();
    found.sort();
    found.into_iter().map(|(_, name)| name).collect()
}

/// Waits until `holds`; panics with `what` after 30 s.
fn wait_until(what: &str, mut holds: impl FnMut() -> bool) {
    let end = Instant::now() + Duration::from_secs(30);
    while !holds() {
        assert!(Instant::now() < end, "{what} within 30 s");
        std::thread::sleep(Duration::from_millis(50));
    }
}

/// Compares all links with `ip`; counters of a link that comes up may move between the two, so
/// a few tries are made.
fn assert_links_agree() {
    for _ in 0..5 {
        let before = ip_json("link show");
        let ours = links();
        if before == ip_json("link show") {
            ip_words::assert_same_as_ip(&ours, &before);
            return;
        }
    }
    panic!("the links do not come to rest");
}

/// VFs of a PF, taken back at the end of the test.
struct Vfs(String);

impl Vfs {
    fn enable(pf: &str, count: u32) -> Self {
        let numvfs = format!("/sys/class/net/{pf}/device/sriov_numvfs");
        // Another test of the same machine may have left some: the kernel goes from N to M only by 0.
        fs::write(&numvfs, "0").unwrap();
        fs::write(&numvfs, count.to_string()).unwrap();
        Self(pf.to_owned())
    }
}

impl Drop for Vfs {
    fn drop(&mut self) {
        let _ = fs::write(format!("/sys/class/net/{}/device/sriov_numvfs", self.0), "0");
    }
}

/// A netdevsim device, removed at the end of the test.
struct Simulated(u32);

impl Simulated {
    fn new(number: u32, ports: u32) -> Self {
        fs::write("/sys/bus/netdevsim/new_device", format!("{number} {ports}")).unwrap();
        Self(number)
    }

    fn handle(&self) -> DeviceHandle {
        DeviceHandle::new("netdevsim", format!("netdevsim{}", self.0))
    }

    fn enable_vfs(&self, count: u32) {
        fs::write(format!("/sys/bus/netdevsim/devices/netdevsim{}/sriov_numvfs", self.0), count.to_string())
            .unwrap();
    }

    /// The interface of its first port.
    fn interface(&self) -> String {
        let device = self.handle().device;
        let links = links();
        let link = links.iter().find(|link| link.parent_device.as_ref() == Some(&device));
        link.expect("an interface of netdevsim").name.clone()
    }
}

impl Drop for Simulated {
    fn drop(&mut self) {
        let _ = fs::write("/sys/bus/netdevsim/del_device", self.0.to_string());
    }
}

#[test]
#[ignore = "needs the lab VM"]
fn every_field_of_every_nic_and_vf_is_what_ip_says() {
    let _alone = alone();
    let pf = served_by("igb").remove(0);
    let _vfs = Vfs::enable(&pf, 2);
    ip(&format!("link set {pf} up"));
    wait_until("carrier", || link(&pf).carrier == Some(true));
    ip(&format!("link set {pf} vf 0 mac 02:00:00:00:00:10 vlan 100 qos 3 trust on spoofchk off"));
    ip(&format!("link set {pf} vf 0 max_tx_rate 300"));
    ip(&format!("link set {pf} vf 1 mac 02:00:00:00:00:11"));

    assert_links_agree();

    let pf = link(&pf);
    assert_eq!((pf.num_vf, pf.vfs.len()), (Some(2), 2));
    let vf = &pf.vfs[0];
    assert_eq!(vf.mac.as_ref().unwrap().to_string(), "02:00:00:00:00:10");
    assert_eq!((vf.vlan, vf.qos, vf.vlan_protocol), (Some(100), Some(3), Some(0x8100)));
    assert_eq!((vf.trust, vf.spoof_check, vf.max_tx_rate), (Some(true), Some(false), Some(300)));
    assert_eq!((pf.vfs[1].vlan, pf.vfs[1].spoof_check), (None, Some(true)));
    ip(&format!("link set {} down", pf.name));
}

#[test]
#[ignore = "needs the lab VM"]
fn every_field_of_every_virtual_kind_is_what_ip_says() {
    enter_private_namespace();
    for n in 0..8 {
        ip(&format!("link add d{n} type dummy"));
    }
    ip("link add link d0 name v1 type vlan id 10");
    ip("link add link d0 name v2 type vlan protocol 802.1ad id 20 gvrp on mvrp on loose_binding on");
    ip("link add link v2 name v3 type vlan id 4094 reorder_hdr off");
    for (n, mode) in ["bridge", "private", "vepa", "source"].iter().enumerate() {
        ip(&format!("link add link d1 name mv{n} type macvlan mode {mode}"));
    }
    ip("link set mv3 type macvlan macaddr add 02:00:00:00:00:07");
    ip("link add link d1 name mt0 type macvtap mode bridge");
    for (n, mode) in ["l2 bridge", "l2 private", "l2 vepa"].iter().enumerate() {
        ip(&format!("link add link d2 name iv{n} type ipvlan mode {mode}"));
    }
    ip("link add link d3 name it0 type ipvtap mode l3s");
    ip("link add bond0 type bond mode 802.3ad miimon 100 lacp_rate fast xmit_hash_policy layer3+4");
    ip("link add bond1 type bond mode active-backup miimon 100 primary_reselect better");
    ip(
        "link add bond2 type bond mode active-backup arp_interval 200 arp_ip_target 192.0.2.1,192.0.2.2 arp_validate all",
    );
    for (slave, master) in [("d4", "bond0"), ("d5", "bond0"), ("d6", "bond1")] {
        ip(&format!("link set {slave} master {master}"));
    }
    ip("link set bond1 type bond primary d6");
    ip("link set bond0 up");
    ip("link set bond1 up");
    ip("link add br0 type bridge stp_state 1 vlan_filtering 1 vlan_protocol 802.1ad vlan_default_pvid 7");
    ip(
        "link add vx0 type vxlan id 42 local 2001:db8::1 remote 2001:db8::2 dstport 4789 tos 4 ttl inherit udp6zerocsumrx",
    );
    ip("link add vx1 type vxlan external dstport 4790 gbp");
    ip("link set vx0 master br0");
    ip("link add vrf0 type vrf table 100");
    ip("link set d7 master vrf0");
    ip("link add ve0 type veth peer name ve1");
    ip("tuntap add tap0 mode tap multi_queue");
    ip("link property add dev d0 altname a-very-long-alternative-name");
    // The bonds' link checks come to rest.
    wait_until("an active slave", || match link("bond1").detail {
        Some(LinkDetail::Bond(bond)) => bond.active_slave.is_some(),
        other => panic!("{other:?}"),
    });
    std::thread::sleep(Duration::from_millis(500));

    assert_links_agree();

    let kinds: std::collections::BTreeSet<String> =
        links().into_iter().filter_map(|link| link.kind).collect();
    for kind in [
        "vlan", "macvlan", "macvtap", "ipvlan", "ipvtap", "bond", "bridge", "vxlan", "vrf", "veth", "tun",
        "dummy",
    ] {
        assert!(kinds.contains(kind), "{kind}");
    }
}

#[test]
#[ignore = "needs the lab VM"]
fn every_ethtool_answer_is_what_ethtool_says_and_asking_changes_nothing() {
    let _alone = alone();
    let simulated = Simulated::new(70, 1);
    let mut names = vec![simulated.interface()];
    for driver in ["igb", "e1000e", "vmxnet3", "8139cp", "virtio_net"] {
        let served = served_by(driver);
        assert!(!served.is_empty(), "no NIC of {driver}");
        names.extend(served);
    }
    // One with link: speed, partner and clock are then real.
    let up = served_by("igb").remove(0);
    ip(&format!("link set {up} up"));
    wait_until("carrier", || link(&up).carrier == Some(true));
    let before: Vec<String> = names.iter().map(|name| ethtool_words::everything(name)).collect();
    let indexes: Vec<u32> = names.iter().map(|name| link(name).index).collect();

    let answers = ethtool::answers(&mut Socket::open(Family::Generic).unwrap(), &indexes).unwrap();

    let after: Vec<String> = names.iter().map(|name| ethtool_words::everything(name)).collect();
    assert_eq!(before, after, "asking changed something");
    let differences: Vec<String> = names
        .iter()
        .zip(&answers)
        .flat_map(|(name, (_, answers))| ethtool_words::differences_to_ethtool(name, answers))
        .collect();
    assert!(differences.is_empty(), "{}", differences.join("\n"));
    let of = |name: &str| &answers[names.iter().position(|known| known == name).unwrap()].1;
    let igb = of(&up);
    assert_eq!(igb.link_modes.as_ref().unwrap().speed, Some(1000));
    assert!(igb.timestamps.as_ref().unwrap().phc_index.is_some());
    let e1000e = of(&served_by("e1000e")[0]);
    assert_eq!(e1000e.private_flags.as_ref().unwrap()[0].name, "s0ix-enabled");
    assert_eq!(of(&names[0]).fec.as_ref().unwrap().auto, Some(false));
    ip(&format!("link set {up} down"));
}

#[test]
#[ignore = "needs the lab VM"]
fn vfs_that_can_do_more_than_igbs_are_what_ip_says() {
    let _alone = alone();
    let simulated = Simulated::new(71, 1);
    simulated.enable_vfs(3);
    let pf = simulated.interface();
    ip(&format!("link set {pf} vf 0 mac 02:00:00:00:00:20 vlan 5 qos 2 proto 802.1ad"));
    ip(&format!("link set {pf} vf 0 min_tx_rate 10 max_tx_rate 100"));
    ip(&format!("link set {pf} vf 0 state enable"));
    ip(&format!("link set {pf} vf 1 state disable spoofchk on trust on query_rss on"));

    assert_links_agree();

    let pf = link(&pf);
    assert_eq!(pf.vfs.len(), 3);
    let vf = &pf.vfs[0];
    assert_eq!((vf.vlan, vf.qos, vf.vlan_protocol), (Some(5), Some(2), Some(0x88a8)));
    assert_eq!((vf.min_tx_rate, vf.max_tx_rate), (Some(10), Some(100)));
    assert_eq!(vf.link_state, Some(VfLinkState::Enable));
    assert_eq!(pf.vfs[1].link_state, Some(VfLinkState::Disable));
    assert_eq!(
        (pf.vfs[1].rss_query, pf.vfs[1].trust, pf.vfs[1].spoof_check),
        (Some(true), Some(true), Some(true))
    );
    assert_eq!(pf.vfs[2].link_state, Some(VfLinkState::Auto));
}

#[test]
#[ignore = "needs the lab VM"]
fn devlink_devices_versions_ports_and_eswitch_are_what_devlink_says() {
    let _alone = alone();
    let simulated = Simulated::new(72, 2);
    simulated.enable_vfs(2);
    let device = simulated.handle();
    let mut socket = Socket::open(Family::Generic).unwrap();
    let legacy = devlink::eswitch(&mut socket, &device).unwrap().unwrap();
    assert_eq!(legacy.mode, Some(EswitchMode::Legacy));
    let mut events = EventSocket::open().unwrap();

    run("devlink", &format!("dev eswitch set {device} mode switchdev"));

    let eswitch = devlink::eswitch(&mut socket, &device).unwrap().unwrap();
    assert_eq!(devlink_json("dev eswitch show", &device)["dev"][device.to_string()], eswitch_words(&eswitch));
    assert_eq!(eswitch.mode, Some(EswitchMode::Switchdev));

    let devices = devlink::devices(&mut socket).unwrap();
    let witness = run("devlink", "-j dev show");
    let witness: Value = serde_json::from_str(&witness).unwrap();
    let names: Vec<String> = devices.iter().map(|device| device.handle.to_string()).collect();
    assert_eq!(names, witness["dev"].as_object().unwrap().keys().cloned().collect::<Vec<_>>());

    let info = devlink::info(&mut socket, &device).unwrap().unwrap();
    let versions = |list: &[devlink::Version]| -> Value {
        list.iter()
            .map(|version| (version.name.clone(), json!(version.value)))
            .collect::<serde_json::Map<_, _>>()
            .into()
    };
    let mut said = json!({ "driver": info.driver, "versions": {} });
    for (key, list) in [("fixed", &info.fixed), ("running", &info.running), ("stored", &info.stored)] {
        if !list.is_empty() {
            said["versions"][key] = versions(list);
        }
    }
    assert_eq!((info.serial, info.board_serial), (None, None));
    assert_eq!(devlink_json("dev info", &device)["info"][device.to_string()], said);

    let ports = devlink::ports(&mut socket).unwrap();
    let ports: Vec<_> = ports.into_iter().filter(|port| port.handle == device).collect();
    let witness: Value = serde_json::from_str(&run("devlink", "-j port show")).unwrap();
    assert_eq!(ports.len(), 4);
    for port in &ports {
        let key = format!("{device}/{}", port.index);
        let differences = differences(&port_words(port), &witness["port"][&key], &[], &[]);
        assert!(differences.is_empty(), "{key}: {differences:?}");
        // The port's interface names the port in turn.
        let link = links().into_iter().find(|link| Some(link.index) == port.netdev_index).unwrap();
        assert_eq!(link.devlink_port.as_ref().unwrap().port, port.index);
        assert!(link.phys_switch_id.is_some());
        if port.flavour == Some(PortFlavour::PciVf) {
            assert_eq!(link.phys_port_name, Some(format!("pf{}vf{}", port.pf.unwrap(), port.vf.unwrap())));
        }
    }
    assert_eq!(ports.iter().filter(|port| port.flavour == Some(PortFlavour::PciVf)).count(), 2);
    assert_links_agree();
    wait_until("a devlink event of the device", || {
        let told = events.receive().unwrap();
        told.iter()
            .any(|event| matches!(event, Event::Devlink { handle: Some(handle), .. } if *handle == device))
    });
}

fn devlink_json(question: &str, device: &DeviceHandle) -> Value {
    serde_json::from_str(&run("devlink", &format!("-j {question} {device}"))).unwrap()
}

fn eswitch_words(eswitch: &devlink::Eswitch) -> Value {
    let mut said = json!({ "mode": eswitch.mode });
    if let Some(mode) = eswitch.inline_mode {
        said["inline-mode"] = json!(mode);
    }
    if let Some(encap) = eswitch.encap {
        said["encap-mode"] = json!(if encap { "basic" } else { "none" });
    }
    said
}

fn port_words(port: &devlink::Port) -> Value {
    let mut ours = serde_json::to_value(port).unwrap();
    let ours = ours.as_object_mut().unwrap();
    let mut said = serde_json::Map::new();
    for key in ["handle", "index", "netdevIndex"] {
        assert!(ours.remove(key).is_some(), "{key}"); // in the key, and compared with the link
    }
    for (mine, theirs) in [
        ("type", "type"),
        ("netdevName", "netdev"),
        ("flavour", "flavour"),
        ("number", "port"),
        ("controller", "controller"),
        ("pf", "pfnum"),
        ("vf", "vfnum"),
        ("external", "external"),
        ("splittable", "splittable"),
        ("lanes", "lanes"),
    ] {
        if let Some(value) = ours.remove(mine) {
            said.insert(theirs.to_owned(), value);
        }
    }
    said.extend(std::mem::take(ours));
    Value::Object(said)
}

#[test]
#[ignore = "needs the lab VM"]
fn a_device_that_is_gone_has_no_versions_and_no_eswitch() {
    let _alone = alone();
    let device = DeviceHandle::new("netdevsim", "netdevsim4711");
    let mut socket = Socket::open(Family::Generic).unwrap();

    assert_eq!(devlink::info(&mut socket, &device).unwrap(), None);
    assert_eq!(devlink::eswitch(&mut socket, &device).unwrap(), None);
}
