//! PFs of real drivers: two igb NICs of the lab VM (7 VFs each) and netdevsim, with sysfs, `ip` and `devlink` as the
//! witnesses. Each test puts the PFs back.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "test code outside of test functions"
)]

#[path = "../pf_lab/mod.rs"]
mod pf_lab;

mod count;
mod drivers;
mod hanging;
mod holders;
mod left_alone;
mod switchdev;
