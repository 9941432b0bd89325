//! A block that is divided into numbered ones, and which numbers can be had.

use std::collections::BTreeSet;

use ipnet::IpNet;

use crate::block::{largest, number, sub_block};
use crate::exclude::{Range, excluded_ranges, givable};

/// A block of one family and how it is divided.
#[derive(Debug)]
pub(crate) struct Division<'a> {
    base: IpNet,
    bits: u8,
    excludes: &'a [IpNet],
    covered: Vec<Range>,
    /// Its parts are pod blocks, so they must have addresses.
    of_pods: bool,
}

impl<'a> Division<'a> {
    pub(crate) fn new(base: IpNet, bits: u8, excludes: &'a [IpNet], of_pods: bool) -> Self {
        Self { base, bits, excludes, covered: excluded_ranges(base, excludes), of_pods }
    }

    /// Absent when the number can be had, otherwise the first greater one that may.
    fn skip(&self, index: u32) -> Option<u64> {
        let behind = u64::from(index) + 1;
        let Ok(block) = sub_block(self.base, index, self.bits) else { return Some(behind) };
        let (start, end) = (number(block.network()), number(block.broadcast()));
        let at = self.covered.partition_point(|(_, last)| *last < end);
        if let Some((_, last)) = self.covered.get(at).filter(|(first, _)| *first <= start) {
            // A large exclude is stepped over in one go.
            let blocks = (last - start).saturating_add(1) / (end - start).saturating_add(1);
            return Some(
                behind.max(u64::from(index).saturating_add(u64::try_from(blocks).unwrap_or(u64::MAX))),
            );
        }
        (self.of_pods && givable(block, self.excludes) == 0).then_some(behind)
    }
}

/// The number after `next`, after all taken ones, that can be had in all divisions; when there is none any more, the
/// lowest that is not taken. So freed numbers are used again last.
pub(crate) fn choose(divisions: &[Division<'_>], taken: &BTreeSet<u32>, next: u32) -> Option<u32> {
    let most = divisions.iter().map(|division| largest(division.bits)).min().unwrap_or(u32::MAX);
    let above = taken.last().map_or(0, |last| u64::from(*last) + 1).max(u64::from(next));
    first(divisions, taken, above, u64::from(most) + 1)
        .or_else(|| first(divisions, taken, 0, above.min(u64::from(most) + 1)))
}

/// Whether a number can be had in all divisions.
pub(crate) fn can_be(divisions: &[Division<'_>], index: u32) -> bool {
    divisions.iter().all(|division| division.skip(index).is_none())
}

fn first(divisions: &[Division<'_>], taken: &BTreeSet<u32>, from: u64, end: u64) -> Option<u32> {
    let mut at = from;
    while at < end {
        let index = u32::try_from(at).ok()?;
        let skip = divisions.iter().filter_map(|division| division.skip(index)).max();
        match skip {
            Some(later) => at = later,
            None if taken.contains(&index) => at += 1,
            None => return Some(index),
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::exclude::excluded;

    fn net(text: &str) -> IpNet {
        text.parse().unwrap()
    }

    #[test]
    fn a_large_exclude_is_stepped_over_in_one_go() {
        // Four thousand million numbers, all but the last sixteen excluded.
        let excludes = [net("fd10::/17"), net("fd10:8000::/17"), net("fd10::/16"), net("fd11::/88")];
        let division = Division::new(net("fd11::/88"), 32, &excludes, true);
        assert_eq!(choose(&[division], &BTreeSet::new(), 0), None);

        let excludes = [net("fd11::/89"), net("fd11::80:0:0/90"), net("fd11::c0:0:0/91")];
        let division = Division::new(net("fd11::/88"), 32, &excludes, true);
        assert_eq!(choose(&[division], &BTreeSet::new(), 0), Some(0xe000_0000));
    }

    proptest! {
        #[test]
        fn the_chosen_number_is_what_a_plain_search_finds(
            excludes in proptest::collection::vec((0u32..1024, 22u8..=32), 0..8),
            taken in proptest::collection::btree_set(0u32..64, 0..40), next in 0u32..70, of_pods in any::<bool>())
        {
            let base = net("10.0.0.0/22");
            let excludes: Vec<IpNet> = excludes.into_iter().map(|(offset, length)| {
                let address = (u32::from_be_bytes([10, 0, 0, 0]) + offset).to_be_bytes();
                IpNet::new(address.into(), length).unwrap().trunc()
            }).collect();
            let can_be = |index: &u32| {
                let block = sub_block(base, *index, 6).unwrap();
                let empty = if of_pods { givable(block, &excludes) == 0 } else { excluded(block, &excludes) };
                !taken.contains(index) && !empty
            };
            let above = taken.last().map_or(0, |last| last + 1).max(next);
            let wanted = (above..64).find(can_be).or_else(|| (0..64).find(can_be));

            let divisions = [Division::new(base, 6, &excludes, of_pods)];
            prop_assert_eq!(choose(&divisions, &taken, next), wanted);
        }
    }
}
