//! The inventory cache: one thread that waits for the kernel to say that something changed, reads what may
//! have changed, and publishes the difference.

use std::io::Write;
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use hwprobe::{
    Change, Failure, Inventory, Probe, ProbeError, ProbeSettings, RememberedProtection, UplinkBasis, Warning,
    WarningCode, WatchError, Watcher,
};
use openapi::EventCause;
use tokio::sync::watch;

use super::diff::differences;
use super::events::SharedLog;
use super::published::Published;
use super::reprobe::{Clock, report};
use super::settle::{PodChanges, Settle};
use crate::cli::Machine;
use crate::health::Health;
use crate::memory::Memory;
use crate::metrics::Metrics;
use crate::podresources::Holdings;

/// Milliseconds between readings while the kernel's tables change under them.
const TORN_PAUSES: [u64; 8] = [5, 10, 20, 40, 80, 160, 320, 640];

/// Why the cache cannot begin.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CacheError {
    /// The machine cannot be read.
    #[error("read the machine")]
    Probe(#[from] ProbeError),
    /// The kernel does not tell what changes.
    #[error("hear of changes")]
    Watch(#[from] WatchError),
    /// No thread or no socket for it.
    #[error("start the inventory thread")]
    Thread(#[from] std::io::Error),
}

/// What others ask of the thread.
enum Request {
    Raise { warning: Box<Warning>, about: String },
    Clear { code: WarningCode, about: String },
    Show(Arc<Holdings>),
    Stop,
}

/// The way to the thread. Cheap to clone.
#[derive(Clone)]
pub(crate) struct CacheHandle {
    requests: Arc<Mutex<Sender<Request>>>,
    wake: Arc<UnixStream>,
}

impl CacheHandle {
    /// Raises a warning of the agent's own. `about` tells it from others of its code.
    pub(crate) fn raise_warning(&self, warning: Warning, about: &str) {
        self.ask(Request::Raise { warning: Box::new(warning), about: about.to_owned() });
    }

    /// Takes a warning of the agent's own back.
    pub(crate) fn clear_warning(&self, code: WarningCode, about: &str) {
        self.ask(Request::Clear { code, about: about.to_owned() });
    }

    /// Shows from now on that pods have these devices.
    pub(crate) fn show_holdings(&self, holdings: Arc<Holdings>) {
        self.ask(Request::Show(holdings));
    }

    fn ask(&self, request: Request) {
        let sent = self.requests.lock().unwrap_or_else(PoisonError::into_inner).send(request);
        if sent.is_ok() {
            // A full socket means that a wake-up is under way already.
            let _ = (&*self.wake).write(&[1]);
        }
    }
}

/// What the thread works with.
pub(crate) struct CacheParts {
    pub(crate) machine: Machine,
    pub(crate) settings: ProbeSettings,
    pub(crate) reprobe: Option<Duration>,
    pub(crate) memory: Memory,
    pub(crate) log: SharedLog,
    pub(crate) newest: watch::Sender<Option<Arc<Published>>>,
    pub(crate) health: Arc<Health>,
    pub(crate) metrics: Arc<Metrics>,
}

/// The running thread.
pub(crate) struct Cache {
    pub(crate) handle: CacheHandle,
    thread: JoinHandle<()>,
}

impl Cache {
    /// Starts the thread and waits until the machine has been read once.
    ///
    /// # Errors
    /// When the machine cannot be read or watched at all.
    pub(crate) fn start(parts: CacheParts) -> Result<Self, CacheError> {
        let (wake, woken) = UnixStream::pair()?;
        wake.set_nonblocking(true)?;
        woken.set_nonblocking(true)?;
        let (requests, inbox) = channel();
        let (started, answer) = channel();
        let health = Arc::clone(&parts.health);
        let thread = std::thread::Builder::new().name("inventory".to_owned()).spawn(move || {
            // Also when a defect unwinds the thread, somebody has to know.
            let ended = Ended(health);
            match Worker::begin(parts, inbox, woken) {
                Ok(mut worker) => {
                    let _ = started.send(Ok(()));
                    worker.run();
                }
                Err(error) => drop(started.send(Err(error))),
            }
            drop(ended);
        })?;
        match answer.recv() {
            Ok(Ok(())) => {
                let handle = CacheHandle { requests: Arc::new(Mutex::new(requests)), wake: Arc::new(wake) };
                Ok(Self { handle, thread })
            }
            Ok(Err(error)) => Err(error),
            Err(_) => Err(CacheError::Thread(std::io::Error::other("it ended at once; the log says why"))),
        }
    }

    /// Stops the thread and waits for it; the store is closed then.
    pub(crate) fn stop(self) {
        self.handle.ask(Request::Stop);
        if self.thread.join().is_err() {
            tracing::error!("the inventory thread had failed");
        }
    }
}

struct Ended(Arc<Health>);

impl Drop for Ended {
    fn drop(&mut self) {
        self.0.inventory_ended();
    }
}

struct Worker {
    probe: Probe,
    /// `None` for a recorded machine, which never changes.
    watcher: Option<Watcher>,
    woken: UnixStream,
    inbox: Receiver<Request>,
    clock: Clock,
    settle: Settle,
    pods: PodChanges,
    memory: Memory,
    remembered: Vec<RememberedProtection>,
    /// The agent's own warnings with what each is about.
    own: Vec<(String, Warning)>,
    /// What the kubelet has given to pods.
    holdings: Arc<Holdings>,
    seen: Inventory,
    current: Arc<Published>,
    log: SharedLog,
    newest: watch::Sender<Option<Arc<Published>>>,
    metrics: Arc<Metrics>,
}

/// Why the thread woke.
enum Woken {
    Changes(Vec<Change>),
    /// Time for something is up, or somebody asks for something.
    TimeIsUp,
}

impl Worker {
    fn begin(parts: CacheParts, inbox: Receiver<Request>, woken: UnixStream) -> Result<Self, CacheError> {
        let CacheParts { machine, mut settings, reprobe, mut memory, log, newest, health: _, metrics } =
            parts;
        let remembered = memory.remembered();
        settings.remembered.clone_from(&remembered);
        // Watching begins before the first reading, or what changes in between would be missed.
        let (watcher, mut probe) = match &machine {
            Machine::Live => (Some(Watcher::open()?), Probe::live(settings)?),
            Machine::Tree(root) => (None, Probe::tree(root, settings)?),
            Machine::Recording(file) => (None, Probe::replay(file, settings)?),
        };
        let begun = Instant::now();
        let seen = probe.inventory();
        metrics.probed(begun.elapsed());
        let current =
            Arc::new(Published::new(log.epoch(), 1, seen.clone(), Vec::new(), &Holdings::default()));
        newest.send_replace(Some(Arc::clone(&current)));
        log.publish(differences(None, &current.inventory), EventCause::Start, 1);
        tracing::info!(
            nics = seen.nics.len(),
            warnings = seen.warnings.len(),
            elapsed_us = begun.elapsed().as_micros() as u64,
            "the machine has been read"
        );
        let clock = Clock::new(reprobe.filter(|_| watcher.is_some()));
        let (own, settle, pods) = (Vec::new(), Settle::default(), PodChanges::default());
        let mut worker = Self {
            probe,
            watcher,
            woken,
            inbox,
            clock,
            settle,
            pods,
            memory,
            remembered,
            own,
            holdings: Arc::default(),
            seen,
            current,
            log,
            newest,
            metrics,
        };
        worker.remember();
        Ok(worker)
    }

    fn run(&mut self) {
        loop {
            let woken = self.wait();
            let begun = Instant::now();
            if self.take_requests() {
                return;
            }
            match woken {
                Woken::Changes(changes) if self.pods.can_wait(&changes, begun) => {}
                Woken::Changes(changes) => {
                    if changes.contains(&Change::Everything) {
                        self.metrics.overruns.inc();
                    }
                    self.settle.note(&changes, begun);
                    changes.iter().for_each(|change| self.probe.forget(change));
                    tracing::debug!(changes = changes.len(), "the kernel told of changes");
                    self.read(EventCause::Notification, begun);
                }
                Woken::TimeIsUp => {
                    if self.settle.take_due(begun) {
                        self.probe.forget_all();
                        self.read(EventCause::Notification, begun);
                    }
                    // The safety net must not find what was told and is only put off.
                    let is_due = self.clock.is_due(begun);
                    if self.pods.take_due(begun) || (is_due && self.pods.take()) {
                        self.read(EventCause::Notification, begun);
                    }
                    if is_due {
                        self.reprobe(begun);
                    }
                }
            }
        }
    }

    fn wait(&mut self) -> Woken {
        let now = Instant::now();
        let left =
            [self.clock.left(now), self.settle.left(now), self.pods.left(now)].into_iter().flatten().min();
        let waited = match &mut self.watcher {
            Some(watcher) => watcher.wait(left, Some(self.woken.as_fd())),
            None => wait_for(&self.woken, None).map(|()| Vec::new()),
        };
        match waited {
            Ok(changes) if changes.is_empty() => Woken::TimeIsUp,
            Ok(changes) => Woken::Changes(changes),
            Err(error) => self.watch_again(&error),
        }
    }

    /// The watcher broke: opens another one and reads everything, since changes were missed.
    fn watch_again(&mut self, error: &WatchError) -> Woken {
        tracing::error!(error = %crate::agent::chain(error), "lost the kernel's notifications; beginning anew");
        match Watcher::open() {
            Ok(watcher) => self.watcher = Some(watcher),
            // The broken one answers with an error at once: wait, so that it does not spin.
            Err(_) => drop(wait_for(&self.woken, Some(Duration::from_secs(1)))),
        }
        Woken::Changes(vec![Change::Everything])
    }

    /// Does what others ask; `true` = stop.
    fn take_requests(&mut self) -> bool {
        let mut buffer = [0; 64];
        while matches!(std::io::Read::read(&mut self.woken, &mut buffer), Ok(count) if count > 0) {}
        let mut changed = false;
        while let Ok(request) = self.inbox.try_recv() {
            match request {
                Request::Stop => return true,
                Request::Raise { warning, about } => {
                    self.own.retain(|(known, old)| *known != about || old.code != warning.code);
                    self.own.push((about, *warning));
                    changed = true;
                }
                Request::Show(holdings) => {
                    changed |= self.holdings != holdings;
                    self.holdings = holdings;
                }
                Request::Clear { code, about } => {
                    let before = self.own.len();
                    self.own.retain(|(known, warning)| *known != about || warning.code != code);
                    changed |= self.own.len() != before;
                }
            }
        }
        if changed {
            self.publish(EventCause::Agent);
        }
        false
    }

    /// Reads the machine and publishes what is different.
    fn read(&mut self, cause: EventCause, begun: Instant) {
        let inventory = self.whole_reading();
        self.metrics.probed(begun.elapsed());
        if inventory != self.seen {
            self.seen = inventory;
            self.publish(cause);
            if cause == EventCause::Notification {
                self.metrics.published(begun.elapsed());
            }
            self.remember();
        }
    }

    /// Reads the machine until the kernel's tables could be dumped whole. While links come and go by the hundred,
    /// every dump may be torn (`NLM_F_DUMP_INTR`); publishing such a reading would tell that all NICs are gone.
    /// What fails for good is published after a while, with the failure in it.
    fn whole_reading(&mut self) -> Inventory {
        let mut inventory = self.probe.inventory();
        for pause in TORN_PAUSES {
            let known = &self.seen.failures;
            let torn = |failure: &Failure| failure.source.starts_with("RTM_GET") && !known.contains(failure);
            if !inventory.failures.iter().any(torn) {
                break;
            }
            tracing::debug!("the kernel's tables changed while they were read; reading again");
            std::thread::sleep(Duration::from_millis(pause));
            self.probe.forget_all();
            inventory = self.probe.inventory();
        }
        inventory
    }

    /// The safety net: reads everything anew. What it finds, a notification should have told.
    fn reprobe(&mut self, begun: Instant) {
        self.clock.restart(Instant::now());
        self.probe.forget_all();
        let inventory = self.whole_reading();
        self.metrics.probed(begun.elapsed());
        if inventory == self.seen {
            return;
        }
        // A change may have come while we read: then its notification lies in the socket, and nothing is wrong.
        let told = self.watcher.as_mut().and_then(|watcher| watcher.wait(Some(Duration::ZERO), None).ok());
        let told = told.unwrap_or_default();
        let cause = if told.is_empty() {
            self.metrics.reprobe_differences.inc();
            report(&differences(Some(&self.seen), &inventory));
            EventCause::Reprobe
        } else {
            EventCause::Notification
        };
        self.seen = inventory;
        self.publish(cause);
        self.remember();
        if !told.is_empty() {
            told.iter().for_each(|change| self.probe.forget(change));
            self.read(EventCause::Notification, Instant::now());
        }
    }

    fn publish(&mut self, cause: EventCause) {
        let generation = self.current.generation + 1;
        let own = self.own.iter().map(|(_, warning)| warning.clone()).collect();
        let next = Published::new(self.log.epoch(), generation, self.seen.clone(), own, &self.holdings);
        let found = differences(Some(&self.current.inventory), &next.inventory);
        if found.is_empty() {
            return;
        }
        let next = Arc::new(next);
        // First what the events are about, then the events: whoever hears one finds it.
        self.newest.send_replace(Some(Arc::clone(&next)));
        self.current = next;
        for one in &found {
            tracing::trace!(event = one.kind.as_str(), nic = one.nic.as_ref().map(tracing::field::display), changes = ?one.changes, "changed");
        }
        tracing::info!(generation, cause = cause.as_str(), events = found.len(), "the inventory changed");
        self.log.publish(found, cause, generation);
    }

    /// Keeps the protected NICs for times when they cannot be computed. Only what was computed counts: a set that
    /// is itself remembered would never shrink.
    fn remember(&mut self) {
        if self.seen.node.uplink.basis != UplinkBasis::Computed {
            return;
        }
        let now = hwprobe::protections(&self.seen);
        if now != self.remembered {
            self.probe.remember(now.clone());
            self.memory.remember(&now);
            self.remembered = now;
        }
    }
}

/// Waits until somebody wakes the thread, or time is up.
fn wait_for(woken: &UnixStream, most: Option<Duration>) -> Result<(), WatchError> {
    use nix::errno::Errno;
    use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
    let mut fds = [PollFd::new(woken.as_fd(), PollFlags::POLLIN)];
    let most = most.map_or(PollTimeout::NONE, |most| PollTimeout::try_from(most).unwrap_or(PollTimeout::MAX));
    match poll(&mut fds, most) {
        Ok(_) | Err(Errno::EINTR) => Ok(()),
        Err(errno) => Err(errno.into()),
    }
}
