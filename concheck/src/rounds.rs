//! Which pairs are measured at the same time: no NIC of a host carries two tests at once, or both figures would be wrong.

use std::collections::{BTreeMap, BTreeSet};

/// A NIC of a host.
pub(crate) type Nic = (String, String);

/// What the plan has to know of a test.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Ends {
    /// NIC that sends: host and name there.
    pub(crate) from: Nic,
    /// NIC that receives.
    pub(crate) to: Nic,
}

/// Indices of the tests by round. As in a round-robin tournament, each round has every NIC busy, as far as there are
/// partners: `n` hosts with equal NICs need 2(n − 1) rounds, or 2n when n is odd.
pub(crate) fn rounds(tests: &[Ends]) -> Vec<Vec<usize>> {
    let names: BTreeSet<&str> = tests.iter().flat_map(|test| [&*test.from.0, &*test.to.0]).collect();
    let numbers: BTreeMap<&str, usize> =
        names.iter().enumerate().map(|(number, name)| (*name, number)).collect();
    let number = |nic: &Nic| numbers.get(&*nic.0).copied().unwrap_or(0);
    let places = |test: &Ends| place(number(&test.from), number(&test.to), names.len());
    let mut order: Vec<usize> = (0..tests.len()).collect();
    order.sort_by_key(|index| tests.get(*index).map(places));
    let mut rounds: Vec<(BTreeSet<&Nic>, Vec<usize>)> = Vec::new();
    for index in order {
        let Some(test) = tests.get(index) else { continue };
        let mut round = places(test);
        // NICs that serve two networks, or two families on one NIC, come later than the tournament has them.
        while rounds.get(round).is_some_and(|(busy, _)| busy.contains(&test.from) || busy.contains(&test.to))
        {
            round += 1;
        }
        if rounds.len() <= round {
            rounds.resize_with(round + 1, Default::default);
        }
        if let Some((busy, members)) = rounds.get_mut(round) {
            busy.extend([&test.from, &test.to]);
            members.push(index);
        }
    }
    rounds.into_iter().map(|(_, members)| members).filter(|members| !members.is_empty()).collect()
}

/// Round of a pair in the tournament of so many hosts (the circle method), one direction after the other.
fn place(from: usize, to: usize, hosts: usize) -> usize {
    let even = hosts + hosts % 2;
    let circle = even.saturating_sub(1).max(1);
    let (low, high) = (from.min(to), from.max(to));
    let meeting = if high == circle { 2 * low % circle } else { (low + high) % circle };
    2 * meeting + usize::from(from > to)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn all_pairs(hosts: usize, nics: usize) -> Vec<Ends> {
        let nic = |host: usize, nic: usize| (format!("h{host}"), format!("eth{nic}"));
        let pairs = (0..hosts).flat_map(|a| (0..hosts).map(move |b| (a, b))).filter(|(a, b)| a != b);
        pairs.flat_map(|(a, b)| (0..nics).map(move |n| Ends { from: nic(a, n), to: nic(b, n) })).collect()
    }

    fn no_nic_is_there_twice(tests: &[Ends], rounds: &[Vec<usize>]) {
        for round in rounds {
            let nics: Vec<&Nic> =
                round.iter().flat_map(|index| [&tests[*index].from, &tests[*index].to]).collect();
            assert_eq!(nics.iter().collect::<BTreeSet<_>>().len(), nics.len(), "{nics:?}");
        }
    }

    fn every_test_is_there_once(tests: &[Ends], rounds: &[Vec<usize>]) {
        let mut planned: Vec<usize> = rounds.concat();
        planned.sort_unstable();
        assert_eq!(planned, (0..tests.len()).collect::<Vec<_>>());
    }

    #[test]
    fn equal_hosts_need_as_many_rounds_as_a_tournament() {
        for (hosts, wanted) in [(2, 2), (3, 6), (4, 6), (8, 14), (9, 18), (100, 198)] {
            assert_eq!(rounds(&all_pairs(hosts, 2)).len(), wanted, "{hosts} hosts");
        }
    }

    #[test]
    fn nothing_needs_no_round() {
        assert_eq!(rounds(&[]), Vec::<Vec<usize>>::new());
    }

    proptest! {
        #[test]
        fn every_pair_and_interface_once_and_no_nic_twice_in_a_round(hosts in 2_usize..12, nics in 1_usize..5) {
            let tests = all_pairs(hosts, nics);
            let rounds = rounds(&tests);
            every_test_is_there_once(&tests, &rounds);
            no_nic_is_there_twice(&tests, &rounds);
        }

        #[test]
        fn also_where_hosts_differ(picks in prop::collection::vec((0_usize..6, 0_usize..3, 0_usize..6, 0_usize..3), 0..120)) {
            let picks = picks.into_iter().filter(|(a, _, b, _)| a != b);
            let tests: Vec<Ends> = picks.map(|(a, m, b, n)| Ends {
                from: (format!("h{a}"), format!("eth{m}")), to: (format!("h{b}"), format!("eth{n}")),
            }).collect();
            let rounds = rounds(&tests);
            every_test_is_there_once(&tests, &rounds);
            no_nic_is_there_twice(&tests, &rounds);
        }
    }
}
