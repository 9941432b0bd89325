//! Seven VFs from none: until the kernel has made the last netdev, and until we say that all are ready.

use std::time::Instant;

use anyhow::{Result, ensure};
use sriov::{Deadlines, DesiredPf, NoClaims, PfControl, PfLocks, Roots, Works};

use super::{PF, compare, ip, netdev, vf, wait, write};

const VFS: u16 = 7;

/// By hand: one write, and a look at each VF's folder. Ours: observe, plan, the write, each VF looked at.
pub(super) fn measure(turns: usize) -> Result<()> {
    let name = wait("the PF's netdev", || netdev(PF))?;
    ip(&format!("link set {name} up"))?;
    let control = PfControl::new(Roots::default(), Works::new(), PfLocks::new(), Deadlines::default());
    let (mut by_hand, mut ours) = (Vec::new(), Vec::new());
    for turn in 0..=turns {
        let begun = Instant::now();
        write(PF, "sriov_numvfs", &VFS.to_string())?;
        let there = || (0..VFS).all(|index| vf(index).and_then(|pci| netdev(&pci)).is_some()).then_some(());
        wait("the last netdev", there)?;
        let took = begun.elapsed();
        write(PF, "sriov_numvfs", "0")?;

        let wanted = DesiredPf { count: VFS, ..DesiredPf::default() };
        let begun = Instant::now();
        let applied = control.apply(PF, &wanted, &NoClaims)?;
        let ours_took = begun.elapsed();
        ensure!(applied.is_complete(), "not all VFs were made: {applied:?}");
        control.apply(PF, &DesiredPf::default(), &NoClaims)?;
        if turn > 0 {
            by_hand.push(took);
            ours.push(ours_took);
        }
    }
    compare(
        "7 VFs from none, all netdevs there (goal: × 1.10)",
        &[("by hand: one write, and looking", by_hand), ("ours: look, plan, write, all ready", ours)],
    );
    Ok(())
}
