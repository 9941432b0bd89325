//! The proof that each row sees its flaw, and that no other row does (P17).

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicUsize, Ordering};

use super::flaws::{FLAWS, Flaw};
use super::subject::toy;
use crate::runner::cases;
use crate::runner::subject::Kind;
use crate::runner::table::{Case, Table, run};

/// Flaws that a toy is given together. All are of one version and kind.
pub type Group = Vec<&'static Flaw>;

/// How many tests the groups are spread over.
pub const PARTS: usize = 8;

/// The groups of the test run, in parts of about the same size.
///
/// 98 runs, a flaw each, take minutes of processor time. So a toy gets several flaws at once and exactly their rows
/// must be red; and the flaws stand in a grid twice, so that of any two there is one group that has the first and
/// lacks the second, both ways: a flaw that turned a row of another red would be seen there. Flaws of other columns
/// or of address plugins, and those that hide others, run alone. [`alone`] is the long form.
pub fn groups() -> [Vec<Group>; PARTS] {
    let usual = |flaw: &&Flaw| flaw.version == "1.1.0" && flaw.kind == Kind::Main && !flaw.alone;
    let grid: Vec<_> = FLAWS.iter().filter(usual).collect();
    let side = (1..).find(|side| side * side >= grid.len()).unwrap_or(1);
    let mut halves = [BTreeMap::<usize, Group>::new(), BTreeMap::new()];
    for (number, flaw) in grid.iter().enumerate() {
        let (row, column) = (number / side, number % side);
        halves[0].entry(column).or_default().push(flaw);
        halves[1].entry((row + column) % side).or_default().push(flaw);
    }
    let singles = FLAWS.iter().filter(|flaw| !usual(flaw)).map(|flaw| vec![flaw]);
    let mut parts: [Vec<Group>; PARTS] = Default::default();
    let all = halves.into_iter().flat_map(BTreeMap::into_values).chain(singles);
    for (number, group) in all.enumerate() {
        parts[number % PARTS].push(group);
    }
    parts
}

/// Each flaw alone, or only those with these names.
pub fn alone(names: &[String]) -> Vec<Group> {
    let wanted = |flaw: &&Flaw| names.is_empty() || names.iter().any(|name| name == flaw.name);
    FLAWS.iter().filter(wanted).map(|flaw| vec![flaw]).collect()
}

/// Every pair of flaws that run in the same column is told apart, and every row has a flaw.
pub fn is_whole() -> Result<(), String> {
    let groups = groups().concat();
    let apart = |a: &Flaw, b: &Flaw| {
        groups.iter().any(|group| {
            group.iter().any(|flaw| flaw.name == a.name) && !group.iter().any(|flaw| flaw.name == b.name)
        })
    };
    for a in FLAWS {
        for b in FLAWS.iter().filter(|b| b.name != a.name) {
            if !apart(a, b) {
                return Err(format!("no group has {} without {}", a.name, b.name));
            }
        }
    }
    let unseen = |case: &&Case| !FLAWS.iter().any(|flaw| flaw.row == case.name);
    let missing: Vec<_> = cases::all().filter(unseen).map(|case| case.name).collect();
    let odd = |flaw: &&Flaw| !cases::all().any(|case| case.name == flaw.row);
    let odd: Vec<_> = FLAWS.iter().filter(odd).map(|flaw| (flaw.name, flaw.row)).collect();
    let names: BTreeSet<_> = cases::all().map(|case| case.name).collect();
    let twice = cases::all().count() - names.len();
    if missing.is_empty() && odd.is_empty() && twice == 0 {
        return Ok(());
    }
    Err(format!(
        "rows without a flaw: {missing:#?}; flaws of no row: {odd:#?}; {twice} row names are there twice"
    ))
}

/// Runs the whole column against each group, some at a time: much of it is waiting for the kernel.
pub fn prove(groups: &[Group]) -> Result<(), String> {
    let next = AtomicUsize::new(0);
    let work = || {
        let mut wrong = Vec::new();
        while let Some(group) = groups.get(next.fetch_add(1, Ordering::Relaxed)) {
            // A thread of its own: it moves into a host role.
            let seen = std::thread::scope(|scope| {
                scope.spawn(|| is_seen(group)).join().expect("the thread of a group of flaws")
            });
            wrong.extend(seen.err());
        }
        wrong
    };
    let wrong: Vec<String> = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..3).map(|_| scope.spawn(work)).collect();
        threads.into_iter().flat_map(|thread| thread.join().expect("a thread of flaws")).collect()
    });
    println!(
        "{} runs, {} with exactly the rows of their flaws red",
        groups.len(),
        groups.len() - wrong.len()
    );
    if wrong.is_empty() { Ok(()) } else { Err(wrong.join("\n")) }
}

fn is_seen(group: &Group) -> Result<(), String> {
    let Some(first) = group.first() else { return Ok(()) };
    let names: Vec<_> = group.iter().map(|flaw| flaw.name).collect();
    let column = run(first.version, |_| true, |bench| toy(bench, first.kind, &names))
        .map_err(|error| format!("{}: {error}", names.join(" ")))?;
    let table = Table { columns: vec![column] };
    let red: BTreeSet<_> = table.red_rows().into_iter().collect();
    let wanted: BTreeSet<_> = group.iter().map(|flaw| flaw.row).collect();
    if red == wanted {
        return Ok(());
    }
    let unseen: Vec<_> = wanted.difference(&red).collect();
    let others: Vec<_> = table.red().into_iter().filter(|(name, ..)| !wanted.contains(name)).collect();
    Err(format!("{}: unseen {unseen:#?}, other rows {others:#?}", names.join(" ")))
}
