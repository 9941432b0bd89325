//! `cargo xtask bench`: how fast, beside the tools that people use today.
//!
//! Times are printed, never asserted: they belong to one machine and one minute. What counts is
//! the ratio to what ran between the same runs.

mod api;
mod attach;
mod measure;
mod probe;
mod released;
mod sriov;
mod synthetic;

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context, Result};

use crate::workspace::Workspace;
use crate::{output, program, run};

#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// What to measure.
    #[command(subcommand)]
    what: What,
}

#[derive(clap::Subcommand)]
enum What {
    /// The inventory beside lshw, ip and a bare walk of /sys; then 8 PFs with 128 VFs each.
    Probe {
        /// Runs of each, interleaved.
        #[arg(long, default_value_t = 15)]
        runs: usize,
        /// The same inside a machine of the lab.
        #[arg(long)]
        vm: bool,
        /// Executables that are built already (how the machine of the lab calls this).
        #[arg(long, hide = true, value_name = "DIR")]
        programs: Option<PathBuf>,
    },
    /// Pods get NICs: ours beside Debian's Go plugins and the work that nobody can avoid.
    Attach {
        #[command(flatten)]
        amount: attach::Amount,
        /// The same inside a machine of the lab, with ipvlan.
        #[arg(long)]
        vm: bool,
        /// Executables that are built already (how the machine of the lab calls this).
        #[arg(long, hide = true, value_name = "DIR")]
        programs: Option<PathBuf>,
    },
    /// VFs in a machine of the lab: made, given to a pod and taken back, beside `ip` and sysfs by hand; then what a change
    /// of one VF costs the inventory.
    Sriov {
        #[command(flatten)]
        amount: sriov::Amount,
        /// On this machine, which is one of the lab's (how that machine calls this).
        #[arg(long, hide = true)]
        here: bool,
    },
    /// Routes to other hosts: all at once beside `ip -batch`, looked at again, one change among them; memory.
    Routes {
        /// How many, at most 65,000.
        #[arg(long, default_value_t = 40_000, value_parser = clap::value_parser!(u32).range(1..=65_000))]
        routes: u32,
        /// Runs, each with both.
        #[arg(long, default_value_t = 5)]
        runs: usize,
    },
    /// Which NICs a pod gets: each strategy for 8 GPUs and 16 NICs that 200 attachments share, beside taking all.
    Select {
        /// Choices of each kind.
        #[arg(long, default_value_t = 2000, value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
        choices: u32,
        /// Runs.
        #[arg(long, default_value_t = 5)]
        runs: usize,
    },
    /// The agent: requests a second, memory, idleness, and how soon a change is told.
    Api {
        /// Seconds that each load lasts.
        #[arg(long, default_value_t = 5)]
        seconds: u64,
        /// Changes of a link's state.
        #[arg(long, default_value_t = 40)]
        changes: usize,
    },
}

pub(crate) fn run(arguments: &Arguments) -> Result<ExitCode> {
    match &arguments.what {
        What::Probe { runs, programs: Some(folder), .. } => {
            probe::run(&folder.join("hwprobe"), &std::env::temp_dir().join("bench-synthetic"), *runs)?;
        }
        What::Probe { runs, vm: false, .. } => {
            let workspace = Workspace::load()?;
            program::must(workspace.lab("packages").arg("test"))?;
            let programs = run::build(&workspace, &["hwprobe"], true)?;
            probe::run(&programs.hwprobe, &workspace.target.join("bench/synthetic"), *runs)?;
        }
        What::Probe { runs, vm: true, .. } => in_machine(*runs)?,
        What::Attach { amount, programs: Some(folder), .. } => attach::with_programs(folder, *amount)?,
        What::Attach { amount, vm: false, .. } => attach::on_host(&Workspace::load()?, *amount)?,
        What::Attach { amount, vm: true, .. } => attach::in_machine(&Workspace::load()?, *amount)?,
        What::Sriov { amount, here: true } => sriov::here(*amount)?,
        What::Sriov { amount, here: false } => sriov::in_machine(&Workspace::load()?, *amount)?,
        What::Routes { routes, runs } => {
            let workspace = Workspace::load()?;
            program::must(workspace.lab("packages").arg("test"))?;
            released::run(&workspace, &released::routes(*routes), *runs)?;
        }
        What::Select { choices, runs } => {
            released::run(&Workspace::load()?, &released::select(*choices), *runs)?;
        }
        What::Api { seconds, changes } => {
            let workspace = Workspace::load()?;
            program::must(workspace.lab("packages").arg("test"))?;
            let programs = run::build(&workspace, &run::CRATES, true)?;
            api::run(&workspace, &programs, *seconds, *changes)?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn in_machine(runs: usize) -> Result<()> {
    let workspace = Workspace::load()?;
    program::must(workspace.lab("packages").args(["test", "vm"]))?;
    let programs = run::build(&workspace, &["hwprobe"], true)?;
    let folder = programs.hwprobe.parent().context("hwprobe has no folder")?;
    // The host's root as the machine sees it: with a page cache, as a disk would have.
    let cached = |path: &std::path::Path| format!("/run/host{}", path.display());
    let myself = std::env::current_exe()?;
    let mut machine = workspace.lab("vm-run");
    for nic in run::NICS {
        machine.args(["--nic", nic]);
    }
    machine.arg("--share").arg(&workspace.root).args(["--mem", "2048", "--timeout", "1800", "--"]);
    machine.arg(cached(&myself)).args(["bench", "probe", "--runs", &runs.to_string(), "--programs"]);
    machine.arg(cached(folder));
    output::line("in a machine of the lab (an emulated CPU: compare its times with one another only)");
    program::must(&mut machine)
}
