//! From what a PF is to what it should be: which steps, what each disturbs, what cannot be and why. Pure.
//!
//! The kernel takes a new count only from 0, so every VF goes and comes back; the switch's mode is changed while there
//! are none, as drivers take the VFs down for it anyway. VFs for vfio are made while no driver grabs them.

mod problem;
mod step;

use hwprobe::Driver;

use crate::desired::{DesiredPf, EswitchMode, VfDriver, VfGroup};
use crate::manager::Manager;
use crate::pf::{ObservedPf, ObservedVf};

pub use problem::PlanProblem;
pub(crate) use problem::shared;
use problem::{external, impossible};
pub use step::{Action, Blocked, Disturbs, Step};

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

#[cfg(test)]
mod tests;
