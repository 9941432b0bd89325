//! Calls that run at once: bounded in number, and waited for when the agent ends.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;
use std::time::{Duration, Instant};

/// How long running calls may take to end when the agent ends.
const FAREWELL: Duration = Duration::from_secs(10);

/// Running calls. Clones count the same ones.
#[derive(Debug, Clone)]
pub(crate) struct Running {
    count: Arc<AtomicU32>,
    most: u32,
}

/// One of the calls that may run at once; it ends when this is dropped.
#[derive(Debug)]
pub(crate) struct Place(Arc<AtomicU32>);

impl Running {
    /// At most `most` calls.
    pub(crate) fn new(most: u32) -> Self {
        Self { count: Arc::default(), most }
    }

    /// A place for one more call; absent when there are as many as may be.
    pub(crate) fn take(&self) -> Option<Place> {
        let before = self.count.fetch_add(1, Ordering::SeqCst);
        let place = Place(Arc::clone(&self.count));
        (before < self.most).then_some(place)
    }

    /// Waits for running calls, for a while.
    pub(crate) fn farewell(&self) {
        let end = Instant::now() + FAREWELL;
        while self.count.load(Ordering::SeqCst) > 0 && Instant::now() < end {
            thread::sleep(Duration::from_millis(5));
        }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}
