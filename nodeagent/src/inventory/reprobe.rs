//! The safety net: when the next full reading is due, and what to say when it found something.

use std::time::{Duration, Instant};

use super::diff::Difference;

/// When the next full reading is due.
#[derive(Debug)]
pub(super) struct Clock {
    interval: Option<Duration>,
    next: Option<Instant>,
}

impl Clock {
    /// A clock that is due every `interval`; never with `None`.
    pub(super) fn new(interval: Option<Duration>) -> Self {
        Self { interval, next: interval.map(|interval| Instant::now() + interval) }
    }

    /// Time until the next reading; `None` = there is none.
    pub(super) fn left(&self, now: Instant) -> Option<Duration> {
        self.next.map(|next| next.saturating_duration_since(now))
    }

    /// The next reading is due.
    pub(super) fn is_due(&self, now: Instant) -> bool {
        self.next.is_some_and(|next| next <= now)
    }

    /// A reading was made `now`.
    pub(super) fn restart(&mut self, now: Instant) {
        self.next = self.interval.map(|interval| now + interval);
    }
}

/// Logs what no notification had told: one line for each thing, with the members that differ.
pub(super) fn report(found: &[Difference]) {
    for one in found {
        let members: Vec<&str> = one.changes.iter().map(|change| change.path.as_str()).collect();
        tracing::warn!(
            event = one.kind.as_str(),
            nic = one.nic.as_ref().map(tracing::field::display),
            gpu = one.gpu.as_ref().map(tracing::field::display),
            members = members.join(" "),
            "the re-probe found what no notification had told"
        );
    }
}

#[cfg(test)]
mod tests {
    use super::Clock;
    use std::time::{Duration, Instant};

    #[test]
    fn clock_that_is_off_is_never_due() {
        let clock = Clock::new(None);

        let later = Instant::now() + Duration::from_secs(1_000_000);
        assert!(!clock.is_due(later) && clock.left(later).is_none());
    }

    #[test]
    fn clock_is_due_once_an_interval() {
        let mut clock = Clock::new(Some(Duration::from_secs(60)));
        let due = Instant::now() + Duration::from_secs(61);

        assert!(!clock.is_due(Instant::now()));
        assert!(clock.is_due(due));
        clock.restart(due);
        assert!(!clock.is_due(due));
        assert_eq!(clock.left(due), Some(Duration::from_secs(60)));
    }
}
