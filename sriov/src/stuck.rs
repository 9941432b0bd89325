//! Work that may never return: a write to `sriov_numvfs` blocks while vfio holds a VF, firmware hangs (TRAPS V2).
//!
//! Each piece of work gets a thread of its own and a deadline. What misses it stays in a list that people can see, until
//! the kernel lets the thread go. Such a thread cannot be ended: nor can the process, before the kernel lets go.

use std::collections::BTreeMap;
use std::io;
use std::sync::mpsc::{RecvTimeoutError, sync_channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

/// Runs work that may never return. Clones share one list.
#[derive(Debug, Clone, Default)]
pub struct Works {
    shared: Arc<Mutex<Running>>,
}

#[derive(Debug, Default)]
struct Running {
    next: u64,
    /// What runs, and whether it has missed its deadline.
    works: BTreeMap<u64, (StuckWork, bool)>,
}

/// A piece of work that has missed its deadline and still runs.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct StuckWork {
    /// The PCI address or bus name of the device it is about.
    pub device: String,
    /// What is being done, like `write 0 to sriov_numvfs`.
    pub what: String,
    /// When it began.
    pub since: SystemTime,
    /// How long it was given.
    pub deadline: Duration,
}

/// Why work gave no result.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Stuck {
    /// The kernel did not come back in time; the work goes on, and its thread with it.
    #[error(
        "{}: {} is stuck: the kernel has not come back within {} ms; end whoever uses the device or its VFs (vfio, a virtual machine), or restart the node",
        .0.device, .0.what, .0.deadline.as_millis()
    )]
    Late(StuckWork),
    /// There is no thread for it; it was not begun.
    #[error("{device}: {what} was not begun: no thread; raise the limit of processes of this program")]
    NoThread {
        /// The device it is about.
        device: String,
        /// What was to be done.
        what: String,
        /// The system's answer.
        #[source]
        source: io::Error,
    },
}

impl Works {
    /// Nothing runs yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Runs `work` on a thread of its own and waits for it until `deadline`. What `work` owns lives until it ends: give
    /// it the PF's lock, so that nobody works on a PF that the kernel is still busy with. A panic of `work` is the
    /// caller's.
    ///
    /// # Errors
    /// [`Stuck::Late`] when it is not done in time; it is then in [`Works::stuck`] until it is.
    pub fn run<T: Send + 'static>(
        &self,
        device: &str,
        what: &str,
        deadline: Duration,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, Stuck> {
        let (device, what) = (device.to_owned(), what.to_owned());
        let entry =
            StuckWork { device: device.clone(), what: what.clone(), since: SystemTime::now(), deadline };
        let entered = self.enter(entry);
        let number = entered.number;
        let (send, receive) = sync_channel(1);
        let builder = std::thread::Builder::new().name("sriov work".to_owned());
        let thread = builder
            .spawn(move || {
                let result = work();
                // First out of the list, then the answer: who has it sees no stuck work of his own.
                drop(entered);
                drop(send.send(result));
            })
            .map_err(|source| Stuck::NoThread { device, what, source })?;
        let answer = match receive.recv_timeout(deadline) {
            Err(RecvTimeoutError::Timeout) => {
                if let Some((entry, late)) = self.running().works.get_mut(&number) {
                    *late = true;
                    return Err(Stuck::Late(entry.clone()));
                }
                // Ended at the last moment: the answer is on its way.
                receive.recv().ok()
            }
            answer => answer.ok(),
        };
        match answer {
            Some(result) => Ok(result),
            // No answer and an end: it panicked.
            None => match thread.join() {
                Err(panic) => std::panic::resume_unwind(panic),
                Ok(()) => std::panic::resume_unwind(Box::new("work ended without an answer")),
            },
        }
    }

    /// What has missed its deadline and still runs, the oldest first.
    pub fn stuck(&self) -> Vec<StuckWork> {
        self.running().works.values().filter(|(_, late)| *late).map(|(work, _)| work.clone()).collect()
    }

    fn enter(&self, work: StuckWork) -> Entered {
        let mut running = self.running();
        running.next += 1;
        let number = running.next;
        running.works.insert(number, (work, false));
        Entered { works: self.clone(), number }
    }

    fn running(&self) -> MutexGuard<'_, Running> {
        self.shared.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// In the list until it is dropped.
struct Entered {
    works: Works,
    number: u64,
}

impl Drop for Entered {
    fn drop(&mut self) {
        self.works.running().works.remove(&self.number);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::channel;

    use super::*;

    const SOON: Duration = Duration::from_millis(50);
    const LONG: Duration = Duration::from_secs(20);

    #[test]
    fn work_that_is_done_in_time_gives_its_result_and_leaves_no_trace() {
        let works = Works::new();

        assert_eq!(works.run("0000:01:00.0", "count", LONG, || 7).unwrap(), 7);

        assert_eq!(works.stuck(), []);
    }

    #[test]
    fn work_that_hangs_is_listed_until_it_ends_and_keeps_what_it_owns() {
        let works = Works::new();
        let (release, released) = channel::<()>();
        let lock = Arc::new(());
        let owned = Arc::clone(&lock);

        let answer = works.run("0000:01:00.0", "write 0 to sriov_numvfs", SOON, move || {
            let _ = released.recv();
            drop(owned);
        });

        let Err(Stuck::Late(late)) = answer else { panic!("it hangs: {answer:?}") };
        assert_eq!(works.stuck(), [late]);
        assert_eq!(Arc::strong_count(&lock), 2);
        drop(release);
        while !works.stuck().is_empty() || Arc::strong_count(&lock) > 1 {
            std::thread::sleep(Duration::from_millis(1));
        }
    }

    #[test]
    fn other_work_goes_on_beside_work_that_hangs() {
        let works = Works::new();
        let (release, released) = channel::<()>();
        assert!(works.run("0000:01:00.0", "hang", SOON, move || released.recv()).is_err());

        assert_eq!(works.run("0000:02:00.0", "count", LONG, || 7).unwrap(), 7);

        drop(release);
    }

    #[test]
    fn the_error_says_what_hangs_for_how_long_and_what_to_do() {
        let works = Works::new();
        let (release, released) = channel::<()>();

        let error = works.run("0000:01:00.0", "write 0", SOON, move || released.recv()).unwrap_err();

        let text = error.to_string();
        assert!(text.starts_with("0000:01:00.0: write 0 is stuck"), "{text}");
        assert!(text.contains("50 ms") && text.contains("restart the node"), "{text}");
        drop(release);
    }

    #[test]
    #[should_panic = "by itself"]
    fn a_panic_of_the_work_is_the_callers() {
        let _ = Works::new().run("0000:01:00.0", "panic", LONG, || panic!("by itself"));
    }
}
