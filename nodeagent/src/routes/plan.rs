//! From what there is and what is wanted to the changes between. Pure.

use std::collections::{BTreeMap, BTreeSet};

use datapath::host_routes::{Hop, HostRule, Maker, Observed, RouteStep};
use ipnet::IpNet;

/// A network's routes as they are to be.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Wish {
    pub(super) table: u32,
    pub(super) priority: u32,
    /// The table was the predecessor's: its routes there are taken over.
    pub(super) take_over: bool,
    /// Sources that look for its routes: a rule each.
    pub(super) sources: Vec<IpNet>,
    pub(super) hops: BTreeMap<IpNet, Hop>,
    /// Destinations that are wanted and whose link is not usable now: nothing of them is touched.
    pub(super) waiting: BTreeSet<IpNet>,
}

/// What is to be done.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Delta {
    pub(super) steps: Vec<RouteStep>,
    /// Destinations where somebody else's route stands, by table.
    pub(super) foreign: Vec<(u32, IpNet)>,
}

/// The changes between. `complete`: what is not wanted is really not wanted; otherwise nothing is taken away.
pub(super) fn plan(observed: &Observed, wanted: &[Wish], complete: bool) -> Delta {
    let mut delta = Delta::default();
    let mut removals = Vec::new();
    let rules: BTreeSet<HostRule> = wanted.iter().flat_map(rules).collect();
    if complete {
        // Before the routes: what follows a rule to an empty table is led nowhere.
        delta.steps.extend(observed.rules.difference(&rules).copied().map(RouteStep::RemoveRule));
    }
    let of_table: BTreeMap<u32, &Wish> = wanted.iter().map(|wish| (wish.table, wish)).collect();
    let nothing = Wish::default();
    for (table, standing) in &observed.tables {
        let wish = of_table.get(table).copied().unwrap_or(&nothing);
        for (destination, is) in standing.iter().filter(|(_, is)| is.maker == Maker::Ours) {
            if complete && !wish.hops.contains_key(destination) && !wish.waiting.contains(destination) {
                removals.push(RouteStep::Remove(*table, *destination));
            } else if let Some(hop) = wish.hops.get(destination).filter(|hop| is.hop != Some(**hop)) {
                delta.steps.push(RouteStep::Replace(*table, *destination, *hop));
            }
        }
    }
    for wish in wanted {
        let standing = observed.tables.get(&wish.table);
        for (destination, hop) in &wish.hops {
            match standing.and_then(|standing| standing.get(destination)).map(|is| is.maker) {
                None => delta.steps.push(RouteStep::Add(wish.table, *destination, *hop)),
                Some(Maker::Boot) if wish.take_over => {
                    delta.steps.push(RouteStep::Replace(wish.table, *destination, *hop));
                }
                Some(Maker::Ours) => {}
                Some(Maker::Boot | Maker::Other(_)) => delta.foreign.push((wish.table, *destination)),
            }
        }
    }
    delta.steps.append(&mut removals);
    delta.steps.extend(rules.difference(&observed.rules).copied().map(RouteStep::AddRule));
    delta
}

fn rules(wish: &Wish) -> impl Iterator<Item = HostRule> + '_ {
    let (priority, table) = (wish.priority, wish.table);
    wish.sources.iter().map(move |source| HostRule { priority, source: *source, table })
}

#[cfg(test)]
mod tests;
