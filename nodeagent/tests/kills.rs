//! SIGKILL of the agent at every step that it has, under many pods at a time (issue "Pods get NICs" §6). REQUIRES: root, veth, macvlan, `host-local`, the feature `failpoints`.
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

use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use harness::{Agent, Lab};
use nix::sys::signal::Signal;
use soak::caller::{Caller, promised};
use soak::pod::{Links, Pod};
use soak::{FLAGS, Size, networks, soak};

/// A number of the environment.
fn number(variable: &str, default: u64) -> u64 {
    std::env::var(variable).map_or(default, |text| text.parse().expect(variable))
}

/// A machine with two NICs and networks, and an agent that fails as it is told.
fn machine(fail: &str) -> (Lab, Agent, Caller) {
    let lab = Lab::new();
    networks::write(&lab);
    let mut agent = lab.start_failing(&FLAGS, fail);
    assert!(agent.gets_ready(), "{}", agent.log());
    let caller = Caller::new(&lab);
    (lab, agent, caller)
}

#[test]
fn a_kill_at_any_step_loses_nothing_and_leaves_nothing() {
    soak(Size {
        cycles: number("MULTI_NIC_SOAK_CYCLES", 800),
        kills: number("MULTI_NIC_SOAK_KILLS", 30),
        width: 64,
        seed: number("MULTI_NIC_SOAK_SEED", 4),
    });
}

#[test]
fn traffic_of_pods_passes_while_the_agent_is_killed_and_comes_back() {
    let (lab, mut agent, caller) = machine("");
    let config = networks::read(&lab)[1].config.to_string();
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
