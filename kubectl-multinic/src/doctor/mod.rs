//! `doctor`: what goes wrong with such networks, as checks. Each is a function of facts.
//!
//! The list began with the predecessor's page of troubles; each has the evidence that was found and the way out.

mod addresses;
mod agents;
mod failures;
mod install;
mod interfaces;
mod networks;
mod pods;
mod routes;

use serde::Serialize;

use crate::facts::Facts;
use crate::output::Row;

pub(crate) use failures::{heart, known as known_failure};

/// How a check went.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum Verdict {
    /// All is well.
    Fine,
    /// What it looks at could not be read.
    NotKnown,
    /// Less is there than could be.
    Warning,
    /// Something does not work.
    Problem,
}

/// A check.
#[derive(Debug)]
pub struct Check {
    /// Its name.
    pub id: &'static str,
    /// What it looks at.
    pub looks_at: &'static str,
    run: fn(&Facts) -> Outcome,
}

/// Every check, in the order in which causes come before what they cause.
pub const CHECKS: &[Check] = &[
    Check { id: "kinds-installed", looks_at: "definitions of our kinds", run: install::kinds },
    Check { id: "multus", looks_at: "who reads pods' annotations", run: install::multus },
    Check { id: "operator-runs", looks_at: "the operator's Deployment and pods", run: install::operator },
    Check { id: "agent-everywhere", looks_at: "an agent's pod on each node", run: install::everywhere },
    Check { id: "agents-run", looks_at: "the agents' pods", run: agents::run },
    Check { id: "agents-answer", looks_at: "each agent's socket", run: agents::answer },
    Check { id: "one-version", looks_at: "versions of the agents", run: agents::versions },
    Check { id: "agent-memory", looks_at: "each agent's durable memory", run: agents::memory },
    Check { id: "plugins-installed", looks_at: "the CNI executables of each node", run: agents::plugins },
    Check { id: "agent-warnings", looks_at: "what agents lack", run: agents::warnings },
    Check {
        id: "predecessor",
        looks_at: "nodes that the predecessor's daemon serves",
        run: agents::predecessor,
    },
    Check { id: "nodes-told", looks_at: "a HostInterface of each node", run: interfaces::told },
    Check { id: "nics-found", looks_at: "NICs that pods may get", run: interfaces::found },
    Check { id: "nics-up", looks_at: "addresses and carrier of those", run: interfaces::up },
    Check { id: "hardware", looks_at: "warnings about NICs", run: interfaces::hardware },
    Check { id: "networks-ready", looks_at: "conditions of the networks", run: networks::ready },
    Check { id: "attachment-definitions", looks_at: "one in each namespace", run: networks::definitions },
    Check { id: "networks-served", looks_at: "networks as agents serve them", run: networks::served },
    Check { id: "blocks-not-full", looks_at: "addresses left in each block", run: addresses::left },
    Check { id: "addresses-once", looks_at: "addresses that two pods hold", run: addresses::once },
    Check { id: "pools-in-step", looks_at: "pools beside pods", run: addresses::in_step },
    Check { id: "routes-present", looks_at: "routes between hosts", run: routes::present },
    Check { id: "attachments-whole", looks_at: "what pods have", run: pods::whole },
    Check { id: "pods-start", looks_at: "pods whose sandbox cannot be made", run: pods::start },
    Check { id: "pods-complete", looks_at: "pods beside what they asked for", run: pods::complete },
];

/// What a check found.
#[derive(Debug, Default)]
pub(crate) struct Outcome {
    seen: String,
    /// There is nothing that it could look at.
    needless: bool,
    not_known: Option<String>,
    troubles: Vec<Trouble>,
}

/// Something that a check found.
#[derive(Debug)]
struct Trouble {
    verdict: Verdict,
    about: String,
    evidence: String,
    fix: String,
}

impl Outcome {
    /// What was looked at, like `3 agents`.
    fn seen(text: impl Into<String>) -> Self {
        Self { seen: text.into(), ..Self::default() }
    }

    /// It could not be looked at.
    fn not_known(why: impl Into<String>) -> Self {
        Self { not_known: Some(why.into()), ..Self::default() }
    }

    fn problem(&mut self, about: &str, evidence: impl Into<String>, fix: impl Into<String>) {
        self.add(Verdict::Problem, about, evidence, fix);
    }

    fn warning(&mut self, about: &str, evidence: impl Into<String>, fix: impl Into<String>) {
        self.add(Verdict::Warning, about, evidence, fix);
    }

    fn add(&mut self, verdict: Verdict, about: &str, evidence: impl Into<String>, fix: impl Into<String>) {
        let (evidence, fix) = (evidence.into(), fix.into());
        self.troubles.push(Trouble { verdict, about: about.to_owned(), evidence, fix });
    }
}

/// One line of the report.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Finding {
    /// The check.
    pub check: &'static str,
    /// What it looks at.
    pub looks_at: &'static str,
    /// How it went.
    pub verdict: Verdict,
    /// The object that it is about; empty: all that was looked at.
    pub about: String,
    /// What was found.
    pub evidence: String,
    /// What to do; empty: nothing.
    pub fix: String,
}

impl Row for Finding {
    const COLUMNS: &'static [(&'static str, bool)] =
        &[("CHECK", false), ("VERDICT", false), ("ABOUT", false), ("EVIDENCE", false), ("FIX", false)];

    fn cells(&self) -> Vec<String> {
        let verdict = match self.verdict {
            Verdict::Fine => "fine",
            Verdict::NotKnown => "not known",
            Verdict::Warning => "warning",
            Verdict::Problem => "PROBLEM",
        };
        vec![
            self.check.to_owned(),
            verdict.to_owned(),
            self.about.clone(),
            self.evidence.clone(),
            self.fix.clone(),
        ]
    }
}

impl Finding {
    /// The line, or three, of the report for people.
    pub(crate) fn text(&self) -> String {
        let verdict = match self.verdict {
            Verdict::Fine => "fine     ",
            Verdict::NotKnown => "not known",
            Verdict::Warning => "warning  ",
            Verdict::Problem => "PROBLEM  ",
        };
        let mut text = format!("{verdict} {}: {}", self.check, self.looks_at);
        if self.verdict == Verdict::Fine {
            return text + &format!(" ({})\n", self.evidence);
        }
        if !self.about.is_empty() {
            text = format!("{verdict} {}: {}", self.check, self.about);
        }
        text += &format!("\n          {}\n", self.evidence);
        if !self.fix.is_empty() {
            text += &format!("          Fix: {}\n", self.fix);
        }
        text
    }
}

/// What all checks find: a line for each trouble, and one for a check that finds none. Without a cluster those that look at
/// it are left out.
pub fn examine(facts: &Facts) -> Vec<Finding> {
    CHECKS.iter().flat_map(|check| findings(check, (check.run)(facts))).collect()
}

fn findings(check: &Check, outcome: Outcome) -> Vec<Finding> {
    let finding = |verdict, about, evidence, fix| Finding {
        check: check.id,
        looks_at: check.looks_at,
        verdict,
        about,
        evidence,
        fix,
    };
    if outcome.needless {
        return Vec::new();
    }
    if let Some(why) = outcome.not_known {
        return vec![finding(Verdict::NotKnown, String::new(), why, String::new())];
    }
    if outcome.troubles.is_empty() {
        return vec![finding(Verdict::Fine, String::new(), outcome.seen, String::new())];
    }
    let line = |trouble: Trouble| finding(trouble.verdict, trouble.about, trouble.evidence, trouble.fix);
    outcome.troubles.into_iter().map(line).collect()
}

/// A check that wants the cluster: nothing to look at without one.
fn in_cluster(facts: &Facts) -> Option<Outcome> {
    facts.local.then(|| Outcome { needless: true, ..Outcome::default() })
}

/// Why a list may be empty that is not: it could not be read.
fn unread(facts: &Facts, what: &str) -> Option<Outcome> {
    let note = facts.unread.iter().find(|unread| unread.what == what)?;
    Some(Outcome::not_known(format!("{what} cannot be read: {}", note.why)))
}

/// `3 agents`, `1 agent`.
fn count(number: usize, what: &str) -> String {
    format!("{number} {what}{}", if number == 1 { "" } else { "s" })
}
