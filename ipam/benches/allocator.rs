//! How fast addresses are given in memory, beside a set of what is taken that is searched from the last one on, in
//! turn. `cargo bench -p ipam`.
#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a bench prints, and ends where it cannot go on"
)]

use std::collections::HashSet;
use std::hint::black_box;
use std::net::IpAddr;
use std::time::{Duration, Instant};

use ipam::{Allocator, Owner, Wish};
use ipnet::IpNet;

/// Addresses of the block that can be given: a /12 without its ends.
const GIVABLE: u32 = (1 << 20) - 2;

/// Addresses that are given in one turn, and given back after it.
const BATCH: u32 = 1000;

/// Turns of each candidate.
const TURNS: usize = 200;

fn main() {
    memory();
    println!("a /12, {BATCH} addresses a turn, {TURNS} turns each, turn by turn; medians");
    println!("{:>10} {:>16} {:>12} {:>16} {:>8}", "full", "allocations/s", "ns each", "set, each", "ratio");
    for full in [0.0, 90.0, 99.9] {
        line(full);
    }
}

fn memory() {
    let block = block();
    let mut allocator = Allocator::default();
    allocator.set_block("n", block, &[]);
    let before = resident();
    for number in 0..1_000_000 {
        allocator.reserve(block, &owner(number), Wish::Any, 0).unwrap();
    }
    println!("1,000,000 live addresses of a /12: {:.1} MB resident\n", (resident() - before) as f64 / 1e6);
}

fn line(full: f64) {
    let taken = (f64::from(GIVABLE) * full / 100.0) as u32;
    let (mut ours, mut set) = (Ours::filled(taken), Set::filled(taken));
    let (mut ours_times, mut set_times) = (Vec::new(), Vec::new());
    for _ in 0..TURNS {
        ours_times.push(ours.turn());
        set_times.push(set.turn());
    }
    let (ours, set) = (each(&mut ours_times), each(&mut set_times));
    println!("{full:>8} % {:>16.0} {ours:>12.0} {set:>13.0} ns {:>8.2}", 1e9 / ours, set / ours);
}

/// Nanoseconds of one allocation in the turn in the middle.
fn each(times: &mut [Duration]) -> f64 {
    times.sort();
    times[times.len() / 2].as_nanos() as f64 / f64::from(BATCH)
}

struct Ours {
    allocator: Allocator,
    owners: Vec<Owner>,
    now: u64,
}

impl Ours {
    /// What is taken is spread over the whole block: all of it is given, and then the rest is given back.
    fn filled(taken: u32) -> Self {
        let mut allocator = Allocator::default();
        allocator.set_block("n", block(), &[]);
        let holder = owner(0);
        for _ in 0..GIVABLE {
            allocator.reserve(block(), &holder, Wish::Any, 0).unwrap();
        }
        for offset in Random::default().some(GIVABLE - taken) {
            let change = allocator.released(block(), address(offset), &holder, 0).unwrap();
            allocator.release(&change);
        }
        drop(allocator.expire(60));
        Self { allocator, owners: (1..=BATCH).map(owner).collect(), now: 60 }
    }

    fn turn(&mut self) -> Duration {
        let start = Instant::now();
        let given: Vec<_> = self
            .owners
            .iter()
            .map(|owner| self.allocator.reserve(block(), owner, Wish::Any, self.now).unwrap())
            .collect();
        let took = start.elapsed();
        for (owner, reserved) in self.owners.iter().zip(black_box(given)) {
            let change = self.allocator.released(block(), reserved.change.address, owner, self.now).unwrap();
            self.allocator.release(&change);
        }
        self.now += 60;
        drop(self.allocator.expire(self.now));
        took
    }
}

struct Set {
    taken: HashSet<u32>,
    cursor: u32,
}

impl Set {
    fn filled(taken: u32) -> Self {
        let mut all: HashSet<u32> = (1..=GIVABLE).collect();
        for offset in Random::default().some(GIVABLE - taken) {
            all.remove(&offset);
        }
        Self { taken: all, cursor: 0 }
    }

    fn turn(&mut self) -> Duration {
        let start = Instant::now();
        let mut given = Vec::new();
        for _ in 0..BATCH {
            loop {
                self.cursor = self.cursor % GIVABLE + 1;
                if self.taken.insert(self.cursor) {
                    break;
                }
            }
            given.push(self.cursor);
        }
        let took = start.elapsed();
        for offset in black_box(given) {
            self.taken.remove(&offset);
        }
        took
    }
}

/// The same numbers in every run.
struct Random(u64);

impl Default for Random {
    fn default() -> Self {
        Self(0x9e37_79b9_7f4a_7c15)
    }
}

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    /// `count` different offsets of the block.
    fn some(&mut self, count: u32) -> Vec<u32> {
        let mut all: Vec<u32> = (1..=GIVABLE).collect();
        for at in 0..count as usize {
            let other = at + (self.next() % (all.len() - at) as u64) as usize;
            all.swap(at, other);
        }
        all.truncate(count as usize);
        all
    }
}

fn block() -> IpNet {
    "10.0.0.0/12".parse().unwrap()
}

fn address(offset: u32) -> IpAddr {
    IpAddr::from((0x0a00_0000 + offset).to_be_bytes())
}

fn owner(number: u32) -> Owner {
    Owner {
        network: "n".to_owned(),
        container_id: format!("{number:064x}"),
        ifname: "net1".to_owned(),
        index: 0,
    }
}

/// Resident memory of this process, bytes.
fn resident() -> u64 {
    let statm = std::fs::read_to_string("/proc/self/statm").unwrap();
    statm.split(' ').nth(1).unwrap().parse::<u64>().unwrap() * 4096
}
