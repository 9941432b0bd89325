//! Measurements of code that is in no executable by itself: a test of its crate, as it is released, that prints lines.

use anyhow::{Context, Result};

use crate::workspace::Workspace;
use crate::{output, program};

/// A test that measures.
pub(super) struct Measured<'a> {
    pub(super) package: &'a str,
    /// What of the package, as cargo names it.
    pub(super) target: &'a [&'a str],
    pub(super) test: &'a str,
    /// How much, in an environment variable.
    pub(super) amount: (&'a str, u32),
}

/// The agent's keeper of routes beside `ip -batch`, in a network namespace of its own.
pub(super) fn routes(amount: u32) -> Measured<'static> {
    Measured {
        package: "nodeagent",
        target: &["--lib"],
        test: "routes::tests::speed::thousands_of_routes_come_in_one_batch_and_a_second_look_changes_nothing",
        amount: ("MULTI_NIC_ROUTES", amount),
    }
}

/// The choice of NICs by each strategy, beside taking all of them.
pub(super) fn select(choices: u32) -> Measured<'static> {
    Measured {
        package: "attach",
        target: &["--test", "machines"],
        test: "speed::choosing_among_sixteen_nics",
        amount: ("MULTI_NIC_CHOICES", choices),
    }
}

pub(super) fn run(workspace: &Workspace, measured: &Measured<'_>, runs: usize) -> Result<()> {
    output::line("building the tests as they are released (the first time takes minutes)");
    let mut build = workspace.cargo();
    build.args(["test", "--release", "--all-features", "--no-run", "--message-format", "json"]);
    build.args(["--package", measured.package]).args(measured.target);
    let messages = String::from_utf8(program::stdout(&mut build)?)?;
    let mut executables = messages.lines().filter_map(|line| {
        let message: serde_json::Value = serde_json::from_str(line).ok()?;
        Some(message["executable"].as_str()?.to_owned())
    });
    let executable = executables.next_back().context("cargo names no executable")?;
    let (variable, amount) = measured.amount;
    for _ in 0..runs {
        // A process each: its memory is that of one run alone.
        let mut test = workspace.command(&executable);
        test.args(["--exact", measured.test, "--nocapture", "--quiet"]);
        let printed = String::from_utf8(program::stdout(test.env(variable, amount.to_string()))?)?;
        let told = |line: &&str| line.contains(" ms") || line.contains(" µs") || line.starts_with("memory");
        printed.lines().filter(told).for_each(output::line);
    }
    Ok(())
}
