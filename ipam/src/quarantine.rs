//! Addresses that were given back and rest.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::RangeInclusive;

/// Resting numbers of one block, each with the second from which on it is free.
#[derive(Debug, Default)]
pub(crate) struct Quarantine {
    until: BTreeMap<u128, u64>,
    /// The same in the order of their times.
    queue: BTreeSet<(u64, u128)>,
}

impl Quarantine {
    pub(crate) fn len(&self) -> usize {
        self.until.len()
    }

    pub(crate) fn count_in(&self, range: RangeInclusive<u128>) -> usize {
        self.until.range(range).count()
    }

    pub(crate) fn add(&mut self, number: u128, until: u64) {
        self.remove(number);
        self.until.insert(number, until);
        self.queue.insert((until, number));
    }

    /// Ends a rest; until when it would have lasted.
    pub(crate) fn remove(&mut self, number: u128) -> Option<u64> {
        let until = self.until.remove(&number)?;
        self.queue.remove(&(until, number));
        Some(until)
    }

    /// No rest may last longer than until `latest`: it does when the clock was set back, and then it would last for
    /// ever and be in the wrong order.
    pub(crate) fn shorten(&mut self, latest: u64) {
        while let Some((until, number)) = self.queue.last().copied().filter(|(until, _)| *until > latest) {
            self.queue.remove(&(until, number));
            self.queue.insert((latest, number));
            self.until.insert(number, latest);
        }
    }

    /// Ends the rest of one that has rested long enough.
    pub(crate) fn pop(&mut self, now: u64) -> Option<u128> {
        let (_, number) = self.queue.first().copied().filter(|(until, _)| *until <= now)?;
        self.remove(number)?;
        Some(number)
    }

    /// The one that has rested longest of those that may be given.
    pub(crate) fn longest(&self, may_give: impl Fn(u128) -> bool) -> Option<u128> {
        self.queue.iter().map(|(_, number)| *number).find(|number| may_give(*number))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_order_is_that_of_the_times_and_a_set_back_clock_only_shortens() {
        let mut quarantine = Quarantine::default();
        quarantine.add(1, 1_000_060);
        quarantine.add(2, 1_000_010);
        quarantine.add(3, 90);

        quarantine.shorten(160);

        assert_eq!(quarantine.longest(|_| true), Some(3));
        assert_eq!(quarantine.longest(|number| number != 3), Some(1));
        assert_eq!((quarantine.pop(89), quarantine.pop(90), quarantine.pop(159)), (None, Some(3), None));
        assert_eq!((quarantine.remove(2), quarantine.remove(2)), (Some(160), None));
        assert_eq!((quarantine.pop(160), quarantine.len(), quarantine.queue.len()), (Some(1), 0, 0));
    }
}
