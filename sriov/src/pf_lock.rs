//! One lock for each PF, never one for the agent (TRAPS V2): a PF that is being changed refuses new uses of its VFs at
//! once, and a use of one VF keeps a change waiting.

use std::collections::BTreeMap;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant, SystemTime};

/// The locks of all PFs. Clones share them.
#[derive(Debug, Clone, Default)]
pub struct PfLocks {
    shared: Arc<Shared>,
}

#[derive(Debug, Default)]
struct Shared {
    pfs: Mutex<BTreeMap<String, State>>,
    moved: Condvar,
}

/// What happens on one PF.
#[derive(Debug, Default)]
struct State {
    /// A change that runs or waits for the use to end: what, and since when.
    change: Option<(String, SystemTime)>,
    /// One VF is being given or taken back.
    used: bool,
}

/// Somebody else works on the PF.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{pf} is busy: {what} (since {} s); ask again when it is done", since.elapsed().unwrap_or_default().as_secs())]
#[non_exhaustive]
pub struct Changing {
    /// The PF, as it was asked for.
    pub pf: String,
    /// What is being done to it.
    pub what: String,
    /// Since when.
    pub since: SystemTime,
}

/// The right to change a PF; ends when its last clone is dropped. A thread that may hang owns a clone.
#[derive(Debug, Clone)]
pub struct PfChange {
    _held: Arc<Held>,
}

/// The right to give or take back one VF of a PF; ends when it is dropped.
#[derive(Debug)]
pub struct PfUse {
    _held: Held,
}

#[derive(Debug)]
struct Held {
    shared: Arc<Shared>,
    pf: String,
    change: bool,
}

impl Drop for Held {
    fn drop(&mut self) {
        let mut pfs = self.shared.pfs();
        if let Some(state) = pfs.get_mut(&self.pf) {
            if self.change {
                state.change = None;
            } else {
                state.used = false;
            }
            if state.change.is_none() && !state.used {
                pfs.remove(&self.pf);
            }
        }
        drop(pfs);
        self.shared.moved.notify_all();
    }
}

impl Shared {
    fn pfs(&self) -> MutexGuard<'_, BTreeMap<String, State>> {
        self.pfs.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits for the next end of a change or use, `until` at the latest. False: it is too late.
    fn wait<'g>(
        &self,
        pfs: MutexGuard<'g, BTreeMap<String, State>>,
        until: Instant,
    ) -> (MutexGuard<'g, BTreeMap<String, State>>, bool) {
        let left = until.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return (pfs, false);
        }
        let (pfs, _) = self.moved.wait_timeout(pfs, left).unwrap_or_else(PoisonError::into_inner);
        (pfs, true)
    }
}

impl PfLocks {
    /// No PF is locked.
    pub fn new() -> Self {
        Self::default()
    }

    /// The right to change `pf` (a NIC id of the inventory). From now on new uses are refused; one that runs is waited
    /// for, `wait` at most.
    ///
    /// # Errors
    /// [`Changing`] when another change runs, or the use does not end.
    pub fn change(&self, pf: &str, what: &str, wait: Duration) -> Result<PfChange, Changing> {
        let until = Instant::now() + wait;
        let mut pfs = self.shared.pfs();
        let state = pfs.entry(pf.to_owned()).or_default();
        if let Some((what, since)) = &state.change {
            return Err(Changing { pf: pf.to_owned(), what: what.clone(), since: *since });
        }
        let since = SystemTime::now();
        state.change = Some((what.to_owned(), since));
        // Gives the mark back on every way out.
        let held = Held { shared: Arc::clone(&self.shared), pf: pf.to_owned(), change: true };
        while pfs.get(pf).is_some_and(|state| state.used) {
            let in_time;
            (pfs, in_time) = self.shared.wait(pfs, until);
            if !in_time {
                drop(pfs);
                return Err(Changing {
                    pf: pf.to_owned(),
                    what: "a VF of it is given or taken back".into(),
                    since,
                });
            }
        }
        drop(pfs);
        Ok(PfChange { _held: Arc::new(held) })
    }

    /// The right to give a VF of `pf` away. Another use is waited for, `wait` at most; a change is not.
    ///
    /// # Errors
    /// [`Changing`] when the PF is being changed, at once, or another use does not end.
    pub fn give(&self, pf: &str, wait: Duration) -> Result<PfUse, Changing> {
        self.r#use(pf, wait, false)
    }

    /// The right to take a VF of `pf` back. Whatever runs is waited for, `wait` at most: who brings a VF back should not
    /// be sent away.
    ///
    /// # Errors
    /// [`Changing`] when what runs does not end.
    pub fn take_back(&self, pf: &str, wait: Duration) -> Result<PfUse, Changing> {
        self.r#use(pf, wait, true)
    }

    /// The change that runs on `pf`: what, and since when.
    pub fn changing(&self, pf: &str) -> Option<Changing> {
        let pfs = self.shared.pfs();
        let (what, since) = pfs.get(pf)?.change.clone()?;
        Some(Changing { pf: pf.to_owned(), what, since })
    }

    fn r#use(&self, pf: &str, wait: Duration, patient: bool) -> Result<PfUse, Changing> {
        let until = Instant::now() + wait;
        let begun = SystemTime::now();
        let mut pfs = self.shared.pfs();
        loop {
            let state = pfs.entry(pf.to_owned()).or_default();
            let busy = state.change.clone().map(|(what, since)| Changing { pf: pf.to_owned(), what, since });
            match busy {
                Some(busy) if !patient => return Err(busy),
                None if !state.used => {
                    state.used = true;
                    let held = Held { shared: Arc::clone(&self.shared), pf: pf.to_owned(), change: false };
                    return Ok(PfUse { _held: held });
                }
                _ => {}
            }
            let in_time;
            (pfs, in_time) = self.shared.wait(pfs, until);
            if !in_time {
                let other = || Changing {
                    pf: pf.to_owned(),
                    what: "another VF of it is given or taken back".into(),
                    since: begun,
                };
                return Err(busy.unwrap_or_else(other));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PF: &str = "0000:01:00.0";
    const NOW: Duration = Duration::ZERO;
    const LONG: Duration = Duration::from_secs(20);

    #[test]
    fn a_pf_that_is_changed_refuses_new_gives_at_once_and_says_what_is_done() {
        let locks = PfLocks::new();
        let change = locks.change(PF, "set 7 VFs", NOW).unwrap();

        let refused = locks.give(PF, LONG).unwrap_err();

        assert_eq!(refused.what, "set 7 VFs");
        assert!(refused.to_string().starts_with("0000:01:00.0 is busy: set 7 VFs"), "{refused}");
        drop(change);
        locks.give(PF, NOW).unwrap();
    }

    #[test]
    fn other_pfs_go_on() {
        let locks = PfLocks::new();
        let _change = locks.change(PF, "set 7 VFs", NOW).unwrap();

        locks.give("0000:02:00.0", NOW).unwrap();
        locks.change("0000:02:00.0", "set 2 VFs", NOW).unwrap();
    }

    #[test]
    fn a_change_waits_for_the_use_that_runs_and_lets_no_further_one_in() {
        let locks = PfLocks::new();
        let used = locks.give(PF, NOW).unwrap();

        std::thread::scope(|scope| {
            let change = scope.spawn(|| locks.change(PF, "set 0 VFs", LONG).map(drop));
            while locks.changing(PF).is_none() {
                std::thread::yield_now();
            }
            assert!(locks.give(PF, LONG).is_err());
            drop(used);
            change.join().unwrap().unwrap();
        });

        locks.give(PF, NOW).unwrap();
    }

    #[test]
    fn a_change_that_waited_in_vain_leaves_the_pf_usable() {
        let locks = PfLocks::new();
        let used = locks.give(PF, NOW).unwrap();

        assert!(locks.change(PF, "set 0 VFs", Duration::from_millis(10)).is_err());

        assert_eq!(locks.changing(PF), None);
        drop(used);
        locks.give(PF, NOW).unwrap();
    }

    #[test]
    fn who_brings_a_vf_back_waits_for_the_change() {
        let locks = PfLocks::new();
        let change = locks.change(PF, "set mtu", NOW).unwrap();

        std::thread::scope(|scope| {
            let back = scope.spawn(|| locks.take_back(PF, LONG).map(drop));
            std::thread::sleep(Duration::from_millis(10));
            assert!(!back.is_finished());
            drop(change);
            back.join().unwrap().unwrap();
        });
    }

    #[test]
    fn a_change_lasts_as_long_as_the_thread_that_hangs_in_it() {
        let locks = PfLocks::new();
        let change = locks.change(PF, "set 0 VFs", NOW).unwrap();
        let hanging = change.clone();
        drop(change);

        assert!(locks.give(PF, NOW).is_err());

        drop(hanging);
        locks.give(PF, NOW).unwrap();
    }

    #[test]
    fn one_use_at_a_time() {
        let locks = PfLocks::new();
        let (most, now) = (Mutex::new(0), Mutex::new(0));

        std::thread::scope(|scope| {
            for _ in 0..16 {
                scope.spawn(|| {
                    for _ in 0..50 {
                        let _used = locks.give(PF, LONG).unwrap();
                        *now.lock().unwrap() += 1;
                        let seen = *now.lock().unwrap();
                        let mut most = most.lock().unwrap();
                        *most = seen.max(*most);
                        *now.lock().unwrap() -= 1;
                    }
                });
            }
        });

        assert_eq!(*most.lock().unwrap(), 1);
    }
}
