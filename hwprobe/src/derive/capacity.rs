//! What a PF can still give.

use super::held::enslaving_master;
use crate::model::{Driver, HeldBy, Nic, SriovCapacity, SriovZeroReason};

/// Counts held and free VFs and says why there is nothing to give. `failed_driver`: the PF's driver has no
/// `sriov_configure`, as far as the kernel lets us see.
pub(crate) fn capacity(pf: &Nic) -> Option<SriovCapacity> {
    let sriov = pf.sriov.as_ref()?;
    let mut capacity = sriov.capacity.clone();
    let held = sriov.vfs.iter().filter(|vf| vf.held.is_some()).count();
    capacity.held = u16::try_from(held).unwrap_or(u16::MAX);
    capacity.free = capacity.enabled.saturating_sub(capacity.held);
    let obstacle = obstacle(pf);
    capacity.creatable = match obstacle {
        Some(_) => 0,
        None => capacity.total.saturating_sub(capacity.enabled),
    };
    capacity.reason = match obstacle {
        _ if capacity.free > 0 || capacity.creatable > 0 => None,
        _ if capacity.total == 0 => Some(SriovZeroReason::FirmwareOff),
        Some(reason) => Some(reason),
        None => Some(SriovZeroReason::AllHeld),
    };
    Some(capacity)
}

/// Why no further VF can be made.
fn obstacle(pf: &Nic) -> Option<SriovZeroReason> {
    match pf.driver.as_ref().map(|driver| driver.name.as_str()) {
        None => return Some(SriovZeroReason::NoDriver),
        Some(driver) if Driver::is_passthrough(driver) => return Some(SriovZeroReason::PassedThrough),
        Some(driver) if lacks_sriov(driver) => return Some(SriovZeroReason::DriverLacksSupport),
        Some(_) => {}
    }
    let holder = pf.held.as_ref().map(|held| held.by);
    if let Some(HeldBy::Namespace | HeldBy::Vfio | HeldBy::VfioUnknown) = holder {
        return Some(SriovZeroReason::PfHeld);
    }
    enslaving_master(pf).map(|_| SriovZeroReason::Enslaved)
}

/// Drivers without `sriov_configure` (`drivers/pci/iov.c` of kernel 6.12): writing `sriov_numvfs` answers
/// ENOENT. No file says so before one writes, so the drivers are listed; `mlx4_core` makes its VFs by a
/// module parameter only, the others make none.
fn lacks_sriov(driver: &str) -> bool {
    matches!(driver, "e1000e" | "enic" | "igc" | "mlx4_core" | "r8169" | "tg3" | "vmxnet3")
}
