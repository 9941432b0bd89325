//! SIGKILL of the agent at every step that it has, under many pods at a time, and of the executable in the middle of a
//! conversation (issue "Pods get NICs" §6). REQUIRES: root, veth, macvlan, `host-local`, the feature `failpoints`.
//!
//! `MULTI_NIC_SOAK_CYCLES`, `MULTI_NIC_SOAK_KILLS` and `MULTI_NIC_SOAK_SEED` make the first test longer, or another one.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a test may fail by panicking, in its helpers too"
)]

mod harness;
mod soak;

use std::fs;
use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::os::unix::fs::PermissionsExt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use harness::{Agent, Lab, wait_for};
use nix::sys::signal::{Signal, kill, killpg};
use nix::unistd::Pid;
use serde_json::json;
use soak::caller::{Caller, promised};
use soak::pod::{Links, Pod};
use soak::{FLAGS, Size, networks, soak};

/// A machine with two NICs and networks, and an agent that fails as it is told.
fn machine(fail: &str) -> (Lab, Agent, Caller) {
    let lab = Lab::new();
    networks::cables(&lab);
    networks::write(&lab, "macvlan");
    let mut agent = lab.start_failing(&FLAGS, fail);
    assert!(agent.gets_ready(), "{}", agent.log());
    let caller = Caller::new(&lab);
    (lab, agent, caller)
}

#[test]
fn a_kill_at_any_step_loses_nothing_and_leaves_nothing() {
    let lab = Lab::new();
    networks::cables(&lab);
    soak(&lab, "macvlan", Size { cycles: 10_000, kills: 210, width: 64, rest: 4, seed: 4 });
}

#[test]
fn a_step_that_hangs_holds_up_no_other_attach() {
    let (lab, _agent, caller) = machine("add.sysctls=hang:8000");
    let config = |master: &str| {
        json!({
            "cniVersion": "1.0.0", "name": master, "type": "multi-nic", "masters": [master],
            "plugin": { "type": "macvlan", "mode": "bridge" },
            "ipam": { "type": "static", "addresses": [{ "address": "10.9.0.1/16" }] },
        })
        .to_string()
    };
    let stuck = Pod::new(lab.path("stuck"));
    let mut first = caller.start("ADD", &config("nic1"), "stuck", &stuck.path, "/usr/lib/cni");
    wait_for("the first one's links, which is where it hangs", || (!stuck.links().is_empty()).then_some(()));

    // On the same NIC and on the other one.
    std::thread::scope(|scope| {
        for number in 0..16 {
            let (lab, caller, config) = (&lab, &caller, &config);
            scope.spawn(move || {
                let name = format!("p{number}");
                let pod = Pod::new(lab.path(&name));
                let config = config(if number % 2 == 0 { "nic1" } else { "nic2" });
                let result = caller.call("ADD", &config, &name, &pod.path).unwrap();
                assert_eq!(pod.links(), promised(&result));
                caller.call("DEL", &config, &name, &pod.path).unwrap();
                assert_eq!(pod.links(), Links::new());
            });
        }
    });

    assert!(first.try_wait().unwrap().is_none(), "all others came after the one that hung");
    assert!(first.wait().unwrap().success());
}

#[test]
fn an_executable_killed_while_it_runs_a_plugin_is_repaired() {
    let (lab, agent, caller) = machine("");
    let networks = networks::read(&lab, "macvlan");
    let plugins = lab.path("plugins");
    fs::create_dir(&plugins).unwrap();
    let number = lab.path("plugin");
    // Without its output: once the executable is dead nobody reads that, and it would fail.
    let slow = format!(
        "#!/bin/sh\n/usr/lib/cni/host-local > /dev/null || exit 1\n[ $CNI_COMMAND = ADD ] || exit 0\necho $$ > {}\nexec sleep 60\n",
        number.display()
    );
    fs::write(plugins.join("host-local"), slow).unwrap();
    fs::set_permissions(plugins.join("host-local"), fs::Permissions::from_mode(0o755)).unwrap();
    let pod = Pod::new(lab.path("pod"));
    let config = networks[2].config.to_string();
    let mut call = caller.start("ADD", &config, "c", &pod.path, plugins.to_str().unwrap());
    wait_for("the plugin's address", || {
        if let Some(status) = call.try_wait().unwrap() {
            let mut text = String::new();
            std::io::Read::read_to_string(&mut call.stdout.take().unwrap(), &mut text).unwrap();
            panic!("{status}: {text}");
        }
        (!networks::held_by_host_local(&lab).is_empty()).then_some(())
    });

    killpg(Pid::from_raw(i32::try_from(call.id()).unwrap()), Signal::SIGKILL).unwrap();
    call.wait().unwrap();
    // The plugin is nobody's child now; it has done what it was there for.
    let plugin = wait_for("the plugin's number", || fs::read_to_string(&number).ok()?.trim().parse().ok());
    kill(Pid::from_raw(plugin), Signal::SIGKILL).unwrap();

    // Nobody can run the plugin's DEL: it is owed, and paid with the next call.
    let attachments = || agent.get("/v1/attachments").json();
    wait_for("the repair", || (attachments()["attachments"][0]["phase"] == "detaching").then_some(()));
    assert_eq!(pod.links(), Links::new());
    let other = Pod::new(lab.path("other"));
    wait_for("the debt to be paid", || {
        let config = networks[0].config.to_string();
        caller.call("ADD", &config, "d", &other.path).unwrap();
        caller.call("DEL", &config, "d", &other.path).unwrap();
        networks::held_by_host_local(&lab).is_empty().then_some(())
    });
    wait_for("nothing to be left", || (attachments()["total"] == 0).then_some(()));
}

#[test]
fn traffic_of_pods_passes_while_the_agent_is_killed_and_comes_back() {
    let (lab, mut agent, caller) = machine("");
    let config = networks::read(&lab, "macvlan")[1].config.to_string();
    let attach = |name: &str| {
        let pod = Pod::new(lab.path(name));
        let links = promised(&caller.call("ADD", &config, name, &pod.path).unwrap());
        (pod, links)
    };
    let ((here, mine), (there, theirs)) = (attach("a"), attach("b"));
    let addresses = |links: &Links| links.values().flatten().copied().collect::<Vec<IpAddr>>();
    let pairs: Vec<(IpAddr, IpAddr)> = addresses(&mine).into_iter().zip(addresses(&theirs)).collect();
    assert_eq!(pairs.len(), 4, "two NICs, both families: {pairs:?}");
    let (over, counting) = (AtomicBool::new(false), AtomicBool::new(false));

    let counts = std::thread::scope(|scope| {
        let (over, counting) = (&over, &counting);
        let mut flows = Vec::new();
        for (from, to) in pairs.clone() {
            let bound = |pod: &Pod, address: IpAddr, port| {
                let socket = pod.inside(move || UdpSocket::bind(SocketAddr::new(address, port)).unwrap());
                socket.set_read_timeout(Some(Duration::from_secs(2))).unwrap();
                socket
            };
            let (sender, echo) = (bound(&here, from, 0), bound(&there, to, 7));
            scope.spawn(move || {
                let mut byte = [0; 8];
                while !over.load(Ordering::SeqCst) {
                    if let Ok((length, who)) = echo.recv_from(&mut byte) {
                        echo.send_to(&byte[..length], who).unwrap();
                    }
                }
            });
            flows.push(scope.spawn(move || {
                let (mut sent, mut back) = (0_u64, 0_u64);
                while !over.load(Ordering::SeqCst) {
                    sender.send_to(&sent.to_be_bytes(), SocketAddr::new(to, 7)).unwrap();
                    let mut byte = [0; 8];
                    let came = sender.recv_from(&mut byte).is_ok() && byte == sent.to_be_bytes();
                    // Neighbours have to find each other first.
                    if counting.load(Ordering::SeqCst) {
                        sent += 1;
                        back += u64::from(came);
                    }
                    std::thread::sleep(Duration::from_millis(2));
                }
                (sent, back)
            }));
        }
        std::thread::sleep(Duration::from_millis(500));
        counting.store(true, Ordering::SeqCst);
        let begun = Instant::now();
        std::thread::sleep(Duration::from_millis(300));
        agent.signal(Signal::SIGKILL);
        agent.wait();
        std::thread::sleep(Duration::from_millis(300));
        agent = lab.start_failing(&FLAGS, "");
        assert!(agent.gets_ready(), "{}", agent.log());
        std::thread::sleep(Duration::from_millis(300));
        over.store(true, Ordering::SeqCst);
        let counts: Vec<(u64, u64)> = flows.into_iter().map(|flow| flow.join().unwrap()).collect();
        println!("{counts:?} (sent, back) in {:.1} s", begun.elapsed().as_secs_f64());
        counts
    });

    for ((sent, back), pair) in counts.into_iter().zip(pairs) {
        assert!(sent > 20 && back == sent, "{pair:?}: {back} of {sent} came back");
    }
    for (name, pod) in [("a", &here), ("b", &there)] {
        caller.call("DEL", &config, name, &pod.path).unwrap();
        assert_eq!(pod.links(), Links::new());
    }
}
