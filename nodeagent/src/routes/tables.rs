//! Numbers of routing tables and places of rules, one of each for a network (TRAPS C6).

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::Write;
use std::path::Path;

use datapath::host_routes::PRIORITIES;
use serde::{Deserialize, Serialize};

/// First number that is tried.
const FIRST: u32 = 0x4d_4e00;

/// Numbers that the kernel has a meaning for.
const RESERVED: [u32; 4] = [0, 253, 254, 255];

/// Our own file of names, for `ip route show table NETWORK`.
const OURS: &str = "rt_tables.d/multi-nic.conf";

/// What a network has, kept in the store.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Place {
    /// Its table.
    pub(super) table: u32,
    /// Place of its rules.
    pub(super) priority: u32,
    /// The predecessor had the table.
    #[serde(default)]
    pub(super) take_over: bool,
}

/// Names of tables that others gave.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Names {
    numbers: BTreeMap<String, u32>,
}

impl Names {
    /// Reads `rt_tables` and `rt_tables.d` of a folder like `/etc/iproute2`, without our own file.
    pub(super) fn read(folder: &Path) -> Self {
        let mut files = vec![folder.join("rt_tables")];
        let inside = fs::read_dir(folder.join("rt_tables.d")).into_iter().flatten().flatten();
        files.extend(inside.map(|entry| entry.path()).filter(|path| *path != folder.join(OURS)));
        let texts = files.iter().filter_map(|file| fs::read_to_string(file).ok());
        Self { numbers: texts.flat_map(|text| lines(&text)).collect() }
    }
}

/// `NUMBER NAME` of each line that is one; a comment may follow.
fn lines(text: &str) -> Vec<(String, u32)> {
    let line = |line: &str| {
        let mut words = line.split('#').next()?.split_whitespace();
        let number = words.next()?;
        let number = match number.strip_prefix("0x") {
            Some(digits) => u32::from_str_radix(digits, 16).ok()?,
            None => number.parse().ok()?,
        };
        Some((words.next()?.to_owned(), number))
    };
    text.lines().filter_map(line).collect()
}

/// A place for a network: the table that others have named after it, else the first that nobody uses; absent when
/// every place for a rule is taken. `used`: tables that routes or rules use.
pub(super) fn choose(
    network: &str,
    names: &Names,
    used: &BTreeSet<u32>,
    taken: &BTreeMap<String, Place>,
) -> Option<Place> {
    let mut priorities = PRIORITIES;
    let priority = priorities.find(|one| taken.values().all(|place| place.priority != *one))?;
    let is_taken = |table: u32| taken.values().any(|place| place.table == table);
    let named = names.numbers.get(network).filter(|table| !RESERVED.contains(*table) && !is_taken(**table));
    if let Some(table) = named {
        return Some(Place { table: *table, priority, take_over: true });
    }
    let named = |table: u32| names.numbers.values().any(|number| *number == table);
    let table = (FIRST..).find(|table| !used.contains(table) && !named(*table) && !is_taken(*table))?;
    Some(Place { table, priority, take_over: false })
}

/// Writes the names of our tables where `ip` finds them; often the folder is not there or read-only, and nothing is
/// lost by that.
pub(super) fn write_names(folder: &Path, places: &BTreeMap<String, Place>) {
    let mut text = "# Routing tables of Multi-NIC networks; written by multi-nicd.\n".to_owned();
    for (network, place) in places.iter().filter(|(_, place)| !place.take_over) {
        text.push_str(&format!("{}\t{network}\n", place.table));
    }
    let file = folder.join(OURS);
    let none = !places.values().any(|place| !place.take_over);
    let before = fs::read_to_string(&file).ok();
    if before.as_ref() == Some(&text) || (none && before.is_none()) {
        return;
    }
    let write = || {
        if none {
            return fs::remove_file(&file);
        }
        fs::create_dir_all(folder.join("rt_tables.d"))?;
        let new = file.with_extension("new");
        fs::File::create(&new)?.write_all(text.as_bytes())?;
        fs::rename(&new, &file)
    };
    if let Err(error) = write() {
        tracing::debug!(file = %file.display(), %error, "names of routing tables are not written");
    }
}

#[cfg(test)]
mod tests;
