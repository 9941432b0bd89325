//! Group commit: callers queue, the first one commits for all who wait.

use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use crate::batch::Batch;

/// The queue of batches and who commits it.
#[derive(Debug)]
pub(crate) struct Group<E> {
    state: Mutex<State<E>>,
    ended: Condvar,
    counts: Mutex<Counts>,
}

/// What the store has done since it was opened.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counts {
    /// Commits that were synced to the disk.
    pub commits: u64,
    /// Callers that waited for one.
    pub waited: u64,
    /// Batches that nobody waited for.
    pub with_next: u64,
}

#[derive(Debug)]
struct State<E> {
    /// With each batch: whether a caller waits for it.
    queue: Vec<(bool, Batch)>,
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
struct Ending<E> {
    group: u64,
    result: Result<(), Arc<E>>,
    readers: u64,
}

impl<E> Group<E> {
    pub(crate) fn new() -> Self {
        let state = State { queue: Vec::new(), waiting: 0, busy: false, gathering: 0, endings: Vec::new() };
        Self { state: Mutex::new(state), ended: Condvar::new(), counts: Mutex::new(Counts::default()) }
    }

    pub(crate) fn counts(&self) -> Counts {
        *self.counts.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Queues a batch that the next commit takes along.
    pub(crate) fn queue(&self, batch: Batch) {
        self.lock().queue.push((false, batch));
        self.count(|counts| counts.with_next += 1);
    }

    /// Commits `batch` with all that is queued; `write` is called by one caller at a time.
    pub(crate) fn commit(
        &self,
        batch: Batch,
        write: impl Fn(&[Batch]) -> Result<(), E>,
    ) -> Result<(), Arc<E>> {
        self.count(|counts| counts.waited += 1);
        let mut state = self.lock();
        state.queue.push((true, batch));
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
            state = self.lead(state, &write);
        }
    }

    /// Commits what is queued without a batch of one's own. `false`: there was nothing.
    pub(crate) fn flush(&self, write: impl Fn(&[Batch]) -> Result<(), E>) -> Result<bool, Arc<E>> {
        if self.lock().queue.is_empty() {
            return Ok(false);
        }
        self.commit(Batch::new(), write).map(|()| true)
    }

    fn lead<'a>(
        &'a self,
        mut state: MutexGuard<'a, State<E>>,
        write: &impl Fn(&[Batch]) -> Result<(), E>,
    ) -> MutexGuard<'a, State<E>> {
        state.busy = true;
        let queued = std::mem::take(&mut state.queue);
        let (group, readers) = (state.gathering, std::mem::take(&mut state.waiting));
        state.gathering += 1;
        drop(state);
        let (waited, batches): (Vec<bool>, Vec<Batch>) = queued.into_iter().unzip();
        let result = write(&batches).map_err(Arc::new);
        self.count(|counts| counts.commits += 1);
        let mut state = self.lock();
        state.busy = false;
        if result.is_err() {
            // Nobody is told that those failed which nobody waits for: they are tried again, before all others.
            let unwaited = waited.into_iter().zip(batches).filter(|(waited, _)| !waited);
            state.queue.splice(..0, unwaited);
        }
        state.endings.push(Ending { group, result, readers });
        self.ended.notify_all();
        state
    }

    fn count(&self, change: impl FnOnce(&mut Counts)) {
        change(&mut self.counts.lock().unwrap_or_else(PoisonError::into_inner));
    }

    fn lock(&self) -> MutexGuard<'_, State<E>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
