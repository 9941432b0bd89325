//! A ledger that fails when it is told to.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::net::IpAddr;
use std::rc::Rc;

use ipam::{Change, Ledger, State};

/// What becomes of the next commit.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) enum Fault {
    /// It is made.
    #[default]
    None,
    /// It fails and nothing is written.
    Refused,
    /// It fails, and all is written.
    AnswerLost,
    /// The process ends before anything is written.
    CrashBefore,
    /// The process ends when all is written, before anybody is told.
    CrashAfter,
}

impl Fault {
    pub(crate) fn writes(self) -> bool {
        matches!(self, Self::None | Self::AnswerLost | Self::CrashAfter)
    }

    pub(crate) fn crashes(self) -> bool {
        matches!(self, Self::CrashBefore | Self::CrashAfter)
    }
}

/// Outlives the process that writes on it.
#[derive(Debug, Clone, Default)]
pub(crate) struct Disk {
    pub(crate) rows: Rc<RefCell<BTreeMap<IpAddr, Change>>>,
    pub(crate) fault: Rc<Cell<Fault>>,
}

impl Ledger for Disk {
    type Error = ();

    fn commit(&self, changes: &[Change]) -> Result<(), ()> {
        if self.fault.get().writes() {
            let mut rows = self.rows.borrow_mut();
            for change in changes {
                match change.state {
                    State::Free => rows.remove(&change.address),
                    _ => rows.insert(change.address, change.clone()),
                };
            }
        }
        if self.fault.get() == Fault::None { Ok(()) } else { Err(()) }
    }

    fn load(&self) -> Result<Vec<Change>, ()> {
        Ok(self.rows.borrow().values().cloned().collect())
    }
}
