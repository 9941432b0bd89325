//! From what a PF is to what it should be: which steps, what each disturbs, what cannot be and why. Pure.
//!
//! The kernel takes a new count only from 0, so every VF goes and comes back; the switch's mode is changed while there
//! are none, as drivers take the VFs down for it anyway. VFs for vfio are made while no driver grabs them.

use std::fmt;

use hwprobe::{Driver, SriovZeroReason};

use crate::desired::{DesiredPf, EswitchMode, LinkType, VfDriver, VfGroup};
use crate::holders::{Holder, listed};
use crate::manager::Manager;
use crate::pf::{ObservedPf, ObservedVf};

/// How a PF becomes what it should be.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Plan {
    /// The PF, by key.
    pub pf: String,
    /// What is done, in this order.
    pub steps: Vec<Step>,
    /// What is not done while somebody holds what it would take away: a drain is needed.
    pub blocked: Vec<Blocked>,
    /// What cannot be, whoever holds what.
    pub problems: Vec<PlanProblem>,
    /// What of the policies was not taken, in words.
    pub notes: Vec<String>,
}

impl Plan {
    /// Whether the PF is what it should be: no drift.
    pub fn is_empty(&self) -> bool {
        self.steps.is_empty() && self.blocked.is_empty() && self.problems.is_empty()
    }

    /// Whether somebody must let go of VFs first.
    pub fn needs_drain(&self) -> bool {
        !self.blocked.is_empty()
    }
}

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

/// What cannot be.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PlanProblem {
    /// More VFs than there can be.
    #[error(
        "{wanted} VFs are wanted, {total} is the most; ask for fewer, or raise the number in the card's firmware"
    )]
    TooMany {
        /// VFs that are wanted.
        wanted: u16,
        /// `sriov_totalvfs`.
        total: u16,
    },
    /// There can be none.
    #[error("it can make no VFs: {0}")]
    None(&'static str),
    /// A group is for VFs that will not be.
    #[error("policy {policy} is for VFs {first} to {last}, there are {count}; end the range at {}", count.saturating_sub(1))]
    Range {
        /// The policy.
        policy: String,
        /// First VF.
        first: u16,
        /// Last VF.
        last: u16,
        /// VFs that are wanted.
        count: u16,
    },
    /// Vfio without an IOMMU.
    #[error(
        "{0} needs an IOMMU, and there is none: boot with intel_iommu=on or amd_iommu=on (and iommu=pt), and enable it in the firmware"
    )]
    NoIommu(String),
    /// A VF shares its IOMMU group with others.
    #[error("VF {vf} cannot be bound to {driver}: its IOMMU group {group} also has {}; use another slot, or a platform with ACS", mates.join(", "))]
    SharedGroup {
        /// Index of the VF.
        vf: u16,
        /// The driver.
        driver: String,
        /// The group.
        group: u32,
        /// Who else is in it.
        mates: Vec<String>,
    },
    /// The switch's mode does not go with the link type, or there is no switch.
    #[error("eswitch mode {wanted} cannot be: {reason}")]
    Eswitch {
        /// The mode.
        wanted: EswitchMode,
        /// Why.
        reason: &'static str,
    },
    /// The ports speak something else.
    #[error(
        "linkType {wanted} is wanted, its ports speak {is}; set LINK_TYPE in the card's firmware (mstconfig, ConnectX VPI \
         cards only) and restart the node, or select other PFs"
    )]
    LinkType {
        /// What it is.
        is: LinkType,
        /// What is wanted.
        wanted: LinkType,
    },
    /// The PF takes no such MTU.
    #[error("MTU {wanted} is wanted, {most} is the most that its driver takes")]
    Mtu {
        /// MTU that is wanted, bytes.
        wanted: u32,
        /// The most, bytes.
        most: u32,
    },
    /// The PF has no RDMA device.
    #[error("policy {0} wants RDMA, and the PF has no RDMA device; load its driver (mlx5_ib, irdma …)")]
    NoRdma(String),
    /// The PF carries the node.
    #[error(
        "{carries}, so its VFs are not changed: its link may drop; allow it for this PF (onUplink), or use another one"
    )]
    Uplink {
        /// What of the node it carries.
        carries: String,
    },
    /// VFs are being made or removed by somebody else.
    #[error(
        "somebody else is changing its number of VFs: {0} of them are half there; if that lasts, end whoever uses a VF (vfio), see `ps` for a write that hangs"
    )]
    InFlux(usize),
    /// The PF's netdev is not here.
    #[error("its netdev is in no namespace of this node: bring it back first")]
    PfAway,
    /// Somebody else manages the PF, and it is not as wanted.
    #[error("{what}; nothing is changed because {managed_by}")]
    External {
        /// What differs.
        what: String,
        /// Who manages it.
        managed_by: String,
    },
}

impl PlanProblem {
    /// Whether nothing is done because of it.
    pub fn stops(&self) -> bool {
        !matches!(self, Self::NoRdma(_) | Self::SharedGroup { .. })
    }
}

/// The plan for a PF. Who holds what is in `pf`.
pub fn plan(pf: &ObservedPf, desired: &DesiredPf) -> Plan {
    let plan = ours(pf, desired);
    match &pf.manager {
        Some(manager) => theirs(plan, manager),
        None => plan,
    }
}

/// What would be done, if the PF had no other manager: told, not done (TRAPS V5).
fn theirs(mut plan: Plan, manager: &Manager) -> Plan {
    let steps = plan.steps.drain(..).map(|step| step.action);
    let actions = steps.chain(plan.blocked.drain(..).map(|blocked| blocked.action));
    // Drivers are kept off only for the other steps.
    let told: Vec<String> = actions
        .filter(|action| !matches!(action, Action::SetAutoprobe(_)))
        .map(|action| action.to_string())
        .collect();
    if !told.is_empty() {
        let what = format!("it is not as wanted ({})", told.join(", "));
        plan.problems.push(PlanProblem::External { what, managed_by: manager.to_string() });
    }
    plan
}

/// The plan for a PF that nobody else manages, but perhaps one that the policies say so of.
fn ours(pf: &ObservedPf, desired: &DesiredPf) -> Plan {
    let mut plan = Plan { pf: pf.key.clone(), notes: desired.notes.clone(), ..Plan::default() };
    plan.problems = impossible(pf, desired);
    if let Some(managed_by) = &desired.managed_by {
        plan.problems.extend(external(pf, desired, managed_by));
        return plan;
    }
    if plan.problems.iter().any(PlanProblem::stops) {
        return plan;
    }
    let eswitch = desired.eswitch.filter(|mode| pf.eswitch.unwrap_or(EswitchMode::Legacy) != *mode);
    let reset = pf.enabled != desired.count || eswitch.is_some();
    let mut holders = pf.vf_holders();
    if eswitch.is_some() || pf.enabled > 0 {
        holders.extend(pf.holders.iter().cloned());
    }
    let kept = if reset && !holders.is_empty() {
        let action = eswitch
            .filter(|_| pf.enabled == desired.count)
            .map_or(Action::SetCount { from: pf.enabled, to: desired.count }, Action::SetEswitch);
        plan.blocked.push(Blocked { action, holders });
        true
    } else {
        !reset
    };
    if !kept && pf.enabled > 0 {
        plan.does(Action::SetCount { from: pf.enabled, to: 0 }, Disturbs::AllVfs);
    }
    if let Some(mode) = eswitch.filter(|_| !kept) {
        plan.does(Action::SetEswitch(mode), Disturbs::PfLink);
    }
    if desired.count > 0 && !pf.up && pf.ifindex.is_some() {
        plan.does(Action::BringUp, Disturbs::Nothing);
    }
    if let Some(mtu) = desired.mtu.filter(|mtu| pf.mtu.is_some_and(|is| is < *mtu)) {
        plan.does(Action::SetMtu(mtu), Disturbs::PfLink);
    }
    if kept {
        plan.repair(pf, desired)
    } else {
        plan.make(pf, desired)
    }
    let restored = plan.steps.iter().any(|step| step.action == Action::SetAutoprobe(true));
    if pf.autoprobe_owed && pf.autoprobe == Some(false) && !restored {
        plan.does(Action::SetAutoprobe(true), Disturbs::Nothing);
    }
    plan
}

impl Plan {
    fn does(&mut self, action: Action, disturbs: Disturbs) {
        self.steps.push(Step { action, disturbs });
    }

    /// VFs from none.
    fn make(&mut self, pf: &ObservedPf, desired: &DesiredPf) {
        if desired.count == 0 {
            return;
        }
        let group = |vf: &u16| group_of(desired, *vf);
        let named = |vf: &u16| group(vf).is_some_and(|group| group.driver != VfDriver::Own);
        let vfs = 0..desired.count;
        // A driver that grabs a VF first makes a netdev for a moment, which others may take.
        let quiet = vfs.clone().any(|vf| named(&vf));
        let off = pf.autoprobe == Some(false);
        // Who keeps drivers off all VFs may do so for those that no group is about.
        let own = |vf: &u16| !named(vf) && (!off || pf.autoprobe_owed || group(vf).is_some());
        let any_own = vfs.clone().any(|vf| own(&vf));
        if quiet && pf.autoprobe == Some(true) {
            self.does(Action::SetAutoprobe(false), Disturbs::Nothing);
        }
        if !quiet && off && any_own {
            self.does(Action::SetAutoprobe(true), Disturbs::Nothing);
        }
        self.does(Action::SetCount { from: 0, to: desired.count }, Disturbs::PfLink);
        for vf in vfs.clone().filter(named) {
            let driver = group(&vf).map(|group| group.driver.clone()).unwrap_or_default();
            self.does(Action::Bind { vf, driver }, Disturbs::Vf(vf));
        }
        if quiet && (pf.autoprobe == Some(true) || (off && any_own)) {
            self.does(Action::SetAutoprobe(true), Disturbs::Nothing);
            for vf in vfs.clone().filter(own) {
                self.does(Action::Bind { vf, driver: VfDriver::Own }, Disturbs::Vf(vf));
            }
        }
        for vf in vfs {
            if let Some(mtu) = group_of(desired, vf).and_then(netdev_mtu) {
                self.does(Action::SetVfMtu { vf, mtu }, Disturbs::Vf(vf));
            }
        }
    }

    /// VFs that stay: what of each differs.
    fn repair(&mut self, pf: &ObservedPf, desired: &DesiredPf) {
        let unbound = |vf: &&ObservedVf| {
            let own = group_of(desired, vf.index).is_some_and(|group| group.driver == VfDriver::Own);
            own && !is_bound(vf, &VfDriver::Own) && vf.holders.is_empty()
        };
        if pf.autoprobe == Some(false) && pf.vfs.iter().any(|vf| unbound(&vf)) {
            self.does(Action::SetAutoprobe(true), Disturbs::Nothing);
        }
        for vf in &pf.vfs {
            let Some(group) = group_of(desired, vf.index) else { continue };
            let mut actions = Vec::new();
            if !is_bound(vf, &group.driver) {
                if let Some(problem) = shared(vf, &group.driver) {
                    self.problems.push(problem);
                    continue;
                }
                actions.push(Action::Bind { vf: vf.index, driver: group.driver.clone() });
            }
            let mtu = netdev_mtu(group);
            // A VF that is not bound yet has no MTU, one in another namespace none that is seen.
            if let Some(mtu) =
                mtu.filter(|mtu| vf.mtu != Some(*mtu) && (vf.mtu.is_some() || !actions.is_empty()))
            {
                actions.push(Action::SetVfMtu { vf: vf.index, mtu });
            }
            for action in actions {
                if vf.holders.is_empty() {
                    self.does(action, Disturbs::Vf(vf.index));
                } else {
                    self.blocked.push(Blocked { action, holders: vf.holders.clone() });
                }
            }
        }
    }
}

/// The group that a VF is in.
pub(crate) fn group_of(desired: &DesiredPf, vf: u16) -> Option<&VfGroup> {
    desired.groups.iter().find(|group| group.range.contains(&vf))
}

fn netdev_mtu(group: &VfGroup) -> Option<u32> {
    group.mtu.filter(|_| group.driver == VfDriver::Own)
}

/// Whether a VF has the driver, and no reservation that does not go with it.
fn is_bound(vf: &ObservedVf, driver: &VfDriver) -> bool {
    // On a bus without drivers for VFs there is nothing to bind.
    if vf.pci.is_none() {
        return true;
    }
    match driver {
        VfDriver::Named(name) => vf.driver.as_ref() == Some(name),
        VfDriver::Own => {
            vf.driver.as_deref().is_some_and(|driver| !Driver::is_passthrough(driver))
                && vf.reserved.is_none()
        }
    }
}

/// A group is one owner's: what shares it with another function cannot be given away.
pub(crate) fn shared(vf: &ObservedVf, driver: &VfDriver) -> Option<PlanProblem> {
    let VfDriver::Named(name) = driver else { return None };
    if !Driver::is_vfio(name) {
        return None;
    }
    let Some(group) = vf.iommu_group else { return Some(PlanProblem::NoIommu(name.clone())) };
    let mates = vf.group_mates.clone();
    let problem = PlanProblem::SharedGroup { vf: vf.index, driver: name.clone(), group, mates };
    (!vf.group_mates.is_empty()).then_some(problem)
}

fn impossible(pf: &ObservedPf, desired: &DesiredPf) -> Vec<PlanProblem> {
    let mut problems = Vec::new();
    let changes = pf.enabled != desired.count
        || desired.mtu.is_some_and(|mtu| pf.mtu.is_some_and(|is| is < mtu))
        || desired.eswitch.is_some_and(|mode| pf.eswitch.unwrap_or(EswitchMode::Legacy) != mode);
    // The PF still counts them, and their functions are gone already, or not there yet.
    let half = pf.vfs.iter().filter(|vf| vf.pci.is_none() && pf.bus == "pci").count();
    if half > 0 {
        problems.push(PlanProblem::InFlux(half));
    }
    if desired.count > 0
        && let Some(reason) = none_because(pf.none_because)
    {
        problems.push(reason);
    } else if let Some(total) = pf.total.filter(|total| desired.count > *total) {
        problems.push(PlanProblem::TooMany { wanted: desired.count, total });
    }
    for group in &desired.groups {
        let (first, last) = (*group.range.start(), *group.range.end());
        if last >= desired.count {
            let policy = group.policy.clone();
            problems.push(PlanProblem::Range { policy, first, last, count: desired.count });
        }
        if let VfDriver::Named(name) = &group.driver
            && Driver::is_vfio(name)
            && pf.iommu_group.is_none()
            && pf.bus == "pci"
        {
            problems.push(PlanProblem::NoIommu(name.clone()));
        }
        if group.rdma && !pf.rdma {
            problems.push(PlanProblem::NoRdma(group.policy.clone()));
        }
    }
    if let Some(wanted) = desired.eswitch {
        let reason = match (wanted, pf.eswitch, pf.link_type) {
            (EswitchMode::Switchdev, _, LinkType::InfiniBand) => {
                Some("the port speaks InfiniBand; use legacy")
            }
            (EswitchMode::Switchdev, None, _) => {
                Some("its driver has no switch that devlink knows; leave eSwitchMode out or say legacy")
            }
            _ => None,
        };
        problems.extend(reason.map(|reason| PlanProblem::Eswitch { wanted, reason }));
    }
    if let Some(wanted) = desired.link_type.filter(|wanted| *wanted != pf.link_type) {
        problems.push(PlanProblem::LinkType { is: pf.link_type, wanted });
    }
    if let (Some(wanted), Some(most)) = (desired.mtu, pf.max_mtu)
        && wanted > most
    {
        problems.push(PlanProblem::Mtu { wanted, most });
    }
    if let Some(carries) = pf.protected.clone().filter(|_| changes && !desired.on_uplink) {
        problems.push(PlanProblem::Uplink { carries });
    }
    problems
}

fn none_because(reason: Option<SriovZeroReason>) -> Option<PlanProblem> {
    Some(match reason? {
        SriovZeroReason::FirmwareOff => PlanProblem::None(
            "its firmware allows none; raise the number with the vendor's tool (mstconfig, bnxtnvm …)",
        ),
        SriovZeroReason::DriverLacksSupport => {
            PlanProblem::None("its driver cannot make any; load another one")
        }
        SriovZeroReason::NoDriver => PlanProblem::None("no driver is bound to it; load its driver"),
        SriovZeroReason::PassedThrough => {
            PlanProblem::None("it is passed through to user space; bind it to its own driver")
        }
        SriovZeroReason::PfHeld => PlanProblem::PfAway,
        _ => return None,
    })
}

fn external(pf: &ObservedPf, desired: &DesiredPf, managed_by: &str) -> Vec<PlanProblem> {
    let mut differs = Vec::new();
    if pf.enabled < desired.count {
        differs.push(format!("{} VFs are wanted, {} are there", desired.count, pf.enabled));
    }
    if let (Some(wanted), Some(is)) = (desired.mtu, pf.mtu)
        && is < wanted
    {
        differs.push(format!("MTU {wanted} is wanted, {is} is set"));
    }
    if let (Some(wanted), Some(is)) = (desired.eswitch, pf.eswitch)
        && is != wanted
    {
        differs.push(format!("eswitch mode {wanted} is wanted, {is} is set"));
    }
    let problem = |what| PlanProblem::External { what, managed_by: managed_by.to_owned() };
    differs.into_iter().map(problem).collect()
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

#[cfg(test)]
mod tests;
