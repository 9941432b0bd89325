//! The measuring half on real wires: hosts are network namespaces with two NICs each, on a bridge each.
//!
//! REQUIRES: root, veth, bridge, nftables, iperf3.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stderr,
    reason = "a test may fail by panicking, in its helpers too"
)]

#[path = "../wiring/mod.rs"]
mod wiring;

mod failures;
mod figures;
mod strangers;
