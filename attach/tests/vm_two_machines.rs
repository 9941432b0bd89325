//! VFs of two machines on one wire. `cargo xtask test` starts both machines, and runs this in each.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "test code outside of test functions"
)]

#[allow(dead_code, reason = "this file uses a part of it")]
mod harness;
#[allow(dead_code, reason = "this file uses a part of it")]
mod vf_host;

use std::collections::BTreeMap;
use std::net::UdpSocket;
use std::process::Command as Program;
use std::time::{Duration, Instant};

use attach::Engine;
use cni::Command::{Add, Del};
use harness::*;
use serde_json::{Value, json};
use vf_host::*;

/// Every pod of both machines: address, VLAN. The first two are on machine `a`, each VF of its PF in its own VLAN, the
/// others on machine `b`. All have one subnet, so that only the VLAN keeps them apart.
const PODS: [(&str, u16); 4] =
    [("10.20.0.1", 100), ("10.20.0.2", 200), ("10.20.0.3", 100), ("10.20.0.4", 200)];

/// How long one machine waits for the other one to be there.
const OTHER_MACHINE: Duration = Duration::from_secs(240);

/// How long a pod listens to all senders at once.
const TOGETHER: Duration = Duration::from_secs(4);

const PORT: u16 = 4100;

fn mac(number: usize) -> String {
    format!("02:00:00:00:20:{number:02x}")
}

struct Member {
    number: usize,
    pod: Pod,
    conf: Value,
}

/// Two pods, each with a VF of this machine's first PF, which is on the wire between the machines.
fn members(engine: &Engine, numbers: [usize; 2]) -> Vec<Member> {
    let give = |(index, number): (usize, usize)| {
        let (address, vlan) = PODS[number];
        let mut conf = conf();
        conf["plugin"] = json!({"type": "sriov", "vlan": vlan});
        conf["name"] = json!("other");
        conf["deviceIDs"] = json!([vf(PFS[0], index)]);
        conf["ipam"] = json!({"type": "static", "addresses": [{"address": format!("{address}/24")}]});
        conf["runtimeConfig"] = json!({"mac": mac(number)});
        let pod = pod();
        result(serve(engine, Add, &format!("c{number}"), &pod, &conf));
        Member { number, pod, conf }
    };
    numbers.into_iter().enumerate().map(give).collect()
}

impl Member {
    fn ping(&self, address: &str) -> bool {
        let netns = self.pod.path.file_name().unwrap().to_str().unwrap();
        let ping = ["netns", "exec", netns, "busybox", "ping", "-c", "1", "-W", "1", address];
        Program::new("ip").args(ping).output().unwrap().status.success()
    }

    /// Writes the other pods' MACs down: their frames are on the wire whether or not anybody answers for the address.
    fn know_all(&self) {
        for (number, (address, _)) in PODS.iter().enumerate().filter(|(number, _)| *number != self.number) {
            self.pod.run(&format!("neighbour replace {address} lladdr {} dev net1-0", mac(number)));
        }
    }

    fn socket(&self) -> UdpSocket {
        let socket = self.pod.inside(|| UdpSocket::bind((PODS[self.number].0, PORT))).unwrap();
        socket.set_read_timeout(Some(Duration::from_millis(50))).unwrap();
        socket
    }
}

/// How many packets of each sender the sockets get in the same seconds.
fn heard(ears: &[UdpSocket]) -> Vec<BTreeMap<String, u32>> {
    let end = Instant::now() + TOGETHER;
    let mut counts = vec![BTreeMap::new(); ears.len()];
    while Instant::now() < end {
        for (ear, counts) in ears.iter().zip(&mut counts) {
            if let Ok((_, sender)) = ear.recv_from(&mut [0; 16]) {
                *counts.entry(sender.ip().to_string()).or_default() += 1;
            }
        }
    }
    counts
}

fn take_back(engine: &Engine, members: Vec<Member>, before: &[Value]) {
    for member in &members {
        let container = format!("c{}", member.number);
        assert_eq!(serve(engine, Del, &container, &member.pod, &member.conf).result, Ok(None));
    }
    assert_eq!(states(2), before);
}

#[test]
#[ignore = "needs the lab VM"]
fn pods_on_vfs_of_two_machines_talk_and_vlans_keep_them_apart() {
    let machine = std::env::var("LAB_MACHINE").expect("LAB_MACHINE: `cargo xtask test` starts two machines");
    let host = vf_host(2);
    let before = states(2);
    let engine = host.engine();
    match machine.as_str() {
        "a" => ask_and_listen(&engine, &before),
        "b" => answer_and_send(&engine, &before),
        other => panic!("there is no machine {other}"),
    }
}

fn ask_and_listen(engine: &Engine, before: &[Value]) {
    let members = members(engine, [0, 1]);
    let end = Instant::now() + OTHER_MACHINE;
    while !members[0].ping(PODS[2].0) {
        assert!(Instant::now() < end, "no pod of the other machine ever answered");
    }
    assert!(!members[1].ping(PODS[2].0), "VLAN 200 reached VLAN 100 of the other machine");
    assert!(members[1].ping(PODS[3].0), "VLAN 200 did not reach VLAN 200 of the other machine");
    members.iter().for_each(Member::know_all);
    let ears: Vec<UdpSocket> = members.iter().map(Member::socket).collect();
    // What comes before the other machine has written its neighbours down counts for nobody.
    while ears.iter().any(|ear| ear.recv_from(&mut [0; 16]).is_err()) {
        assert!(Instant::now() < end, "the other machine never sent");
    }

    let apart = heard(&ears);
    // The second pod comes into the first one's VLAN, and everything else stays.
    ip(&format!("link set {} vf 1 vlan 100", name(PFS[0]).unwrap()));
    heard(&ears);
    let together = heard(&ears);

    let only = |counts: &BTreeMap<String, u32>, sender: usize, what: &str| {
        assert!(counts.get(PODS[sender].0).is_some_and(|count| *count >= 5), "{what}: {counts:?}");
        assert_eq!(counts.len(), 1, "{what}: {counts:?}");
    };
    only(&apart[0], 2, "VLAN 100 hears VLAN 100 alone");
    only(&apart[1], 3, "VLAN 200 hears VLAN 200 alone");
    only(&together[1], 2, "the same pod in VLAN 100 hears VLAN 100 alone");
    only(&together[0], 2, "the pod that stayed hears what it heard");
    for _ in 0..20 {
        ears[0].send_to(b"done", (PODS[2].0, PORT)).unwrap();
        std::thread::sleep(Duration::from_millis(50));
    }
    drop(ears);
    take_back(engine, members, before);
}

fn answer_and_send(engine: &Engine, before: &[Value]) {
    let members = members(engine, [2, 3]);
    members.iter().for_each(Member::know_all);
    let mouths: Vec<UdpSocket> = members.iter().map(Member::socket).collect();
    let end = Instant::now() + OTHER_MACHINE;
    loop {
        assert!(Instant::now() < end, "the other machine never said that it is done");
        for mouth in &mouths {
            for (address, _) in &PODS[..2] {
                mouth.send_to(b"hello", (*address, PORT)).unwrap();
            }
        }
        let mut bytes = [0; 16];
        if mouths[0].recv_from(&mut bytes).is_ok_and(|(length, _)| &bytes[..length] == b"done") {
            break;
        }
    }
    drop(mouths);
    take_back(engine, members, before);
}
