//! Many folders read by as many threads as there are processors.

use std::sync::{Mutex, MutexGuard, PoisonError};

/// Fewer than these are read sooner than a thread is made.
const LEAST: usize = 64;

/// More threads than these only wait for one another.
const MOST_THREADS: usize = 8;

/// Gives each thread's share of the items to `read`, with the place where the share begins; what was read comes
/// in the items' order.
pub(crate) fn shared<T: Sync, R: Send>(items: &[T], read: impl Fn(usize, &[T]) -> Vec<R> + Sync) -> Vec<R> {
    // What this machine has is read from a dozen files each time: not for what one thread does anyway.
    if items.len() <= LEAST {
        return read(0, items);
    }
    let threads = std::thread::available_parallelism().map_or(1, usize::from).min(MOST_THREADS);
    let share = items.len().div_ceil(threads).max(LEAST);
    let (read, (first, rest)) = (&read, items.split_at(share.min(items.len())));
    std::thread::scope(|scope| {
        let other = |(at, items)| {
            scope.spawn(move || {
                // Threads with one table of open files wait for one another whenever they open one.
                let _ = nix::sched::unshare(nix::sched::CloneFlags::CLONE_FILES);
                read((at + 1) * share, items)
            })
        };
        let others: Vec<_> = rest.chunks(share).enumerate().map(other).collect();
        let mut all = read(0, first);
        for other in others {
            // A reader that failed has nothing to give; what the others read is there.
            all.append(&mut other.join().unwrap_or_default());
        }
        all
    })
}

/// The content of a lock. A reader that failed while it held it left whole answers: they are kept one by one.
pub(super) fn locked<T>(lock: &Mutex<T>) -> MutexGuard<'_, T> {
    lock.lock().unwrap_or_else(PoisonError::into_inner)
}
