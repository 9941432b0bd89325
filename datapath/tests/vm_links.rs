//! Links of pods above emulated NICs: what the host kernel of a developer may lack, and real wires.
//!
//! Runs in a machine of the lab with `--nic igb:0:0 --nic igb:1:1 --nic e1000e:0:1 --nic vmxnet3:0 --nic rtl8139:1
//! --nic virtio:0`. Hub 0 is one wire, hub 1 another. Each test has the machine to itself and leaves it as it was.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "test code outside of test functions"
)]

mod harness;

use std::fs;
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;
use std::time::{Duration, Instant};

use datapath::netns::{PodNamespace, cookie_of, inside, open_path};
use datapath::{DatapathError, PodLink, masters, observe};
use harness::{
    Echo, Host, above, device, index, ip, ip_in, json, json_in, macvlan_mode, names_in, namespace, path_of,
    pod, reaches, setting, talk, wait_until,
};
use netlink::route::{IpvlanFlag, IpvlanMode, MacvlanMode, NewLinkKind, VlanProtocol};
use netlink::{LinkAddress, PacketSocket};
use nix::fcntl::{Flock, FlockArg};
use nix::sched::{CloneFlags, unshare};

/// NICs by the devices behind them: two masters and, on the same wires, two far ends.
const IGB0: &str = "0000:41:00.0";
const IGB1: &str = "0000:81:00.0";
const FAR0: &str = "0000:82:00.0";
const FAR1: &str = "0000:02:00.0";

/// One test at a time, whatever runs them; `ip` finds namespaces by path, so the test's thread is its host.
struct Machine {
    host: Host,
    igb0: String,
    igb1: String,
    far0: String,
    far1: String,
    _alone: Flock<fs::File>,
}

impl Machine {
    fn new() -> Self {
        let file = fs::File::create(std::env::temp_dir().join("datapath-vm-links.lock")).unwrap();
        let alone = Flock::lock(file, FlockArg::LockExclusive).map_err(|(_, errno)| errno).unwrap();
        let [igb0, igb1, far0, far1] = [IGB0, IGB1, FAR0, FAR1].map(|device| behind(device).expect(device));
        let machine = Self { host: Host::here(), igb0, igb1, far0, far1, _alone: alone };
        for name in [&machine.igb0, &machine.igb1] {
            ip(&format!("link set {name} up"));
        }
        // The far ends are one machine with two NICs, which must not mind by which one somebody asks.
        inside(machine.host.wire.as_fd(), || {
            fs::write("/proc/sys/net/ipv4/conf/all/rp_filter", "0").unwrap()
        })
        .unwrap();
        for name in [&machine.far0, &machine.far1] {
            ip(&format!("link set {name} netns {}", path_of(&machine.host.wire)));
            ip_in(&machine.host.wire, &format!("link set {name} up"));
        }
        wait_until("the wires carry", || {
            let up = |links: Vec<serde_json::Value>| links[0]["flags"].to_string().contains("LOWER_UP");
            up(json(&format!("link show {}", machine.igb0)))
                && up(json(&format!("link show {}", machine.igb1)))
                && up(json_in(&machine.host.wire, &format!("link show {}", machine.far0)))
                && up(json_in(&machine.host.wire, &format!("link show {}", machine.far1)))
        });
        machine
    }

    /// A neighbour's address at the far end of wire 0 or 1.
    fn neighbour(&self, far: &str, address: &str) {
        ip_in(&self.host.wire, &format!("address add {address} dev {far} nodad"));
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        for name in [&self.igb0, &self.igb1] {
            ip(&format!("address flush dev {name} scope global"));
            ip(&format!("link set {name} down"));
        }
        for name in [&self.far0, &self.far1] {
            let home = path_of(&self.host.home);
            ip_in(&self.host.wire, &format!("link set {name} netns {home}"));
        }
    }
}

/// Name of the host's link whose device begins so.
fn behind(device: &str) -> Option<String> {
    let links = json("link show");
    let link =
        links.iter().find(|link| link["parentdev"].as_str().is_some_and(|parent| parent.starts_with(device)));
    link.map(|link| link["ifname"].as_str().unwrap().to_owned())
}

fn ipvlan(mode: IpvlanMode, flag: IpvlanFlag) -> NewLinkKind {
    NewLinkKind::Ipvlan { mode, flag }
}

/// Says something eight times a second until it is heard, at most 30 s.
fn say_until(stop: impl Fn() -> bool, mut say: impl FnMut()) {
    let end = Instant::now() + Duration::from_secs(30);
    while !stop() && Instant::now() < end {
        say();
        std::thread::sleep(Duration::from_millis(125));
    }
}

#[test]
#[ignore = "needs the lab VM"]
fn every_ipvlan_mode_and_flag_is_made_and_those_that_may_talk_do() {
    let mut machine = Machine::new();
    machine.neighbour(&machine.far0, "10.1.0.9/24");
    machine.neighbour(&machine.far0, "fd01::9/64");
    for (mode, words) in [(IpvlanMode::L2, "l2"), (IpvlanMode::L3, "l3"), (IpvlanMode::L3s, "l3s")] {
        for flag in [IpvlanFlag::Bridge, IpvlanFlag::Private, IpvlanFlag::Vepa] {
            let (mut first, mut second) = (pod(), pod());
            let link = |number: u16| {
                let addresses = [format!("10.1.0.{number}/24"), format!("fd01::{number}/64")];
                let addresses: Vec<&str> = addresses.iter().map(String::as_str).collect();
                above(number, &machine.igb0, ipvlan(mode, flag), &addresses)
            };
            let links = [link(1), link(2)];
            let made = machine.host.wire(&mut first, &links[..1]).unwrap();
            machine.host.wire(&mut second, &links[1..]).unwrap();

            let shown = json_in(&first, "link show net1-1")[0].clone();
            assert_eq!(shown["linkinfo"]["info_data"]["mode"], words);
            let text = ip_in(&first, "-d link show net1-1");
            assert!(text.contains(&format!("mode {words} {flag}")), "{text}");
            let link_local = ip_in(&first, "-6 address show net1-1 scope link").contains("fe80:");
            assert_eq!(link_local, mode == IpvlanMode::L2, "{words}: a link-local address");
            assert_eq!(made.announcer.is_some(), mode == IpvlanMode::L2);
            // Siblings meet inside the kernel, in bridge mode only.
            for (source, target) in [("10.1.0.1", "10.1.0.2"), ("fd01::1", "fd01::2")] {
                let _echo = Echo::at(&second, target);
                let talks = match flag {
                    IpvlanFlag::Bridge => reaches(&first, source, target),
                    _ => talk(&first, source, target, 2) > 0,
                };
                assert_eq!(talks, flag == IpvlanFlag::Bridge, "{words} {flag}: {target}");
            }
            if mode == IpvlanMode::L2 && flag == IpvlanFlag::Bridge {
                for (source, target) in [("10.1.0.1", "10.1.0.9"), ("fd01::1", "fd01::9")] {
                    let _echo = Echo::at(&machine.host.wire, target);
                    assert!(reaches(&first, source, target), "{words} to the wire: {target}");
                }
            }
            machine.host.unwire(&mut first, &links[..1]);
            machine.host.unwire(&mut second, &links[1..]);
        }
    }
}

#[test]
#[ignore = "needs the lab VM"]
fn ipvlan_and_macvlan_on_one_master_are_refused_by_name() {
    let mut machine = Machine::new();
    let (mut first, mut second) = (pod(), pod());
    netlink::route::number_namespace(&mut machine.host.socket, first.as_fd()).unwrap();
    let igb = machine.igb0.clone();
    let l2 = || above(0, &igb, ipvlan(IpvlanMode::L2, IpvlanFlag::Bridge), &["10.1.0.1/24"]);
    let mac = || above(1, &igb, macvlan_mode(MacvlanMode::Bridge), &["10.1.0.2/24"]);

    machine.host.wire(&mut first, &[l2()]).unwrap();
    let error = machine.host.wire(&mut second, &[mac()]).unwrap_err();
    let words = format!("create net1-1 ({igb} already carries ipvlan l2 net1-0; macvlan cannot share it)");
    assert_eq!(error.to_string(), words);

    // The kernel would take another mode and change the first pod's; so it is asked beforehand.
    let uppers = masters::uppers(&mut machine.host.socket, &machine.host.home, index(&igb)).unwrap();
    let l3 = ipvlan(IpvlanMode::L3, IpvlanFlag::Bridge);
    let words = format!(
        "{igb} already carries ipvlan l2 net1-0; the mode belongs to the master, so ipvlan l3 bridge cannot share it"
    );
    assert_eq!(masters::conflict(&igb, &uppers, &l3), Some(words));
    let private = ipvlan(IpvlanMode::L2, IpvlanFlag::Private);
    assert!(masters::conflict(&igb, &uppers, &private).is_some());
    assert_eq!(masters::conflict(&igb, &uppers, &ipvlan(IpvlanMode::L2, IpvlanFlag::Bridge)), None);

    let mut same = l2();
    same.name = "other".to_owned();
    let error = machine.host.wire(&mut second, &[same]).unwrap_err();
    let words = "add 10.1.0.1/24 to other (another link on the same master has that address)";
    assert_eq!(error.to_string(), words);
    assert!(names_in(&second).is_empty());
    let mut own = l2();
    own.address = Some(LinkAddress::new([2, 0, 0, 0, 0, 9]));
    let error = machine.host.wire(&mut second, &[own]).unwrap_err();
    assert_eq!(error.to_string(), "net1-0: ipvlan l2 has its master's MAC; take `mac` out of the request");
    machine.host.unwire(&mut first, &[l2()]);

    machine.host.wire(&mut first, &[mac()]).unwrap();
    let error = machine.host.wire(&mut second, &[l2()]).unwrap_err();
    let words =
        format!("create net1-0 ({igb} already carries macvlan bridge net1-1; ipvlan cannot share it)");
    assert_eq!(error.to_string(), words);
    machine.host.unwire(&mut first, &[mac()]);
}

#[test]
#[ignore = "needs the lab VM"]
fn vlans_are_made_once_used_when_there_and_carry_traffic() {
    let mut machine = Machine::new();
    let (igb, far) = (machine.igb0.clone(), machine.far0.clone());
    ip_in(&machine.host.wire, &format!("link add link {far} name far.100 type vlan id 100"));
    ip_in(&machine.host.wire, "link set far.100 up");
    machine.neighbour("far.100", "10.9.0.9/24");
    machine.neighbour("far.100", "fd09::9/64");
    let parent = index(&igb);
    let tag = VlanProtocol::Dot1q;
    let Host { socket, home, .. } = &mut machine.host;

    let made = masters::vlan(socket, home, parent, 100, tag, None).unwrap();
    let again = masters::vlan(socket, home, parent, 100, tag, None).unwrap();

    assert_eq!((made.name.as_str(), made.made), (format!("mn{parent}.100").as_str(), true));
    assert_eq!((again.index, again.made), (made.index, false));
    assert_eq!(setting(&*home, "ipv6", &made.name, "accept_ra"), "0");
    let shown = json(&format!("address show {}", made.name))[0].clone();
    assert_eq!(shown["addr_info"].as_array().unwrap().len(), 0, "no address of its own: {shown}");
    // The same number under another tag is another VLAN; somebody else's is used whatever its name.
    let provider = masters::vlan(socket, home, parent, 100, VlanProtocol::Dot1ad, None).unwrap();
    assert!(provider.made && provider.index != made.index);
    masters::remove_vlan(socket, &provider.name).unwrap();
    ip(&format!("link add link {igb} name theirs type vlan id 200"));
    let theirs = masters::vlan(socket, home, parent, 200, tag, None).unwrap();
    assert_eq!((theirs.name.as_str(), theirs.made), ("theirs", false));
    ip("link del theirs");

    // ipvlan l3s hands packets over by the master's own IP stack: it must not have IPv6 off.
    for kind in [
        ipvlan(IpvlanMode::L2, IpvlanFlag::Bridge),
        macvlan_mode(MacvlanMode::Bridge),
        ipvlan(IpvlanMode::L3s, IpvlanFlag::Bridge),
    ] {
        let mut pod = pod();
        let link = above(0, &made.name, kind, &["10.9.0.1/24", "fd09::1/64"]);
        machine.host.wire(&mut pod, std::slice::from_ref(&link)).unwrap();
        if link.source
            == (datapath::Source::Above {
                kind: ipvlan(IpvlanMode::L3s, IpvlanFlag::Bridge),
                master: made.index,
            })
        {
            // Nobody answers for an l3s pod on the wire: neighbours are told by hand.
            let mac = json(&format!("link show {}", made.name))[0]["address"].as_str().unwrap().to_owned();
            for address in ["10.9.0.1", "fd09::1"] {
                ip_in(&machine.host.wire, &format!("neighbour replace {address} lladdr {mac} dev far.100"));
            }
            let far_mac =
                json_in(&machine.host.wire, "link show far.100")[0]["address"].as_str().unwrap().to_owned();
            for address in ["10.9.0.9", "fd09::9"] {
                ip(&format!("neighbour replace {address} lladdr {far_mac} dev {}", made.name));
            }
            ip(&format!("route add 10.9.0.0/24 dev {}", made.name));
            ip(&format!("route add fd09::/64 dev {}", made.name));
        }
        for (source, target) in [("10.9.0.1", "10.9.0.9"), ("fd09::1", "fd09::9")] {
            let _echo = Echo::at(&machine.host.wire, target);
            assert!(reaches(&pod, source, target), "{target} from {link:?}");
        }
        machine.host.unwire(&mut pod, &[link]);
    }

    masters::remove_vlan(&mut machine.host.socket, &made.name).unwrap();
    masters::remove_vlan(&mut machine.host.socket, &made.name).unwrap();
    assert!(!ip("link show").contains(&made.name));
    ip_in(&machine.host.wire, "link del far.100");
}

/// A router's advertisement of `fd66::/64` and of itself as default router, from `fe80::66`.
fn advertisement() -> Vec<u8> {
    let source: std::net::Ipv6Addr = "fe80::66".parse().unwrap();
    let all: std::net::Ipv6Addr = "ff02::1".parse().unwrap();
    let prefix: std::net::Ipv6Addr = "fd66::".parse().unwrap();
    let mut message = vec![134, 0, 0, 0, 64, 0, 0x07, 0x08, 0, 0, 0, 0, 0, 0, 0, 0];
    // Prefix, on link and autonomous, valid and preferred for an hour.
    message.extend_from_slice(&[3, 4, 64, 0xc0, 0, 0, 0x0e, 0x10, 0, 0, 0x0e, 0x10, 0, 0, 0, 0]);
    message.extend_from_slice(&prefix.octets());
    let mut sum: u32 = 58 + u32::try_from(message.len()).unwrap();
    for pair in [&source.octets()[..], &all.octets()[..], &message].concat().chunks(2) {
        sum += u32::from(u16::from_be_bytes([pair[0], pair[1]]));
    }
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    message[2..4].copy_from_slice(&(!u16::try_from(sum).unwrap()).to_be_bytes());
    let mut packet = vec![0x60, 0, 0, 0, 0, u8::try_from(message.len()).unwrap(), 58, 255];
    packet.extend_from_slice(&source.octets());
    packet.extend_from_slice(&all.octets());
    packet.extend_from_slice(&message);
    packet
}

#[test]
#[ignore = "needs the lab VM"]
fn what_a_router_says_on_the_wire_changes_nothing_in_a_pod() {
    let mut machine = Machine::new();
    let (igb0, far) = (machine.igb0.clone(), machine.far0.clone());
    let mouth = inside(machine.host.wire.as_fd(), || PacketSocket::open().unwrap()).unwrap();
    let far_index = u32::try_from(
        json_in(&machine.host.wire, &format!("link show {far}"))[0]["ifindex"].as_u64().unwrap(),
    )
    .unwrap();
    let advertise = || {
        let everybody = LinkAddress::new([0x33, 0x33, 0, 0, 0, 1]);
        mouth.send(far_index, 0x86dd, &everybody, &advertisement()).unwrap();
    };
    let (virtio, vmxnet) = (behind("virtio").unwrap(), behind("0000:01:00.0").unwrap());
    let v6 = |position, master: &str, kind| {
        above(position, master, kind, &[&format!("10.1.0.{position}/24"), &format!("fd01::{position}/64")])
    };
    let mut pods = [pod(), pod(), pod(), pod()];
    let mac = macvlan_mode(MacvlanMode::Bridge);
    ip(&format!("link set {vmxnet} up"));
    machine.host.wire(&mut pods[0], &[v6(1, &igb0, mac.clone())]).unwrap();
    machine.host.wire(&mut pods[1], &[above(2, &igb0, mac, &["10.1.0.2/24"])]).unwrap();
    machine.host.wire(&mut pods[2], &[v6(3, &vmxnet, ipvlan(IpvlanMode::L2, IpvlanFlag::Bridge))]).unwrap();
    let moved = device(4, &virtio, &["10.1.0.4/24", "fd01::4/64"]);
    let made = machine.host.wire(&mut pods[3], std::slice::from_ref(&moved)).unwrap();
    // The witness: a link like the first that nobody settled.
    let witness = namespace();
    ip(&format!("link add witness link {igb0} netns {} type macvlan mode bridge", path_of(&witness)));
    ip_in(&witness, "link set witness up");

    let taken = || {
        ip_in(&witness, "-6 address show witness").contains("fd66:")
            && ip_in(&witness, "-6 route show default").contains("fe80::66")
    };
    say_until(taken, advertise);

    assert!(taken(), "the router is heard by who listens");
    for (number, pod) in pods.iter().enumerate() {
        let seen = format!("{}{}", ip_in(pod, "-6 address show"), ip_in(pod, "-6 route show"));
        assert!(!seen.contains("fd66:") && !seen.contains("fe80::66"), "pod {number}: {seen}");
    }
    assert!(!ip_in(&pods[1], "-6 address show").contains("net1-2"), "IPv6 is off where none was asked for");
    for pod in [&pods[0], &pods[2], &pods[3]] {
        assert!(ip_in(pod, "-6 address show").contains("fd01::"), "and on where it was");
    }
    machine.host.unwire_taken(&mut pods[3], &[(moved, made.links[0].taken.clone())]);
    let home = ip(&format!("-6 address show {virtio}"));
    assert!(!home.contains("fd66:"), "{home}");
    drop(pods);
    drop(witness);
    ip(&format!("link set {vmxnet} down"));
    ip(&format!("link set {virtio} down"));
}

#[test]
#[ignore = "needs the lab VM"]
fn replies_and_packets_of_an_address_leave_by_its_own_nic() {
    let mut machine = Machine::new();
    let masters = [machine.igb0.clone(), machine.igb1.clone()];
    let fars = [machine.far0.clone(), machine.far1.clone()];
    // Beyond both wires: NIC 0 has the route, NIC 1 could reach it as well.
    harness::dress_far_ends(&machine.host, &fars);
    for kind in [macvlan_mode(MacvlanMode::Bridge), ipvlan(IpvlanMode::L2, IpvlanFlag::Bridge)] {
        harness::assert_addresses_keep_to_their_nics(&mut machine.host, &masters, &fars, &kind);
    }
}

#[test]
#[ignore = "needs the lab VM"]
fn ipvlan_l2_is_announced_and_checked_by_way_of_its_master() {
    let mut machine = Machine::new();
    let far = machine.far0.clone();
    let far_index = u32::try_from(
        json_in(&machine.host.wire, &format!("link show {far}"))[0]["ifindex"].as_u64().unwrap(),
    )
    .unwrap();
    let ears =
        inside(machine.host.wire.as_fd(), || PacketSocket::listen(far_index, 0x0806).unwrap()).unwrap();
    let mut link =
        above(0, &machine.igb0, ipvlan(IpvlanMode::L2, IpvlanFlag::Bridge), &["10.1.0.1/24", "fd01::1/64"]);
    let mut pod = pod();
    machine.host.wire(&mut pod, std::slice::from_ref(&link)).unwrap();
    let master = json(&format!("link show {}", machine.igb0))[0]["address"].as_str().unwrap().to_owned();
    let mut heard = false;
    wait_until("the announcement of the pod's address", || {
        while let Some(packet) = ears.receive().unwrap() {
            heard |= packet.payload[14..18] == [10, 1, 0, 1] && packet.source.to_string() == master;
        }
        heard
    });
    machine.host.unwire(&mut pod, std::slice::from_ref(&link));

    for address in ["10.1.0.1/24", "fd01::1/64"] {
        machine.neighbour(&far, address);
        link.duplicate_check = Some(Duration::from_secs(20));
        let error = machine.host.wire(&mut pod, std::slice::from_ref(&link)).unwrap_err();
        assert!(
            matches!(&error, DatapathError::AddressTaken { address: told, .. } if address.starts_with(&told.to_string())),
            "{error}"
        );
        assert!(names_in(&pod).is_empty());
        ip_in(&machine.host.wire, &format!("address del {address} dev {far}"));
    }
    link.duplicate_check = Some(Duration::from_millis(600));
    machine.host.wire(&mut pod, std::slice::from_ref(&link)).unwrap();
    machine.host.unwire(&mut pod, &[link]);
}

#[test]
#[ignore = "needs the lab VM"]
fn a_nic_and_a_vf_come_home_from_a_pod_and_from_a_namespace_that_died() {
    let mut machine = Machine::new();
    let numvfs = format!("/sys/bus/pci/devices/{IGB1}/sriov_numvfs");
    fs::write(&numvfs, "1").unwrap();
    let vf = || behind("0000:81:1");
    wait_until("the VF is there", || vf().is_some());
    let vf = vf().unwrap();
    for name in [vf.as_str(), machine.igb0.clone().as_str()] {
        let before = json(&format!("link show {name}"))[0].clone();
        let same = |now: &serde_json::Value| {
            for field in ["ifname", "ifindex", "mtu", "address", "group", "parentdev"] {
                assert_eq!(now[field], before[field], "{name}: {field}");
            }
        };
        let mut link = device(0, name, &["10.1.0.1/24"]);
        link.mtu = Some(1400);
        let mut pod = pod();
        let made = machine.host.wire(&mut pod, std::slice::from_ref(&link)).unwrap();
        let taken = made.links[0].taken.clone();
        assert_eq!(taken.clone().unwrap().device, before["parentdev"].as_str().map(str::to_owned));
        drop(made);
        machine.host.unwire_taken(&mut pod, &[(link.clone(), taken.clone())]);
        same(&json(&format!("link show {name}"))[0]);

        let made = machine.host.wire(&mut pod, std::slice::from_ref(&link)).unwrap();
        let taken = made.links[0].taken.clone().unwrap();
        assert!(made.announcer.is_some());
        drop(made);
        drop(pod);
        let back = || {
            observe::returned(&mut netlink::Socket::open(netlink::Family::Route).unwrap(), &taken).unwrap()
        };
        wait_until("the kernel gives it back, as nobody holds the namespace", || back().is_some());
        datapath::restore(&mut machine.host.socket, back().unwrap(), &taken).unwrap();
        let now = json(&format!("link show {name}"))[0].clone();
        for field in ["ifname", "mtu", "address", "group", "parentdev"] {
            assert_eq!(now[field], before[field], "{name}: {field}");
        }
    }
    fs::write(&numvfs, "0").unwrap();
}

#[test]
#[ignore = "needs the lab VM"]
fn the_machines_first_namespace_is_the_hosts_wherever_we_are() {
    let init = open_path(Path::new("/proc/1/ns/net")).unwrap();
    let init = cookie_of(init.as_fd()).unwrap();

    unshare(CloneFlags::CLONE_NEWNET).unwrap();
    let host = Host::here();

    assert!(host.home.is_host(init) && host.home.cookie() != init);
    let pod: OwnedFd = namespace();
    assert!(!host.home.is_host(PodNamespace::open(pod).unwrap().cookie()));
}

#[test]
#[ignore = "needs the lab VM"]
fn eight_links_come_in_one_batch_and_go_as_one_group() {
    let mut machine = Machine::new();
    let mut pod = pod();
    let links: Vec<PodLink> = (0..8)
        .map(|number| {
            above(
                number,
                &machine.igb0,
                ipvlan(IpvlanMode::L2, IpvlanFlag::Bridge),
                &[&format!("10.{number}.0.1/24")],
            )
        })
        .collect();
    machine.host.socket.start_recording();
    let made = machine.host.wire(&mut pod, &links).unwrap();
    let sent = machine.host.socket.take_recording();
    assert_eq!((sent.sends().len(), sent.count()), (1, 8), "one send on the host");
    assert_eq!(made.links.len(), 8);
    pod.route.start_recording();

    machine.host.unwire(&mut pod, &links);

    let sent = pod.route.take_recording();
    assert_eq!(sent.count(), 1, "one message for eight links: {sent:?}");
    assert!(names_in(&pod).is_empty());
}
