//! As `kills.rs`, with ipvlan, which the lab VM's kernel has (issue "Pods get NICs", "Done means").
//!
//! `MULTI_NIC_SOAK_CYCLES`, `MULTI_NIC_SOAK_KILLS` and `MULTI_NIC_SOAK_SEED` make it longer, or another one.

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

use harness::Lab;
use soak::{Size, networks, soak};

#[test]
#[ignore = "needs the lab VM"]
fn ipvlan_pods_outlive_a_kill_at_any_step() {
    let lab = Lab::new();
    networks::cables(&lab);
    soak(&lab, "ipvlan", Size { cycles: 500, kills: 15, width: 16, rest: 4, seed: 6 });
}
