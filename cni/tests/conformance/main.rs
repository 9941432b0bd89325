//! The CNI conformance runner: case × version, against our plugins, Debian's and seeded mutants.
//!
//! As a test it runs like any other (`cargo nextest run -p cni --test conformance`). As a program it runs the
//! table against any plugin, in network namespaces of its own (needs root):
//!
//! ```text
//! conformance flaws [NAME...]                  runs each flaw alone: the long form of what the test does in groups
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
#[allow(dead_code, reason = "ipvlan is for the lab")]
mod ours;
mod runner;

use libtest_mimic::{Arguments, Failed, Trial};
use mutant::proof;
use mutant::subject::toy;
use runner::bench::Bench;
use runner::debian;
use runner::subject::{Kind, Subject};
use runner::table::{Table, run_all};

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match arguments.first().map(String::as_str) {
        Some("toy") => std::process::exit(mutant::run(&arguments[1..])),
        Some("plugin") => std::process::exit(any::main(&arguments[1..])),
        Some("flaws") => {
            let proved = proof::prove(&proof::alone(&arguments[1..]));
            std::process::exit(proved.map_err(|words| println!("{words}")).map_or(1, |()| 0));
        }
        _ => {}
    }
    let mut trials = vec![
        Trial::test("the_toy_is_green_everywhere", || toy_is_green(Kind::Main)),
        Trial::test("the_toy_is_green_everywhere_as_an_address_plugin", || toy_is_green(Kind::Ipam)),
        Trial::test("every_row_has_a_flaw", || Ok(proof::is_whole()?)),
        Trial::test("debian_macvlan_with_host_local", || shown(debian::macvlan, true)),
        Trial::test("debian_host_local", || shown(debian::host_local, false)),
        Trial::test("ours_multi_nic_with_the_agent", || ours(ours::macvlan)),
        Trial::test("ours_multi_nic_ipam_with_the_agent", || ours(ours::ipam)),
    ];
    trials.extend((0..proof::PARTS).map(|part| {
        Trial::test(format!("flaws_turn_their_rows_red_and_no_others_{part}"), move || flaws(part))
    }));
    libtest_mimic::run(&Arguments::from_args(), trials).exit();
}

fn flaws(part: usize) -> Result<(), Failed> {
    Ok(proof::prove(&proof::groups()[part])?)
}

fn toy_is_green(kind: Kind) -> Result<(), Failed> {
    let table = run_all(|bench| toy(bench, kind, &[]))?;
    println!("{}", table.show(&format!("toy ({kind:?})")));
    all_green(&table)
}

fn ours(make: fn(&Bench) -> Result<Subject, String>) -> Result<(), Failed> {
    let table = run_all(make)?;
    println!("{}", table.show("ours"));
    all_green(&table)
}

fn all_green(table: &Table) -> Result<(), Failed> {
    let red = table.red();
    if red.is_empty() { Ok(()) } else { Err(format!("red rows: {red:#?}").into()) }
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
