//! Group commit: callers queue, the first one commits for all who wait. There is no thread for it.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::batch::Batch;

/// Longest that others are waited for; about what a sync takes on a good disk.
const GATHERING_TIME: Duration = Duration::from_millis(1);

/// The queue of batches and who commits it.
#[derive(Debug)]
pub(crate) struct Group<E> {
    state: Mutex<State<E>>,
    ended: Condvar,
    counters: Counters,
}

/// What the store has done since it was opened.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Counts {
    /// Commits that came true.
    pub commits: u64,
    /// Commits that failed.
    pub failed: u64,
    /// Callers that waited for a commit, whatever came of it, and those that wait now.
    pub waited: u64,
    /// Callers that wait now.
    pub waiting: u64,
    /// Batches that nobody waited for.
    pub with_next: u64,
    /// Most callers that shared one commit.
    pub largest: u64,
    /// Syncs of the file that succeeded, those of opening included.
    pub syncs: u64,
}

#[derive(Debug, Default)]
struct Counters {
    commits: AtomicU64,
    failed: AtomicU64,
    waited: AtomicU64,
    /// Of those that waited: callers whose commit has ended.
    ended: AtomicU64,
    with_next: AtomicU64,
    largest: AtomicU64,
}

#[derive(Debug)]
struct State<E> {
    queue: Vec<Queued>,
    /// Of the batches that are queued: callers that wait.
    waiting: u64,
    /// A caller is committing.
    busy: bool,
    /// Number of the group that is being gathered.
    gathering: u64,
    /// How the last groups ended; kept until every waiter of theirs has read it.
    endings: Vec<Ending<E>>,
}

#[derive(Debug)]
struct Queued {
    batch: Batch,
    /// A caller waits for it and is told when it fails.
    waited: bool,
}

#[derive(Debug)]
struct Ending<E> {
    group: u64,
    result: Result<(), Arc<E>>,
    readers: u64,
}

impl<E> Group<E> {
    pub(crate) fn new() -> Self {
        let state = State { queue: Vec::new(), waiting: 0, busy: false, gathering: 0, endings: Vec::new() };
        Self { state: Mutex::new(state), ended: Condvar::new(), counters: Counters::default() }
    }

    /// Everything but the syncs, of which only the disk knows.
    pub(crate) fn counts(&self) -> Counts {
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        // Ended first, so that nobody ends who has not come.
        let ended = read(&self.counters.ended);
        let waited = read(&self.counters.waited);
        Counts {
            commits: read(&self.counters.commits),
            failed: read(&self.counters.failed),
            waited,
            waiting: waited.saturating_sub(ended),
            with_next: read(&self.counters.with_next),
            largest: read(&self.counters.largest),
            syncs: 0,
        }
    }

    /// Queues a batch that the next commit takes along.
    pub(crate) fn queue(&self, batch: Batch) {
        if batch.is_empty() {
            return;
        }
        self.lock().queue.push(Queued { batch, waited: false });
        add(&self.counters.with_next, 1);
    }

    /// Commits `batch` with all that is queued. `write` is called by one caller at a time; it must not panic.
    pub(crate) fn commit(
        &self,
        batch: Batch,
        write: impl Fn(&[&Batch]) -> Result<(), E>,
    ) -> Result<(), Arc<E>> {
        let state = self.lock();
        self.commit_locked(state, batch, write)
    }

    /// Commits what is queued without a batch of one's own, and waits for a commit that is under way. `false`: there
    /// was nothing to commit.
    pub(crate) fn flush(&self, write: impl Fn(&[&Batch]) -> Result<(), E>) -> Result<bool, Arc<E>> {
        let mut state = self.lock();
        while state.queue.is_empty() {
            if !state.busy {
                return Ok(false);
            }
            // What is under way may come back to the queue when it fails.
            state = self.ended.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        self.commit_locked(state, Batch::new(), write).map(|()| true)
    }

    fn commit_locked<'a>(
        &'a self,
        mut state: MutexGuard<'a, State<E>>,
        batch: Batch,
        write: impl Fn(&[&Batch]) -> Result<(), E>,
    ) -> Result<(), Arc<E>> {
        add(&self.counters.waited, 1);
        state.queue.push(Queued { batch, waited: true });
        state.waiting += 1;
        let mine = state.gathering;
        loop {
            if let Some(position) = state.endings.iter().position(|ending| ending.group == mine) {
                let ending = &mut state.endings[position];
                let result = ending.result.clone();
                ending.readers -= 1;
                if ending.readers == 0 {
                    state.endings.swap_remove(position);
                }
                return result;
            }
            if state.busy {
                state = self.ended.wait(state).unwrap_or_else(PoisonError::into_inner);
                continue;
            }
            state.busy = true;
            state = self.gather(state);
            state = self.lead(state, &write);
        }
    }

    /// Lets those come who are about to: callers that the last commit has just let go often have the next batch
    /// ready. Ends when all of them are awake and nobody has come during a turn of the scheduler. A caller that is
    /// alone waits for nobody.
    fn gather<'a>(&'a self, mut state: MutexGuard<'a, State<E>>) -> MutexGuard<'a, State<E>> {
        if state.endings.is_empty() && state.waiting == 1 {
            return state;
        }
        let begun = Instant::now();
        while begun.elapsed() < GATHERING_TIME {
            let before = state.waiting;
            drop(state);
            std::thread::yield_now();
            state = self.lock();
            if state.endings.is_empty() && state.waiting == before {
                break;
            }
        }
        state
    }

    /// Commits the group that has gathered; `busy` is set by the caller.
    fn lead<'a>(
        &'a self,
        mut state: MutexGuard<'a, State<E>>,
        write: &impl Fn(&[&Batch]) -> Result<(), E>,
    ) -> MutexGuard<'a, State<E>> {
        let queued = std::mem::take(&mut state.queue);
        let (group, readers) = (state.gathering, std::mem::take(&mut state.waiting));
        state.gathering += 1;
        drop(state);
        let batches: Vec<&Batch> =
            queued.iter().map(|one| &one.batch).filter(|batch| !batch.is_empty()).collect();
        let result = if batches.is_empty() { Ok(()) } else { self.counted(write(&batches), readers) };
        let mut state = self.lock();
        state.busy = false;
        if result.is_err() {
            // Nobody is told that those failed which nobody waits for: they are tried again, before all others.
            state.queue.splice(..0, queued.into_iter().filter(|one| !one.waited));
        }
        add(&self.counters.ended, readers);
        state.endings.push(Ending { group, result: result.map_err(Arc::new), readers });
        self.ended.notify_all();
        state
    }

    fn counted(&self, result: Result<(), E>, callers: u64) -> Result<(), E> {
        let counter = if result.is_ok() { &self.counters.commits } else { &self.counters.failed };
        add(counter, 1);
        self.counters.largest.fetch_max(callers, Ordering::Relaxed);
        result
    }

    fn lock(&self) -> MutexGuard<'_, State<E>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn add(counter: &AtomicU64, number: u64) {
    counter.fetch_add(number, Ordering::Relaxed);
}
