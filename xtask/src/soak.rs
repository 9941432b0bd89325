//! `cargo xtask soak`: pods come and go for long while the agent is killed at every step that it has, and nothing may be
//! left over. It is the test `kills` of `nodeagent` with other numbers; the test run has a shorter one.

use std::process::ExitCode;

use anyhow::Result;

use crate::workspace::Workspace;
use crate::{output, program};

#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// Pods that get their NICs and lose them again.
    #[arg(long, value_name = "N", default_value_t = 100_000)]
    cycles: u64,
    /// SIGKILLs, spread over every step; one for fifty cycles unless told.
    #[arg(long, value_name = "N")]
    kills: Option<u64>,
    /// Another seed is another run.
    #[arg(long, value_name = "N", default_value_t = 4)]
    seed: u64,
}

pub(crate) fn run(arguments: &Arguments) -> Result<ExitCode> {
    let workspace = Workspace::load()?;
    let kills = arguments.kills.unwrap_or(arguments.cycles / 50);
    output::line(&format!("{} cycles, {kills} kills, seed {}", arguments.cycles, arguments.seed));
    // The executable of the runtime's side is another crate's.
    program::must(workspace.cargo().args(["build", "--quiet", "-p", "cni", "--bins"]))?;
    let mut test = workspace.cargo();
    test.args(["test", "-p", "nodeagent", "--features", "failpoints", "--test", "kills", "--"]);
    test.args(["--exact", "a_kill_at_any_step_loses_nothing_and_leaves_nothing", "--nocapture"]);
    test.env("MULTI_NIC_SOAK_CYCLES", arguments.cycles.to_string());
    test.env("MULTI_NIC_SOAK_KILLS", kills.to_string());
    test.env("MULTI_NIC_SOAK_SEED", arguments.seed.to_string());
    let status = program::status(&mut test)?;
    Ok(if status.success() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
