//! The conformance table with ipvlan, which the host's kernel has no module for: ours, and Debian's.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    unreachable_pub,
    reason = "test code outside of test functions; the table is what it prints"
)]

#[path = "conformance/ours.rs"]
#[expect(dead_code, reason = "the host runs the others")]
mod ours;
#[path = "conformance/runner/mod.rs"]
mod runner;

use runner::debian;
use runner::subject::Kind;
use runner::table::{Case, run_some};

/// GC and STATUS are of 1.1.0; how versions differ is seen on the host.
#[test]
#[ignore = "needs the lab VM"]
fn ours_with_ipvlan_makes_links() {
    ours(|case| case.acts() && case.is_of_links());
}

#[test]
#[ignore = "needs the lab VM"]
fn ours_with_ipvlan_gives_and_takes_addresses() {
    ours(|case| case.acts() && !case.is_of_links());
}

fn ours(rows: fn(&Case) -> bool) {
    let table = run_some(&["1.1.0"], rows, ours::ipvlan).unwrap();
    println!("{}", table.show("ours: ipvlan"));

    assert_eq!(table.red(), []);
    // Those of versions before, and of what ipvlan does not have, say nothing.
    let asked = runner::cases::all().filter(|case| rows(case) && case.applies(Kind::Main, "1.1.0")).count();
    assert!(table.green_rows().len() + 2 >= asked, "{} of {asked} rows are green", table.green_rows().len());
}

#[test]
#[ignore = "needs the lab VM"]
fn debian_ipvlan_with_host_local_makes_links() {
    ipvlan(|case| case.acts() && case.is_of_links());
}

#[test]
#[ignore = "needs the lab VM"]
fn debian_ipvlan_with_host_local_gives_and_takes_addresses() {
    ipvlan(|case| case.acts() && !case.is_of_links());
}

/// The machine is emulated: one version, and no row about how input is read, which the host sees.
fn ipvlan(rows: fn(&Case) -> bool) {
    let table = run_some(&["1.0.0"], rows, debian::ipvlan).unwrap();
    println!("{}", table.show("Debian: ipvlan with host-local"));

    let green = table.green_rows();
    let asked = |row: &&&str| runner::cases::all().any(|case| case.name == **row && rows(case));
    let wanted = debian::GREEN.iter().chain(debian::GREEN_MAIN).filter(asked);
    let missing: Vec<_> = wanted.filter(|row| !green.contains(row)).collect();
    assert!(missing.is_empty(), "rows known to pass do not: {missing:#?}");
}
