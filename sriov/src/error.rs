//! What can go wrong, gathered from the modules.

use crate::allocation::AllocationError;
use crate::driver::DriverError;
use crate::pf_lock::Changing;
use crate::stuck::Stuck;
use crate::vf::VfError;

/// Why a PF or VF was not changed. Every message names the function and, where there is one, the remedy.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SriovError {
    /// A driver was not bound or unbound.
    #[error(transparent)]
    Driver(#[from] DriverError),
    /// Somebody else works on the PF.
    #[error(transparent)]
    Changing(#[from] Changing),
    /// The kernel did not come back in time.
    #[error(transparent)]
    Stuck(#[from] Stuck),
    /// sriov-cni's files.
    #[error(transparent)]
    Allocation(#[from] AllocationError),
    /// A VF cannot be given or taken back.
    #[error(transparent)]
    Vf(#[from] VfError),
}
