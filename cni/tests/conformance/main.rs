//! The CNI conformance runner: case × version, against our plugins, Debian's and seeded mutants.
//!
//! As a test it runs like any other (`cargo nextest run -p cni --test conformance`). As a program it runs the
//! table against any plugin, in network namespaces of its own (needs root):
//!
//! ```text
//! conformance plugin EXECUTABLE CONFIG.json    the configuration may say {wire}, {folder}, {case}, {pool}
//! conformance toy [--ipam] [--flaw NAME]       is itself a plugin: a small correct one, wrong in one thing on demand
//! ```
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    clippy::print_stderr,
    unreachable_pub,
    reason = "test code outside of test functions; the table is what it prints"
)]

mod any;
mod mutant;
mod ours;
mod runner;

use std::sync::atomic::{AtomicUsize, Ordering};

use libtest_mimic::{Arguments, Failed, Trial};
use mutant::flaws::{FLAWS, Flaw};
use mutant::subject::toy;
use runner::bench::Bench;
use runner::subject::{Kind, Subject};
use runner::table::{Table, run, run_all};
use runner::{cases, debian};

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match arguments.first().map(String::as_str) {
        Some("toy") => std::process::exit(mutant::run(&arguments[1..])),
        Some("plugin") => std::process::exit(any::main(&arguments[1..])),
        _ => {}
    }
    let quarter = |number: usize| {
        let size = FLAWS.len().div_ceil(4);
        FLAWS.chunks(size).nth(number).unwrap_or_default()
    };
    let trials = vec![
        Trial::test("the_toy_is_green_everywhere", || toy_is_green(Kind::Main)),
        Trial::test("the_toy_is_green_everywhere_as_an_address_plugin", || toy_is_green(Kind::Ipam)),
        Trial::test("every_row_has_a_flaw", every_row_has_a_flaw),
        Trial::test("each_flaw_turns_its_row_red_1", move || flaws_are_seen(quarter(0))),
        Trial::test("each_flaw_turns_its_row_red_2", move || flaws_are_seen(quarter(1))),
        Trial::test("each_flaw_turns_its_row_red_3", move || flaws_are_seen(quarter(2))),
        Trial::test("each_flaw_turns_its_row_red_4", move || flaws_are_seen(quarter(3))),
        Trial::test("debian_macvlan_with_host_local", || shown(debian::macvlan, true)),
        Trial::test("debian_host_local", || shown(debian::host_local, false)),
        // The agent does not serve CNI yet.
        Trial::test("ours_multi_nic_with_the_agent", || ours(Kind::Main)).with_ignored_flag(true),
        Trial::test("ours_multi_nic_ipam_with_the_agent", || ours(Kind::Ipam)).with_ignored_flag(true),
    ];
    libtest_mimic::run(&Arguments::from_args(), trials).exit();
}

fn toy_is_green(kind: Kind) -> Result<(), Failed> {
    let table = run_all(|bench| toy(bench, kind, None))?;
    println!("{}", table.show(&format!("toy ({kind:?})")));
    all_green(&table)
}

fn ours(kind: Kind) -> Result<(), Failed> {
    let table = run_all(|bench| ours::subject(bench, kind))?;
    println!("{}", table.show(&format!("ours ({kind:?})")));
    all_green(&table)
}

fn all_green(table: &Table) -> Result<(), Failed> {
    let red = table.red();
    if red.is_empty() { Ok(()) } else { Err(format!("red rows: {red:#?}").into()) }
}

fn every_row_has_a_flaw() -> Result<(), Failed> {
    let unseen = |case: &&runner::table::Case| !FLAWS.iter().any(|flaw| flaw.row == case.name);
    let missing: Vec<_> = cases::all().filter(unseen).map(|case| case.name).collect();
    let odd = |flaw: &&Flaw| !cases::all().any(|case| case.name == flaw.row);
    let odd: Vec<_> = FLAWS.iter().filter(odd).map(|flaw| (flaw.name, flaw.row)).collect();
    if missing.is_empty() && odd.is_empty() {
        return Ok(());
    }
    Err(format!("rows without a flaw: {missing:#?}; flaws of no row: {odd:#?}").into())
}

/// Runs the whole table, in one version, against each flaw, several at a time: most of the time is the kernel's
/// waiting for links to end.
fn flaws_are_seen(flaws: &'static [Flaw]) -> Result<(), Failed> {
    let next = AtomicUsize::new(0);
    let wrong: Vec<String> = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..4)
            .map(|_| {
                scope.spawn(|| {
                    let mut wrong = Vec::new();
                    while let Some(flaw) = flaws.get(next.fetch_add(1, Ordering::Relaxed)) {
                        // A thread each: it moves into a host role.
                        let seen = std::thread::scope(|scope| {
                            scope.spawn(|| is_seen(flaw)).join().expect("the thread of a flaw")
                        });
                        wrong.extend(seen.err());
                    }
                    wrong
                })
            })
            .collect();
        threads.into_iter().flat_map(|thread| thread.join().expect("a thread of flaws")).collect()
    });
    println!("{} flaws, each seen by its row alone: {}", flaws.len(), flaws.len() - wrong.len());
    if wrong.is_empty() { Ok(()) } else { Err(wrong.join("\n").into()) }
}

fn is_seen(flaw: &Flaw) -> Result<(), String> {
    let column = run(flaw.version, |bench| toy(bench, flaw.kind, Some(flaw.name)))
        .map_err(|error| format!("{}: {error}", flaw.name))?;
    let table = Table { columns: vec![column] };
    if table.red_rows() == [flaw.row] {
        return Ok(());
    }
    Err(format!("{}: not exactly the row `{}`: {:#?}", flaw.name, flaw.row, table.red()))
}

/// Shows what others do; only rows that they are known to pass are asked for.
fn shown(make: fn(&Bench) -> Result<Subject, String>, main: bool) -> Result<(), Failed> {
    let table = run_all(make)?;
    println!("{}", table.show(if main { "Debian: macvlan with host-local" } else { "Debian: host-local" }));
    let green = table.green_rows();
    let wanted = debian::GREEN.iter().chain(debian::GREEN_MAIN.iter().filter(|_| main));
    let missing: Vec<_> = wanted.filter(|row| !green.contains(row)).collect();
    if missing.is_empty() { Ok(()) } else { Err(format!("rows known to pass do not: {missing:#?}").into()) }
}
