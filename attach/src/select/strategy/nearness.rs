//! NICs near a pod's GPUs, as one assignment over all of them: below the same PCIe switch, the same root, on the same NUMA
//! node, anywhere else.

use hwprobe::{Nic, PciAddress, Relation};

/// NICs that a GPU is assigned to at most, over all: an assignment of more is cut.
const MOST: usize = 64;

/// What one pair is worth. One nearer pair is worth more than any number of pairs of the next kind (up to [`MOST`]).
fn worth(nic: &Nic, gpu: PciAddress) -> i64 {
    let relation = nic.gpus.iter().find(|one| one.gpu == gpu).map(|one| one.relation);
    match relation {
        Some(Relation::SameSwitch) => 128 * 128,
        Some(Relation::SameRoot) => 128,
        Some(Relation::SameNuma) => 1,
        _ => 0,
    }
}

/// Most sets of NICs that are tried one by one.
const MOST_SETS: usize = 20_000;

/// So many of the NICs, the one for the first GPU first. Each GPU has one NIC and the NICs have as many GPUs each as the
/// others; NICs beyond the GPUs' number follow by what they are worth to all. Equal ones come in their usual order.
pub(super) fn nearest<'a>(nics: &[&'a Nic], gpus: &[PciAddress], count: usize) -> Vec<&'a Nic> {
    let gpus = gpus.get(..gpus.len().min(MOST)).unwrap_or(gpus);
    let of = |nic: &&Nic| gpus.iter().map(|gpu| worth(nic, *gpu)).collect();
    let worths = Worths { of_nics: nics.iter().map(of).collect(), gpus: gpus.len() };
    let count = count.min(nics.len());
    let share = gpus.len().div_ceil(count.max(1));
    let chosen = if share <= 1 { worths.one_each(count) } else { worths.shared(count, share) };
    chosen.iter().filter_map(|at| nics.get(*at).copied()).collect()
}

/// What each NIC is worth to each GPU.
#[derive(Debug)]
struct Worths {
    of_nics: Vec<Vec<i64>>,
    gpus: usize,
}

impl Worths {
    fn of(&self, nic: usize, gpu: usize) -> i64 {
        self.of_nics.get(nic).and_then(|gpus| gpus.get(gpu)).copied().unwrap_or_default()
    }

    fn to_all(&self, nic: usize) -> i64 {
        self.of_nics.get(nic).map_or(0, |gpus| gpus.iter().sum())
    }

    /// As many NICs as GPUs or more: one assignment over all of them at once. NICs beyond the GPUs' number are given to
    /// places that nobody needs near. What is worth the same is decided by what a NIC is worth to all GPUs, then by the
    /// usual order, the first GPU first.
    fn one_each(&self, count: usize) -> Vec<usize> {
        let all: Vec<i64> = (0..self.of_nics.len()).map(|nic| self.to_all(nic)).collect();
        let value = |row: usize, at: usize| -> i128 {
            let order = i128::try_from(at * (count - row)).unwrap_or_default();
            (i128::from(self.of(at, row)) << 80) + (i128::from(get(&all, at)) << 48) - order
        };
        hungarian(count, all.len(), |row, at| -value(row, at)).into_iter().flatten().collect()
    }

    /// Fewer NICs than GPUs: which of them, so that no NIC has more than `share` GPUs. Sets of NICs of the same kinds are one;
    /// where there are too many all the same, the set that no exchange of one NIC betters.
    fn shared(&self, count: usize, share: usize) -> Vec<usize> {
        let kinds = self.kinds();
        let mut best = self.greedy(&kinds, count, share);
        self.improve(&mut best, &kinds, share);
        let mut value = self.value(&best, share);
        let (mut set, mut left) = (Vec::new(), MOST_SETS);
        self.try_all(&kinds, count, &mut set, &mut left, &mut |set| {
            // Nobody has a nearer NIC than the nearest of the set.
            let nearest = |gpu: usize| set.iter().map(|nic| self.of(*nic, gpu)).max().unwrap_or_default();
            let bound: i64 = (0..self.gpus).map(nearest).sum();
            let all: i64 = set.iter().map(|nic| self.to_all(*nic)).sum();
            if (bound, all) > value {
                let new = self.value(set, share);
                if new > value {
                    (value, best) = (new, set.to_vec());
                }
            }
        });
        let assigned = self.assign(&best, share);
        // By the first GPU that each serves; those that serve none last.
        let place = |nic: &usize| assigned.iter().position(|one| *one == Some(*nic)).unwrap_or(usize::MAX);
        best.sort_unstable_by_key(|nic| (place(nic), *nic));
        best
    }

    /// Of NICs that are worth the same to each GPU the first one stands for all: by position, that of the first.
    fn kinds(&self) -> Vec<usize> {
        let first = |one: &Vec<i64>| self.of_nics.iter().position(|other| other == one).unwrap_or_default();
        self.of_nics.iter().map(first).collect()
    }

    /// Goes through the sets of `count` NICs, those with the first ones of each kind, as long as there are some `left`.
    fn try_all(
        &self,
        kinds: &[usize],
        count: usize,
        set: &mut Vec<usize>,
        left: &mut usize,
        look: &mut dyn FnMut(&[usize]),
    ) {
        if *left == 0 {
            return;
        }
        if set.len() == count {
            *left -= 1;
            return look(set);
        }
        let from = set.last().map_or(0, |last| last + 1);
        // Enough must be left for the rest of the set.
        for at in from..=kinds.len() - (count - set.len()) {
            // Without the one before it of its kind it is not the first.
            let before = (0..at).rfind(|before| get(kinds, *before) == get(kinds, at));
            if before.is_none_or(|before| set.contains(&before)) {
                set.push(at);
                self.try_all(kinds, count, set, left, look);
                set.pop();
            }
        }
    }

    /// A set of NICs to begin with: one after the other, each time the one that adds most.
    fn greedy(&self, kinds: &[usize], count: usize, share: usize) -> Vec<usize> {
        let mut set: Vec<usize> = Vec::new();
        while set.len() < count {
            let value = |at: usize| {
                let mut with = set.clone();
                with.push(at);
                self.value(&with, share)
            };
            // The first of equals: `max_by_key` would take the last.
            let best = others(kinds, &set).into_iter().map(|at| (value(at), std::cmp::Reverse(at))).max();
            let Some((_, std::cmp::Reverse(at))) = best else { break };
            set.push(at);
        }
        set
    }

    /// Exchanges single NICs as long as that is worth it.
    fn improve(&self, set: &mut [usize], kinds: &[usize], share: usize) {
        let mut best = self.value(set, share);
        // Each exchange is worth more than the last; the bound is for peace of mind.
        for _ in 0..MOST {
            let mut better = None;
            for place in 0..set.len() {
                for at in others(kinds, set) {
                    let mut other = set.to_vec();
                    if let Some(slot) = other.get_mut(place) {
                        *slot = at;
                    }
                    let value = self.value(&other, share);
                    if value > best {
                        best = value;
                        better = Some((place, at));
                    }
                }
            }
            let Some((place, at)) = better else { return };
            if let Some(slot) = set.get_mut(place) {
                *slot = at;
            }
        }
    }

    /// What a set is worth: its assignment, then what its NICs are worth to all GPUs.
    fn value(&self, set: &[usize], share: usize) -> (i64, i64) {
        let assigned = self.assign(set, share);
        let pairs = assigned.iter().enumerate().filter_map(|(gpu, nic)| Some(self.of((*nic)?, gpu)));
        (pairs.sum(), set.iter().map(|nic| self.to_all(*nic)).sum())
    }

    /// The NIC of each GPU, so that the sum is greatest and no NIC has more than `share`: each NIC stands `share` times.
    fn assign(&self, set: &[usize], share: usize) -> Vec<Option<usize>> {
        // A set in the making has fewer places than there are GPUs: empty ones.
        let columns = (set.len() * share).max(self.gpus);
        let nic = |column: usize| set.get(column / share).copied();
        let cost = |gpu: usize, column: usize| nic(column).map_or(0, |nic| -i128::from(self.of(nic, gpu)));
        hungarian(self.gpus, columns, cost).into_iter().map(|column| nic(column?)).collect()
    }
}

/// The NICs that are not in a set, one of each kind.
fn others(kinds: &[usize], set: &[usize]) -> Vec<usize> {
    let mut seen = Vec::new();
    let free = (0..kinds.len()).filter(|at| !set.contains(at));
    free.filter(|at| {
        let kind = get(kinds, *at);
        let new = !seen.contains(&kind);
        seen.push(kind);
        new
    })
    .collect()
}

/// The column of each row, each column once at most, so that the sum of the costs is least. There are as many columns as rows
/// or more.
fn hungarian(rows: usize, columns: usize, cost: impl Fn(usize, usize) -> i128) -> Vec<Option<usize>> {
    let (mut of_row, mut of_column) = (vec![0_i128; rows + 1], vec![0_i128; columns + 1]);
    let mut row_of: Vec<usize> = vec![0; columns + 1];
    for row in 1..=rows {
        let mut way = vec![0_usize; columns + 1];
        let (mut least, mut seen) = (vec![i128::MAX; columns + 1], vec![false; columns + 1]);
        let mut column = 0;
        set(&mut row_of, 0, row);
        loop {
            set(&mut seen, column, true);
            let here = get(&row_of, column);
            let (mut step, mut next) = (i128::MAX, 0);
            for other in (1..=columns).filter(|other| !get(&seen, *other)).collect::<Vec<_>>() {
                let reduced = cost(here - 1, other - 1) - get(&of_row, here) - get(&of_column, other);
                if reduced < get(&least, other) {
                    set(&mut least, other, reduced);
                    set(&mut way, other, column);
                }
                if get(&least, other) < step {
                    (step, next) = (get(&least, other), other);
                }
            }
            for other in 0..=columns {
                if get(&seen, other) {
                    let row = get(&row_of, other);
                    let now = get(&of_row, row);
                    set(&mut of_row, row, now + step);
                    let now = get(&of_column, other);
                    set(&mut of_column, other, now - step);
                } else {
                    let now = get(&least, other);
                    set(&mut least, other, now.saturating_sub(step));
                }
            }
            column = next;
            if get(&row_of, column) == 0 {
                break;
            }
        }
        while column != 0 {
            let before = get(&way, column);
            let row = get(&row_of, before);
            set(&mut row_of, column, row);
            column = before;
        }
    }
    let mut found = vec![None; rows];
    for column in 1..=columns {
        let row = get(&row_of, column);
        if row > 0 {
            set(&mut found, row - 1, Some(column - 1));
        }
    }
    found
}

fn get<T: Copy + Default>(all: &[T], at: usize) -> T {
    all.get(at).copied().unwrap_or_default()
}

fn set<T>(all: &mut [T], at: usize, value: T) {
    if let Some(slot) = all.get_mut(at) {
        *slot = value;
    }
}

/// How near a NIC is to the nearest of the GPUs, in words.
pub(super) fn words(nic: &Nic, gpus: &[PciAddress]) -> String {
    let of_pod = nic.gpus.iter().filter(|one| gpus.contains(&one.gpu));
    match of_pod.min_by_key(|one| one.relation) {
        Some(one) => format!("its nearest GPU of the pod is {} ({})", one.gpu, one.relation.as_str()),
        None => "nothing is known of how near it is to the pod's GPUs".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "test code outside of test functions")]

    use super::*;
    use hwprobe::{GpuRelation, NicId, NicKind};
    use proptest::prelude::*;

    fn gpu(number: usize) -> PciAddress {
        format!("0000:{:02x}:00.0", number + 1).parse().unwrap()
    }

    /// NICs with their relation to each GPU: `w` switch, `r` root, `n` NUMA node, `o` other.
    fn nics(relations: &[&str]) -> Vec<Nic> {
        let each = relations.iter().enumerate().map(|(number, relations)| {
            let mut nic = Nic::new(NicId::new(format!("n{number}")), NicKind::Physical);
            let of = |(gpu_number, letter): (usize, char)| {
                let relation = match letter {
                    'w' => Relation::SameSwitch,
                    'r' => Relation::SameRoot,
                    'n' => Relation::SameNuma,
                    _ => Relation::OtherNuma,
                };
                GpuRelation::new(gpu(gpu_number), relation, None)
            };
            nic.gpus = relations.chars().enumerate().map(of).collect();
            nic
        });
        each.collect()
    }

    fn near(nics: &[Nic], gpus: usize, count: usize) -> Vec<String> {
        let gpus: Vec<PciAddress> = (0..gpus).map(gpu).collect();
        let all: Vec<&Nic> = nics.iter().collect();
        nearest(&all, &gpus, count).into_iter().map(|nic| nic.id.to_string()).collect()
    }

    #[test]
    fn each_gpu_gets_its_rail_and_the_first_gpus_comes_first() {
        let rails = nics(&["ooow", "oowo", "owoo", "wooo"]);
        assert_eq!(near(&rails, 2, 2), ["n3", "n2"]);
        assert_eq!(near(&rails, 4, 4), ["n3", "n2", "n1", "n0"]);
        assert_eq!(near(&rails, 1, 1), ["n3"]);
    }

    #[test]
    fn one_nic_that_is_nearest_to_all_does_not_take_the_rail_of_another() {
        // Taken one by one, n0 would be given to GPU 0, and GPU 1 be left with nothing near.
        let two = nics(&["ww", "wo", "oo"]);
        assert_eq!(near(&two, 2, 2), ["n1", "n0"]);
    }

    #[test]
    fn a_switch_counts_more_than_a_root_and_a_root_more_than_a_node() {
        assert_eq!(near(&nics(&["n", "r", "w"]), 1, 1), ["n2"]);
        assert_eq!(near(&nics(&["n", "r", "o"]), 1, 2), ["n1", "n0"]);
        assert_eq!(near(&nics(&["o", "o"]), 1, 1), ["n0"], "equal ones in their usual order");
    }

    #[test]
    fn fewer_nics_than_gpus_are_shared_evenly() {
        let dual = nics(&["nnoo", "nnoo", "oonn", "oonn"]);
        assert_eq!(near(&dual, 4, 2), ["n0", "n2"]);
    }

    #[test]
    fn the_vector_of_the_predecessor_takes_the_nic_on_the_gpus_node() {
        assert_eq!(near(&nics(&["o", "n"]), 1, 1), ["n1"]);
    }

    /// The best sum over all sets of `count` NICs and all assignments, by trying all.
    fn best(nics: &[Nic], gpus: usize, count: usize, share: usize) -> i64 {
        fn over_gpus(nics: &[&Nic], used: &mut Vec<usize>, next: usize, gpus: usize, share: usize) -> i64 {
            if next == gpus {
                return 0;
            }
            let mut most = i64::MIN;
            for at in 0..nics.len() {
                if used[at] < share {
                    used[at] += 1;
                    let rest = over_gpus(nics, used, next + 1, gpus, share);
                    most = most.max(worth(nics[at], gpu(next)).saturating_add(rest));
                    used[at] -= 1;
                }
            }
            most
        }
        let mut most = i64::MIN;
        for mask in 0_u32..(1 << nics.len()) {
            if mask.count_ones() as usize == count {
                let set: Vec<&Nic> =
                    (0..nics.len()).filter(|at| mask & (1 << at) != 0).map(|at| &nics[at]).collect();
                most = most.max(over_gpus(&set, &mut vec![0; set.len()], 0, gpus, share));
            }
        }
        most
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(200))]
        #[test]
        fn no_other_set_of_nics_is_nearer(
            relations in proptest::collection::vec("[wrno]{4}", 2..6),
            gpus in 1_usize..5,
            count in 1_usize..5,
        ) {
            let texts: Vec<&str> = relations.iter().map(String::as_str).collect();
            let nics = nics(&texts);
            let count = count.min(nics.len());
            let share = gpus.div_ceil(count);
            let all: Vec<&Nic> = nics.iter().collect();
            let addresses: Vec<PciAddress> = (0..gpus).map(gpu).collect();
            let found = nearest(&all, &addresses, count);
            prop_assert_eq!(found.len(), count);
            let of = |nic: &&Nic| addresses.iter().map(|gpu| worth(nic, *gpu)).collect();
            let worths = Worths { of_nics: all.iter().map(of).collect(), gpus };
            let set: Vec<usize> = found.iter().map(|one| all.iter().position(|nic| nic.id == one.id).unwrap()).collect();
            prop_assert_eq!(worths.value(&set, share).0, best(&nics, gpus, count, share));
        }
    }
}
