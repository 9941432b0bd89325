//! Debts: DELs of plugins that nobody could run when they were due (TRAPS P1). Later calls of the executable are handed
//! them.
//!
//! A plugin knows an attachment by container id and interface, which the next attachment of the same key has too: a DEL
//! that is late would take away what the new one got. So nobody attaches or detaches a key while somebody may be
//! running DELs of it.

use std::collections::BTreeMap;
use std::sync::{MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use cni::error::code;
use cni::protocol::{DelegateCall, Outcome};
use cni::{Command, Error, note};

use crate::delegated::deletions;
use crate::engine::Engine;
use crate::gate::Pass;
use crate::record::{Attachment, Key, Phase};

/// How long one who was handed debts may be at them: twenty seconds by hand, two after a call of a runtime, and then
/// it tells, for which the agent waits thirty.
const HANDED: Duration = Duration::from_secs(40);

/// How long a plugin may go on whose caller went without a word.
const ALONE: Duration = Duration::from_secs(5);

/// How long those may be at debts whom an earlier agent handed them: two seconds, and a little.
const EARLIER: Duration = Duration::from_secs(3);

/// How long a call waits for one who is at its key's debts.
const PATIENCE: Duration = Duration::from_secs(20);

/// How often it is looked whether a debt is paid.
const LOOK: Duration = Duration::from_millis(20);

/// Debts that a caller is handed at most.
const DEBTS: usize = 4;

/// Somebody may be running a key's plugins outside of a call for the key.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Busy {
    /// Until when at most.
    until: Instant,
    /// Not only DELs: the next DEL has to come after them.
    adding: bool,
}

impl Busy {
    fn is_over(&self) -> bool {
        self.until <= Instant::now()
    }
}

impl Engine {
    /// DELs that are owed: of attachments that are otherwise taken apart. Whoever gets some has to be followed by
    /// [`paid`](Self::paid) or [`unheard`](Self::unheard).
    pub(crate) fn debts(&self) -> Vec<DelegateCall> {
        let book = self.book();
        let mut owed = book.attachments.values().filter(|attachment| is_owed(attachment)).peekable();
        if owed.peek().is_none() {
            return Vec::new();
        }
        let mut handed = self.handed();
        handed.retain(|_, busy| !busy.is_over());
        let until = Instant::now() + HANDED;
        let mut debts: Vec<DelegateCall> = Vec::new();
        for attachment in owed {
            // Many callers at once must not all pay the same, and nobody what a call for the key is about to settle.
            if handed.contains_key(&attachment.key) || !self.is_idle(&attachment.key) {
                continue;
            }
            handed.insert(attachment.key.clone(), Busy { until, adding: false });
            debts.extend(deletions(attachment));
            if debts.len() >= DEBTS {
                break;
            }
        }
        debts.truncate(DEBTS);
        debts
    }

    /// The one call at a time for a key, for an ADD or a DEL of it: once nobody is in its way any more.
    pub(crate) fn alone_for(&self, key: &Key, command: Command) -> Result<Pass<'_, Key>, Error> {
        let end = Instant::now() + PATIENCE;
        loop {
            let pass = self.one_for(key)?;
            let busy = self.handed().get(key).copied();
            if busy.is_none_or(|busy| busy.is_over() || !busy.adding && command == Command::Del) {
                return Ok(pass);
            }
            drop(pass);
            if Instant::now() > end {
                let words = format!("plugins of an earlier attachment of {key} are being run");
                return Err(Error::new(code::TRY_AGAIN, words));
            }
            std::thread::sleep(LOOK);
        }
    }

    /// An attachment that is taken apart but for DELs of plugins, or a VF that is still in use, is in the way of a new one
    /// of its key: nobody would remember them.
    pub(crate) fn refuse_owed(&self, key: &Key) -> Result<(), Error> {
        let Some(owed) = self.attachment(key) else { return Ok(()) };
        if owed.delegates.is_empty() {
            let words = format!("a VF of an earlier attachment of {key} is still in use");
            return Err(Error::new(code::TRY_AGAIN, words)
                .with_details("end whoever has it open; it is given back by itself then"));
        }
        let plugins: Vec<&str> = owed.delegates.iter().map(|delegate| delegate.plugin.as_str()).collect();
        let words =
            format!("plugin {} has to undo an earlier attachment of {key} first", plugins.join(", plugin "));
        Err(Error::new(code::TRY_AGAIN, words)
            .with_details("`multi-nic --pay-debts` says what is in the way of its DEL"))
    }

    /// Whoever ran a key's plugins went in the middle of it.
    pub(crate) fn may_still_run(&self, key: &Key) {
        let mut handed = self.handed();
        let other = handed.get(key).map(|busy| busy.until);
        let soon = Instant::now() + ALONE;
        let until = other.map_or(soon, |until| until.max(soon));
        handed.insert(key.clone(), Busy { until, adding: true });
    }

    /// Whoever was handed debts by an agent that was killed may still be at them.
    pub(crate) fn debts_are_handed(&self) {
        let busy = Busy { until: Instant::now() + EARLIER, adding: false };
        let owed = self.attachments();
        let owed = owed.iter().filter(|attachment| is_owed(attachment));
        self.handed().extend(owed.map(|attachment| (attachment.key.clone(), busy)));
    }

    /// Takes in how debts went. Outcomes are in the order of the calls that were handed out; none: nobody tried.
    pub fn paid(&self, debts: &[DelegateCall], outcomes: &[Outcome]) {
        self.take_in(debts, outcomes);
        self.handed().retain(|key, _| !concerns(debts, key));
    }

    /// Whoever was handed debts has gone without a word.
    pub fn unheard(&self, debts: &[DelegateCall]) {
        let until = Instant::now() + ALONE;
        for (_, busy) in self.handed().iter_mut().filter(|(key, _)| concerns(debts, key)) {
            busy.until = until;
        }
    }

    fn take_in(&self, debts: &[DelegateCall], outcomes: &[Outcome]) {
        for (debt, outcome) in debts.iter().zip(outcomes) {
            if outcome.error.is_some() {
                continue;
            }
            let attachments = self.attachments();
            let mut owed = attachments.iter().filter(|attachment| is_owed(attachment));
            let Some(owed) = owed.find(|owed| file(&owed.key) == debt.file) else { continue };
            let Ok(_one) = self.one_for(&owed.key) else { continue };
            // Whoever held the key before may have settled it.
            let Some(owed) = self.attachment(&owed.key).filter(|attachment| is_owed(attachment)) else {
                continue;
            };
            let mut owed = (*owed).clone();
            let before = owed.delegates.len();
            owed.delegates.retain(|delegate| {
                delegate.plugin != debt.plugin || delegate.ifname != debt.environment.ifname
            });
            if owed.delegates.len() < before {
                self.finish_detach(owed);
            }
        }
    }

    fn handed(&self) -> MutexGuard<'_, BTreeMap<Key, Busy>> {
        self.handed.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn is_owed(attachment: &Attachment) -> bool {
    attachment.phase == Phase::Detaching && !attachment.delegates.is_empty()
}

fn concerns(debts: &[DelegateCall], key: &Key) -> bool {
    let file = file(key);
    debts.iter().any(|debt| debt.file == file)
}

fn file(key: &Key) -> String {
    note::file_name(&key.network, &key.container_id, &key.ifname)
}
