//! The steps of a plan, and what each disturbs, in types and in words.

use std::fmt;

use crate::desired::{EswitchMode, VfDriver};
use crate::holders::{Holder, listed};

/// One step, and what it disturbs.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Step {
    /// What is done.
    pub action: Action,
    /// What else notices.
    pub disturbs: Disturbs,
}

/// What is done in a step.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Action {
    /// So many VFs (`sriov_numvfs`); one of both is 0.
    SetCount {
        /// VFs before.
        from: u16,
        /// VFs afterwards.
        to: u16,
    },
    /// Whether drivers take new VFs by themselves (`sriov_drivers_autoprobe`).
    SetAutoprobe(bool),
    /// Who programs the embedded switch.
    SetEswitch(EswitchMode),
    /// The PF's netdev is brought up: VFs have no carrier otherwise.
    BringUp,
    /// MTU of the PF's netdev, bytes.
    SetMtu(u32),
    /// MTU of a VF's netdev, bytes.
    SetVfMtu {
        /// Index of the VF.
        vf: u16,
        /// MTU.
        mtu: u32,
    },
    /// A VF is bound to a driver.
    Bind {
        /// Index of the VF.
        vf: u16,
        /// The driver.
        driver: VfDriver,
    },
}

/// What a step disturbs beside what it changes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Disturbs {
    /// Nothing.
    Nothing,
    /// This one VF, which nobody holds.
    Vf(u16),
    /// The PF's link may drop for seconds: many drivers reset the adapter.
    PfLink,
    /// All VFs of the PF go away, and its link may drop.
    AllVfs,
}

/// Steps that somebody is in the way of.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Blocked {
    /// What would be done.
    pub action: Action,
    /// Who would lose a VF.
    pub holders: Vec<Holder>,
}

impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::SetCount { from, to } => write!(f, "set the number of VFs from {from} to {to}"),
            Self::SetAutoprobe(true) => f.write_str("let drivers take new VFs"),
            Self::SetAutoprobe(false) => f.write_str("keep drivers off new VFs"),
            Self::SetEswitch(mode) => write!(f, "set the eswitch to {mode}"),
            Self::BringUp => f.write_str("bring the PF up"),
            Self::SetMtu(mtu) => write!(f, "set the PF's MTU to {mtu}"),
            Self::SetVfMtu { vf, mtu } => write!(f, "set the MTU of VF {vf} to {mtu}"),
            Self::Bind { vf, driver } => write!(f, "bind VF {vf} to {driver}"),
        }
    }
}

impl fmt::Display for Disturbs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Nothing => f.write_str("disturbs nothing"),
            Self::Vf(vf) => write!(f, "disturbs VF {vf}, which nobody holds"),
            Self::PfLink => f.write_str("the PF's link may drop for seconds"),
            Self::AllVfs => f.write_str("all VFs go away"),
        }
    }
}

impl fmt::Display for Blocked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "cannot {}: held by {}", self.action, listed(&self.holders))
    }
}
