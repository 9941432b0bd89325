//! The whole check against a real API server, with exactly the rights of `deploy/concheck`; the kubelets are played by the
//! test, which starts each container's real command in a network namespace with real links.
//!
//! REQUIRES: root, veth, bridge, nftables; `lab/kube-up`, its folder in KUBE_DIR, and kubectl. The whole cluster is the
//! tests': they run one after the other (`cargo xtask test` does), and each begins by emptying it.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a test may fail by panicking, in its helpers too"
)]

#[path = "../../../nodeagent/tests/harness/api_way.rs"]
#[allow(dead_code, reason = "the agent's tests use the rest")]
mod api_way;
#[path = "../../../lab/kubectl.rs"]
mod kubectl;
#[path = "../wiring/mod.rs"]
#[allow(dead_code, reason = "the other tests use the rest")]
mod wiring;

mod cluster;
mod early_ends;
mod kubelet;
mod results;
