//! What is printed: a table, or the same rows as JSON or YAML.

use std::io::{self, IsTerminal, Write};

use comfy_table::presets::NOTHING;
use comfy_table::{ColumnConstraint, ContentArrangement, Table, Width};
use serde::Serialize;

/// Width of a table that nobody's terminal limits, characters.
const WIDTH: u16 = 80;

/// Columns that are broken into lines where a table is too wide; all others keep what they hold whole.
const BROKEN: [&str; 10] =
    ["ABOUT", "CLASSES", "EVIDENCE", "FIX", "HELD BY", "MESSAGE", "ROLE", "STATUS", "SUBNET", "WHY"];

/// Form of what is printed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Format {
    /// A table.
    #[default]
    Table,
    /// A table with more columns, as wide as it is.
    Wide,
    /// JSON.
    Json,
    /// YAML.
    Yaml,
}

/// Rows of one kind: what is printed of each in a table.
pub(crate) trait Row: Serialize {
    /// Titles of the columns, and whether only a wide table has it.
    const COLUMNS: &'static [(&'static str, bool)];
    /// A cell for each column.
    fn cells(&self) -> Vec<String>;
}

/// The rows in that form.
///
/// # Errors
/// When a row cannot be written in it.
pub(crate) fn rows<R: Row>(rows: &[R], format: Format) -> anyhow::Result<String> {
    match format {
        Format::Table | Format::Wide if rows.is_empty() => Ok("none\n".to_owned()),
        Format::Table => Ok(table(rows, false)),
        Format::Wide => Ok(table(rows, true)),
        Format::Json | Format::Yaml => document(&serde_json::json!({ "items": rows }), format),
    }
}

/// A value as JSON, or as YAML.
///
/// # Errors
/// When it cannot be written so.
pub(crate) fn document<T: Serialize>(value: &T, format: Format) -> anyhow::Result<String> {
    Ok(match format {
        Format::Yaml => serde_saphyr::to_string(value)?,
        _ => serde_json::to_string_pretty(value)? + "\n",
    })
}

fn table<R: Row>(rows: &[R], wide: bool) -> String {
    let shown: Vec<bool> = R::COLUMNS.iter().map(|(_, only_wide)| wide || !only_wide).collect();
    let chosen = |cells: Vec<String>| {
        let cells = cells.into_iter().zip(&shown).filter(|(_, shown)| **shown);
        cells.map(|(cell, _)| if cell.is_empty() { "-".to_owned() } else { cell }).collect::<Vec<_>>()
    };
    let mut table = Table::new();
    table.load_style(NOTHING).force_no_tty();
    if wide {
        table.set_content_arrangement(ContentArrangement::Disabled);
    } else {
        table.set_content_arrangement(ContentArrangement::Dynamic).set_width(width());
    }
    table.set_header(chosen(R::COLUMNS.iter().map(|(title, _)| (*title).to_owned()).collect()));
    for row in rows {
        table.add_row(chosen(row.cells()));
    }
    let titles = R::COLUMNS.iter().zip(&shown).filter(|(_, shown)| **shown).map(|((title, _), _)| *title);
    for (column, title) in table.column_iter_mut().zip(titles) {
        column.set_padding((0, 1));
        if !wide && !BROKEN.contains(&title) {
            column.set_constraint(ColumnConstraint::ContentWidth);
        } else if title == "ROLE" {
            // Its usual word, `secondary`, and what lies between columns.
            column.set_constraint(ColumnConstraint::LowerBoundary(Width::Fixed(10)));
        }
    }
    table.lines().map(|line| line.trim_end().to_owned() + "\n").collect()
}

/// The terminal's width; what is no terminal has a fixed one, so that a script sees the same everywhere.
fn width() -> u16 {
    if !io::stdout().is_terminal() {
        return WIDTH;
    }
    Table::new().width().unwrap_or(WIDTH)
}

/// Says something beside what was asked for.
pub(crate) fn note(text: &str) {
    let _ = writeln!(io::stderr(), "{text}");
}
