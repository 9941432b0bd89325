//! The conformance table against Debian's `ipvlan`, which the host's kernel has no module for.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "test code outside of test functions; the table is what it prints"
)]

#[path = "conformance/runner/mod.rs"]
mod runner;

use runner::debian;
use runner::table::{Case, run_some};

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
