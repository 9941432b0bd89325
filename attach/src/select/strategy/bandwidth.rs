//! A target bandwidth: with the fewest NICs and the least waste (`costOpt`), or with the most headroom (`perfOpt`), of what
//! earlier pods were not promised.

use std::cmp::Reverse;

use hwprobe::{Nic, SpeedMbps};

use super::Picked;
use crate::select::{LeftOut, Rule, SelectError};
use crate::usage::Usage;

/// What is wished for.
#[derive(Debug, Clone, Copy)]
pub(super) struct By {
    /// Bandwidth that the pod's NICs have together.
    pub(super) target: SpeedMbps,
    /// At most so many NICs.
    pub(super) count: Option<usize>,
    /// Take the NICs with the most left, else those that leave the least unused.
    pub(super) most_headroom: bool,
}

/// A NIC with what is left of it, Mb/s.
#[derive(Debug, Clone, Copy)]
struct Left<'a> {
    place: usize,
    nic: &'a Nic,
    left: u64,
}

impl By {
    /// Chooses; the NICs stay in their order, each with its part of the target.
    pub(super) fn choose<'a>(
        self,
        usage: &Usage,
        nics: Vec<&'a Nic>,
        left_out: &mut Vec<LeftOut>,
    ) -> Result<Vec<Picked<'a>>, SelectError> {
        let mut all = Vec::new();
        let mut speeds = Vec::new();
        for (place, nic) in nics.into_iter().enumerate() {
            let Some(speed) = nic.speed.mbps.map(|speed| u64::from(speed.get())) else {
                let why = "its speed is not known, so nothing can be promised of it";
                left_out.push(LeftOut::new(nic, Rule::SpeedUnknown, why));
                continue;
            };
            let left = speed.saturating_sub(usage.promised(&nic.id));
            speeds.push(speed);
            if left == 0 {
                left_out.push(LeftOut::new(
                    nic,
                    Rule::Promised,
                    "all its bandwidth is promised to other pods",
                ));
                continue;
            }
            all.push(Left { place, nic, left });
        }
        all.sort_by_key(|one| (Reverse(one.left), one.place));
        let most = self.count.unwrap_or(usize::MAX);
        let target = u64::from(self.target.get());
        let Some(needed) = fewest(&all, target).filter(|needed| *needed <= most) else {
            speeds.sort_unstable_by_key(|speed| Reverse(*speed));
            return Err(SelectError::TooSlow {
                target: self.target,
                nics: self.count,
                fastest: speeds.iter().take(most).sum(),
                left: all.iter().map(|one| one.left).take(most).sum(),
            });
        };
        let (mut chosen, rest) = if self.most_headroom {
            let (chosen, rest) = all.split_at(needed);
            (chosen.to_vec(), rest.to_vec())
        } else {
            tightest(all, needed, target)
        };
        chosen.sort_by_key(|one| one.place);
        for one in rest {
            let why = format!("{needed} others give {} together", self.target);
            left_out.push(LeftOut::new(one.nic, Rule::EnoughChosen, why));
        }
        let sum: u64 = chosen.iter().map(|one| one.left).sum();
        Ok(chosen.iter().map(|one| (one.nic, part(target, one.left, sum))).collect())
    }
}

/// How many of the first it takes to reach the target.
fn fewest(sorted: &[Left<'_>], target: u64) -> Option<usize> {
    let mut sum = 0;
    let reached = sorted.iter().position(|one| {
        sum += one.left;
        sum >= target
    });
    reached.map(|last| last + 1)
}

/// So many NICs that reach the target and leave little unused: each time the one with the least left with which the
/// largest others still do.
fn tightest<'a>(mut all: Vec<Left<'a>>, needed: usize, target: u64) -> (Vec<Left<'a>>, Vec<Left<'a>>) {
    let (mut chosen, mut sum) = (Vec::new(), 0);
    for open in (0..needed).rev() {
        // `all` is sorted, largest first: with `at` taken, the largest `open` others are before it or just behind.
        let largest = |at: usize| -> u64 {
            all.iter().enumerate().filter(|(place, _)| *place != at).take(open).map(|(_, one)| one.left).sum()
        };
        let reaches = |at: &usize| all.get(*at).is_some_and(|one| sum + one.left + largest(*at) >= target);
        // Among equals the first in the usual order.
        let mut at = (0..all.len()).rev().find(reaches).unwrap_or_default();
        while at > 0 && all.get(at - 1).map(|one| one.left) == all.get(at).map(|one| one.left) {
            at -= 1;
        }
        let one = all.remove(at);
        sum += one.left;
        chosen.push(one);
    }
    (chosen, all)
}

/// A NIC's part of the target, in proportion to what is left of it; never more than that.
fn part(target: u64, left: u64, sum: u64) -> Option<SpeedMbps> {
    let part = (target * left).div_ceil(sum.max(1)).min(left);
    SpeedMbps::new(u32::try_from(part).unwrap_or(u32::MAX - 1))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "test code outside of test functions")]

    use super::*;
    use hwprobe::{NicId, NicKind};
    use proptest::prelude::*;

    fn nics(speeds: &[u32]) -> Vec<Nic> {
        let each = speeds.iter().enumerate().map(|(number, speed)| {
            let mut nic = Nic::new(NicId::new(format!("n{number}")), NicKind::Physical);
            nic.speed.mbps = SpeedMbps::new(*speed);
            nic
        });
        each.collect()
    }

    fn chosen(nics: &[Nic], usage: &Usage, by: By) -> Result<Vec<(String, u32)>, SelectError> {
        let picked = by.choose(usage, nics.iter().collect(), &mut Vec::new())?;
        Ok(picked.into_iter().map(|(nic, part)| (nic.id.to_string(), part.unwrap().get())).collect())
    }

    fn by(target: u32, count: Option<usize>, most_headroom: bool) -> By {
        By { target: SpeedMbps::new(target).unwrap(), count, most_headroom }
    }

    fn short(found: &[(String, u32)]) -> Vec<(&str, u32)> {
        found.iter().map(|(nic, part)| (nic.as_str(), *part)).collect()
    }

    #[test]
    fn cost_takes_the_fewest_and_leaves_the_fast_ones_free_performance_takes_the_fastest() {
        let mixed = nics(&[10_000, 100_000, 25_000, 100_000]);
        let none = Usage::default();
        let cost = |target| chosen(&mixed, &none, by(target, None, false)).unwrap();
        let performance = |target| chosen(&mixed, &none, by(target, None, true)).unwrap();

        assert_eq!(short(&cost(8_000)), [("n0", 8_000)]);
        assert_eq!(short(&performance(8_000)), [("n1", 8_000)]);
        assert_eq!(short(&cost(25_000)), [("n2", 25_000)]);
        assert_eq!(short(&cost(110_000)), [("n0", 10_000), ("n1", 100_000)]);
        assert_eq!(short(&performance(110_000)), [("n1", 55_000), ("n3", 55_000)]);
    }

    #[test]
    fn what_others_were_promised_counts_and_what_can_never_be_is_told_from_what_is_taken() {
        let two = nics(&[10_000, 10_000]);
        let mut usage = Usage::default();
        usage.promise(&two[0].id, SpeedMbps::new(8_000).unwrap());

        assert_eq!(short(&chosen(&two, &usage, by(5_000, None, true)).unwrap()), [("n1", 5_000)]);
        assert_eq!(short(&chosen(&two, &usage, by(2_000, None, false)).unwrap()), [("n0", 2_000)]);
        let busy = chosen(&two, &usage, by(15_000, None, false)).unwrap_err();
        assert!(!busy.is_for_ever(), "{busy}");
        let never = chosen(&two, &usage, by(25_000, None, false)).unwrap_err();
        assert!(never.is_for_ever(), "{never}");
        let few = chosen(&two, &Usage::default(), by(15_000, Some(1), false)).unwrap_err();
        assert!(few.is_for_ever() && few.to_string().contains("1 NIC"), "{few}");
    }

    #[test]
    fn a_nic_of_unknown_speed_is_not_counted_on() {
        let mut two = nics(&[10_000, 10_000]);
        two[0].speed.mbps = None;
        let mut left_out = Vec::new();
        let picked =
            by(1_000, None, true).choose(&Usage::default(), two.iter().collect(), &mut left_out).unwrap();
        assert_eq!(picked[0].0.id.as_str(), "n1");
        assert_eq!(left_out[0].rule, Rule::SpeedUnknown);
    }

    proptest! {
        #[test]
        fn the_target_is_reached_by_the_fewest_and_nothing_is_promised_twice(
            speeds in proptest::collection::vec(1_u32..400, 1..8),
            targets in proptest::collection::vec((1_u32..600, any::<bool>()), 1..12),
            order in any::<prop::sample::Index>(),
        ) {
            let nics = nics(&speeds);
            let mut usage = Usage::default();
            for (target, most_headroom) in targets {
                let left = |nic: &Nic| u64::from(nic.speed.mbps.unwrap().get()) - usage.promised(&nic.id);
                let mut lefts: Vec<u64> = nics.iter().map(left).collect();
                lefts.sort_unstable_by_key(|left| Reverse(*left));
                let total: u64 = lefts.iter().sum();
                let wish = by(target, None, most_headroom);
                let Ok(found) = chosen(&nics, &usage, wish) else {
                    prop_assert!(total < u64::from(target));
                    continue;
                };
                let sum: u64 = found.iter().map(|(_, part)| u64::from(*part)).sum();
                prop_assert!(sum >= u64::from(target) && sum < u64::from(target) + found.len() as u64);
                let fewer: u64 = lefts.iter().take(found.len() - 1).sum();
                prop_assert!(fewer < u64::from(target), "fewer would do");
                // The order that they are listed in changes nothing but the order of equals.
                let mut turned: Vec<&Nic> = nics.iter().collect();
                turned.rotate_left(order.index(nics.len()));
                let again = wish.choose(&usage, turned, &mut Vec::new()).unwrap();
                let sorted = |mut all: Vec<u64>| { all.sort_unstable(); all };
                let first = found.iter().map(|(id, _)| left(nics.iter().find(|nic| nic.id.as_str() == id).unwrap()));
                prop_assert_eq!(sorted(first.collect()), sorted(again.iter().map(|(nic, _)| left(nic)).collect()));
                for (id, part) in found {
                    usage.promise(&NicId::new(id), SpeedMbps::new(part).unwrap());
                }
            }
            for nic in &nics {
                prop_assert!(usage.promised(&nic.id) <= u64::from(nic.speed.mbps.unwrap().get()));
            }
        }
    }
}
