//! RDMA in the lab VM, over the kernel's software device on an igb VF. In a machine of its own: the kernel takes another
//! mode only while there is no second network namespace, whoever left it.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "test code outside of test functions"
)]

#[allow(dead_code, reason = "the tests of PFs ask for more")]
mod pf_lab;

use std::fs;
use std::os::fd::AsFd;
use std::process::Command;

use pf_lab::{Lab, Namespace, PF, netdev, run, vf, vfs, wait_until};
use sriov::Roots;
use sriov::rdma::{self, RdmaError, RdmaMode};

/// Puts the mode of RDMA back, and takes the device on the VF away.
struct Rdma;

impl Drop for Rdma {
    fn drop(&mut self) {
        let _ = Command::new("rdma").args(["link", "delete", "rxe0"]).status();
        let _ = Command::new("rdma").args(["system", "set", "netns", "shared"]).status();
    }
}

#[test]
#[ignore = "needs the lab VM"]
fn the_mode_of_rdma_is_read_set_and_refused_as_the_kernel_does() {
    let lab = Lab::new();
    assert!(lab.apply(PF, &vfs(1)).is_complete());
    let _back = Rdma;
    run(&format!("ip link set {0} up; rdma link add rxe0 type rxe netdev {0}", netdev(&vf(PF, 0))));
    let roots = Roots::default();
    let witness = || run("rdma system").split_whitespace().nth(1).unwrap().to_owned();
    let host = fs::File::open("/proc/self/ns/net").unwrap();
    let names = ["rxe0".to_owned()];

    assert_eq!(rdma::mode(&roots).unwrap(), Some(RdmaMode::Shared));
    assert!(!rdma::make_mode(&roots, RdmaMode::Shared).unwrap());
    {
        let pod = Namespace::new("mode");
        let there = fs::File::open(format!("/run/netns/{}", pod.0)).unwrap();
        let refused = rdma::make_mode(&roots, RdmaMode::Exclusive).unwrap_err();
        assert!(matches!(refused, RdmaError::Busy { .. }), "{refused}");
        assert_eq!(witness(), "shared");
        let moved = rdma::follow(&roots, &names, host.as_fd(), there.as_fd()).unwrap();
        assert!(moved.is_empty(), "in shared mode: {moved:?}");
    }
    // Namespaces go a little later than their names.
    wait_until("the mode is set", || rdma::make_mode(&roots, RdmaMode::Exclusive).is_ok());
    assert_eq!((rdma::mode(&roots).unwrap(), witness().as_str()), (Some(RdmaMode::Exclusive), "exclusive"));

    // The driver of the lab can do no more than be refused; the device stays.
    let pod = Namespace::new("mode");
    let there = fs::File::open(format!("/run/netns/{}", pod.0)).unwrap();
    let refused = rdma::follow(&roots, &names, host.as_fd(), there.as_fd()).unwrap_err();
    assert!(matches!(&refused, RdmaError::Fixed { device } if device == "rxe0"), "{refused}");
    assert!(run("rdma dev").contains("rxe0"));
    let other = ["mlx5_9".to_owned()];
    assert!(rdma::follow(&roots, &other, host.as_fd(), there.as_fd()).unwrap().is_empty());
}
