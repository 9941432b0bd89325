//! The addresses of one block: next-fit with a quarantine for those that were given back.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use ipnet::IpNet;
use serde::{Deserialize, Serialize};

use crate::bitmap::Bitmap;
use crate::block::{address, index_of, number, usable_in};

/// One block. Knows what is taken, not by whom.
#[derive(Debug)]
pub(crate) struct Pool {
    block: IpNet,
    /// First and last position that may be given; absent when the block is too small.
    usable: Option<(u128, u128)>,
    /// Positions that are never given: disjoint ranges inside `usable`, ascending.
    excludes: Vec<(u128, u128)>,
    /// Held and resting positions.
    taken: Bitmap,
    /// Resting positions with the time that they are free again.
    resting: BTreeMap<u128, u64>,
    /// The same in the order of their times.
    queue: BTreeSet<(u64, u128)>,
    /// Where the next search begins.
    cursor: u128,
}

/// What a block holds. Counts of an IPv6 block that exceed 64 bits are given as the largest number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Usage {
    /// Addresses of the block.
    pub total: u64,
    /// Never given: the ends and the excludes.
    pub reserved: u64,
    /// Held.
    pub used: u64,
    /// Given back, not yet free.
    pub quarantined: u64,
    /// Can be given.
    pub free: u64,
}

/// A block has nothing left.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "block {block} is full: {} of {} addresses are held, {} reserved, {} in quarantine",
    usage.used, usage.total, usage.reserved, usage.quarantined
)]
pub struct Full {
    /// The block.
    pub block: IpNet,
    /// What it holds.
    pub usage: Usage,
}

/// Why an address cannot be had.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Refusal {
    Outside,
    Reserved,
    Held,
}

impl Pool {
    pub(crate) fn new(block: IpNet, excludes: &[IpNet]) -> Self {
        let usable = usable_in(block);
        let mut pool = Self {
            block,
            usable,
            excludes: Vec::new(),
            taken: Bitmap::default(),
            resting: BTreeMap::new(),
            queue: BTreeSet::new(),
            cursor: 1,
        };
        pool.exclude(excludes);
        pool
    }

    /// Replaces the excludes. What is held in one stays held.
    pub(crate) fn exclude(&mut self, excludes: &[IpNet]) {
        self.excludes.clear();
        let Some((first, last)) = self.usable else { return };
        let start = number(self.block.network());
        let end = number(self.block.broadcast());
        let mut ranges: Vec<(u128, u128)> = excludes
            .iter()
            .filter(|exclude| matches!(exclude, IpNet::V4(_)) == matches!(self.block, IpNet::V4(_)))
            .map(|exclude| (number(exclude.network()), number(exclude.broadcast())))
            .filter(|(low, high)| *low <= end && *high >= start)
            .map(|(low, high)| ((low.max(start) - start).max(first), (high.min(end) - start).min(last)))
            .filter(|(low, high)| low <= high)
            .collect();
        ranges.sort_unstable();
        for (low, high) in ranges {
            match self.excludes.last_mut() {
                Some(previous) if low <= previous.1.saturating_add(1) => previous.1 = previous.1.max(high),
                _ => self.excludes.push((low, high)),
            }
        }
    }

    /// Takes the next free address; a resting one only when nothing else is free, and then it is told until when it
    /// would have rested.
    pub(crate) fn next(&mut self, now: u64, quarantine: u64) -> Result<(IpAddr, Option<u64>), Full> {
        self.wake(now, quarantine);
        let Some((first, last)) = self.usable else { return Err(self.full()) };
        let from = self.cursor.clamp(first, last);
        let found = self
            .search(from, last)
            .or_else(|| if from > first { self.search(first, from - 1) } else { None });
        let (position, rested) = match found {
            Some(position) => {
                self.taken.insert(position);
                (position, None)
            }
            None => {
                let (until, position) = self.longest_resting().ok_or_else(|| self.full())?;
                (position, Some(until))
            }
        };
        self.cursor = if position >= last { first } else { position + 1 };
        Ok((self.address(position), rested))
    }

    /// Takes this address; resting ones can be had, and then it is told until when it would have rested.
    pub(crate) fn take(&mut self, address: IpAddr) -> Result<Option<u64>, Refusal> {
        let position = index_of(self.block, address).ok_or(Refusal::Outside)?;
        let usable = self.usable.is_some_and(|(first, last)| (first..=last).contains(&position));
        if !usable || self.exclude_at(position).is_some() {
            return Err(Refusal::Reserved);
        }
        match self.no_longer_resting(position) {
            None if self.taken.insert(position) => Ok(None),
            None => Err(Refusal::Held),
            rested => Ok(rested),
        }
    }

    /// Marks as held whatever the rules say: it was given before they were.
    pub(crate) fn restore_held(&mut self, address: IpAddr) -> bool {
        index_of(self.block, address).is_some_and(|position| self.taken.insert(position))
    }

    /// Puts a held address, or with `restored` one that nothing was known of, to rest.
    pub(crate) fn rest(&mut self, address: IpAddr, until: u64, restored: bool) -> bool {
        let Some(position) = index_of(self.block, address) else { return false };
        let held = self.taken.contains(position) && !self.resting.contains_key(&position);
        if restored == held {
            return false;
        }
        self.taken.insert(position);
        self.resting.insert(position, until);
        self.queue.insert((until, position));
        true
    }

    /// Frees an address at once.
    pub(crate) fn free(&mut self, address: IpAddr) -> bool {
        let Some(position) = index_of(self.block, address) else { return false };
        self.no_longer_resting(position);
        self.taken.remove(position)
    }

    fn no_longer_resting(&mut self, position: u128) -> Option<u64> {
        let until = self.resting.remove(&position)?;
        self.queue.remove(&(until, position));
        Some(until)
    }

    /// Frees what has rested long enough, and tells it.
    pub(crate) fn wake(&mut self, now: u64, quarantine: u64) -> Vec<IpAddr> {
        // Further away than any quarantine: the clock was set back.
        let latest = now.saturating_add(quarantine);
        while let Some((until, position)) = self.queue.last().copied().filter(|(until, _)| *until > latest) {
            self.queue.remove(&(until, position));
            self.queue.insert((latest, position));
            self.resting.insert(position, latest);
        }
        let mut woken = Vec::new();
        while let Some((_, position)) = self.queue.first().copied().filter(|(until, _)| *until <= now) {
            self.no_longer_resting(position);
            self.taken.remove(position);
            woken.push(self.address(position));
        }
        woken
    }

    pub(crate) fn usage(&self) -> Usage {
        let bits = u32::from(self.block.max_prefix_len() - self.block.prefix_len());
        let total = 1u128.checked_shl(bits).unwrap_or(u128::MAX);
        let usable = self.usable.map_or(0, |(first, last)| last - first + 1);
        let excluded: u128 = self.excludes.iter().map(|(low, high)| high - low + 1).sum();
        let resting = self.resting.len() as u128;
        let used = self.taken.count() - resting;
        let givable = usable.saturating_sub(excluded);
        let small = |count: u128| u64::try_from(count).unwrap_or(u64::MAX);
        Usage {
            total: small(total),
            reserved: small(total - givable),
            used: small(used),
            quarantined: small(resting),
            free: small(givable.saturating_sub(self.taken.count())),
        }
    }

    fn full(&self) -> Full {
        Full { block: self.block, usage: self.usage() }
    }

    /// First free position in the range that no exclude covers.
    fn search(&self, from: u128, last: u128) -> Option<u128> {
        let mut from = from;
        loop {
            let found = self.taken.next_free(from, last)?;
            match self.exclude_at(found) {
                None => return Some(found),
                Some((_, high)) if high >= last => return None,
                Some((_, high)) => from = high + 1,
            }
        }
    }

    fn exclude_at(&self, position: u128) -> Option<(u128, u128)> {
        let after = self.excludes.partition_point(|(low, _)| *low <= position);
        let range = self.excludes.get(after.checked_sub(1)?)?;
        (position <= range.1).then_some(*range)
    }

    fn longest_resting(&mut self) -> Option<(u64, u128)> {
        while let Some((until, position)) = self.queue.first().copied() {
            self.no_longer_resting(position);
            if self.exclude_at(position).is_none() {
                return Some((until, position));
            }
            self.taken.remove(position);
        }
        None
    }

    fn address(&self, position: u128) -> IpAddr {
        address(number(self.block.network()) + position, &self.block)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pool(block: &str, excludes: &[&str]) -> Pool {
        let excludes: Vec<IpNet> = excludes.iter().map(|text| text.parse().unwrap()).collect();
        Pool::new(block.parse().unwrap(), &excludes)
    }

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn the_predecessors_next_free_addresses() {
        // Used 1, 2, 3, 8, 13, 18 and the excludes of each row; the search begins at 1.
        let rows: [(&[&str], &str); 4] = [
            (&[], "192.168.0.4"),
            (&["192.168.0.4/31", "192.168.0.6/32"], "192.168.0.7"),
            (&["192.168.0.4/30"], "192.168.0.9"),
            (&["192.168.0.4/30", "192.168.0.9/32", "192.168.0.10/31", "192.168.0.12/32"], "192.168.0.14"),
        ];
        for (excludes, wanted) in rows {
            let mut pool = pool("192.168.0.0/24", excludes);
            for used in [1, 2, 3, 8, 13, 18] {
                pool.take(ip(&format!("192.168.0.{used}"))).unwrap();
            }
            assert_eq!(pool.next(0, 60).unwrap().0, ip(wanted), "{excludes:?}");
        }
    }

    #[test]
    fn every_address_but_the_ends_is_given_once_and_then_it_is_full() {
        let mut pool = pool("192.168.0.0/28", &[]);
        let given: Vec<IpAddr> = (0..14).map(|_| pool.next(0, 60).unwrap().0).collect();

        assert_eq!((given[0], given[13]), (ip("192.168.0.1"), ip("192.168.0.14")));
        assert_eq!(
            pool.next(0, 60).unwrap_err().to_string(),
            "block 192.168.0.0/28 is full: 14 of 16 addresses are held, 2 reserved, 0 in quarantine"
        );
    }

    #[test]
    fn a_given_back_address_rests_until_nothing_else_is_free_or_its_time_is_over() {
        let mut pool = pool("192.168.0.0/29", &[]);
        for _ in 0..3 {
            pool.next(0, 60).unwrap();
        }
        assert!(pool.rest(ip("192.168.0.2"), 60, false));
        assert!(pool.rest(ip("192.168.0.1"), 61, false));
        assert!(!pool.rest(ip("192.168.0.2"), 62, false), "it rests already");
        for wanted in ["192.168.0.4", "192.168.0.5", "192.168.0.6"] {
            assert_eq!(pool.next(10, 60).unwrap().0, ip(wanted));
        }

        assert_eq!(pool.next(10, 60).unwrap().0, ip("192.168.0.2"), "the longest resting one");
        assert_eq!(pool.usage().quarantined, 1);
        assert_eq!(pool.wake(61, 60), [ip("192.168.0.1")]);
        assert_eq!(pool.usage().free, 1);
    }

    #[test]
    fn a_clock_that_goes_back_does_not_make_an_address_rest_for_ever() {
        let mut pool = pool("192.168.0.0/29", &[]);
        pool.next(1_000_000, 60).unwrap();
        pool.rest(ip("192.168.0.1"), 1_000_060, false);

        assert!(pool.wake(100, 60).is_empty());
        assert_eq!(pool.wake(160, 60), [ip("192.168.0.1")]);
    }

    #[test]
    fn excludes_cut_at_the_ends_and_may_overlap() {
        let mut pool =
            pool("10.0.0.0/28", &["10.0.0.0/30", "10.0.0.2/31", "10.0.0.12/30", "11.0.0.0/8", "fd00::/8"]);

        assert_eq!(pool.usage(), Usage { total: 16, reserved: 8, used: 0, quarantined: 0, free: 8 });
        assert_eq!(pool.next(0, 60).unwrap().0, ip("10.0.0.4"));
        assert_eq!(pool.take(ip("10.0.0.13")), Err(Refusal::Reserved));
        assert_eq!(pool.take(ip("10.0.0.15")), Err(Refusal::Reserved));
        assert_eq!(pool.take(ip("10.0.0.4")), Err(Refusal::Held));
        assert_eq!(pool.take(ip("10.0.1.4")), Err(Refusal::Outside));
    }

    #[test]
    fn an_ipv6_block_is_as_good_as_endless() {
        let mut pool = pool("fd10:20::/72", &["fd10:20::/74"]);

        assert_eq!(pool.next(0, 60).unwrap().0, ip("fd10:20:0:0:40::"));
        assert_eq!(pool.usage().used, 1);
        assert_eq!(pool.usage().total, 1 << 56);
    }
}
