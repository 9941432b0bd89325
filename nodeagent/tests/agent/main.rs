//! The agent as a process on a private machine. REQUIRES: root, veth, macvlan.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a test may fail by panicking, in its helpers too"
)]

#[path = "../harness/mod.rs"]
mod harness;

mod agreeing;
mod client;
mod event_stream;
mod legacy_api;
mod limits;
mod link_events;
mod peers;
mod pfs;
mod pods;
mod process;
mod standalone;
mod tool;
