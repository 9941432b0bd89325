//! The way to the thread that keeps PFs, and what it shows.

use std::sync::Arc;
use std::sync::mpsc::Sender;

use openapi::{NetworkReport, PfDesired};
use sriov::{Claim, DesiredPf, PfControl, PfLocks, Works};
use tokio::sync::{oneshot, watch};

use super::keeper::{Outcome, Status};

/// All PFs as they stand.
#[derive(Debug, Clone, Default)]
pub(crate) struct View {
    /// Generation of the inventory.
    pub(crate) generation: u64,
    pub(crate) pfs: Vec<Status>,
    /// Devices with a desired state of their own that are not there.
    pub(crate) away: Vec<String>,
    pub(crate) reports: Vec<NetworkReport>,
}

/// What others ask of the thread.
pub(super) enum Request {
    /// Something may be different.
    Look,
    /// Somebody wants to see how it is now.
    See {
        answer: oneshot::Sender<()>,
    },
    Done {
        key: String,
        desired: DesiredPf,
        outcome: Box<Outcome>,
    },
    Post {
        key: String,
        desired: PfDesired,
        answer: oneshot::Sender<Result<(), String>>,
    },
    Drop {
        key: String,
        answer: oneshot::Sender<Result<bool, String>>,
    },
    Stop,
}

/// The way to the thread. Clones are the same way.
#[derive(Clone)]
pub(crate) struct PfHandle {
    pub(super) requests: Sender<Request>,
    pub(super) view: watch::Receiver<Arc<View>>,
    pub(super) control: Arc<PfControl>,
    pub(super) locks: PfLocks,
    pub(super) works: Works,
    pub(super) claimed: Arc<dyn Fn() -> Vec<Claim> + Send + Sync>,
}

impl PfHandle {
    /// All PFs as they stand now: an attachment that has just ended may have changed nothing that the kernel tells.
    pub(crate) async fn fresh_view(&self) -> Arc<View> {
        let (answer, seen) = oneshot::channel();
        self.ask(Request::See { answer });
        // No answer: the agent is ending, and the last view is as good as any.
        let _ = seen.await;
        Arc::clone(&self.view.borrow())
    }

    /// Tells of each new view.
    pub(crate) fn views(&self) -> watch::Receiver<Arc<View>> {
        self.view.clone()
    }

    /// Work on PFs that hangs.
    pub(crate) fn works(&self) -> &Works {
        &self.works
    }

    /// Whether somebody works on the PF, in words.
    pub(crate) fn changing(&self, key: &str) -> Option<String> {
        self.locks.changing(key).map(|changing| changing.to_string())
    }

    /// What would be done to a PF now. Reads the machine: for threads that may block.
    ///
    /// # Errors
    /// When the PF is not there or the kernel cannot be asked.
    pub(crate) fn plan(&self, key: &str, desired: &DesiredPf) -> Result<sriov::Plan, sriov::SriovError> {
        self.control.plan(key, desired, &&*self.claimed)
    }

    /// Wants this of a PF from now on, whatever policies say. Returns when it is written down and looked at.
    ///
    /// # Errors
    /// When it cannot be written down.
    pub(crate) async fn post(&self, key: &str, desired: PfDesired) -> Result<(), String> {
        let (answer, told) = oneshot::channel();
        self.ask(Request::Post { key: key.to_owned(), desired, answer });
        told.await.unwrap_or_else(|_| Err("the agent is ending".to_owned()))
    }

    /// Wants of a PF only what policies say. False: nothing else was wanted.
    ///
    /// # Errors
    /// When it cannot be written down.
    pub(crate) async fn forget(&self, key: &str) -> Result<bool, String> {
        let (answer, told) = oneshot::channel();
        self.ask(Request::Drop { key: key.to_owned(), answer });
        told.await.unwrap_or_else(|_| Err("the agent is ending".to_owned()))
    }

    pub(super) fn ask(&self, request: Request) {
        // Nobody listens when the agent ends.
        let _ = self.requests.send(request);
    }
}
