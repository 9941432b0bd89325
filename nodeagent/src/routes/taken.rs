//! How often somebody takes our routes away (TRAPS C5).

use std::time::{Duration, Instant};

/// This often in this time, and a person is told who does that.
const OFTEN: (usize, Duration) = (3, Duration::from_secs(60));

/// How long that is said after the last time.
const SAID: Duration = Duration::from_secs(600);

/// What is said.
pub(super) const CULPRIT: &str = "another program keeps removing our routes or rules; they are put back each time. \
    systemd-networkd does that at its restart: write ManageForeignRoutes=no and ManageForeignRoutingPolicyRules=no below \
    [Network] in /etc/systemd/networkd.conf.d/multi-nic.conf";

/// The last times.
#[derive(Debug, Default)]
pub(super) struct Taken {
    when: Vec<Instant>,
    said_since: Option<Instant>,
}

impl Taken {
    /// It happened. Whether it is often from now on.
    pub(super) fn note(&mut self, now: Instant) -> bool {
        self.when.retain(|when| now.duration_since(*when) < OFTEN.1);
        self.when.push(now);
        let often = self.when.len() >= OFTEN.0;
        let news = often && self.said_since.is_none();
        if often || self.said_since.is_some() {
            self.said_since = Some(now);
        }
        news
    }

    /// When it is no longer said; absent: nothing is.
    pub(super) fn until(&self) -> Option<Instant> {
        self.said_since.map(|since| since + SAID)
    }

    /// What is said now; empty: nothing.
    pub(super) fn message(&mut self, now: Instant) -> &'static str {
        if self.until().is_some_and(|until| until <= now) {
            self.said_since = None;
        }
        if self.said_since.is_some() { CULPRIT } else { "" }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn three_times_in_a_minute_are_told_until_it_has_been_quiet() {
        let (mut taken, begun) = (Taken::default(), Instant::now());
        let at = |seconds| begun + Duration::from_secs(seconds);

        assert!(!taken.note(at(0)));
        assert!(!taken.note(at(40)));
        assert!(!taken.note(at(70)), "the first one is more than a minute ago");
        assert_eq!(taken.message(at(70)), "");
        assert!(taken.note(at(80)));
        assert!(!taken.note(at(300)), "it was told already");
        assert_eq!(taken.message(at(899)), CULPRIT);
        assert_eq!(taken.until(), Some(at(900)));
        assert_eq!(taken.message(at(900)), "");
        assert_eq!(taken.until(), None);
    }
}
