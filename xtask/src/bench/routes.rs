//! `cargo xtask bench routes`: the agent's keeper of routes beside `ip -batch`, in a network namespace of its own.
//!
//! The keeper is no executable: what is measured is a test of `nodeagent` as it is released.

use anyhow::{Context, Result};

use crate::workspace::Workspace;
use crate::{output, program};

/// The test that measures, and prints lines.
const TEST: &str =
    "routes::tests::speed::thousands_of_routes_come_in_one_batch_and_a_second_look_changes_nothing";

pub(super) fn run(workspace: &Workspace, routes: u32, runs: usize) -> Result<()> {
    output::line("building the agent's tests as it is released (the first time takes minutes)");
    let mut build = workspace.cargo();
    build.args(["test", "--release", "--all-features", "--no-run", "--message-format", "json"]);
    build.args(["--package", "nodeagent", "--lib"]);
    let messages = String::from_utf8(program::stdout(&mut build)?)?;
    let mut executables = messages.lines().filter_map(|line| {
        let message: serde_json::Value = serde_json::from_str(line).ok()?;
        Some(message["executable"].as_str()?.to_owned())
    });
    let executable = executables.next_back().context("cargo names no executable")?;
    for _ in 0..runs {
        // A process each: its memory is that of so many routes alone.
        let mut test = workspace.command(&executable);
        test.args(["--exact", TEST, "--nocapture", "--quiet"]);
        let printed = String::from_utf8(program::stdout(test.env("MULTI_NIC_ROUTES", routes.to_string()))?)?;
        let told = printed.lines().filter(|line| line.contains(" ms") || line.starts_with("memory"));
        told.for_each(output::line);
    }
    Ok(())
}
