//! `deploy/` without a cluster: what its folders and its chart make, what OpenShift's admission would say, and the rules
//! that promtool runs.
//!
//! REQUIRES: `lab/deploy-tools` (x86_64).
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "test code outside of test functions"
)]

mod chart;
mod monitoring;
mod openshift;
mod rendered;
mod sriov_operator;
