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
use std::sync::Barrier;
use std::time::{Duration, Instant};

use store::{Batch, Identity, Store, Table};

/// Payload of one commit, bytes: about what an attachment of one NIC has.
const PAYLOAD: usize = 300;

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

fn many_callers(folder: &Path, callers: u64) {
    let each = (4096 / callers).clamp(16, 400);
    let store = open(folder, &format!("callers-{callers}"));
    let payload = "x".repeat(PAYLOAD);
    let together = Barrier::new(usize::try_from(callers).unwrap() + 1);
    let before = store.counts();
    let mut start = Instant::now();
    std::thread::scope(|scope| {
        for caller in 0..callers {
            let (store, payload, together) = (&store, &payload, &together);
            scope.spawn(move || {
                together.wait();
                for number in 0..each {
                    let mut batch = Batch::new();
                    let key = format!("net-a/{caller:032x}{number:032x}/net1");
                    batch.put(Table::Attachments, &key, payload).unwrap();
                    store.commit(batch).unwrap();
                }
            });
        }
        together.wait();
        start = Instant::now();
    });
    let took = start.elapsed().as_secs_f64();
    let after = store.counts();
    let (calls, commits) = (after.waited - before.waited, after.commits - before.commits);
    let per_commit = calls as f64 / commits as f64;
    println!(
        "{callers:>8} {calls:>8} {commits:>8} {per_commit:>14.1} {:>14.2} {:>10.0}",
        (after.syncs - before.syncs) as f64 / commits as f64,
        calls as f64 / took
    );
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
