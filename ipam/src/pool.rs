//! What may be given of one block and where the search goes on; what is taken is known to the network.

use ipnet::IpNet;
use serde::{Deserialize, Serialize};

use crate::bitmap::Bitmap;
use crate::block::number;
use crate::exclude::{Range, count, excluded_ranges, givable_ranges};
use crate::quarantine::Quarantine;

/// One block.
#[derive(Debug)]
pub(crate) struct Pool {
    block: IpNet,
    /// Whether addresses are given; of a former block they are only given back.
    pub(crate) live: bool,
    /// What may be given.
    givable: Vec<Range>,
    /// What excludes cover.
    excluded: Vec<Range>,
    /// Where the next search begins: behind the last one given.
    cursor: u128,
    /// Addresses that rest under this block's name.
    pub(crate) resting: Quarantine,
}

/// What a block holds. Counts of an IPv6 block that exceed 64 bits are given as the largest number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Usage {
    /// Addresses of the block.
    pub total: u64,
    /// Never given: the ends and the excludes.
    pub reserved: u64,
    /// Held, also those that an exclude covers since.
    pub used: u64,
    /// Given back and not yet freed by [`Allocator::expire`](crate::Allocator::expire); can be given when nothing
    /// else is free.
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

impl Pool {
    pub(crate) fn new(block: IpNet, live: bool) -> Self {
        let mut pool = Self {
            block,
            live,
            givable: Vec::new(),
            excluded: Vec::new(),
            cursor: 0,
            resting: Quarantine::default(),
        };
        pool.set_excludes(&[]);
        pool
    }

    pub(crate) fn set_excludes(&mut self, excludes: &[IpNet]) {
        self.givable = givable_ranges(self.block, excludes);
        self.excluded = excluded_ranges(self.block, excludes);
    }

    pub(crate) fn excluded(&self) -> &[Range] {
        &self.excluded
    }

    pub(crate) fn may_give(&self, number: u128) -> bool {
        let range = self.givable.get(self.first_not_before(number));
        range.is_some_and(|(first, _)| *first <= number)
    }

    /// The next free number behind the last one, in a circle.
    pub(crate) fn next(&self, taken: &Bitmap) -> Option<u128> {
        let at = self.first_not_before(self.cursor);
        let search =
            |first: u128, last: u128| if first <= last { taken.next_free(first, last) } else { None };
        let behind = self.givable.iter().skip(at);
        let before = self.givable.iter().take(at + 1);
        behind
            .map(|(first, last)| (self.cursor.max(*first), *last))
            .find_map(|(first, last)| search(first, last))
            .or_else(|| {
                before.map(|(first, last)| (*first, self.cursor.min(*last))).find_map(|(f, l)| search(f, l))
            })
    }

    pub(crate) fn given(&mut self, number: u128) {
        self.cursor = number.saturating_add(1);
    }

    /// What the block holds; `resting` also counts those that rest in it under the name of another block.
    pub(crate) fn usage(&self, taken: &Bitmap, resting: u64) -> Usage {
        let (start, end) = (number(self.block.network()), number(self.block.broadcast()));
        let small = |count: u128| u64::try_from(count).unwrap_or(u64::MAX);
        let total = (end - start).saturating_add(1);
        let givable = count(&self.givable);
        let given: u128 = self.givable.iter().map(|(first, last)| taken.count_in(*first, *last)).sum();
        Usage {
            total: small(total),
            reserved: small(total - givable),
            used: small(taken.count_in(start, end)).saturating_sub(resting),
            quarantined: resting,
            free: small(givable - given),
        }
    }

    /// Position of the first range that does not end before `number`.
    fn first_not_before(&self, number: u128) -> usize {
        self.givable.partition_point(|(_, last)| *last < number)
    }
}
