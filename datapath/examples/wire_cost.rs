//! What it costs to give a pod one or eight links, and to take them away, beside the bare kernel: the very messages that
//! were sent, sent again. Needs root: it works in namespaces of its own.
//!
//! `cargo run --release -p datapath --example wire_cost [ROUNDS]`; with `STEPS=1` in the environment every round tells its
//! steps.
#![allow(clippy::print_stdout, clippy::unwrap_used, reason = "a program for people who measure")]

use std::fs::File;
use std::os::fd::{AsFd, OwnedFd};
use std::process::Command;
use std::time::{Duration, Instant};

use datapath::netns::{HostNamespace, PodNamespace};
use datapath::{PodLink, PolicyTable, Source, unwire, wire};
use netlink::route::{self, LinkSettings, MacvlanMode, NewLink, NewLinkKind};
use netlink::{Family, Recording, Socket};
use nix::sched::{CloneFlags, unshare};

const GROUP: u32 = 77;
const MASTERS: u16 = 8;

fn main() {
    let rounds = std::env::args().nth(1).map_or(40, |rounds| rounds.parse().unwrap());
    unshare(CloneFlags::CLONE_NEWNET).unwrap();
    let mut host = Socket::open(Family::Route).unwrap();
    let home = HostNamespace::current().unwrap();
    for number in 0..u32::from(MASTERS) {
        let pair = NewLink {
            name: format!("m{number}"),
            kind: NewLinkKind::Veth { peer: format!("w{number}") },
            index: Some(100 + number),
            ..NewLink::default()
        };
        let up = LinkSettings { up: Some(true), ..LinkSettings::default() };
        let verdicts = host.apply(&[route::create_link(&pair), route::set_link(100 + number, &up)]);
        assert!(verdicts.iter().all(Result::is_ok), "{verdicts:?}");
        assert!(
            Command::new("ip").args(["link", "set", &format!("w{number}"), "up"]).status().unwrap().success()
        );
    }
    for (title, count, full) in [
        ("1 link, an address", 1, false),
        ("8 links, an address each", MASTERS, false),
        ("1 link, IPv4 and IPv6, policy table", 1, true),
        ("8 links, IPv4 and IPv6, policy tables", MASTERS, true),
    ] {
        let links: Vec<PodLink> = (0..count).map(|number| link(number, full)).collect();
        let mut times: [Vec<Duration>; 3] = Default::default();
        for _ in 0..rounds {
            let (made, bare, unmade) = round(&mut host, &home, &links);
            for (times, time) in times.iter_mut().zip([made, bare, unmade]) {
                times.push(time);
            }
        }
        let [made, bare, unmade] = times.map(median);
        println!(
            "{title}: wired in {made:?}, bare {bare:?} ({:.2} times), taken away in {unmade:?}",
            made.as_secs_f64() / bare.as_secs_f64()
        );
    }
}

/// Wires and takes away, and sends the same messages again for another pod.
fn round(host: &mut Socket, home: &HostNamespace, links: &[PodLink]) -> (Duration, Duration, Duration) {
    let descriptor = namespace();
    host.start_recording();
    let start = Instant::now();
    let mut pod = PodNamespace::open(descriptor).unwrap();
    pod.route.start_recording();
    let mut steps = vec![("open", start)];
    let made = wire(host, home, &mut pod, GROUP, links, &[], &mut |step| {
        steps.push((step, Instant::now()));
        Ok(())
    })
    .unwrap();
    let wired = start.elapsed();
    if std::env::var_os("STEPS").is_some() {
        steps.push(("end", Instant::now()));
        for pair in steps.windows(2) {
            print!("{} {:?}  ", pair[0].0, pair[1].1 - pair[0].1);
        }
        println!();
    }
    let (outside, inside) = (host.take_recording(), pod.route.take_recording());
    drop(made);

    let other = namespace();
    let mut socket = Socket::open_in(other.as_fd(), Family::Route).unwrap();
    let outside = outside.in_namespace(other.as_fd());
    let start = Instant::now();
    accepted(host, &outside);
    accepted(&mut socket, &inside);
    let bare = start.elapsed();

    let links: Vec<_> = links.iter().map(|link| (link.clone(), None)).collect();
    let start = Instant::now();
    let left = unwire(host, home, &mut pod, GROUP, &links).unwrap();
    let gone = start.elapsed();
    assert!(left.is_empty(), "{left:?}");
    (wired, bare, gone)
}

fn accepted(socket: &mut Socket, recording: &Recording) {
    let verdicts = socket.send_again(recording).unwrap();
    assert!(verdicts.iter().all(Result::is_ok), "{verdicts:?}");
}

fn link(number: u16, full: bool) -> PodLink {
    let mut addresses = vec![format!("10.{number}.0.1/24").parse().unwrap()];
    if full {
        addresses.push(format!("fd{number:02}::1/64").parse().unwrap());
    }
    PodLink {
        position: number,
        name: format!("net1-{number}"),
        alt_name: None,
        index: 1000 + u32::from(number),
        source: Source::Above {
            kind: NewLinkKind::Macvlan { mode: MacvlanMode::Bridge, sources: Vec::new() },
            master: 100 + u32::from(number),
        },
        mtu: None,
        address: None,
        addresses,
        routes: Vec::new(),
        policy: full.then(|| PolicyTable { gateways: Vec::new() }),
        announce: true,
        duplicate_check: None,
    }
}

fn namespace() -> OwnedFd {
    let made = std::thread::spawn(|| {
        unshare(CloneFlags::CLONE_NEWNET).unwrap();
        OwnedFd::from(File::open("/proc/thread-self/ns/net").unwrap())
    });
    made.join().unwrap()
}

fn median(mut times: Vec<Duration>) -> Duration {
    times.sort_unstable();
    times.get(times.len() / 2).copied().unwrap_or_default()
}
