//! The conformance table against Debian's `ipvlan`, which the host's kernel has no module for.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "test code outside of test functions"
)]

#[path = "conformance/runner/mod.rs"]
mod runner;

use runner::debian;

#[test]
#[ignore = "needs the lab VM"]
fn debian_ipvlan_with_host_local_passes_what_it_is_known_to_pass() {
    // The machine is emulated: the two versions that differ most.
    let table = runner::table::run_some(&["0.4.0", "1.0.0"], debian::ipvlan).unwrap();
    println!("{}", table.show("Debian: ipvlan with host-local"));

    let green = table.green_rows();
    let missing: Vec<_> =
        debian::GREEN.iter().chain(debian::GREEN_MAIN).filter(|row| !green.contains(row)).collect();
    assert!(missing.is_empty(), "rows known to pass do not: {missing:#?}");
}
