//! One lab group: its machine is booted once and runs all tests of the group.

use std::process::Command;

use anyhow::{Context, Result};

use super::control_plane::ControlPlane;
use super::groups::Group;
use super::report::Outcome;
use super::suites::{Reuse, Suites};
use super::twin::Twin;
use super::{count_run, summary};
use crate::workspace::Workspace;
use crate::{dist, program};

/// What `lab/vm-run` ends with when the emulated machine itself is stuck.
const STUCK: i32 = 75;

/// The executables of a group that exist and are asked for.
pub(crate) fn selected<'a>(group: &Group, suites: &'a Suites) -> Vec<&'a super::suites::Suite> {
    let of_group = |suite: &&super::suites::Suite| {
        group.suites.iter().any(|(package, name)| suite.package == *package && suite.name == *name)
    };
    suites.all.iter().filter(of_group).collect()
}

/// Boots the group's machine and runs the tests there. Nothing to run: no boot.
pub(crate) fn run(workspace: &Workspace, group: &Group, suites: &Suites, reuse: &Reuse) -> Result<Outcome> {
    let selected = selected(group, suites);
    let planned: u64 = selected.iter().map(|suite| suite.ignored).sum();
    let filter: Vec<String> = selected.iter().map(|suite| format!("binary_id(={})", suite.id)).collect();
    let nextest = program::path_of("cargo-nextest").context("cargo-nextest is not on the search path")?;
    let junit = workspace.target.join("nextest/lab/junit.xml");
    // A machine that dies must not leave the last run's file to be counted.
    let _ = std::fs::remove_file(&junit);

    if group.images {
        dist::for_tests(workspace)?;
    }
    let mut machine = machine_of(workspace, group);
    // Ends with this function, however that ends.
    let _control_plane = match group.control_plane {
        false => None,
        true => {
            let plane = ControlPlane::start(workspace, &["node-up --setup"])?;
            machine.args(["--forward", &ControlPlane::PORT.to_string(), "--env"]);
            machine.arg(format!("KUBECONFIG={}", plane.folder.join("kubeconfig.vm").display()));
            Some(plane)
        }
    };
    let twin = match group.twin {
        false => None,
        true => Some(Twin::start(workspace, machine_of(workspace, group), &selected, reuse)?),
    };
    if let Some(twin) = &twin {
        twin.join(&mut machine);
    }
    machine.arg("--share").arg(&workspace.root).arg("--");
    machine.arg("lab/guest-tests").arg(nextest).arg(&workspace.target);
    machine.arg(&reuse.cargo).arg(&reuse.binaries).arg(filter.join(" | "));

    let (mut status, mut printed) = program::tee(&mut machine)?;
    if status.code() == Some(STUCK) && twin.is_none() {
        // It says nothing of the tests, and a fresh machine knows nothing of this one.
        let _ = std::fs::remove_file(&junit);
        (status, printed) = program::tee(&mut machine)?;
    }
    let mut outcome = count_run(&printed, status, &junit);
    // Tests of the group's files that are not ignored ran on the host; here they only stand aside.
    outcome.tally.skipped =
        summary::printed_skips(&std::fs::read_to_string(&junit).unwrap_or_default()).len() as u64;
    let ran = outcome.tally.passed + outcome.tally.failed + outcome.tally.skipped;
    if ran < planned {
        outcome.tally.failed += planned - ran;
        outcome.failures.push(format!("{} of {planned} tests never ran", planned - ran));
    }
    if let Some(failure) = twin.map(|twin| twin.finish(status)).transpose()?.flatten() {
        outcome.tally.failed += 1;
        outcome.failures.push(failure);
    }
    Ok(outcome)
}

/// `lab/vm-run` with what the group says of its machine.
fn machine_of(workspace: &Workspace, group: &Group) -> Command {
    let mut machine = workspace.lab("vm-run");
    for nic in group.nics {
        machine.args(["--nic", nic]);
    }
    machine.args(["--modules", &group.modules.join(" "), "--mem", &group.memory.to_string()]);
    machine.args(["--timeout", &group.limit.to_string()]);
    for setting in super::ENVIRONMENT {
        machine.arg("--env").arg(format!("{}={}", setting.0, setting.1));
    }
    machine
}
