//! The agent in a cluster: a real API server on this host, the agent on a private machine, with exactly the rights of
//! `deploy/`.
//!
//! REQUIRES: root, veth, macvlan; `lab/kube-up`, its folder in KUBE_DIR, and kubectl. The whole cluster is the tests': they
//! run one after the other (`cargo xtask test` does), and each begins by emptying it.
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
#[path = "../../../lab/kubectl.rs"]
mod kubectl;
#[path = "../../src/kubelet_api.rs"]
#[allow(dead_code, reason = "the agent and the other tests use the rest")]
mod kubelet_api;

mod adoption;
mod annotated;
mod cluster;
mod functions;
mod node;
mod runtime;
mod runtime_service;
mod serving;
mod tool;
mod vanishing;
