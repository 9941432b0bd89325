//! Decides what is done to which PF, and when. Pure: time, inventory and outcomes come in, orders go out.
//!
//! ```text
//! wanted anew ─► apply at once ─► right: look again when the inventory has followed ─► in place
//!                   ▲   └─ not right: 2 s, 4 s … 300 s ─┘                                  │
//!                   └──────────── drift that lasts a second ◄──────────────────────────────┘
//! ```
//! A PF is changed at its first look in each run, even when all seems right: the files that keep network managers off
//! its VFs are gone after a reboot.

use std::collections::BTreeMap;
use std::time::{Duration, Instant, SystemTime};

use openapi::PfState;
use sriov::{Applied, DesiredPf, HolderKind, ObservedPf, Plan, PlanProblem, SriovError, VfOutcome, plan};

use super::wish::Wish;

/// How long a difference must last before something is done: VFs that pods get and give back differ for a moment, and
/// the inventory follows a change a little later.
const DRIFT: Duration = Duration::from_secs(1);

/// How long the inventory may take to follow a change: it is read while VFs come and go.
const FOLLOW: Duration = Duration::from_secs(15);

/// First pause after a change that went wrong; each further one is twice as long.
const FIRST_PAUSE: Duration = Duration::from_secs(2);

/// Longest pause.
const LONGEST_PAUSE: Duration = Duration::from_secs(300);

/// How often a PF is looked at that somebody is in the way of: what kept it may end without a notification.
const HELD: Duration = Duration::from_secs(10);

/// All PFs that something is wanted of.
#[derive(Debug, Default)]
pub(crate) struct Keeper {
    pfs: BTreeMap<String, Kept>,
    /// Since when nothing is wanted of the others.
    unmanaged: BTreeMap<String, SystemTime>,
}

/// A PF that something is wanted of.
#[derive(Debug, Clone)]
struct Kept {
    wish: Wish,
    state: PfState,
    since: SystemTime,
    /// It was not changed in this run since it is wanted so.
    first: bool,
    running: bool,
    /// It has just been changed, and until then the inventory may not show that.
    fresh: Option<Instant>,
    /// When to do something, or to look.
    due: Option<Instant>,
    failures: u32,
    trouble: Option<Trouble>,
    vfs: Vec<VfOutcome>,
    notes: Vec<String>,
}

/// What went wrong when a PF was changed last.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Trouble {
    state: PfState,
    error: String,
    /// As the kernel was found then, which the inventory may not know of: a vfio group that is open.
    plan: Option<Plan>,
}

/// A PF as it stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Status {
    pub(crate) pf: ObservedPf,
    pub(crate) wish: Option<Wish>,
    /// Empty when nothing is wanted.
    pub(crate) plan: Plan,
    pub(crate) state: PfState,
    pub(crate) since: SystemTime,
    pub(crate) error: Option<String>,
    pub(crate) failures: u32,
    /// When it is tried again after something went wrong.
    pub(crate) next: Option<SystemTime>,
    /// What became of VFs when they were made or changed last.
    pub(crate) vfs: Vec<VfOutcome>,
}

/// What a look leads to.
#[derive(Debug, Default)]
pub(crate) struct Look {
    /// Every PF, in the order of the inventory.
    pub(crate) pfs: Vec<Status>,
    /// PFs to be changed now.
    pub(crate) start: Vec<(String, DesiredPf)>,
    /// When to look again if nothing happens.
    pub(crate) due: Option<Instant>,
}

/// How a change ended.
pub(crate) type Outcome = Result<Applied, SriovError>;

impl Keeper {
    /// Looks at all PFs as the inventory has them, with what is claimed, and what is wanted of each.
    pub(crate) fn look(
        &mut self,
        pfs: Vec<(ObservedPf, Option<Wish>)>,
        now: Instant,
        clock: SystemTime,
    ) -> Look {
        let mut look = Look::default();
        let there = |key: &String| pfs.iter().any(|(pf, wish)| pf.key == *key && wish.is_some());
        // Who comes back is somebody else.
        self.pfs.retain(|key, kept| kept.running || there(key));
        for (pf, wish) in pfs {
            let Some(wish) = wish else {
                let since = *self.unmanaged.entry(pf.key.clone()).or_insert(clock);
                look.pfs.push(unmanaged(pf, since));
                continue;
            };
            self.unmanaged.remove(&pf.key);
            let kept = self.pfs.entry(pf.key.clone()).or_insert_with(|| Kept::new(wish.clone(), now, clock));
            if kept.wish.desired != wish.desired {
                *kept = Kept { running: kept.running, ..Kept::new(wish.clone(), now, clock) };
            }
            kept.wish = wish;
            let plan = plan(&pf, &kept.wish.desired);
            let half = pf.vf_holders().iter().any(|holder| holder.by == HolderKind::Unknown);
            if kept.see(&plan, half, now, clock) {
                kept.running = true;
                look.start.push((pf.key.clone(), kept.wish.desired.clone()));
            }
            look.due = look.due.into_iter().chain(kept.due).min();
            look.pfs.push(kept.status(pf, plan, now, clock));
        }
        look
    }

    /// Takes in how a change to `desired` ended that a look had begun.
    pub(crate) fn done(&mut self, key: &str, desired: &DesiredPf, outcome: &Outcome, now: Instant) {
        let Some(kept) = self.pfs.get_mut(key) else { return };
        kept.running = false;
        if kept.wish.desired != *desired {
            // Something else is wanted meanwhile.
            kept.due = Some(now);
            return;
        }
        kept.first = false;
        kept.trouble = match outcome {
            Ok(applied) => {
                kept.vfs.clone_from(&applied.vfs);
                kept.notes.clone_from(&applied.notes);
                trouble(applied)
            }
            Err(error) => Some(Trouble { state: PfState::Failed, error: error.sentence(), plan: None }),
        };
        if kept.trouble.is_some() {
            (kept.due, kept.fresh) = (Some(now + pause(kept.failures)), None);
            kept.failures = kept.failures.saturating_add(1);
        } else {
            // The inventory follows.
            (kept.due, kept.failures, kept.fresh) = (Some(now + DRIFT), 0, Some(now + FOLLOW));
        }
    }

    /// Whether every PF that something is wanted of has been changed once, as far as it could be.
    pub(crate) fn is_settled(&self) -> bool {
        self.pfs.values().all(|kept| kept.state != PfState::Applying)
    }
}

impl Kept {
    fn new(wish: Wish, now: Instant, clock: SystemTime) -> Self {
        Self {
            wish,
            state: PfState::Applying,
            since: clock,
            first: true,
            running: false,
            fresh: None,
            due: Some(now),
            failures: 0,
            trouble: None,
            vfs: Vec::new(),
            notes: Vec::new(),
        }
    }

    /// Takes in what differs; whether the PF is to be changed now. `half`: of a VF nobody can tell whether it is held, as of
    /// one that is just being made.
    fn see(&mut self, plan: &Plan, half: bool, now: Instant, clock: SystemTime) -> bool {
        let due = self.due.is_some_and(|due| due <= now);
        let mut start = false;
        self.fresh = self.fresh.filter(|until| *until > now && !self.running);
        let in_flux = plan.problems.iter().any(|problem| matches!(problem, PlanProblem::InFlux(_)));
        let unread = half || in_flux || (plan.steps.is_empty() && !plan.is_empty());
        let state = if self.running {
            self.due = None;
            PfState::Applying
        } else if let Some(until) = self.fresh.filter(|_| unread) {
            self.due = Some(until);
            PfState::Applying
        } else if plan.problems.iter().any(PlanProblem::stops) {
            // What the inventory protects must not be touched, whatever a look without it would say.
            (self.due, self.trouble) = (None, None);
            PfState::Refused
        } else if self.first || (!plan.steps.is_empty() && due) {
            start = true;
            self.due = None;
            PfState::Applying
        } else if plan.is_empty() {
            match &self.trouble {
                // What the inventory does not show is tried again.
                Some(trouble) if !due => trouble.state,
                Some(_) => {
                    start = true;
                    self.due = None;
                    PfState::Applying
                }
                None => {
                    (self.due, self.failures) = (None, 0);
                    PfState::InPlace
                }
            }
        } else if !plan.steps.is_empty() {
            self.due = self.due.or(Some(now + DRIFT));
            match &self.trouble {
                Some(trouble) => trouble.state,
                // Nothing is done before it has lasted: a pod may just get a VF.
                None if self.state == PfState::InPlace => PfState::InPlace,
                None => PfState::Applying,
            }
        } else if plan.needs_drain() {
            (self.due, self.trouble) = (Some(now + HELD), None);
            PfState::Held
        } else {
            (self.due, self.trouble) = (None, None);
            PfState::Refused
        };
        if state != self.state {
            (self.state, self.since) = (state, clock);
        }
        start
    }

    fn status(&self, pf: ObservedPf, plan: Plan, now: Instant, clock: SystemTime) -> Status {
        let trouble = self.trouble.as_ref().filter(|_| self.state != PfState::InPlace);
        let mut shown = trouble.and_then(|trouble| trouble.plan.clone()).unwrap_or(plan);
        for note in &self.notes {
            if !shown.notes.contains(note) {
                shown.notes.push(note.clone());
            }
        }
        Status {
            pf,
            wish: Some(self.wish.clone()),
            plan: shown,
            state: self.state,
            since: self.since,
            error: trouble.map(|trouble| trouble.error.clone()),
            failures: self.failures,
            next: trouble.and(self.due).map(|due| clock + due.saturating_duration_since(now)),
            vfs: self.vfs.clone(),
        }
    }
}

/// A PF that nobody wants anything of.
pub(crate) fn unmanaged(pf: ObservedPf, since: SystemTime) -> Status {
    Status {
        wish: None,
        plan: Plan::default(),
        state: PfState::Unmanaged,
        since,
        error: None,
        failures: 0,
        next: None,
        vfs: Vec::new(),
        pf,
    }
}

fn pause(failures: u32) -> Duration {
    FIRST_PAUSE.saturating_mul(1_u32.checked_shl(failures).unwrap_or(u32::MAX)).min(LONGEST_PAUSE)
}

/// What kept a PF from being what it should be; absent when it is.
fn trouble(applied: &Applied) -> Option<Trouble> {
    if applied.is_complete() {
        return None;
    }
    let plan = Some(applied.plan.clone());
    if let Some((action, error)) = &applied.failed {
        let held = matches!(error, SriovError::Held { .. });
        let state = if held { PfState::Held } else { PfState::Failed };
        return Some(Trouble { state, error: format!("{action}: {}", error.sentence()), plan: None });
    }
    let vfs = applied.vfs.iter().filter_map(|vf| Some((vf.index, vf.trouble.as_ref()?)));
    let vfs: Vec<String> = vfs.map(|(index, trouble)| format!("VF {index}: {trouble}")).collect();
    if !vfs.is_empty() {
        return Some(Trouble { state: PfState::Failed, error: vfs.join("; "), plan: None });
    }
    if let Some(blocked) = applied.plan.blocked.first() {
        return Some(Trouble { state: PfState::Held, error: blocked.to_string(), plan });
    }
    let problems: Vec<String> = applied.plan.problems.iter().map(ToString::to_string).collect();
    Some(Trouble { state: PfState::Refused, error: problems.join("; "), plan })
}

#[cfg(test)]
mod tests;
