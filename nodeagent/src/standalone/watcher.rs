//! The thread that plans anew when the folder or the NICs change.

use std::io;
use std::os::fd::AsFd;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::eventfd::{EfdFlags, EventFd};
use nix::sys::inotify::{AddWatchFlags, Inotify};

use super::planner::{Planner, PlannerParts};
use crate::folder_events;
use crate::inventory::published::Newest;

/// How long the folder must be quiet before it is read: an editor that replaces a file does it in several steps.
const QUIET: Duration = Duration::from_millis(100);

/// How long it may be unquiet.
const IMPATIENCE: Duration = Duration::from_secs(1);

/// What standalone mode works with.
#[derive(Debug)]
pub(crate) struct StandaloneParts {
    pub(crate) planner: PlannerParts,
    /// The inventory.
    pub(crate) newest: Newest,
}

/// The thread.
#[derive(Debug)]
pub(crate) struct Standalone {
    thread: Option<JoinHandle<()>>,
    wake: Arc<Wake>,
}

#[derive(Debug)]
struct Wake {
    event: EventFd,
    end: AtomicBool,
}

impl Standalone {
    /// Reads the folder, plans for the inventory of now, and goes on doing so whenever one of them changes. On return
    /// the networks are published.
    ///
    /// # Errors
    /// When there is no thread or descriptor to be had; the first plan is made all the same.
    pub(crate) fn start(parts: StandaloneParts) -> io::Result<Self> {
        let StandaloneParts { planner, newest } = parts;
        let mut planner = Planner::new(planner);
        // Before the first reading, or what changes in between would be missed.
        let watch = watch(planner.folder());
        planner.read();
        plan(&mut planner, &newest);
        let event = EventFd::from_flags(EfdFlags::EFD_NONBLOCK | EfdFlags::EFD_CLOEXEC)?;
        let wake = Arc::new(Wake { event, end: AtomicBool::new(false) });
        let mine = Arc::clone(&wake);
        let thread = thread::Builder::new()
            .name("networks".to_owned())
            .spawn(move || keep(&mut planner, watch, &mine, &newest))?;
        Ok(Self { thread: Some(thread), wake })
    }

    /// Plans anew with each inventory. Ends when there will be no other.
    pub(crate) fn follow(&self, mut newest: Newest) -> impl Future<Output = ()> + Send + 'static {
        let wake = Arc::clone(&self.wake);
        async move {
            while newest.changed().await.is_ok() {
                let _ = wake.event.write(1);
            }
        }
    }
}

impl Drop for Standalone {
    fn drop(&mut self) {
        self.wake.end.store(true, Ordering::SeqCst);
        let _ = self.wake.event.write(1);
        if self.thread.take().is_some_and(|thread| thread.join().is_err()) {
            tracing::error!("the thread of the networks had failed");
        }
    }
}

fn keep(planner: &mut Planner, mut watching: Option<Inotify>, wake: &Wake, newest: &Newest) {
    while !wake.end.load(Ordering::SeqCst) {
        let wait = planner.due().map(|due| due.saturating_duration_since(Instant::now()));
        let changed = wait_for(watching.as_ref(), wake, wait);
        let woken = wake.event.read().is_ok();
        if changed {
            if let Some(watching) = &watching {
                settle(watching);
            }
            // Anew, since the folder itself may be another one; and before it is read.
            watching = watch(planner.folder());
            planner.read();
        }
        let due = planner.due().is_some_and(|due| due <= Instant::now()) || wait.is_some();
        if (changed || woken || due) && !wake.end.load(Ordering::SeqCst) {
            plan(planner, newest);
        }
    }
}

fn plan(planner: &mut Planner, newest: &Newest) {
    let published = newest.borrow().clone();
    if let Some(published) = published {
        planner.plan(&published.inventory);
    }
}

/// Waits until the folder has changed (`true`), somebody wakes the thread, or time is up.
fn wait_for(watching: Option<&Inotify>, wake: &Wake, most: Option<Duration>) -> bool {
    let most = most.map_or(PollTimeout::NONE, |most| {
        PollTimeout::try_from(most + Duration::from_millis(1)).unwrap_or(PollTimeout::MAX)
    });
    let mut fds = vec![PollFd::new(wake.event.as_fd(), PollFlags::POLLIN)];
    fds.extend(watching.map(|watching| PollFd::new(watching.as_fd(), PollFlags::POLLIN)));
    let _ = poll(&mut fds, most);
    fds.get(1).and_then(PollFd::any).unwrap_or(false)
}

/// Waits until the folder is quiet.
fn settle(watching: &Inotify) {
    let begun = Instant::now();
    while begun.elapsed() < IMPATIENCE {
        let _ = watching.read_events();
        let mut fds = [PollFd::new(watching.as_fd(), PollFlags::POLLIN)];
        let quiet = PollTimeout::try_from(QUIET).unwrap_or(PollTimeout::ZERO);
        if matches!(poll(&mut fds, quiet), Ok(0)) {
            return;
        }
    }
}

fn watch(folder: &Path) -> Option<Inotify> {
    // An administrator may only have made a file readable.
    folder_events::watch(folder, AddWatchFlags::IN_ATTRIB)
        .inspect_err(|error| tracing::error!(%error, "changes of the folder of networks are not noticed"))
        .ok()
}

#[cfg(test)]
mod tests;
