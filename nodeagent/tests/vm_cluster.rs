//! In the lab VM: a node of a real cluster, from `kubectl apply -k` to pods and their traffic.
//!
//! Wants a machine with igb 0000:01:00.0 and 0000:02:00.0 on two wires, a NIC 0000:03:00.0 without an address, NICs
//! 0000:04:00.0 and 0000:05:00.0 at the far ends, a control plane on the host and the images of `cargo xtask dist --debug`.
//! One test, since a machine can be one node once.
//! REQUIRES: root, KUBECONFIG, and what `lab/node-up --setup` installs.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stderr,
    reason = "a test may fail by panicking, in its helpers too"
)]

mod deployed;
#[allow(dead_code, reason = "vm_kubelet uses the rest")]
mod kubelet;

use std::process::Child;
use std::time::Instant;

use deployed::sandbox::Sandbox;
use deployed::wires::{OTHER, THEIR_POD, Wires};
use deployed::{Deployed, network, node, other_host, pods, run};
use kubelet::{Cluster, Container, NODE, wait_for};

/// Tells how long the parts of the test take.
struct Clock(Instant);

impl Clock {
    fn done(&mut self, what: &str) {
        eprintln!("{:>5.1} s {what}", self.0.elapsed().as_secs_f64());
        self.0 = Instant::now();
    }
}

/// Pings the other host's pod over one NIC of this host, and sees that it was that NIC (TRAPS P18).
fn ping_over(wires: &Wires, pod: &Container, index: usize) {
    const COUNT: u64 = 8;
    let before = wires.sent();
    pod.inside(&format!("busybox ping -c {COUNT} -i 0.2 -w 30 {}", THEIR_POD[index]));
    let after = wires.sent();
    let (used, other) = (after[index] - before[index], after[1 - index] - before[1 - index]);
    assert!(used >= COUNT && other < COUNT, "{used} packets by NIC {index}, {other} by the other one");
}

/// A ping that runs until it is told to end, four times a second. Only its counts: nobody reads its lines, and a full pipe
/// would stop it.
fn endless_ping(pod: &Container, address: &str) -> Child {
    pod.command(&format!("busybox ping -q -i 0.25 {address}")).spawn().expect("start ping")
}

/// Ends it; each packet must have come back.
fn assert_none_lost(ping: Child) {
    let pid = nix::unistd::Pid::from_raw(ping.id().try_into().unwrap());
    nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGINT).unwrap();
    let output = ping.wait_with_output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let numbers = text.lines().find(|line| line.contains("packets transmitted")).expect("its counts");
    eprintln!("{numbers}");
    let words: Vec<u64> = numbers.split_whitespace().filter_map(|word| word.parse().ok()).collect();
    let (sent, back) = (words[0], words[1]);
    // The last one may still be under way.
    assert!(sent >= 10 && back + 1 >= sent, "{text}");
}

/// The process of the agent, whoever started it.
fn agent_pid() -> Option<String> {
    let found = std::process::Command::new("pidof").args(["-s", "multi-nicd"]).output().ok()?;
    Some(String::from_utf8_lossy(&found.stdout).trim().to_owned()).filter(|pid| !pid.is_empty())
}

fn is_agent_ready() -> bool {
    let url = "http://localhost/readyz";
    let mut curl = std::process::Command::new("curl");
    curl.args(["-sf", "--max-time", "5", "--unix-socket", "/run/multi-nic/api.sock", url]);
    curl.output().is_ok_and(|output| output.status.success())
}

#[test]
#[ignore = "needs the lab VM"]
fn a_node_from_the_first_apply_to_pods_and_their_traffic() {
    let mut clock = Clock(Instant::now());
    let wires = Wires::new();
    let cluster = Cluster::with_this_node();
    let before = node::state(&wires.nics);
    clock.done("a node");
    let ours = Deployed::apply(&cluster, "without-multus");
    clock.done("images and manifests");
    let agent = ours.ready("multi-nicd", None);
    let operator = ours.ready("multi-nic-operator", None);
    clock.done("agent and operator are ready");

    // The node tells of its NICs; a second host, which is none, tells of its own.
    let told =
        deployed::until("the NICs of this node", || cluster.get(&["hostinterfaces.multinic.fms.io", NODE]));
    let nets = told["spec"]["interfaces"].as_array().unwrap().iter();
    let nets: Vec<&str> = nets.filter_map(|one| one["netAddress"].as_str()).collect();
    assert_eq!(nets, ["10.0.1.0/24", "10.0.2.0/24"], "the third NIC has no address: {told}");
    cluster.kubectl(&["apply", "-f", "-"], &other_host("node-b", OTHER)).unwrap();

    // The seed's network: blocks as in the worked example of the contract, and a route to the other host's on each NIC.
    cluster.kubectl(&["apply", "-f", "-"], &network()).unwrap();
    wait_for("routes to the other host", || {
        let routes = run("ip", "route show table all proto 0x4d");
        let has = |net: &str, via: &str, nic: &str| {
            routes.lines().any(|line| line.starts_with(&format!("{net} via {via} dev {nic} ")))
        };
        let first = has("192.168.1.0/24", OTHER[0], &wires.nics[0]);
        (first && has("192.168.65.0/24", OTHER[1], &wires.nics[1])).then_some(())
    });
    clock.done("routes");

    // Pods that ask by annotation.
    for name in ["one", "two"] {
        pods::create(&cluster, name, Some("multi-nic-sample"));
    }
    let one = pods::running(&cluster, "one");
    let two = pods::running(&cluster, "two");
    clock.done("two pods");
    let (seen, others) = (one.interfaces(), two.interfaces());
    let ends = |seen: &[String]| -> Vec<String> {
        seen[1..].iter().map(|one| one.replace(".1/18", "").replace(".2/18", "")).collect()
    };
    assert_eq!(ends(&seen), ["net1-0: 192.168.0", "net1-1: 192.168.64"], "{seen:?}");
    assert_eq!(ends(&others), ends(&seen), "{others:?}");
    assert_ne!(others, seen);
    assert!(seen[0].starts_with("eth0: 10.99.0."), "{seen:?}");
    let plain: Vec<String> = seen.iter().map(|line| line.split('/').next().unwrap().to_owned()).collect();
    assert_eq!(pods::told(&cluster, "one"), plain);
    for index in 0..2 {
        ping_over(&wires, &one, index);
        let address = others[index + 1].split(' ').nth(1).unwrap().split('/').next().unwrap();
        one.inside(&format!("busybox ping -c 3 -w 30 {address}"));
    }
    clock.done("traffic");

    // Without agent and operator nobody's packet is lost. Who asks for nothing starts, the node stays well, who asks waits
    // (TRAPS C1).
    let pings = THEIR_POD.map(|address| endless_ping(&one, address));
    ours.station_agent(false);
    ours.delete(&operator);
    // Nor can anybody take away what pods will need (TRAPS C3).
    ours.uninstall();
    pods::create(&cluster, "asks", Some("multi-nic-sample"));
    pods::create(&cluster, "plain", None);
    clock.done("no agent");
    assert_eq!(pods::running(&cluster, "plain").interfaces().len(), 1);
    assert_eq!(pods::phase(&cluster, "asks").as_deref(), Some("Pending"));
    let ready = cluster.get(&["node", NODE]).unwrap()["status"]["conditions"].clone();
    let ready = ready.as_array().unwrap().iter().find(|one| one["type"] == "Ready").unwrap().clone();
    assert_eq!(ready["status"], "True", "{ready}");
    clock.done("a plain pod");
    deployed::until("the refusal", || ours.uninstall_says("attachments are held"));
    ours.stop_uninstalling();
    clock.done("removal is refused");
    ours.station_agent(true);
    let agent = ours.ready("multi-nicd", Some(&agent));
    assert_eq!(pods::running(&cluster, "asks").interfaces().len(), 3);
    ours.ready("multi-nic-operator", Some(&operator));
    pings.into_iter().for_each(assert_none_lost);
    clock.done("agent and operator are back, and so is who waited");
    upgrade(&cluster, &ours, &agent);
    clock.done("an upgrade under twenty pods");

    // The API server is away: a cold agent serves a new pod (TRAPS C9).
    run("ip", "route add blackhole 10.0.2.100");
    let former = agent_pid().expect("the agent's process");
    run("kill", &format!("-9 {former}"));
    wait_for("the agent to be started again", || {
        let another = agent_pid().is_some_and(|pid| pid != former);
        (another && is_agent_ready()).then_some(())
    });
    // The kubelet ends what it does not know.
    let kubelet = kubelet::kubelet().to_string();
    run("kill", &format!("-STOP {kubelet}"));
    let sandbox = Sandbox::run("cold", "multi-nic-sample");
    assert_eq!(sandbox.container.interfaces().len(), 3);
    ping_over(&wires, &sandbox.container, 1);
    sandbox.remove();
    run("kill", &format!("-CONT {kubelet}"));
    run("ip", "route del blackhole 10.0.2.100");
    clock.done("a pod of a cold agent without the API server");

    start_times(&cluster);
    clock.done("how long pods take");
    only_the_fast_ones(&cluster, &wires);
    clock.done("a network of a device class");
    let all = ["delete", "pod", "one", "two", "asks", "plain", "quick", "--timeout", "120s"];
    cluster.kubectl(&all, "").unwrap();
    functions(&cluster, &wires);
    clock.done("a network of virtual functions");

    // Everything goes, in the order of the quick start, and the node is as before (TRAPS C3).
    for network in
        ["multinicnetworks.net.cogadvisor.io/multi-nic-sample", "multinicnetworks.multinic.fms.io/fast"]
    {
        cluster.kubectl(&["delete", network, "--timeout", "120s"], "").unwrap();
    }
    cluster.kubectl(&["delete", "deviceclass.multinic.fms.io", "fast"], "").unwrap();
    wait_for("the routes to go", || run("ip", "route show table all proto 0x4d").is_empty().then_some(()));
    let both = ["daemonset/multi-nicd", "deployment/multi-nic-operator"];
    cluster.kubectl(&["delete", "-n", deployed::NAMESPACE, both[0], both[1]], "").unwrap();
    ours.uninstall();
    ours.uninstalled();
    run("ip", &format!("addr flush dev {}", wires.third));
    run("ip", &format!("link set {} down", wires.third));
    // The VFs are the administrator's: nobody takes them away but for another number.
    wires.no_vfs();
    let left = node::differences(&before, &node::state(&wires.nics));
    // Told until it was seen empty once; then it is to be asserted.
    eprintln!("left on the node: {left:#?}");
    clock.done("nothing is left");
}

/// Two NICs of 1 Gb/s and one of 100 Mb/s: a network of a class by speed has the fast ones alone.
fn only_the_fast_ones(cluster: &Cluster, wires: &Wires) {
    run("ip", &format!("addr add 10.0.3.1/24 dev {}", wires.third));
    run("ip", &format!("link set {} up", wires.third));
    let objects = r#"{"apiVersion": "v1", "kind": "List", "items": [
        {"apiVersion": "multinic.fms.io/v1", "kind": "DeviceClass", "metadata": {"name": "fast"},
         "spec": {"minSpeed": "1Gbps", "expression": "nic.speed.source != 'unknown'"}},
        {"apiVersion": "multinic.fms.io/v1", "kind": "MultiNicNetwork", "metadata": {"name": "fast"},
         "spec": {"subnet": "172.30.0.0/16", "multiNICIPAM": true, "namespaces": ["default"],
           "ipam": "{\"type\": \"multi-nic-ipam\", \"hostBlock\": 6, \"interfaceBlock\": 2, \"vlanMode\": \"l3\"}",
           "plugin": {"cniVersion": "0.3.0", "type": "ipvlan", "args": {"mode": "l3"}},
           "attachPolicy": {"strategy": "devClass", "class": "fast"}}}]}"#;
    cluster.kubectl(&["apply", "-f", "-"], objects).unwrap();
    let class = || {
        let told = cluster.get(&["hostinterfaces.multinic.fms.io", NODE])?;
        let nics = told["spec"]["interfaces"].as_array()?.iter();
        let inside = nics.clone().filter(|nic| nic["deviceClasses"] == serde_json::json!(["fast"]));
        let names: Vec<&str> = inside.filter_map(|nic| nic["interfaceName"].as_str()).collect();
        let third = nics.filter_map(|nic| nic["interfaceName"].as_str()).any(|name| name == wires.third);
        (third && names == wires.nics).then_some(())
    };
    deployed::until("all three NICs, two of them in the class", class);
    pods::create(cluster, "quick", Some("fast"));
    let quick = pods::running(cluster, "quick");
    let seen = quick.interfaces();
    assert_eq!(seen.len(), 3, "eth0 and two NICs: {seen:?}");
    for (index, nic) in wires.nics.iter().enumerate() {
        let own = quick.inside(&format!("ip -j link show net1-{index}"));
        let own: serde_json::Value = serde_json::from_str(&own).unwrap();
        let master: serde_json::Value =
            serde_json::from_str(&run("ip", &format!("-j link show {nic}"))).unwrap();
        assert_eq!(own[0]["link_index"], master[0]["ifindex"], "{own}");
    }
}

/// VFs for an SR-IOV network of our own agents: two on each NIC, and one of each in the pod. Their traffic is proved where
/// machines stand on one wire (`attach/tests/vm_two_machines.rs`).
fn functions(cluster: &Cluster, wires: &Wires) {
    let objects = r#"{"apiVersion": "multinic.fms.io/v1", "kind": "MultiNicNetwork", "metadata": {"name": "vfs"},
        "spec": {"subnet": "172.31.0.0/16", "multiNICIPAM": true, "namespaces": ["default"],
          "ipam": "{\"type\": \"multi-nic-ipam\", \"hostBlock\": 6, \"interfaceBlock\": 2, \"vlanMode\": \"l3\"}",
          "plugin": {"cniVersion": "0.3.0", "type": "sriov", "args": {"numVfs": "2"}},
          "masterNets": ["10.0.1.0/24", "10.0.2.0/24"]}}"#;
    cluster.kubectl(&["apply", "-f", "-"], objects).unwrap();
    deployed::until("two VFs on each NIC", || (wires.vfs() == [2, 2]).then_some(()));
    pods::create(cluster, "function", Some("vfs"));
    let pod = pods::running(cluster, "function");
    let seen = pod.interfaces();
    let nets: Vec<&str> = seen[1..].iter().map(|line| line.rsplit_once('.').unwrap().0).collect();
    assert_eq!(nets, ["net1-0: 172.31.0", "net1-1: 172.31.64"], "{seen:?}");
    for index in 0..2 {
        let own: serde_json::Value =
            serde_json::from_str(&pod.inside(&format!("ip -j -d link show net1-{index}"))).unwrap();
        let device = own[0]["parentdev"].as_str().unwrap_or_default();
        assert!(wires.has_vf(index, device), "{own} is no VF of NIC {index}");
    }
    cluster.kubectl(&["delete", "pod", "function", "--timeout", "120s"], "").unwrap();
    deployed::until("the VFs to be back", || wires.idle_vfs().eq(&4).then_some(()));
    cluster.kubectl(&["delete", "mnn", "vfs", "--timeout", "120s"], "").unwrap();
}

/// A new version of the agent comes while pods start and stop: none fails for good (TRAPS C3).
fn upgrade(cluster: &Cluster, ours: &Deployed<'_>, agent: &serde_json::Value) {
    const PODS: usize = 20;
    let names: Vec<String> = (0..PODS).map(|number| format!("many-{number}")).collect();
    let (first, second) = names.split_at(PODS / 2);
    pods::create_all(cluster, first, "multi-nic-sample");
    ours.upgrade(agent);
    pods::create_all(cluster, second, "multi-nic-sample");
    let delete = |names: &[String]| {
        let mut arguments = vec!["delete", "pod", "--timeout", "240s"];
        arguments.extend(names.iter().map(String::as_str));
        cluster.kubectl(&arguments, "").unwrap();
    };
    // Some of them go before they ever ran.
    delete(first);
    ours.ready("multi-nicd", Some(agent));
    pods::all_running(cluster, second);
    for name in [&second[0], &second[second.len() - 1]] {
        assert_eq!(pods::running(cluster, name).interfaces().len(), 3, "{name}");
    }
    delete(second);
}

/// How long a pod with NICs takes to run, beside one without: `cargo xtask bench cluster` prints it.
fn start_times(cluster: &Cluster) {
    let pairs = std::env::var("MULTI_NIC_PAIRS").map_or(1, |text| text.parse().unwrap());
    for _ in 0..pairs {
        let time = |networks| {
            let begin = Instant::now();
            pods::create(cluster, "timed", networks);
            pods::running(cluster, "timed");
            let time = begin.elapsed().as_secs_f64();
            cluster.kubectl(&["delete", "pod", "timed", "--timeout", "120s"], "").unwrap();
            time
        };
        let (plain, ours) = (time(None), time(Some("multi-nic-sample")));
        eprintln!(
            "bench: a pod with two NICs runs after {ours:.1} s, without after {plain:.1} s: x{:.2}",
            ours / plain
        );
    }
}
