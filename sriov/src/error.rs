//! What can go wrong, gathered from the modules.

use crate::allocation::AllocationError;
use crate::count::WriteError;
use crate::driver::DriverError;
use crate::holders::{Holder, listed};
use crate::host_units::HostUnitError;
use crate::pf_lock::Changing;
use crate::plan::PlanProblem;
use crate::rdma::RdmaError;
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
    /// A file of a PF did not take what was written.
    #[error(transparent)]
    Write(#[from] WriteError),
    /// The files that keep network managers off VFs.
    #[error(transparent)]
    HostUnit(#[from] HostUnitError),
    /// There is no such PF.
    #[error("there is no PF {pf}: it was removed, or its driver is not loaded")]
    NoPf {
        /// The PF, by key.
        pf: String,
    },
    /// The PF has no such VF.
    #[error("{pf} has no VF {vf}, or its netdev is elsewhere: it was removed or taken meanwhile")]
    NoVf {
        /// The PF, by key.
        pf: String,
        /// Index of the VF.
        vf: u16,
    },
    /// Somebody would lose a VF.
    #[error("{pf}: nothing was changed, held by {}; end or drain those first", listed(holders))]
    Held {
        /// The PF, by key.
        pf: String,
        /// Who.
        holders: Vec<Holder>,
    },
    /// An earlier write hangs and keeps the kernel's one lock for PCI functions that come and go (a write
    /// of a count takes it in 6.18 and in later 6.12), so another one would hang, too.
    #[error("{pf}: nothing was changed, it would hang behind another change: {behind}")]
    Behind {
        /// The PF, by key.
        pf: String,
        /// What hangs.
        behind: Stuck,
    },
    /// What is wanted cannot be.
    #[error("{pf}: {problem}")]
    Plan {
        /// The PF, by key.
        pf: String,
        /// Why.
        problem: PlanProblem,
    },
    /// RDMA devices.
    #[error(transparent)]
    Rdma(#[from] RdmaError),
    /// The inventory cannot be read.
    #[error(transparent)]
    Probe(#[from] hwprobe::ProbeError),
    /// The kernel refused a change over netlink.
    #[error(transparent)]
    Netlink(#[from] netlink::Error),
}

impl SriovError {
    /// The whole story in one line: what was being done, and the system's own words.
    pub fn sentence(&self) -> String {
        datapath::sentence(self)
    }
}
