//! Machines that were recorded, or made by hand after public documentation, and what the probe must find on
//! them.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "test code outside of test functions"
)]

mod collection;
mod escape;
mod facts;
mod masking;
mod mutations;
mod replay;
