//! A Kubernetes control plane for tests.

use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context, Result};

use crate::program;
use crate::workspace::Workspace;

/// etcd, API server and controllers on this host.
pub(crate) struct ControlPlane<'a> {
    workspace: &'a Workspace,
    pub(crate) folder: PathBuf,
}

impl<'a> ControlPlane<'a> {
    /// Not the port of a control plane that a developer has up; etcd, the controllers and the scheduler have the four after it.
    pub(crate) const PORT: u16 = 16543;

    /// Starts it; `before` are scripts of the lab that must have run.
    pub(crate) fn start(workspace: &'a Workspace, before: &[&str]) -> Result<Self> {
        // Below the shared folder, so that the machine reads it.
        let plane = Self { workspace, folder: workspace.target.join("lab/kube") };
        // What a killed run left behind.
        plane.command("kube-down").output().context("lab/kube-down")?;
        for line in before.iter().chain(&["kube-up"]) {
            let mut words = line.split_whitespace();
            let mut command = plane.command(words.next().unwrap_or_default());
            program::stdout(command.args(words))?;
        }
        Ok(plane)
    }

    fn command(&self, script: &str) -> Command {
        let mut command = self.workspace.lab(script);
        command.env("KUBE_DIR", &self.folder).env("KUBE_PORT", Self::PORT.to_string());
        command
    }
}

impl Drop for ControlPlane<'_> {
    fn drop(&mut self) {
        let _ = self.command("kube-down").output();
    }
}
