//! This machine's inventory agrees with `ip`, `ethtool`, `lspci` and `devlink`.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "test code outside of test functions"
)]

mod agreement;

use hwprobe::{Probe, ProbeSettings};

#[test]
fn every_nic_of_this_machine_agrees_with_the_tools() {
    let inventory = Probe::live(ProbeSettings::default()).unwrap().inventory();

    let (compared, differences) = agreement::compare(&inventory);

    assert_eq!(differences, Vec::<String>::new());
    assert!(compared["ip"] > 20, "{compared:?}");
    assert!(compared["ethtool"] > 10, "{compared:?}");
}
