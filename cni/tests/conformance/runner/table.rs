//! The table: cases, verdicts, how it is run and how it is shown.

use std::fmt::Write;

use super::bench::Bench;
use super::cases;
use super::scene::{Outcome, Scene, Trouble};
use super::subject::{Kind, Subject};

/// The versions that the table asks for.
pub const VERSIONS: [&str; 5] = ["0.3.0", "0.3.1", "0.4.0", "1.0.0", "1.1.0"];

/// One row.
pub struct Case {
    /// Where the rule is written.
    pub section: &'static str,
    /// What must hold.
    pub name: &'static str,
    kind: Option<Kind>,
    since: &'static str,
    before: &'static str,
    run: fn(&Scene<'_>) -> Outcome,
}

impl Case {
    /// A row for every plugin and version.
    pub const fn new(section: &'static str, name: &'static str, run: fn(&Scene<'_>) -> Outcome) -> Self {
        Self { section, name, kind: None, since: "", before: "9", run }
    }

    /// For plugins that make interfaces only.
    pub const fn main(mut self) -> Self {
        self.kind = Some(Kind::Main);
        self
    }

    /// For address plugins only.
    pub const fn ipam(mut self) -> Self {
        self.kind = Some(Kind::Ipam);
        self
    }

    /// From this version on.
    pub const fn since(mut self, version: &'static str) -> Self {
        self.since = version;
        self
    }

    /// For versions before this one.
    pub const fn before(mut self, version: &'static str) -> Self {
        self.before = version;
        self
    }

    /// Whether it is about the plugin's links or addresses, not about how it reads its input.
    pub fn acts(&self) -> bool {
        self.kind.is_some() || self.section.starts_with("1.3")
    }

    /// Whether only plugins that make links have it.
    pub fn is_of_links(&self) -> bool {
        self.kind == Some(Kind::Main)
    }

    /// Whether it has something to say about such a plugin in this version.
    pub fn applies(&self, kind: Kind, version: &str) -> bool {
        self.kind.is_none_or(|of| of == kind) && self.since <= version && version < self.before
    }
}

/// What a cell says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// As it must be.
    Ok,
    /// Not so, and why.
    Fail(String),
    /// Nothing to look at, and why.
    NotApplicable(&'static str),
}

/// One column, a verdict per row.
pub struct Column {
    /// The version.
    pub version: &'static str,
    /// In the order of [`cases::all`].
    pub verdicts: Vec<Verdict>,
}

/// Runs rows in one version. The calling thread moves into a host role of its own.
pub fn run(
    version: &'static str,
    rows: fn(&Case) -> bool,
    make: impl FnOnce(&Bench) -> Result<Subject, String>,
) -> Result<Column, String> {
    let bench = Bench::enter()?;
    let subject = make(&bench)?;
    let spoken = cases::environment::spoken(&subject, &bench)?;
    let verdicts = cases::all().enumerate().map(|(number, case)| {
        if !rows(case) {
            return Verdict::NotApplicable("not asked for");
        }
        if !case.applies(subject.kind, version) {
            return Verdict::NotApplicable("not in this version or for such a plugin");
        }
        if !case.section.starts_with("1.1 VERSION") && !spoken.iter().any(|of| of == version) {
            return Verdict::NotApplicable("the plugin does not speak this version");
        }
        let scene = Scene::new(&subject, &bench, version, &spoken, number);
        match (case.run)(&scene) {
            Ok(()) => Verdict::Ok,
            Err(Trouble::Red(words)) => Verdict::Fail(words),
            Err(Trouble::NotApplicable(why)) => Verdict::NotApplicable(why),
        }
    });
    Ok(Column { version, verdicts: verdicts.collect() })
}

/// Runs all rows in all versions.
pub fn run_all(make: impl Fn(&Bench) -> Result<Subject, String> + Sync) -> Result<Table, String> {
    run_some(&VERSIONS, |_| true, make)
}

/// Runs rows in some versions at the same time, each on a bench of its own.
pub fn run_some(
    versions: &[&'static str],
    rows: fn(&Case) -> bool,
    make: impl Fn(&Bench) -> Result<Subject, String> + Sync,
) -> Result<Table, String> {
    let columns: Result<Vec<Column>, String> = std::thread::scope(|scope| {
        let make = &make;
        let threads: Vec<_> =
            versions.iter().map(|version| scope.spawn(move || run(version, rows, make))).collect();
        threads
            .into_iter()
            .map(|thread| thread.join().unwrap_or_else(|_| Err("the thread of a version broke".to_owned())))
            .collect()
    });
    Ok(Table { columns: columns? })
}

/// All columns.
pub struct Table {
    /// In the order of [`VERSIONS`].
    pub columns: Vec<Column>,
}

impl Table {
    /// Rows that are red in at least one column: name, version and words.
    pub fn red(&self) -> Vec<(&'static str, &'static str, String)> {
        let mut found = Vec::new();
        for (number, case) in cases::all().enumerate() {
            for column in &self.columns {
                if let Some(Verdict::Fail(words)) = column.verdicts.get(number) {
                    found.push((case.name, column.version, words.clone()));
                }
            }
        }
        found
    }

    /// Names of the rows that are red somewhere, each once.
    pub fn red_rows(&self) -> Vec<&'static str> {
        let mut names: Vec<_> = self.red().into_iter().map(|(name, ..)| name).collect();
        names.dedup();
        names
    }

    /// Names of the rows that are green in at least one column and red in none.
    pub fn green_rows(&self) -> Vec<&'static str> {
        let of = |number| self.columns.iter().filter_map(move |column| column.verdicts.get(number));
        cases::all()
            .enumerate()
            .filter(|(number, _)| {
                of(*number).any(|verdict| *verdict == Verdict::Ok)
                    && !of(*number).any(|verdict| matches!(verdict, Verdict::Fail(_)))
            })
            .map(|(_, case)| case.name)
            .collect()
    }

    /// The table as text, then the words of what is red.
    pub fn show(&self, title: &str) -> String {
        let mut text = format!("\n{title}\n{:<11} {:<52}", "section", "case");
        for column in &self.columns {
            let _ = write!(text, " {:>6}", column.version);
        }
        text.push('\n');
        let mut counts = [0; 3];
        for (number, case) in cases::all().enumerate() {
            let verdicts: Vec<_> =
                self.columns.iter().filter_map(|column| column.verdicts.get(number)).collect();
            for verdict in &verdicts {
                match verdict {
                    Verdict::Ok => counts[0] += 1,
                    Verdict::Fail(_) => counts[1] += 1,
                    Verdict::NotApplicable(_) => counts[2] += 1,
                }
            }
            if verdicts.iter().all(|verdict| matches!(verdict, Verdict::NotApplicable(_))) {
                continue;
            }
            let _ = write!(text, "{:<11} {:<52}", case.section, case.name);
            for verdict in verdicts {
                let word = match verdict {
                    Verdict::Ok => "ok",
                    Verdict::Fail(_) => "FAIL",
                    Verdict::NotApplicable(_) => "n.a.",
                };
                let _ = write!(text, " {word:>6}");
            }
            text.push('\n');
        }
        let _ = writeln!(text, "{} ok, {} FAIL, {} n.a.", counts[0], counts[1], counts[2]);
        for (name, version, words) in self.red() {
            let _ = writeln!(text, "FAIL {name} [{version}]: {words}");
        }
        text
    }
}
