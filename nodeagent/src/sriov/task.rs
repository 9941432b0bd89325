//! The thread that keeps PFs: woken by whatever changes, it looks and gives orders; each change of a PF runs on a thread
//! of its own, since the kernel may not come back from it.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::thread;
use std::time::{Instant, SystemTime};

use hwprobe::{Inventory, UplinkBasis};
use openapi::{EventCause, EventType, FieldChange, NetworkReport, PfDesired, PfState};
use sriov::{Claim, Deadlines, DesiredPf, ObservedPf, PfControl, PfLocks, Roots, Works, from_inventory};
use store::{Batch, Store, Table};
use tokio::sync::watch;

use super::claims;
use super::desired::from_posted;
use super::handle::{PfHandle, Request, View};
use super::keeper::{Keeper, Outcome, unmanaged};
use super::policy::NodePolicy;
use super::wish::Wishes;
use crate::agent::chain;
use crate::calls::Calls;
use crate::current_networks::Current;
use crate::inventory::diff::Difference;
use crate::inventory::events::EventLog;
use crate::inventory::published::Newest;
use crate::metrics::Metrics;

/// What PFs are kept with.
pub(crate) struct PfParts {
    /// Policies of the configuration.
    pub(crate) configured: Vec<NodePolicy>,
    /// What of them does nothing here.
    pub(crate) reports: Vec<NetworkReport>,
    /// Policies of files or of the cluster, and device classes.
    pub(crate) networks: Current,
    pub(crate) newest: Newest,
    pub(crate) store: Option<Arc<Store>>,
    /// Whose attachments hold VFs; absent when nothing can be attached.
    pub(crate) calls: Option<Calls>,
    /// The folders, locks and list of hanging work that attaching uses, too.
    pub(crate) roots: Roots,
    pub(crate) locks: PfLocks,
    pub(crate) works: Works,
    pub(crate) log: Arc<EventLog>,
    pub(crate) metrics: Arc<Metrics>,
}

/// The running thread.
pub(crate) struct PfTask {
    handle: PfHandle,
    settled: watch::Receiver<bool>,
    thread: thread::JoinHandle<()>,
}

impl PfTask {
    /// Takes up what is remembered and begins to make PFs what is wanted of them.
    ///
    /// # Errors
    /// When there is no thread to be had.
    pub(crate) fn start(parts: PfParts) -> std::io::Result<Self> {
        let (requests, inbox) = channel();
        let (view, seen) = watch::channel(Arc::default());
        let (settled, is_settled) = watch::channel(false);
        let control = Arc::new(PfControl::new(
            parts.roots.clone(),
            parts.works.clone(),
            parts.locks.clone(),
            Deadlines::default(),
        ));
        let (calls, newest) = (parts.calls.clone(), parts.newest.clone());
        let claimed: Arc<dyn Fn() -> Vec<Claim> + Send + Sync> = Arc::new(move || {
            let attachments = calls.as_ref().map_or_else(Vec::new, |calls| calls.engine().attachments());
            let published = newest.borrow().clone();
            claims::all(&attachments, published.as_ref().map(|published| &*published.inventory))
        });
        let handle = PfHandle {
            requests,
            view: seen,
            control,
            locks: parts.locks.clone(),
            works: parts.works.clone(),
            claimed,
        };
        let wishes = Wishes {
            configured: parts.configured.clone(),
            posted: remembered(parts.store.as_deref()),
            ..Wishes::default()
        };
        let mut worker = Worker {
            parts,
            wishes,
            keeper: Keeper::default(),
            told: BTreeMap::new(),
            handle: handle.clone(),
            view,
            settled,
        };
        let thread = thread::Builder::new().name("pfs".to_owned()).spawn(move || worker.run(&inbox))?;
        Ok(Self { handle, settled: is_settled, thread })
    }

    /// The way to it.
    pub(crate) fn handle(&self) -> PfHandle {
        self.handle.clone()
    }

    /// Turns true when every PF that something is wanted of has been changed once, as far as it could be.
    pub(crate) fn settled(&self) -> watch::Receiver<bool> {
        self.settled.clone()
    }

    /// Looks again with each inventory and each change of the folder of networks. Ends when there will be no other.
    pub(crate) fn follow(
        &self,
        mut newest: Newest,
        networks: &Current,
    ) -> impl Future<Output = ()> + Send + 'static {
        let handle = self.handle.clone();
        let mut changed = networks.changes();
        async move {
            loop {
                let more = tokio::select! {
                    more = newest.changed() => more.is_ok(),
                    more = changed.changed() => more.is_ok(),
                };
                if !more {
                    return;
                }
                handle.ask(Request::Look);
            }
        }
    }

    /// Ends it. A change that runs goes on to its end, or with the process.
    pub(crate) fn stop(self) {
        self.handle.ask(Request::Stop);
        if self.thread.join().is_err() {
            tracing::error!("the thread of the PFs had failed");
        }
    }
}

/// The thread's own.
struct Worker {
    parts: PfParts,
    wishes: Wishes,
    keeper: Keeper,
    /// State and count of each PF as they were told last.
    told: BTreeMap<String, (PfState, Option<u16>)>,
    handle: PfHandle,
    view: watch::Sender<Arc<View>>,
    settled: watch::Sender<bool>,
}

impl Worker {
    fn run(&mut self, inbox: &Receiver<Request>) {
        let mut due = self.look(EventCause::Start);
        loop {
            let request = match due {
                None => inbox.recv().map_err(|_| RecvTimeoutError::Disconnected),
                Some(due) => inbox.recv_timeout(due.saturating_duration_since(Instant::now())),
            };
            let cause = match request {
                Ok(Request::Stop) | Err(RecvTimeoutError::Disconnected) => return,
                Err(RecvTimeoutError::Timeout) => EventCause::Agent,
                Ok(Request::Look) => EventCause::Notification,
                Ok(Request::See { answer }) => {
                    due = self.look(EventCause::Agent);
                    let _ = answer.send(());
                    continue;
                }
                Ok(Request::Done { key, desired, outcome }) => {
                    self.log_outcome(&key, &outcome);
                    self.keeper.done(&key, &desired, &outcome, Instant::now());
                    EventCause::Agent
                }
                Ok(Request::Post { key, desired, answer }) => {
                    let kept = self.keep(&key, Some(desired));
                    // What is told to wait must find the view that comes of it.
                    due = self.look(EventCause::Call);
                    let _ = answer.send(kept.map(|_| ()));
                    continue;
                }
                Ok(Request::Drop { key, answer }) => {
                    let kept = self.keep(&key, None);
                    due = self.look(EventCause::Call);
                    let _ = answer.send(kept);
                    continue;
                }
            };
            due = self.look(cause);
        }
    }

    /// Writes down what is wanted of a PF, or that nothing is. Whether something was wanted before.
    fn keep(&mut self, key: &str, desired: Option<PfDesired>) -> Result<bool, String> {
        let before = self.wishes.posted.contains_key(key);
        let mut batch = Batch::new();
        let wanted = desired.as_ref().map(from_posted).transpose()?;
        match &desired {
            Some(desired) => batch.put(Table::Pfs, key, desired).map_err(|error| chain(&error))?,
            None if before => batch.delete(Table::Pfs, key),
            None => return Ok(false),
        }
        match &self.parts.store {
            Some(store) => store.commit(batch).map_err(|error| chain(&error))?,
            None => return Err("there is no store to write it down in; GET /readyz says why".to_owned()),
        }
        match wanted {
            Some(wanted) => drop(self.wishes.posted.insert(key.to_owned(), wanted)),
            None => drop(self.wishes.posted.remove(key)),
        }
        Ok(before)
    }

    fn look(&mut self, cause: EventCause) -> Option<Instant> {
        let published = self.parts.newest.borrow().clone()?;
        self.wishes.files = self.parts.networks.policies();
        self.wishes.classes.clone_from(&self.parts.networks.get().classes);
        let inventory = &*published.inventory;
        let policies = self.wishes.policies(inventory);
        let pfs = observed(inventory, &self.parts.roots, &(self.handle.claimed)());
        let away = self.wishes.posted.keys().filter(|key| !pfs.iter().any(|pf| pf.key == **key));
        let away = away.cloned().collect();
        let with_wishes = pfs.into_iter().map(|pf| {
            let wish = self.wishes.of(&pf, &policies);
            (pf, wish)
        });
        let look = self.keeper.look(with_wishes.collect(), Instant::now(), SystemTime::now());
        let view = View { generation: published.generation, pfs: look.pfs, away, reports: self.reports() };
        self.tell(&view, cause);
        self.view.send_replace(Arc::new(view));
        for (key, desired) in look.start {
            self.begin(key, desired);
        }
        if self.keeper.is_settled() {
            self.settled.send_if_modified(|settled| !std::mem::replace(settled, true));
        }
        look.due
    }

    /// Changes a PF on a thread of its own.
    fn begin(&self, key: String, desired: DesiredPf) {
        let handle = self.handle.clone();
        let metrics = Arc::clone(&self.parts.metrics);
        let (failed, wanted) = (key.clone(), desired.clone());
        let thread = thread::Builder::new().name("pf".to_owned()).spawn(move || {
            let begun = Instant::now();
            let outcome = handle.control.apply(&key, &desired, &&*handle.claimed);
            metrics.pf_changed(outcome.as_ref().is_ok_and(sriov::Applied::is_complete), begun.elapsed());
            handle.ask(Request::Done { key, desired, outcome: Box::new(outcome) });
        });
        if let Err(source) = thread {
            let what = "change the PF".to_owned();
            let stuck = sriov::Stuck::NoThread { device: failed.clone(), what, source };
            self.handle.ask(Request::Done {
                key: failed,
                desired: wanted,
                outcome: Box::new(Err(stuck.into())),
            });
        }
    }

    /// What is wrong with policies.
    fn reports(&self) -> Vec<NetworkReport> {
        let mut reports = self.parts.reports.clone();
        let policies = self.parts.networks.reports();
        reports.extend(policies.iter().filter(|report| report.policy.is_some()).cloned());
        reports.extend(self.wishes.unknown_classes().into_iter().map(|(policy, class, known)| {
            NetworkReport {
                gravity: openapi::ReportGravity::Error,
                network: None,
                policy: Some(policy),
                file: Some(crate::config::FILE.to_owned()),
                document: None,
                field: Some("deviceClass".to_owned()),
                message: format!("there is no device class {class}"),
                fix: Some(format!("known are {known}; see GET /v1/classes")),
            }
        }));
        reports
    }

    /// Tells people which PFs are in another state.
    fn tell(&mut self, view: &View, cause: EventCause) {
        let mut now = BTreeMap::new();
        for status in &view.pfs {
            let (key, state) = (&status.pf.key, status.state);
            let count = status.wish.as_ref().map(|wish| wish.desired.count);
            let before = self.told.get(key).copied();
            now.insert(key.clone(), (state, count));
            if before == Some((state, count)) || (before.is_none() && state == PfState::Unmanaged) {
                continue;
            }
            let (was, was_count) = before.map_or((None, None), |(state, count)| (Some(state), count));
            let mut changes = Vec::new();
            if was != Some(state) {
                changes.push(FieldChange {
                    path: "/state".to_owned(),
                    from: was.map(|was| was.as_str().into()),
                    to: Some(state.as_str().into()),
                });
            }
            if was_count != count {
                changes.push(FieldChange {
                    path: "/desired/numVfs".to_owned(),
                    from: was_count.map(Into::into),
                    to: count.map(Into::into),
                });
            }
            let (pf, state) = (status.pf.label(), state.as_str());
            match &status.error {
                Some(error) => tracing::warn!(pf, state, error, "a PF is not what it should be"),
                None if status.state == PfState::Refused || status.state == PfState::Held => {
                    let blocked = status.plan.blocked.iter().map(ToString::to_string);
                    let problems = status.plan.problems.iter().map(ToString::to_string);
                    let why = problems.chain(blocked).collect::<Vec<_>>().join("; ");
                    tracing::warn!(pf, state, why, "a PF is not what it should be");
                }
                None => tracing::info!(pf, state, vfs = count, "a PF is in another state"),
            }
            let difference = Difference {
                nic: Some(status.pf.nic.clone()),
                name: status.pf.name.clone(),
                changes,
                ..Difference::new(EventType::SriovChanged)
            };
            self.parts.log.publish(vec![difference], cause, view.generation);
        }
        self.told = now;
        self.parts.metrics.pfs(view);
    }

    fn log_outcome(&self, key: &str, outcome: &Outcome) {
        match outcome {
            Ok(applied) => {
                let done: Vec<String> = applied.done.iter().map(ToString::to_string).collect();
                tracing::info!(
                    pf = key,
                    complete = applied.is_complete(),
                    done = done.join("; "),
                    "changed a PF"
                );
                for note in &applied.notes {
                    tracing::info!(pf = key, note, "about a PF");
                }
            }
            Err(error) => tracing::warn!(pf = key, error = error.sentence(), "a PF was not changed"),
        }
    }
}

/// Why no PF is changed while nobody knows which one carries the node (TRAPS H1).
const NO_UPLINK: &str = "this node has no default route now, none is remembered and none is listed as `protected` in \
                         agent.yaml: it may carry the node";

/// The PFs of an inventory, with what is claimed. Without a known uplink each may be it.
pub(super) fn observed(inventory: &Inventory, roots: &Roots, claims: &[Claim]) -> Vec<ObservedPf> {
    let mut pfs = from_inventory(inventory, roots);
    let unknown = inventory.node.uplink.basis == UplinkBasis::Unknown;
    for pf in &mut pfs {
        pf.add_claims(claims);
        if unknown && pf.protected.is_none() {
            pf.protected = Some(NO_UPLINK.to_owned());
        }
    }
    pfs
}

/// The PFs of an inventory of which nobody wants anything: of a machine that this agent only shows.
pub(crate) fn shown(generation: u64, inventory: &Inventory) -> View {
    // No folder of this machine says anything about another one.
    let pfs = observed(inventory, &Roots::below(std::path::Path::new("/nonexistent")), &[]);
    let pfs = pfs.into_iter().map(|pf| unmanaged(pf, SystemTime::now())).collect();
    View { generation, pfs, ..View::default() }
}

/// What was given over the API before.
fn remembered(store: Option<&Store>) -> BTreeMap<String, DesiredPf> {
    let all = match store.map(|store| store.all::<PfDesired>(Table::Pfs)) {
        None => return BTreeMap::new(),
        Some(Ok(all)) => all,
        Some(Err(error)) => {
            tracing::error!(error = chain(&error), "read what is wanted of PFs");
            return BTreeMap::new();
        }
    };
    for (pf, error) in &all.unreadable {
        tracing::error!(pf, error = chain(error), "what is wanted of it cannot be read; policies count");
    }
    let one = |(pf, desired): (String, PfDesired)| match from_posted(&desired) {
        Ok(desired) => Some((pf, desired)),
        Err(error) => {
            tracing::error!(pf, error, "what is wanted of it is not right; policies count");
            None
        }
    };
    all.records.into_iter().filter_map(one).collect()
}
