//! The engine on a kernel with ipvlan and VLANs: the lab VM.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "test code outside of test functions"
)]

#[allow(dead_code, reason = "this file uses a part of it")]
mod harness;

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::time::Duration;

use cni::Command::{Add, Check, Del};
use harness::*;
use serde_json::{Value, json};

fn ipvlan(mode: &str) -> Value {
    let mut conf = conf();
    conf["plugin"] = json!({"type": "ipvlan", "mode": mode});
    conf
}

/// Whether packets from one pod arrive at an address of the other. The first may be lost: the host's own addresses on
/// the master may still be looked for on the wire.
fn reaches(from: &Pod, to: &Pod, address: &str) -> bool {
    let target = SocketAddr::new(address.parse().unwrap(), 4000);
    let ear = to.inside(|| UdpSocket::bind(target)).unwrap();
    ear.set_read_timeout(Some(Duration::from_secs(1))).unwrap();
    let any: IpAddr =
        if target.is_ipv4() { Ipv4Addr::UNSPECIFIED.into() } else { Ipv6Addr::UNSPECIFIED.into() };
    let mouth = from.inside(|| UdpSocket::bind((any, 0))).unwrap();
    (0..15).any(|_| {
        mouth.send_to(b"hello", target).unwrap();
        ear.recv(&mut [0; 16]).is_ok_and(|length| length == 5)
    })
}

#[test]
#[ignore = "needs the lab VM"]
fn ipvlan_of_every_mode_carries_traffic_over_two_nics_in_both_families() {
    for mode in ["l2", "l3", "l3s"] {
        let host = host(2);
        let engine = host.engine();
        let (first, second) = (pod(), pod());
        let one = result(serve(&engine, Add, "c1", &first, &ipvlan(mode)));
        result(serve(&engine, Add, "c2", &second, &ipvlan(mode)));

        let shown = first.ip("link show net1-1");
        assert_eq!(shown[0]["linkinfo"]["info_data"]["mode"], mode);
        for to in ["192.168.0.2", "192.168.1.2", "fd10:0:24::2", "fd10:1:24::2"] {
            assert!(reaches(&first, &second, to), "{mode}: {to}");
        }
        let mut check = ipvlan(mode);
        check["prevResult"] = one;
        assert_eq!(serve(&engine, Check, "c1", &first, &check).result, Ok(None));
        for (container, pod) in [("c1", &first), ("c2", &second)] {
            assert_eq!(serve(&engine, Del, container, pod, &ipvlan(mode)).result, Ok(None));
            assert!(pod.links().is_empty());
        }
    }
}

#[test]
#[ignore = "needs the lab VM"]
fn kinds_and_modes_that_exclude_one_another_are_refused_before_anything_is_touched() {
    let host = host(1);
    let engine = host.engine();
    let (first, second) = (pod(), pod());
    result(serve(&engine, Add, "c1", &first, &ipvlan("l2")));
    let mut tiny = conf();
    tiny["name"] = json!("tiny");
    for (conf, words) in [
        (tiny, "m0 already carries ipvlan of network neta; macvlan cannot share it"),
        (ipvlan("l3"), "m0 already carries ipvlan l2 bridge of network neta; the mode belongs to the master"),
    ] {
        let error = serve(&engine, Add, "c2", &second, &conf).result.unwrap_err();
        assert_eq!(error.code, 103);
        assert!(error.msg.contains(words), "{error}");
        assert!(second.links().is_empty());
    }
    assert_eq!(first.ip("link show net1-0")[0]["linkinfo"]["info_data"]["mode"], "l2");
    assert_eq!(serve(&engine, Del, "c1", &first, &ipvlan("l2")).result, Ok(None));
    // A stranger's is found, too, and keeps its mode.
    ip("link add stranger link m0 type ipvlan mode l2");
    let error = serve(&engine, Add, "c3", &second, &ipvlan("l3s")).result.unwrap_err();
    assert!(error.msg.contains("m0 already carries"), "{error}");
    assert_eq!(ip_json("link show stranger")[0]["linkinfo"]["info_data"]["mode"], "l2");
}

#[test]
#[ignore = "needs the lab VM"]
fn a_vlan_is_made_with_its_first_user_shared_and_removed_with_its_last() {
    let host = host(1);
    let engine = host.engine();
    let (first, second) = (pod(), pod());
    let mut tagged = ipvlan("l2");
    tagged["plugin"]["vlan"] = json!(77);
    result(serve(&engine, Add, "c1", &first, &tagged));
    result(serve(&engine, Add, "c2", &second, &tagged));
    let vlan = format!("mn{}.77", ifindex("m0"));

    let shown = ip_json(&format!("link show {vlan}"));
    assert_eq!(shown[0]["linkinfo"]["info_data"]["id"], 77);
    assert!(reaches(&first, &second, "192.168.0.2"));
    // Without a tag the NIC is free for another kind.
    let third = pod();
    let mut tiny = conf();
    tiny["name"] = json!("tiny");
    result(serve(&engine, Add, "c3", &third, &tiny));

    assert_eq!(serve(&engine, Del, "c1", &first, &tagged).result, Ok(None));
    assert_eq!(ip_json(&format!("link show {vlan}"))[0]["ifname"], vlan);
    assert_eq!(serve(&engine, Del, "c2", &second, &tagged).result, Ok(None));
    let links = ip_json("link show");
    assert!(!links.to_string().contains(&vlan), "{links}");
}

#[test]
#[ignore = "needs the lab VM"]
fn an_ipvlan_with_a_client_id_leases_its_address() {
    let host = host(1);
    let dhcp = harness::dhcp::Dhcp::start(host.folder.path(), "w0");
    let engine = host.engine();
    let pod = pod();
    let conf = json!({"cniVersion": "1.0.0", "name": "leased", "type": "multi-nic",
        "plugin": {"type": "ipvlan", "mode": "l2"},
        "ipam": {"type": "dhcp", "daemonSocketPath": dhcp.socket,
            "provide": [{"option": "dhcp-client-identifier", "fromArg": "K8S_POD_NAME"}]}});

    let answer = result(serve(&engine, Add, "c1", &pod, &conf));

    assert_eq!(answer["ips"][0]["address"], "10.88.0.100/24");
    assert_eq!(pod.addresses("net1-0"), ["10.88.0.100/24"]);
    assert_eq!(serve(&engine, Del, "c1", &pod, &conf).result, Ok(None));
    assert!(pod.links().is_empty() && engine.attachments().is_empty());
}

/// How many NICs answer for an address of this host, asked from `wire` (busybox' `arping`).
fn answers(wire: &Pod, address: &str) -> usize {
    let text = wire.inside(|| {
        let asked = std::process::Command::new("busybox")
            .args(["arping", "-I", "wire0", "-c", "3", address])
            .output();
        String::from_utf8(asked.unwrap().stdout).unwrap()
    });
    let mut macs: Vec<&str> =
        text.lines().filter_map(|line| line.split_once('[')?.1.split_once(']')).map(|(mac, _)| mac).collect();
    macs.sort_unstable();
    macs.dedup();
    macs.len()
}

#[test]
#[ignore = "needs the lab VM"]
fn two_masters_on_one_subnet_answer_for_their_own_addresses_as_long_as_l3_pods_need_it() {
    let host = host(2);
    let engine = host.engine();
    // One wire for both, and one subnet.
    let wire = pod();
    let name = wire.path.file_name().unwrap().to_string_lossy().into_owned();
    wire.run("link add name wire0 type bridge");
    for end in ["w0", "w1"] {
        ip(&format!("link set {end} netns {name}"));
        wire.run(&format!("link set {end} master wire0 up"));
    }
    wire.run("link set wire0 up");
    wire.run("address add 10.0.0.9/24 dev wire0");
    ip("address flush dev m1");
    ip("address add 10.0.0.2/24 dev m1");
    {
        let mut inventory = (**host.inventory.lock().unwrap()).clone();
        inventory.nics[1].addresses =
            vec![hwprobe::IpInterface::new("10.0.0.2".parse().unwrap(), 24, "global")];
        *host.inventory.lock().unwrap() = std::sync::Arc::new(inventory);
    }
    let arp = |master: &str| {
        let read =
            |setting| std::fs::read_to_string(format!("/proc/sys/net/ipv4/conf/{master}/{setting}")).unwrap();
        (read("arp_ignore").trim().to_owned(), read("arp_announce").trim().to_owned())
    };
    let was = (arp("m0"), arp("m1"));
    std::thread::sleep(Duration::from_secs(2));
    assert_eq!(answers(&wire, "10.0.0.1"), 2, "either NIC answers");
    // A link that answers itself needs nothing of the host.
    let (first, second) = (pod(), pod());
    result(serve(&engine, Add, "c0", &first, &ipvlan("l2")));
    assert_eq!((arp("m0"), arp("m1")), was);
    assert_eq!(serve(&engine, Del, "c0", &first, &ipvlan("l2")).result, Ok(None));

    result(serve(&engine, Add, "c1", &first, &ipvlan("l3")));
    result(serve(&engine, Add, "c2", &second, &ipvlan("l3")));

    let quiet = ("1".to_owned(), "2".to_owned());
    assert_eq!((arp("m0"), arp("m1")), (quiet.clone(), quiet.clone()));
    assert_eq!((answers(&wire, "10.0.0.1"), answers(&wire, "10.0.0.2")), (1, 1));
    assert_eq!(serve(&engine, Del, "c1", &first, &ipvlan("l3")).result, Ok(None));
    assert_eq!((arp("m0"), arp("m1")), (quiet.clone(), quiet), "the other pod needs it");
    // A crash forgets nothing of it.
    drop(engine);
    let engine = host.engine();
    engine.recover();
    assert_eq!(serve(&engine, Del, "c2", &second, &ipvlan("l3")).result, Ok(None));
    assert_eq!((arp("m0"), arp("m1")), was);
}
