//! Keeps what nobody waits for in order: writes it down, takes in notes of DELs, sweeps. Sleeps while there is
//! nothing to keep.

use std::fs;
use std::io;
use std::os::fd::AsFd;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use attach::{Engine, NoConversation};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::eventfd::{EfdFlags, EventFd};
use nix::sys::inotify::{AddWatchFlags, InitFlags, Inotify};

/// How long what nobody waits for may wait to be written down.
const SOON: Duration = Duration::from_millis(500);

/// How often namespaces of attachments are looked at; also the grace between two looks.
const SWEEP: Duration = Duration::from_secs(60);

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
    pub(crate) fn start(engine: Arc<Engine>, state_dir: &Path) -> io::Result<Self> {
        let event = EventFd::from_flags(EfdFlags::EFD_NONBLOCK | EfdFlags::EFD_CLOEXEC)?;
        let poke = Poke(Arc::new(Wake { event, end: AtomicBool::new(false) }));
        let notes = state_dir.join(cni::note::FOLDER);
        fs::create_dir_all(&notes)?;
        let watch = Inotify::init(InitFlags::IN_NONBLOCK | InitFlags::IN_CLOEXEC)?;
        watch.add_watch(&notes, AddWatchFlags::IN_MOVED_TO)?;
        let mine = poke.clone();
        let thread =
            thread::Builder::new().name("keeper".to_owned()).spawn(move || keep(&engine, &mine, &watch))?;
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

fn keep(engine: &Engine, poke: &Poke, watch: &Inotify) {
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
            // Without a cluster nobody else lists sandboxes.
            if !engine.sweep(|_| false).swept.is_empty() {
                write = write.or_else(|| Some(Instant::now() + SOON));
            }
        }
    }
    engine.housekeeping();
}
