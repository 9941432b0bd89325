//! Makes PFs what they should be: one PF at a time and each for itself, the holders asked again just before every write
//! that would hurt them, whatever the kernel may hang in on a thread of its own.

use std::time::{Duration, Instant};

use netlink::devlink::{self, DeviceHandle};
use netlink::route::{LinkSettings, set_link};
use netlink::{Family, Socket};

use crate::count::{self, Expected, VfOutcome, VfTrouble};
use crate::desired::{DesiredPf, EswitchMode, VfDriver};
use crate::driver::Binder;
use crate::holders::{self, Claims, Holder};
use crate::pf::{self, ObservedPf};
use crate::plan::{Action, Disturbs, Plan, PlanProblem, plan, shared};
use crate::{PfChange, PfLocks, Roots, SriovError, Stuck, Works, host_units};

/// How long things may take. The defaults are generous: firmware is slow, and a deadline that is missed stops a PF.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Deadlines {
    /// For who gives or takes back a VF before a change begins.
    pub lock: Duration,
    /// For a write to `sriov_numvfs`, and for each VF on top of it.
    pub count: Duration,
    /// For each VF to be made or removed, on top of `count`.
    pub count_per_vf: Duration,
    /// For each VF to have its driver, its netdev, and udev's blessing.
    pub vf_ready: Duration,
    /// For a driver to take or let go of a VF.
    pub bind: Duration,
    /// For the embedded switch.
    pub eswitch: Duration,
    /// For a change of a netdev.
    pub link: Duration,
}

impl Default for Deadlines {
    fn default() -> Self {
        let seconds = Duration::from_secs;
        Self {
            lock: seconds(30),
            count: seconds(30),
            count_per_vf: seconds(2),
            vf_ready: seconds(20),
            bind: seconds(30),
            eswitch: seconds(120),
            link: seconds(30),
        }
    }
}

/// Looks at PFs and changes them.
#[derive(Debug, Clone)]
pub struct PfControl {
    roots: Roots,
    works: Works,
    locks: PfLocks,
    deadlines: Deadlines,
}

/// What became of a PF.
#[derive(Debug)]
#[non_exhaustive]
pub struct Applied {
    /// The PF.
    pub pf: String,
    /// What was to be done.
    pub plan: Plan,
    /// What was done.
    pub done: Vec<Action>,
    /// The step that stopped the others, and why. Steps for single VFs stop nobody: see `vfs`.
    pub failed: Option<(Action, SriovError)>,
    /// The VFs that were made or changed, by index.
    pub vfs: Vec<VfOutcome>,
    /// What people should know, in words.
    pub notes: Vec<String>,
}

impl Applied {
    /// A PF that was to be left as it was.
    pub fn nothing(pf: impl Into<String>) -> Self {
        Self {
            pf: pf.into(),
            plan: Plan::default(),
            done: Vec::new(),
            failed: None,
            vfs: Vec::new(),
            notes: Vec::new(),
        }
    }

    /// Whether the PF is now what it should be.
    pub fn is_complete(&self) -> bool {
        self.failed.is_none()
            && self.plan.blocked.is_empty()
            && self.plan.problems.is_empty()
            && self.vfs.iter().all(|vf| vf.trouble.is_none())
    }
}

/// An observation that is younger than this needs no second look.
const FRESH: Duration = Duration::from_millis(100);

impl PfControl {
    /// Works below `roots`; what hangs is in `works`, what is busy in `locks`.
    pub fn new(roots: Roots, works: Works, locks: PfLocks, deadlines: Deadlines) -> Self {
        Self { roots, works, locks, deadlines }
    }

    /// Every PF as it is now, with what is claimed.
    ///
    /// # Errors
    /// When the kernel cannot be asked.
    pub fn observe(&self, claims: &dyn Claims) -> Result<Vec<ObservedPf>, SriovError> {
        let mut pfs = pf::observe(&self.roots, &self.works)?;
        let claims = claims.claims();
        pfs.iter_mut().for_each(|pf| holders::claim(pf, &claims));
        Ok(pfs)
    }

    /// One PF as it is now.
    ///
    /// # Errors
    /// [`SriovError::NoPf`] when it is not there.
    pub fn observe_one(&self, pf: &str, claims: &dyn Claims) -> Result<ObservedPf, SriovError> {
        let found = self.observe(claims)?.into_iter().find(|one| one.key == pf);
        found.ok_or_else(|| SriovError::NoPf { pf: pf.to_owned() })
    }

    /// What [`PfControl::apply`] would do now. Changes nothing.
    ///
    /// # Errors
    /// When the PF is not there or the kernel cannot be asked.
    pub fn plan(&self, pf: &str, desired: &DesiredPf, claims: &dyn Claims) -> Result<Plan, SriovError> {
        Ok(plan(&self.look(pf, claims)?, desired))
    }

    /// Makes a PF what it should be, as far as nobody is in the way. Does nothing to a PF that is so already. While it
    /// runs, new uses of the PF's VFs are refused; other PFs go on.
    ///
    /// # Errors
    /// When nothing was begun: the PF is busy, is not there, or the kernel cannot be asked. What goes wrong later is in
    /// the answer.
    pub fn apply(&self, pf: &str, desired: &DesiredPf, claims: &dyn Claims) -> Result<Applied, SriovError> {
        let what = format!("make {} VFs", desired.count);
        let change = self.locks.change(pf, &what, self.deadlines.lock)?;
        let observed = self.look(pf, claims)?;
        let plan = plan(&observed, desired);
        let steps = plan.steps.clone();
        let applied = Applied { notes: plan.notes.clone(), plan, ..Applied::nothing(pf) };
        let mut run =
            Run { control: self, change, claims, pf: observed, seen: Instant::now(), made: false, applied };
        for step in steps {
            match run.step(&step.action, step.disturbs) {
                Ok(()) => run.applied.done.push(step.action),
                Err(error) => match vf_of(&step.action) {
                    Some(vf) => run.trouble(vf, &error),
                    None => {
                        run.applied.failed = Some((step.action, error));
                        run.give_autoprobe_back();
                        return Ok(run.applied);
                    }
                },
            }
        }
        let same = run.applied.plan.blocked.is_empty() && run.applied.plan.problems.is_empty();
        if same && run.pf.manager.is_none() {
            // Also for VFs that somebody else made or removed.
            let told = run.tell_host(desired.count);
            run.applied.notes.extend(told.err().map(|error| error.sentence()));
        }
        Ok(run.applied)
    }

    /// The PF with everybody who holds it or a VF of it.
    fn look(&self, pf: &str, claims: &dyn Claims) -> Result<ObservedPf, SriovError> {
        let mut observed = self.observe_one(pf, claims)?;
        holders::open_groups(&mut observed, &self.roots);
        Ok(observed)
    }
}

fn vf_of(action: &Action) -> Option<u16> {
    match action {
        Action::Bind { vf, .. } | Action::SetVfMtu { vf, .. } => Some(*vf),
        _ => None,
    }
}

/// One application of a plan.
struct Run<'a> {
    control: &'a PfControl,
    change: PfChange,
    claims: &'a dyn Claims,
    pf: ObservedPf,
    /// When `pf` was read.
    seen: Instant,
    /// The VFs were made in this run.
    made: bool,
    applied: Applied,
}

impl Run<'_> {
    fn step(&mut self, action: &Action, disturbs: Disturbs) -> Result<(), SriovError> {
        match disturbs {
            Disturbs::AllVfs => self.nobody(None)?,
            Disturbs::Vf(vf) if !self.made => self.nobody(Some(vf))?,
            _ => {}
        }
        match action {
            Action::SetCount { to: 0, .. } => self.write_count(0, self.pf.enabled),
            Action::SetCount { to, .. } => self.make_vfs(*to),
            Action::SetAutoprobe(on) => Ok(count::set_autoprobe(&self.control.roots, &self.pf, *on)?),
            Action::SetEswitch(mode) => self.set_eswitch(*mode),
            Action::BringUp => {
                let index = self.pf.ifindex.unwrap_or_default();
                self.set_link(index, LinkSettings { up: Some(true), ..LinkSettings::default() })
            }
            Action::SetMtu(mtu) => {
                let index = self.pf.ifindex.unwrap_or_default();
                self.set_link(index, LinkSettings { mtu: Some(*mtu), ..LinkSettings::default() })
            }
            Action::Bind { vf, driver } => self.bind(*vf, driver),
            Action::SetVfMtu { vf, mtu } => self.set_vf_mtu(*vf, *mtu),
        }
    }

    /// Looks again, unless that was just done, and refuses when somebody holds the VF, or any of all.
    fn nobody(&mut self, vf: Option<u16>) -> Result<(), SriovError> {
        if vf.is_none() || self.seen.elapsed() > FRESH {
            self.refresh()?;
        }
        let held: Vec<Holder> = match vf {
            Some(vf) => {
                let found = self.pf.vfs.iter().find(|one| one.index == vf);
                found.map(|found| found.holders.clone()).unwrap_or_default()
            }
            None => self.pf.vf_holders().into_iter().chain(self.pf.holders.iter().cloned()).collect(),
        };
        if held.is_empty() {
            Ok(())
        } else {
            Err(SriovError::Held { pf: self.pf.key.clone(), holders: held })
        }
    }

    /// Looks again. Whoever took the PF over meanwhile has it.
    fn refresh(&mut self) -> Result<(), SriovError> {
        self.pf = self.control.look(&self.pf.key, self.claims)?;
        self.seen = Instant::now();
        match &self.pf.manager {
            Some(manager) => {
                let what = "the rest of the change was not made".to_owned();
                let problem = PlanProblem::External { what, managed_by: manager.to_string() };
                Err(SriovError::Plan { pf: self.pf.key.clone(), problem })
            }
            None => Ok(()),
        }
    }

    fn make_vfs(&mut self, count: u16) -> Result<(), SriovError> {
        let control = self.control;
        self.tell_host(count)?;
        self.write_count(count, count)?;
        self.made = true;
        // With drivers kept off, the binds that follow look at the rest.
        let quiet =
            self.applied.done.contains(&Action::SetAutoprobe(false)) || self.pf.autoprobe == Some(false);
        let expected = if quiet { Expected::Function } else { Expected::Netdev };
        self.applied.vfs = count::wait(&control.roots, &self.pf, count, expected, control.deadlines.vf_ready);
        Ok(())
    }

    /// Keeps network managers off so many VFs.
    fn tell_host(&mut self, count: u16) -> Result<(), SriovError> {
        let control = self.control;
        let addresses = count::future_addresses(&control.roots, &self.pf, count);
        let notes = host_units::set(&control.roots, &control.works, &self.pf.key, &addresses)?;
        self.applied.notes.extend(notes);
        Ok(())
    }

    fn write_count(&self, count: u16, moved: u16) -> Result<(), SriovError> {
        let control = self.control;
        if let Some(behind) =
            control.works.stuck().into_iter().find(|work| work.what.contains("sriov_numvfs"))
        {
            return Err(SriovError::Behind { pf: self.pf.key.clone(), behind: Stuck::Late(behind) });
        }
        let deadline = control.deadlines.count + control.deadlines.count_per_vf * u32::from(moved);
        let file = count::file(&control.roots, &self.pf, "sriov_numvfs");
        let (key, change) = (self.pf.key.clone(), self.change.clone());
        let what = format!("write {count} to sriov_numvfs");
        control.works.run(&self.pf.key, &what, deadline, move || {
            let _change = change;
            count::write(&key, &file, count)
        })??;
        Ok(())
    }

    fn set_eswitch(&mut self, mode: EswitchMode) -> Result<(), SriovError> {
        let deadline = self.control.deadlines.eswitch;
        let handle = DeviceHandle::new(self.pf.bus.clone(), self.pf.key.clone());
        let change = self.change.clone();
        let mode = match mode {
            EswitchMode::Legacy => devlink::EswitchMode::Legacy,
            EswitchMode::Switchdev => devlink::EswitchMode::Switchdev,
        };
        self.control.works.run(&self.pf.key, "set the eswitch mode", deadline, move || {
            let _change = change;
            let mut socket = Socket::open(Family::Generic)?;
            socket.set_deadline(deadline);
            devlink::set_eswitch_mode(&mut socket, &handle, mode)
        })??;
        // Drivers make the PF's netdev anew for it.
        self.refresh()
    }

    fn set_link(&self, index: u32, settings: LinkSettings<'static>) -> Result<(), SriovError> {
        let change = self.change.clone();
        let work = move || {
            let _change = change;
            Socket::open(Family::Route)?.apply_one(&set_link(index, &settings))
        };
        Ok(self.control.works.run(&self.pf.key, "change a link", self.control.deadlines.link, work)??)
    }

    fn bind(&mut self, vf: u16, driver: &VfDriver) -> Result<(), SriovError> {
        let control = self.control;
        let one = self.vf(vf)?;
        if self.made
            && let VfDriver::Named(_) = driver
        {
            // Its IOMMU group is known only now.
            let mut seen = pf::ObservedVf::new(vf);
            seen.pci = Some(one);
            pf::read_group(&mut seen, &control.roots);
            if let Some(problem) = shared(&seen, driver) {
                return Err(SriovError::Plan { pf: self.pf.key.clone(), problem });
            }
        }
        let binder = Binder::new(control.roots.clone(), control.works.clone(), control.deadlines.bind);
        match driver {
            VfDriver::Named(name) => binder.bind(one, name, self.change.clone())?,
            VfDriver::Own => binder.bind_own(one, self.change.clone())?,
        }
        let expected = if *driver == VfDriver::Own { Expected::Netdev } else { Expected::Function };
        let outcome = count::wait_one(&control.roots, &self.pf, vf, expected, control.deadlines.vf_ready);
        self.outcome(outcome);
        Ok(())
    }

    fn set_vf_mtu(&mut self, vf: u16, mtu: u32) -> Result<(), SriovError> {
        let outcome = count::wait_one(
            &self.control.roots,
            &self.pf,
            vf,
            Expected::Netdev,
            self.control.deadlines.vf_ready,
        );
        if let Some(trouble) = outcome.trouble.clone() {
            // Said already by the step that waited for it.
            self.outcome(VfOutcome { trouble: Some(trouble), ..outcome });
            return Ok(());
        }
        let index = count::netdev_index(&self.control.roots, &self.pf, vf);
        let Some(index) = index else { return Err(SriovError::NoVf { pf: self.pf.key.clone(), vf }) };
        self.set_link(index, LinkSettings { mtu: Some(mtu), ..LinkSettings::default() })?;
        self.outcome(outcome);
        Ok(())
    }

    fn vf(&self, vf: u16) -> Result<hwprobe::PciAddress, SriovError> {
        let seen = count::vf_address(&self.control.roots, &self.pf, vf);
        seen.ok_or_else(|| SriovError::NoVf { pf: self.pf.key.clone(), vf })
    }

    fn outcome(&mut self, outcome: VfOutcome) {
        match self.applied.vfs.iter_mut().find(|known| known.index == outcome.index) {
            Some(known) => *known = outcome,
            None => {
                self.applied.vfs.push(outcome);
                self.applied.vfs.sort_by_key(|vf| vf.index);
            }
        }
    }

    fn trouble(&mut self, vf: u16, error: &SriovError) {
        let known = self.applied.vfs.iter().find(|known| known.index == vf).cloned();
        let outcome = known.unwrap_or(VfOutcome { index: vf, ..VfOutcome::default() });
        self.outcome(VfOutcome { trouble: Some(VfTrouble::Step(error.sentence())), ..outcome });
    }

    /// After a step that stopped the others: drivers are not kept off for longer than the change.
    fn give_autoprobe_back(&mut self) {
        let off = self.applied.done.iter().rev().find_map(|action| match action {
            Action::SetAutoprobe(on) => Some(!on),
            _ => None,
        });
        if off == Some(true)
            && let Err(error) = count::set_autoprobe(&self.control.roots, &self.pf, true)
        {
            self.applied.notes.push(format!("drivers are still kept off new VFs: {error}"));
        }
    }
}
