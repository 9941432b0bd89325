//! Compares an inventory, NIC by NIC and field by field, with what `ip`, `ethtool`, `lspci` and `devlink` say.
//!
//! A comparison that passes when both sides lack a field proves nothing: each side gives a map of facts, and
//! a fact that only one side has is a difference, unless a list below names it with the reason.

mod devlink;
mod ethtool;
mod ip;
mod lspci;

use std::collections::{BTreeMap, BTreeSet};
use std::process::Command;

use hwprobe::{Inventory, Nic};

/// Facts of one NIC by name.
pub(crate) type Facts = BTreeMap<String, String>;

/// What one tool says, what we say, and which facts only one side can have.
struct Comparison {
    tool: &'static str,
    nic: String,
    theirs: Facts,
    ours: Facts,
    /// Name (`*` stands for anything) of a fact that one side may lack, and why.
    one_sided: &'static [(&'static str, &'static str)],
}

/// Compares the whole inventory with all tools; gives the number of facts that were compared per tool, and
/// every difference.
pub(crate) fn compare(inventory: &Inventory) -> (BTreeMap<&'static str, usize>, Vec<String>) {
    let mut comparisons = ip::compare(inventory);
    comparisons.extend(ethtool::compare(inventory));
    comparisons.extend(lspci::compare(inventory));
    comparisons.extend(devlink::compare(inventory));
    let mut compared = BTreeMap::new();
    let mut differences = Vec::new();
    let mut used = BTreeSet::new();
    for comparison in &comparisons {
        *compared.entry(comparison.tool).or_default() += comparison.facts(&mut used, &mut differences);
    }
    (compared, differences)
}

impl Comparison {
    fn facts(&self, used: &mut BTreeSet<&'static str>, differences: &mut Vec<String>) -> usize {
        let names: BTreeSet<&String> = self.theirs.keys().chain(self.ours.keys()).collect();
        let mut equal = 0;
        for name in names {
            let (theirs, ours) = (self.theirs.get(name), self.ours.get(name));
            if theirs == ours {
                equal += 1;
                continue;
            }
            let allowed = self.one_sided.iter().find(|(allowed, _)| match allowed.split_once('*') {
                Some((start, end)) => name.starts_with(start) && name.ends_with(end),
                None => allowed == name,
            });
            match allowed {
                Some((allowed, _)) if theirs.is_none() || ours.is_none() => {
                    used.insert(allowed);
                }
                _ => differences
                    .push(format!("{} {} {name}: they say {theirs:?}, we say {ours:?}", self.tool, self.nic)),
            }
        }
        equal
    }
}

/// What a tool prints; empty when it exits with an error (ethtool does for what a driver lacks).
fn output(program: &str, arguments: &[&str]) -> String {
    let done = Command::new(program).args(arguments).env("LC_ALL", "C").output();
    let done = done.unwrap_or_else(|error| panic!("run {program}: {error}"));
    String::from_utf8_lossy(&done.stdout).into_owned()
}

fn put(facts: &mut Facts, name: &str, value: Option<impl ToString>) {
    if let Some(value) = value {
        facts.insert(name.to_owned(), value.to_string());
    }
}

/// NICs with a netdev here.
fn netdevs(inventory: &Inventory) -> impl Iterator<Item = (&Nic, &hwprobe::LinkFacts)> {
    inventory.nics.iter().filter_map(|nic| Some((nic, nic.link.as_ref()?)))
}
