//! `cargo xtask lab`: the scripts of `lab/`, from anywhere in the clone.

use std::ffi::OsString;
use std::process::ExitCode;

use anyhow::{Result, bail};

use crate::workspace::Workspace;
use crate::{output, program};

#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// A script of lab/, or "setup" to install and build all that the lab's machines need.
    script: Option<String>,
    /// What the script gets.
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    arguments: Vec<OsString>,
}

pub(crate) fn run(arguments: &Arguments) -> Result<ExitCode> {
    let workspace = Workspace::load()?;
    let Some(script) = &arguments.script else {
        output::line("scripts:");
        scripts(&workspace)?.iter().for_each(|name| output::line(&format!("  {name}")));
        return Ok(ExitCode::SUCCESS);
    };
    if script == "setup" {
        setup(&workspace)?;
        return Ok(ExitCode::SUCCESS);
    }
    if !scripts(&workspace)?.contains(script) {
        bail!("lab/ has no script {script}: it has {}", scripts(&workspace)?.join(", "));
    }
    let status = program::status(workspace.lab(script).args(&arguments.arguments))?;
    Ok(ExitCode::from(status.code().and_then(|code| u8::try_from(code).ok()).unwrap_or(1)))
}

/// Packages, kernel tree, netdevsim and the machine's first file system.
pub(crate) fn setup(workspace: &Workspace) -> Result<()> {
    program::must(workspace.lab("packages").args(["test", "vm", "runtimes"]))?;
    program::must(workspace.lab("vm-run").args(["--setup", "--modules", "netdevsim"]))
}

fn scripts(workspace: &Workspace) -> Result<Vec<String>> {
    let mut names = Vec::new();
    for entry in std::fs::read_dir(workspace.root.join("lab"))? {
        let entry = entry?;
        let executable =
            std::os::unix::fs::PermissionsExt::mode(&entry.metadata()?.permissions()) & 0o111 != 0;
        if executable && entry.file_type()?.is_file() {
            names.push(entry.file_name().to_string_lossy().into_owned());
        }
    }
    names.sort();
    Ok(names)
}
