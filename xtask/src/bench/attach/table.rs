//! The result as a table that can stand in a document.

use std::time::Duration;

use super::Contender;
use crate::bench::measure::milliseconds;
use crate::output;

/// Rows of (what, the floor, each contender).
pub(super) struct Table {
    head: Vec<String>,
    rows: Vec<Vec<String>>,
}

impl Table {
    pub(super) fn new(contenders: &[&Contender]) -> Self {
        let names = contenders.iter().map(|contender| contender.name.to_owned());
        Self {
            head: [String::new(), "unavoidable".to_owned()].into_iter().chain(names).collect(),
            rows: Vec::new(),
        }
    }

    /// A row of times.
    pub(super) fn times(
        &mut self,
        what: &str,
        floor: Option<Duration>,
        each: impl IntoIterator<Item = Duration>,
    ) {
        self.words(what, floor.map(milliseconds), each.into_iter().map(milliseconds));
    }

    /// A row of anything.
    pub(super) fn words(
        &mut self,
        what: &str,
        floor: Option<String>,
        each: impl IntoIterator<Item = String>,
    ) {
        let first = [what.to_owned(), floor.unwrap_or_else(|| "–".to_owned())];
        self.rows.push(first.into_iter().chain(each).collect());
    }

    pub(super) fn print(&self) {
        output::line("");
        output::line(&line(&self.head));
        output::line(&line(&vec!["---".to_owned(); self.head.len()]));
        self.rows.iter().for_each(|row| output::line(&line(row)));
    }
}

fn line(cells: &[String]) -> String {
    format!("| {} |", cells.join(" | "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_has_a_cell_for_each_column_also_without_a_floor() {
        let contender = Contender { name: "Go pair", one: Vec::new(), many: Vec::new() };
        let mut table = Table::new(&[&contender]);
        table.times("1 NIC, ADD", None, [Duration::from_micros(1500)]);

        assert_eq!(line(&table.head), "|  | unavoidable | Go pair |");
        assert_eq!(line(&table.rows[0]), "| 1 NIC, ADD | – | 1.50 ms |");
    }
}
