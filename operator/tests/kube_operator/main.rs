//! The operator against a real API server, with exactly the rights of `deploy/`.
//!
//! REQUIRES: `lab/kube-up`, its folder in KUBE_DIR and its kubeconfig in KUBECONFIG, and kubectl. The whole cluster is
//! the tests': they run one after the other (`cargo xtask test` does), and each begins by emptying it.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "test code outside of test functions"
)]

#[path = "../../../lab/kubectl.rs"]
mod kubectl;

mod cluster;
mod former;
mod functions;
mod leading;
mod networks;
mod quiet;
mod samples;
mod speed;
mod trouble;
mod walkthrough;
