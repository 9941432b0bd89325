//! The agent inside a machine of the lab, published on loopback: a real SR-IOV node for anyone.

use std::os::unix::process::CommandExt;
use std::process::{ExitCode, Stdio};
use std::time::Duration;

use anyhow::{Context, Result};

use super::signals::Signals;
use super::{Programs, serve};
use crate::output;
use crate::workspace::Workspace;

/// Two SR-IOV NICs on two NUMA nodes, a NIC without SR-IOV beside one of them, a virtual one.
pub(crate) const NICS: [&str; 4] = ["igb:0:0", "igb:1:1", "e1000e:0:1", "vmxnet3:0"];

/// Boots, starts the agent there, and stays until somebody stops it.
pub(super) fn run(workspace: &Workspace, programs: &Programs, port: u16) -> Result<ExitCode> {
    let folder = workspace.target.join("run-vm");
    std::fs::create_dir_all(&folder)?;
    let log = folder.join("agent.log");
    // Made here, or the first look at it could find none.
    std::fs::File::create(&log)?;

    output::line("booting a machine with two SR-IOV NICs, an e1000e and a vmxnet3 (about ten seconds)");
    // The machine ends with this command, however that ends.
    let mut machine = workspace.command("setpriv");
    machine.args(["--pdeathsig", "TERM"]).arg(workspace.root.join("lab/vm-run"));
    for nic in NICS {
        machine.args(["--nic", nic]);
    }
    machine.args(["--publish", &port.to_string(), "--timeout", "604800", "--share"]).arg(&workspace.root);
    machine.args(["--", "lab/guest-agent"]).arg(&programs.multi_nicd).arg(&programs.hwprobe);
    machine.arg(port.to_string()).arg(&log);
    machine.stdin(Stdio::null()).process_group(0);
    let child = machine.spawn().context("start lab/vm-run")?;
    let signals = Signals::take()?;
    // The guest shows its own table, before its agent starts.
    serve(child, port, &log, &signals, Duration::from_secs(900), || Ok(()))
}
