//! What a test run counts, and what it says at its end.

use std::time::{Duration, Instant};

use crate::output;

/// Passed, failed and skipped; tests and checks alike.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Tally {
    /// Ran and held.
    pub(crate) passed: u64,
    /// Ran and did not hold, or could not run.
    pub(crate) failed: u64,
    /// Left out.
    pub(crate) skipped: u64,
}

impl Tally {
    /// One check that has no tests of its own to count.
    pub(crate) fn check(passed: bool) -> Self {
        Self { passed: u64::from(passed), failed: u64::from(!passed), skipped: 0 }
    }

    /// The closing line.
    pub(crate) fn sentence(self) -> String {
        format!("{} passed, {} failed, {} skipped", self.passed, self.failed, self.skipped)
    }
}

impl std::ops::AddAssign for Tally {
    fn add_assign(&mut self, other: Self) {
        self.passed += other.passed;
        self.failed += other.failed;
        self.skipped += other.skipped;
    }
}

/// What one step found.
#[derive(Debug, Default)]
pub(crate) struct Outcome {
    /// Its counts.
    pub(crate) tally: Tally,
    /// One line for each failure.
    pub(crate) failures: Vec<String>,
}

impl Outcome {
    /// A check that held, or the reasons why it did not.
    pub(crate) fn of_check(failures: Vec<String>) -> Self {
        Self { tally: Tally::check(failures.is_empty()), failures }
    }
}

/// The run so far.
pub(crate) struct Report {
    start: Instant,
    tally: Tally,
    failures: Vec<String>,
    times: Vec<(String, Duration)>,
}

impl Report {
    pub(crate) fn new() -> Self {
        Self { start: Instant::now(), tally: Tally::default(), failures: Vec::new(), times: Vec::new() }
    }

    /// Runs one step, says when it starts and ends, keeps what it found. A step that
    /// cannot run at all counts as one failure and never stops the steps after it.
    pub(crate) fn step(&mut self, name: &str, step: impl FnOnce() -> anyhow::Result<Outcome>) -> bool {
        output::progress(self.start.elapsed(), &format!("{name} …"));
        let start = Instant::now();
        let outcome = step().unwrap_or_else(|error| Outcome::of_check(vec![format!("{error:#}")]));
        let took = start.elapsed();
        output::progress(
            self.start.elapsed(),
            &format!("{name}: {} ({} s)", outcome.tally.sentence(), took.as_secs()),
        );
        self.times.push((name.to_owned(), took));
        self.tally += outcome.tally;
        self.failures.extend(outcome.failures.into_iter().map(|failure| format!("{name}: {failure}")));
        outcome.tally.failed == 0
    }

    /// Says what is left out, and counts it.
    pub(crate) fn leave_out(&mut self, name: &str, count: u64, reason: &str) {
        output::progress(self.start.elapsed(), &format!("{name}: left out, {reason} ({count} skipped)"));
        self.tally.skipped += count;
    }

    /// The failures once more, the times, and as the last line the counts. True when nothing failed.
    pub(crate) fn close(self) -> bool {
        let times = self.times.iter().map(|(name, took)| format!("{name} {} s", took.as_secs()));
        output::line(&format!("times: {}", times.collect::<Vec<_>>().join(", ")));
        if !self.failures.is_empty() {
            output::line("failures:");
            self.failures.iter().for_each(|failure| output::line(&format!("  {failure}")));
        }
        output::line(&self.tally.sentence());
        self.tally.failed == 0
    }
}
