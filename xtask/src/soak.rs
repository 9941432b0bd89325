//! `cargo xtask soak`: pods come and go for long while the agent is killed at every step that it has, and nothing may be
//! left over. It is the test `kills` of `nodeagent` with other numbers; the test run has a shorter one. So it is with
//! `--vf-rounds` and the test `vm_vf` of `sriov`, in a machine of the lab.

use std::process::ExitCode;

use anyhow::{Context, Result};
use serde_json::Value;

use crate::workspace::{Workspace, text};
use crate::{output, program};

/// Seconds at most for a machine of the lab, and for a round over its 14 VFs.
const VF_LIMIT: (u32, u32) = (300, 60);

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
    /// Instead of pods: rounds in which each of 14 VFs is given to a namespace, taken back and looked at, in a machine of
    /// the lab. The test run makes 20; the long form is 1,000.
    #[arg(long, value_name = "N", conflicts_with_all = ["cycles", "kills", "seed"])]
    vf_rounds: Option<u32>,
}

pub(crate) fn run(arguments: &Arguments) -> Result<ExitCode> {
    let workspace = Workspace::load()?;
    if let Some(rounds) = arguments.vf_rounds {
        return vfs(&workspace, rounds);
    }
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

/// The test of give and take, so many rounds long.
fn vfs(workspace: &Workspace, rounds: u32) -> Result<ExitCode> {
    program::must(workspace.lab("packages").arg("vm"))?;
    let mut build = workspace.cargo();
    build.args(["test", "-p", "sriov", "--all-features", "--test", "vm_vf", "--no-run"]);
    let built = program::stdout(build.args(["--message-format", "json"]))?;
    let built = String::from_utf8(built).context("cargo's messages")?;
    let messages = built.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    let test = messages
        .filter(|message| message["target"]["name"] == "vm_vf")
        .map(|message| text(&message["executable"]))
        .find(|executable| !executable.is_empty())
        .context("cargo has not built the test vm_vf")?;
    output::line(&format!("{rounds} rounds over 14 VFs, in a machine of the lab"));
    let mut machine = workspace.lab("vm-run");
    machine.args(["--nic", "igb:0:0", "--nic", "igb:1:1"]);
    machine.args(["--timeout", &(VF_LIMIT.0 + VF_LIMIT.1 * rounds).to_string()]);
    machine.arg("--env").arg(format!("VF_ROUNDS={rounds}"));
    machine.arg("--share").arg(&workspace.root).arg("--").arg(test);
    machine.args(["--exact", "twenty_rounds_over_fourteen_vfs_leave_every_one_as_it_was"]);
    let status = program::status(machine.args(["--ignored", "--nocapture"]))?;
    Ok(if status.success() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
