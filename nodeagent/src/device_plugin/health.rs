//! Whether a device is offered: what is wrong must last before it is withdrawn, what is well before it comes back.

use std::time::{Duration, Instant};

/// How long a state must last to count.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Patience {
    /// Something is wrong.
    pub(crate) unhealthy_after: Duration,
    /// All is well again.
    pub(crate) healthy_after: Duration,
}

/// What a look at a device said.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Look {
    /// All is well.
    Well,
    /// Something is wrong.
    Wrong,
    /// Something is wrong that cannot pass: the device is gone.
    Gone,
    /// It could not be read: nothing is known, nothing changes.
    Unknown,
}

/// Health of one device, and since when the looks at it say otherwise.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Health {
    healthy: bool,
    otherwise_since: Option<Instant>,
}

impl Health {
    /// Health after the first look: nobody was promised anything yet, so it counts at once.
    pub(crate) fn first(look: Look) -> Self {
        Self { healthy: look == Look::Well, otherwise_since: None }
    }

    /// Whether it is offered.
    pub(crate) fn is_healthy(self) -> bool {
        self.healthy
    }

    /// Takes in a look at time `now`.
    pub(crate) fn see(&mut self, look: Look, now: Instant, patience: Patience) {
        let well = match look {
            // Neither for nor against: what was counted so far goes on.
            Look::Unknown => return,
            Look::Gone => {
                *self = Self { healthy: false, otherwise_since: None };
                return;
            }
            Look::Well => true,
            Look::Wrong => false,
        };
        if well == self.healthy {
            self.otherwise_since = None;
            return;
        }
        let since = *self.otherwise_since.get_or_insert(now);
        if now.saturating_duration_since(since) >= Self::wait(self.healthy, patience) {
            *self = Self { healthy: well, otherwise_since: None };
        }
    }

    /// When it changes if every further look says what the last one said.
    pub(crate) fn due(self, patience: Patience) -> Option<Instant> {
        self.otherwise_since.map(|since| since + Self::wait(self.healthy, patience))
    }

    fn wait(healthy: bool, patience: Patience) -> Duration {
        if healthy { patience.unhealthy_after } else { patience.healthy_after }
    }
}

#[cfg(test)]
mod tests {
    use super::{Health, Look, Patience};
    use proptest::prelude::*;
    use std::time::{Duration, Instant};

    const PATIENCE: Patience =
        Patience { unhealthy_after: Duration::from_secs(2), healthy_after: Duration::from_secs(15) };

    fn at(start: Instant, millis: u64) -> Instant {
        start + Duration::from_millis(millis)
    }

    #[test]
    fn two_seconds_without_carrier_withdraw_and_fifteen_with_bring_back() {
        let start = Instant::now();
        let mut health = Health::first(Look::Well);

        health.see(Look::Wrong, at(start, 0), PATIENCE);
        health.see(Look::Wrong, at(start, 1999), PATIENCE);
        assert!(health.is_healthy());
        assert_eq!(health.due(PATIENCE), Some(at(start, 2000)));
        health.see(Look::Wrong, at(start, 2000), PATIENCE);
        assert!(!health.is_healthy());
        health.see(Look::Well, at(start, 3000), PATIENCE);
        health.see(Look::Well, at(start, 17_999), PATIENCE);
        assert!(!health.is_healthy());
        health.see(Look::Well, at(start, 18_000), PATIENCE);
        assert!(health.is_healthy());
        assert_eq!(health.due(PATIENCE), None);
    }

    #[test]
    fn a_flap_begins_the_count_anew() {
        let start = Instant::now();
        let mut health = Health::first(Look::Well);

        for (millis, look) in [(0, Look::Wrong), (1500, Look::Well), (1600, Look::Wrong), (3000, Look::Wrong)]
        {
            health.see(look, at(start, millis), PATIENCE);
        }

        assert!(health.is_healthy());
    }

    #[test]
    fn what_is_gone_is_withdrawn_at_once() {
        let mut health = Health::first(Look::Well);

        health.see(Look::Gone, Instant::now(), PATIENCE);

        assert!(!health.is_healthy());
    }

    proptest! {
        /// The health at any time is what the looks of the last seconds say, however they came.
        #[test]
        fn health_changes_only_after_looks_that_agree_for_long_enough(
            steps in prop::collection::vec((0u64..4000, 0u8..3), 1..60)
        ) {
            let start = Instant::now();
            let mut health = Health::first(Look::Well);
            let mut now = 0;
            // Since when the known looks say the same.
            let (mut same, mut since) = (true, 0);
            for (pause, look) in steps {
                now += pause;
                let look = [Look::Well, Look::Wrong, Look::Unknown][usize::from(look)];
                let before = health.is_healthy();
                health.see(look, at(start, now), PATIENCE);
                if look == Look::Unknown {
                    prop_assert_eq!(health.is_healthy(), before);
                    continue;
                }
                let well = look == Look::Well;
                if well != same {
                    (same, since) = (well, now);
                }
                if health.is_healthy() != before {
                    let needed = if before { 2000 } else { 15_000 };
                    prop_assert_eq!(health.is_healthy(), well);
                    prop_assert!(now - since >= needed);
                } else if well != before {
                    let needed = if before { 2000 } else { 15_000 };
                    prop_assert!(now - since < needed);
                }
            }
        }
    }
}
