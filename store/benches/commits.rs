//! What a durable commit costs, beside the bare append and sync that nothing durable can do without; and how many
//! callers share one. `cargo bench -p store [-- FOLDER]`: the folder lies on the disk that is measured.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "a bench prints, and ends where it cannot go on"
)]

use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use store::{Batch, Identity, Store, Table};

/// Payload of one commit, bytes: about what an attachment of one NIC has.
const PAYLOAD: usize = 300;

/// Commits that are counted for each number of callers.
const WINDOW: u64 = 200;

/// Turns of each candidate.
const TURNS: usize = 400;

fn main() {
    // Cargo adds arguments of its own.
    let folder = std::env::args().skip(1).find(|argument| !argument.starts_with('-'));
    let folder = folder.map_or_else(|| PathBuf::from(env!("CARGO_TARGET_TMPDIR")), PathBuf::from);
    let folder = tempfile::tempdir_in(folder).unwrap();
    println!("one caller, {PAYLOAD} bytes, {TURNS} turns each, turn by turn");
    one_caller(folder.path());
    println!("\ncallers at once, each as soon as its last commit is answered");
    println!(
        "{:>8} {:>8} {:>8} {:>14} {:>14} {:>10}",
        "callers", "calls", "commits", "calls/commit", "syncs/commit", "calls/s"
    );
    for callers in [1, 8, 64, 256] {
        many_callers(folder.path(), callers);
    }
}

/// The floor, the store, and the store with the end of the last caller taken along, one after the other each turn.
fn one_caller(folder: &Path) {
    let mut log = File::create(folder.join("log")).unwrap();
    let store = open(folder, "one");
    let payload = "x".repeat(PAYLOAD);
    let (mut bare, mut commit, mut with_end) = (Vec::new(), Vec::new(), Vec::new());
    for turn in 0..TURNS {
        bare.push(timed(|| {
            log.write_all(payload.as_bytes()).unwrap();
            log.sync_data().unwrap();
        }));
        let key = format!("net-a/{turn:064x}/net1");
        let mut batch = Batch::new();
        batch.put(Table::Attachments, &key, &payload).unwrap();
        commit.push(timed(|| store.commit(batch).unwrap()));
        let mut batch = Batch::new();
        batch.put(Table::Attachments, &format!("{key}-2"), &payload).unwrap();
        batch
            .put(Table::Addresses, &format!("net-a/10.0.0.0/16/10.0.{}.{}", turn / 256, turn % 256), &payload)
            .unwrap();
        let mut end = Batch::new();
        end.put(Table::Attachments, &key, &payload).unwrap();
        with_end.push(timed(|| {
            store.with_next(end);
            store.commit(batch).unwrap();
        }));
    }
    let floor = median(&mut bare);
    println!("{:<52} {:>9} {:>7}", "", "p50", "ratio");
    for (name, mut times) in [
        ("append and fdatasync", bare),
        ("commit of one record", commit),
        ("commit of two tables, with the end of the last one", with_end),
    ] {
        let time = median(&mut times);
        println!("{name:<52} {:>6} us {:>7.2}", time.as_micros(), time.as_secs_f64() / floor.as_secs_f64());
    }
}

/// Counts over a window in which every caller is there all the time.
fn many_callers(folder: &Path, callers: u64) {
    let store = open(folder, &format!("callers-{callers}"));
    let payload = "x".repeat(PAYLOAD);
    let ended = AtomicBool::new(false);
    std::thread::scope(|scope| {
        for caller in 0..callers {
            let (store, payload, ended) = (&store, &payload, &ended);
            scope.spawn(move || {
                for number in 0_u64.. {
                    if ended.load(Ordering::Relaxed) {
                        break;
                    }
                    let mut batch = Batch::new();
                    // A node's attachments come and go: the store does not grow for ever.
                    let key = format!("net-a/{caller:032x}{:032x}/net1", number % 16);
                    batch.put(Table::Attachments, &key, payload).unwrap();
                    store.commit(batch).unwrap();
                }
            });
        }
        let wait_for = |commits: u64| {
            while store.counts().commits < commits {
                std::thread::sleep(Duration::from_millis(1));
            }
            (store.counts(), Instant::now())
        };
        let (before, start) = wait_for(20);
        let (after, end) = wait_for(before.commits + WINDOW);
        ended.store(true, Ordering::Relaxed);
        let (calls, commits) = (after.waited - before.waited, after.commits - before.commits);
        println!(
            "{callers:>8} {calls:>8} {commits:>8} {:>14.1} {:>14.2} {:>10.0}",
            calls as f64 / commits as f64,
            (after.syncs - before.syncs) as f64 / commits as f64,
            calls as f64 / (end - start).as_secs_f64()
        );
    });
}

fn open(folder: &Path, name: &str) -> Store {
    let folder = folder.join(name);
    std::fs::create_dir(&folder).unwrap();
    let identity = Identity { machine: "bench".to_owned(), boot: "bench".to_owned() };
    Store::open(&folder, &identity).unwrap().0
}

fn timed(work: impl FnOnce()) -> Duration {
    let start = Instant::now();
    work();
    start.elapsed()
}

fn median(times: &mut [Duration]) -> Duration {
    times.sort_unstable();
    times[times.len() / 2]
}
