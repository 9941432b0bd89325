//! The device plugin of a real agent, with a kubelet's side in this process: gRPC servers on Unix sockets in a folder of
//! the test. The devices are shares of veth links, so that what changes is the kernel's. REQUIRES: root, veth.

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
#[path = "../../src/kubelet_api.rs"]
mod kubelet_api;

mod asking;
mod kubelet;
mod listing;
mod registering;
mod rivals;
mod showing;

use harness::Lab;
use kubelet::Kubelet;

/// The pool of the tests.
pub(crate) const RESOURCE: &str = "multinic.fms.io/shares";

/// Name of its socket.
pub(crate) const SOCKET: &str = "multinic.fms.io_shares.sock";

/// A machine with two links to share, whose agent is told of the pool.
pub(crate) fn machine() -> (Lab, Kubelet) {
    let lab = Lab::new();
    for number in 0..2 {
        add_link(&lab, number);
    }
    let folder = lab.path("kubelet");
    lab.configure(&format!(
        "
included: [m0, m1]
devicePlugin:
  enabled: true
  kubeletDir: {}
  deviceInfoDir: {}
  unhealthyAfter: 1
  healthyAfter: 1
  pools: [{{ name: shares, kind: nic, count: 2, selectors: {{ pfNames: [m0, m1] }} }}]
",
        folder.display(),
        lab.path("devinfo").display()
    ));
    let kubelet = Kubelet::new(folder);
    (lab, kubelet)
}

/// Makes link `m<number>` with its carrier.
pub(crate) fn add_link(lab: &Lab, number: u32) {
    lab.ip(&format!("link add m{number} type veth peer name w{number}"));
    lab.ip(&format!("link set w{number} up"));
    lab.ip(&format!("link set m{number} up"));
}
