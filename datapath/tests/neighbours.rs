//! What neighbours hear of a pod's addresses, and what they answer, on the running kernel.
//!
//! REQUIRES: root (network namespaces); kinds veth, macvlan.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "test code outside of test functions"
)]

mod harness;

use std::net::IpAddr;
use std::os::fd::AsFd;
use std::time::{Duration, Instant};

use datapath::announce::REPEATS;
use datapath::netns::inside;
use datapath::{DatapathError, PodLink};
use harness::{Host, above, ip, ip_in, macvlan_mode, names_in, pod, wait_until};
use netlink::route::MacvlanMode;
use netlink::{LinkAddress, Packet, PacketSocket};

const ARP: u16 = 0x0806;
const IPV6: u16 = 0x86dd;

fn both(position: u16, master: &str) -> PodLink {
    above(position, master, macvlan_mode(MacvlanMode::Bridge), &["192.168.0.1/18", "fd10:20::1/66"])
}

/// Hears one protocol at the far end of `m0`'s wire.
fn ears(host: &Host, protocol: u16) -> PacketSocket {
    inside(host.wire.as_fd(), || PacketSocket::listen(harness::index("w0"), protocol).unwrap()).unwrap()
}

/// Everything heard until `enough`.
fn hear(ears: &PacketSocket, enough: impl Fn(&[Packet]) -> bool) -> Vec<Packet> {
    let end = Instant::now() + Duration::from_secs(30);
    let mut heard = Vec::new();
    while !enough(&heard) {
        assert!(Instant::now() < end, "only {heard:?}");
        match ears.receive().unwrap() {
            Some(packet) => heard.push(packet),
            None => std::thread::sleep(Duration::from_millis(5)),
        }
    }
    heard
}

fn operation(packet: &Packet) -> u8 {
    packet.payload[7]
}

/// Unsolicited neighbour advertisements of `fd10:20::1`.
fn advertises(packet: &Packet) -> bool {
    let target: IpAddr = "fd10:20::1".parse().unwrap();
    let IpAddr::V6(target) = target else { unreachable!() };
    packet.payload[40] == 136 && packet.payload[48..64] == target.octets()
}

#[test]
fn neighbours_are_told_at_once_and_twice_more_and_learn_the_new_address() {
    let mut host = Host::with_masters(1);
    ip_in(&host.wire, "address add 192.168.0.9/18 dev w0");
    ip_in(&host.wire, "-6 address add fd10:20::9/66 dev w0 nodad");
    // What neighbours remember of the pod that had the addresses before.
    ip_in(&host.wire, "neighbour add 192.168.0.1 lladdr 02:00:00:00:00:aa dev w0 nud stale");
    ip_in(&host.wire, "neighbour add fd10:20::1 lladdr 02:00:00:00:00:aa dev w0 nud stale");
    let (arp, discovery) = (ears(&host, ARP), ears(&host, IPV6));
    let mut pod = pod();

    let made = host.wire(&mut pod, &[both(0, "m0")]).unwrap();

    let mac = made.links[0].address.clone().unwrap();
    let heard = hear(&arp, |heard| heard.len() == 2);
    assert_eq!(heard.iter().map(operation).collect::<Vec<_>>(), [1, 2], "request and reply");
    for packet in &heard {
        assert_eq!(packet.source, mac);
        assert_eq!(packet.payload[8..14], *mac.as_bytes());
        assert_eq!(
            (&packet.payload[14..18], &packet.payload[24..28]),
            (&[192, 168, 0, 1][..], &[192, 168, 0, 1][..])
        );
    }
    hear(&discovery, |heard| heard.iter().any(advertises));
    for address in ["192.168.0.1", "fd10:20::1"] {
        let learned = || ip_in(&host.wire, &format!("neighbour show {address}")).contains(&mac.to_string());
        wait_until(
            &format!("the neighbour learns {address}, so the frame is right to its checksum"),
            learned,
        );
    }

    assert!(REPEATS.iter().sum::<Duration>() < Duration::from_secs(5), "and then lets go of the namespace");
    assert!(made.announcer.unwrap().say().is_empty());
    assert_eq!(hear(&arp, |heard| heard.len() == 2).len(), 2, "once more");
}

#[test]
fn nothing_is_said_by_links_that_cannot_or_should_not() {
    let mut host = Host::with_masters(1);
    let arp = ears(&host, ARP);
    let mut quiet = both(0, "m0");
    quiet.announce = false;

    let made = host.wire(&mut pod(), &[quiet]).unwrap();

    assert!(made.announcer.is_none());
    assert!(arp.receive().unwrap().is_none());
}

#[test]
fn an_address_that_a_neighbour_has_is_refused_with_who_has_it() {
    for (own, address) in [
        ("address add 192.168.0.1/18 dev w0", "192.168.0.1"),
        ("-6 address add fd10:20::1/66 dev w0 nodad", "fd10:20::1"),
    ] {
        let mut host = Host::with_masters(1);
        let mut pod = pod();
        ip_in(&host.wire, own);
        let holder = host_mac(&host);
        let mut link = both(0, "m0");
        link.duplicate_check = Some(Duration::from_secs(30));
        let start = Instant::now();

        let error = host.wire(&mut pod, &[link]).unwrap_err();

        let DatapathError::AddressTaken { address: told, link, holder: by } = &error else {
            panic!("{error}")
        };
        assert_eq!((told.to_string().as_str(), link.as_str(), by), (address, "net1-0", &holder));
        assert!(start.elapsed() < Duration::from_secs(25), "the answer ends the wait");
        assert!(names_in(&pod).is_empty());
    }
}

fn host_mac(host: &Host) -> LinkAddress {
    harness::json_in(&host.wire, "link show w0")[0]["address"].as_str().unwrap().parse().unwrap()
}

#[test]
fn an_address_that_this_host_has_is_refused_without_a_question() {
    let mut host = Host::with_masters(1);
    ip("address add 192.168.0.1/32 dev lo");
    let mut link = both(0, "m0");
    link.duplicate_check = Some(Duration::from_secs(30));

    let error = host.wire(&mut pod(), &[link]).unwrap_err();

    assert!(matches!(&error, DatapathError::AddressTaken { holder, .. } if holder.is_zero()), "{error}");
}

#[test]
fn somebody_who_asks_for_the_same_address_at_the_same_time_is_heard() {
    let mut host = Host::with_masters(1);
    let mut pod = pod();
    let mut link = both(0, "m0");
    link.duplicate_check = Some(Duration::from_secs(30));
    let mouth = inside(host.wire.as_fd(), || PacketSocket::open().unwrap()).unwrap();
    let far = harness::json_in(&host.wire, "link show w0")[0]["ifindex"].as_u64().unwrap();
    let stop = std::sync::atomic::AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let mut probe = vec![0, 1, 8, 0, 6, 4, 0, 1, 2, 0, 0, 0, 0, 0x55, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
            probe.extend_from_slice(&[192, 168, 0, 1]);
            while !stop.load(std::sync::atomic::Ordering::Relaxed) {
                let everybody = LinkAddress::new([0xff; 6]);
                mouth.send(u32::try_from(far).unwrap(), ARP, &everybody, &probe).unwrap();
                std::thread::sleep(Duration::from_millis(20));
            }
        });

        let error = host.wire(&mut pod, &[link]).unwrap_err();

        stop.store(true, std::sync::atomic::Ordering::Relaxed);
        assert!(matches!(&error, DatapathError::AddressTaken { .. }), "{error}");
    });
}

#[test]
fn free_addresses_are_asked_for_three_times_and_taken() {
    let mut host = Host::with_masters(1);
    // A neighbour with other addresses answers other questions.
    ip_in(&host.wire, "address add 192.168.0.9/18 dev w0");
    let (arp, discovery) = (ears(&host, ARP), ears(&host, IPV6));
    let mut pod = pod();
    let mut link = both(0, "m0");
    link.announce = false;
    link.duplicate_check = Some(Duration::from_millis(300));
    let start = Instant::now();

    let made = host.wire(&mut pod, &[link]).unwrap();

    assert!(start.elapsed() >= Duration::from_millis(300));
    assert_eq!(made.links.len(), 1);
    let questions = hear(&arp, |heard| heard.len() == 3);
    assert!(questions.iter().all(|packet| operation(packet) == 1 && packet.payload[14..18] == [0; 4]));
    let asks = |packet: &Packet| {
        packet.payload[40] == 135
            && packet.payload[8..24] == [0; 16]
            && packet.payload[63] == 1
            && packet.payload[48] == 0xfd
    };
    hear(&discovery, |heard| heard.iter().filter(|packet| asks(packet)).count() == 3);
    assert!(ip_in(&pod, "address show net1-0").contains("192.168.0.1/18"));
}
