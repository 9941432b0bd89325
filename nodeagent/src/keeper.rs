//! Keeps what nobody waits for in order: writes it down, takes in notes of DELs, sweeps. Sleeps while there is
//! nothing to keep.

use std::cell::OnceCell;
use std::fs;
use std::io;
use std::os::fd::AsFd;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use attach::record::{Key, Pod};
use attach::{Engine, NoConversation};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::eventfd::{EfdFlags, EventFd};
use nix::sys::inotify::{AddWatchFlags, InitFlags, Inotify};

use crate::agent::chain;
use crate::runtime_service::{RuntimeService, Sandbox};

/// How long what nobody waits for may wait to be written down.
const SOON: Duration = Duration::from_millis(500);

/// How often namespaces of attachments are looked at; also the grace between two looks.
const SWEEP: Duration = Duration::from_secs(60);

/// Who is asked whether a dead namespace's sandbox is still somebody's.
#[derive(Debug)]
pub(crate) enum Sandboxes {
    /// Nobody else lists them: without a cluster a dead namespace is enough.
    Unlisted,
    /// The container runtime; while it cannot be asked nothing is swept.
    Listed(Listing),
}

/// What the container runtime was asked, and adopted pods that it had no more when it was asked last.
#[derive(Debug)]
pub(crate) struct Listing {
    runtime: RuntimeService,
    gone: Vec<Key>,
    told: String,
}

impl Sandboxes {
    /// Those of a container runtime.
    pub(crate) fn of(runtime: RuntimeService) -> Self {
        Self::Listed(Listing { runtime, gone: Vec::new(), told: String::new() })
    }

    /// Sweeps; whether something was taken away.
    fn sweep(&mut self, engine: &Engine) -> bool {
        match self {
            Self::Unlisted => !engine.sweep(|_| false).swept.is_empty(),
            Self::Listed(listing) => listing.sweep(engine),
        }
    }
}

impl Listing {
    fn sweep(&mut self, engine: &Engine) -> bool {
        // Asked once, and only when something is dead or was adopted.
        let asked = OnceCell::new();
        let all = || asked.get_or_init(|| list(&self.runtime)).as_ref().ok();
        let swept = engine
            .sweep(|key| all().is_none_or(|all| all.iter().any(|sandbox| sandbox.id == key.container_id)));
        let adopted = engine.adopted();
        let gone = match adopted.is_empty() {
            true => Some(Vec::new()),
            false => all().map(|all| {
                let each = adopted.iter().map(|one| (&one.key, one.pod.as_ref()));
                each.filter(|(key, pod)| !lives(key, *pod, all)).map(|(key, _)| key.clone()).collect()
            }),
        };
        let mut again: Vec<Key> = Vec::new();
        if let Some(gone) = gone {
            // Twice in a row, as with namespaces: a list may be read while a sandbox is being made anew.
            again.extend(gone.iter().filter(|key| self.gone.contains(key)).cloned());
            self.gone = gone;
        }
        for key in &again {
            tracing::info!(%key, "the runtime has this pod no more: what it held is given back");
            engine.let_go(key);
        }
        match asked.into_inner() {
            Some(Err(error)) if error != self.told => {
                tracing::warn!(error, "nothing is swept while the container runtime cannot be asked");
                self.told = error;
            }
            Some(Ok(_)) => self.told.clear(),
            _ => {}
        }
        !swept.swept.is_empty() || !again.is_empty()
    }
}

/// Whether the runtime still has an adopted pod. One that is known by its container lives as long as that; any other as
/// long as a pod of its name.
fn lives(key: &Key, pod: Option<&Pod>, all: &[Sandbox]) -> bool {
    let by_name = |pod: &Pod| {
        key.container_id == attach::unknown_container(pod)
            && all.iter().any(|one| one.namespace == pod.namespace && one.name == pod.name)
    };
    pod.is_some_and(by_name) || all.iter().any(|one| one.id == key.container_id)
}

/// Asks on this thread.
fn list(runtime: &RuntimeService) -> Result<Vec<Sandbox>, String> {
    let here = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let here = here.map_err(|error| error.to_string())?;
    here.block_on(runtime.sandboxes()).map_err(|error| chain(&error))
}

/// Wakes the keeper. Clones wake the same one.
#[derive(Debug, Clone)]
pub(crate) struct Poke(Arc<Wake>);

#[derive(Debug)]
struct Wake {
    event: EventFd,
    end: AtomicBool,
}

impl Poke {
    /// Something has been done that is not written down yet.
    pub(crate) fn poke(&self) {
        let _ = self.0.event.write(1);
    }
}

/// The keeper's thread.
#[derive(Debug)]
pub(crate) struct Keeper {
    thread: JoinHandle<()>,
    poke: Poke,
}

impl Keeper {
    /// Starts it.
    pub(crate) fn start(engine: Arc<Engine>, state_dir: &Path, sandboxes: Sandboxes) -> io::Result<Self> {
        let event = EventFd::from_flags(EfdFlags::EFD_NONBLOCK | EfdFlags::EFD_CLOEXEC)?;
        let poke = Poke(Arc::new(Wake { event, end: AtomicBool::new(false) }));
        let notes = state_dir.join(cni::note::FOLDER);
        fs::create_dir_all(&notes)?;
        let watch = Inotify::init(InitFlags::IN_NONBLOCK | InitFlags::IN_CLOEXEC)?;
        watch.add_watch(&notes, AddWatchFlags::IN_MOVED_TO)?;
        let mine = poke.clone();
        let thread = thread::Builder::new()
            .name("keeper".to_owned())
            .spawn(move || keep(&engine, &mine, &watch, sandboxes))?;
        Ok(Self { thread, poke })
    }

    /// What wakes it.
    pub(crate) fn poke(&self) -> Poke {
        self.poke.clone()
    }

    /// Writes down what is left, and ends.
    pub(crate) fn stop(self) {
        self.poke.0.end.store(true, Ordering::SeqCst);
        self.poke.poke();
        drop(self.thread.join());
    }
}

fn keep(engine: &Engine, poke: &Poke, watch: &Inotify, mut sandboxes: Sandboxes) {
    // Those that were written before the watch was set.
    engine.consume_notes(&mut NoConversation);
    engine.housekeeping();
    let mut swept = Instant::now();
    let mut write = None;
    while !poke.0.end.load(Ordering::SeqCst) {
        let now = Instant::now();
        // Nothing is looked at while nothing is attached.
        let sweep = (!engine.attachments().is_empty()).then(|| swept + SWEEP);
        let next = [write, sweep].into_iter().flatten().min();
        let wait = next.map(|next| next.saturating_duration_since(now) + Duration::from_millis(1));
        let wait =
            wait.map_or(PollTimeout::NONE, |wait| PollTimeout::try_from(wait).unwrap_or(PollTimeout::MAX));
        let mut ready = [
            PollFd::new(poke.0.event.as_fd(), PollFlags::POLLIN),
            PollFd::new(watch.as_fd(), PollFlags::POLLIN),
        ];
        let _ = poll(&mut ready, wait);
        if poke.0.event.read().is_ok() {
            write = write.or_else(|| Some(Instant::now() + SOON));
        }
        if watch.read_events().is_ok_and(|events| !events.is_empty()) {
            engine.consume_notes(&mut NoConversation);
            write = write.or_else(|| Some(Instant::now() + SOON));
        }
        if write.is_some_and(|due| due <= Instant::now()) {
            write = None;
            engine.housekeeping();
        }
        if swept.elapsed() >= SWEEP {
            swept = Instant::now();
            if sandboxes.sweep(engine) {
                write = write.or_else(|| Some(Instant::now() + SOON));
            }
        }
    }
    engine.housekeeping();
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_adopted_pod_lives_by_its_container_or_where_that_is_unknown_by_its_name() {
        let sandbox = |id: &str, name: &str| Sandbox {
            id: id.into(),
            namespace: "pods".into(),
            name: name.into(),
            ..Sandbox::default()
        };
        let all = [sandbox("c1", "web"), sandbox("c9", "db")];
        let pod = |name: &str| Pod { namespace: "pods".into(), name: name.into(), uid: String::new() };
        let is_there = |container: &str, name: &str| {
            let key = Key { network: "red".into(), container_id: container.into(), ifname: "net1".into() };
            lives(&key, Some(&pod(name)), &all)
        };
        assert!(is_there("c1", "web"));
        assert!(!is_there("c2", "db"), "its container is another by now");
        assert!(is_there("legacy-pods.db", "db"));
        assert!(!is_there("legacy-pods.gone", "gone"));
    }
}
