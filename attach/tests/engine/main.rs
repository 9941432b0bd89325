//! The engine on the running kernel: ADD, DEL, CHECK, GC, STATUS, and what a crash leaves.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "test code outside of test functions"
)]

#[allow(dead_code, reason = "the lab VM's tests use the rest")]
#[path = "../harness/mod.rs"]
mod harness;

mod adding;
mod chained;
mod keeping;
mod leasing;
mod link_first;
mod plugins;
mod promising;
mod repairing;
mod wire;
