//! What nextest and libtest print about their runs, as counts.

use super::report::{Outcome, Tally};

/// The counts of `cargo nextest run` from what it printed, `None` when it never came to its summary.
///
/// The line reads `Summary [   1.2s] 5 tests run: 3 passed (1 slow), 1 failed, 1 timed out, 2 skipped`.
/// Whatever ran and did not pass is a failure, under any name that nextest may have for it.
pub(crate) fn nextest(printed: &str) -> Option<Tally> {
    let line = printed.lines().rfind(|line| line.trim_start().starts_with("Summary ["))?;
    let counts = line.split_once(']')?.1;
    let (run, outcomes) = counts.split_once(':')?;
    // A run that was cut short says "3/5 tests run".
    let (run, planned) = match first_word(run).split_once('/') {
        Some((run, planned)) => (run.parse().ok()?, planned.parse().ok()?),
        None => {
            let run: u64 = first_word(run).parse().ok()?;
            (run, run)
        }
    };
    let count = |name: &str| {
        let mut parts = outcomes.split(',').map(str::trim);
        parts.find_map(|part| {
            let (number, what) = part.split_once(' ')?;
            (first_word(what) == name).then(|| number.parse::<u64>().ok()).flatten()
        })
    };
    let passed: u64 = count("passed").unwrap_or(0);
    let unfinished = planned.checked_sub(run)?;
    Some(Tally {
        passed,
        failed: run.checked_sub(passed)? + unfinished,
        skipped: count("skipped").unwrap_or(0),
    })
}

/// The names of the tests that did not pass, from nextest's status lines
/// (`        FAIL [   0.003s] (1/5) netlink::vm_nics link_is_found`).
pub(crate) fn nextest_failures(printed: &str) -> Vec<String> {
    let mut names: Vec<String> = Vec::new();
    for line in printed.lines().map(str::trim_start) {
        let status = line.split_once('[').map_or("", |(status, _)| status.trim_end());
        let failed = ["FAIL", "TIMEOUT", "TRY", "SIG", "ABORT", "LEAK-FAIL", "XFAIL"];
        if !failed.iter().any(|word| status.starts_with(word)) {
            continue;
        }
        let Some((_, rest)) = line.split_once(']') else { continue };
        let rest = rest.trim_start();
        let name = match rest.strip_prefix('(').and_then(|rest| rest.split_once(')')) {
            Some((_, name)) => name.trim(),
            None => rest,
        };
        if !name.is_empty() && !names.iter().any(|known| known == name) {
            names.push(name.to_owned());
        }
    }
    names
}

/// The sum of libtest's `test result:` lines, and the names of the failed tests.
pub(crate) fn libtest(printed: &str) -> Outcome {
    let mut outcome = Outcome::default();
    for line in printed.lines() {
        if let Some(result) = line.strip_prefix("test result: ") {
            for part in result.split([';', '.']).map(str::trim) {
                let Some((number, what)) = part.split_once(' ') else { continue };
                let Ok(number) = number.parse::<u64>() else { continue };
                match what {
                    "passed" => outcome.tally.passed += number,
                    "failed" => outcome.tally.failed += number,
                    "ignored" => outcome.tally.skipped += number,
                    _ => {}
                }
            }
        } else if let Some(name) =
            line.strip_prefix("test ").and_then(|line| line.strip_suffix(" ... FAILED"))
        {
            outcome.failures.push(name.to_owned());
        }
    }
    outcome
}

/// Tests that passed only because they could not run here: each prints a line `skipped: REASON`,
/// which nextest keeps in its JUnit file.
pub(crate) fn printed_skips(junit: &str) -> Vec<String> {
    let mut skips = Vec::new();
    for case in junit.split("<testcase ").skip(1) {
        let name = attribute(case, "name").unwrap_or_default();
        let failed = case.contains("<failure") || case.contains("<error");
        // The first line of an output stands behind its opening tag.
        let reason = case.split(['\n', '>']).find_map(|line| line.trim_start().strip_prefix("skipped: "));
        if let (Some(reason), false) = (reason, failed) {
            skips.push(format!("{name}: {}", reason.split("</").next().unwrap_or(reason)));
        }
    }
    skips
}

fn attribute<'a>(element: &'a str, name: &str) -> Option<&'a str> {
    element.split_once(&format!("{name}=\""))?.1.split('"').next()
}

fn first_word(text: &str) -> &str {
    text.split_whitespace().next().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tally(passed: u64, failed: u64, skipped: u64) -> Tally {
        Tally { passed, failed, skipped }
    }

    #[test]
    fn summary_of_a_green_run() {
        let printed = "------------\n     Summary [   0.004s] 12 tests run: 12 passed (2 slow), 3 skipped\n";

        assert_eq!(nextest(printed), Some(tally(12, 0, 3)));
    }

    #[test]
    fn one_test_is_spelt_in_the_singular() {
        assert_eq!(nextest("     Summary [   0.004s] 1 test run: 1 passed, 0 skipped"), Some(tally(1, 0, 0)));
    }

    #[test]
    fn timed_out_and_unstarted_tests_are_failures() {
        let printed =
            "  Summary [ 1s] 6/8 tests run: 2 passed, 1 failed, 2 timed out, 1 exec failed, 4 skipped";

        assert_eq!(nextest(printed), Some(tally(2, 6, 4)));
    }

    #[test]
    fn a_run_without_a_summary_has_no_counts() {
        assert_eq!(nextest("error: could not compile `netlink`"), None);
    }

    #[test]
    fn failed_tests_are_named_once() {
        let printed = "        PASS [   0.003s] (1/3) a::b works\n        FAIL [   0.003s] (2/3) a::b breaks\n   TIMEOUT [  60.003s] a::b hangs\n  SIGABRT [ 1s] (3/3) a::b dies\n        FAIL [   0.003s] (2/3) a::b breaks\n";

        assert_eq!(nextest_failures(printed), ["a::b breaks", "a::b hangs", "a::b dies"]);
    }

    #[test]
    fn doc_tests_are_summed_over_crates() {
        let printed = "test src/lib.rs - a (line 3) ... ok\ntest result: ok. 2 passed; 0 failed; 1 ignored; 0 measured; 0 filtered out; finished in 0.1s\ntest src/lib.rs - b (line 9) ... FAILED\ntest result: FAILED. 0 passed; 1 failed; 0 ignored; 0 measured; 0 filtered out";

        let outcome = libtest(printed);

        assert_eq!(outcome.tally, tally(2, 1, 1));
        assert_eq!(outcome.failures, ["src/lib.rs - b (line 9)"]);
    }

    #[test]
    fn a_test_that_says_skipped_is_found() {
        let junit = "<testsuite name=\"a\">\n<testcase name=\"one\" time=\"1\">\n<system-out>running 1 test\nskipped: no devlink here\ntest one ... ok</system-out>\n</testcase>\n<testcase name=\"two\"><system-out>fine, nothing skipped: really</system-out></testcase>\n<testcase name=\"three\"><system-err>skipped: first line</system-err></testcase>";

        assert_eq!(printed_skips(junit), ["one: no devlink here", "three: first line"]);
    }
}
