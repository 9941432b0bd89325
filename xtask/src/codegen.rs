//! `cargo xtask codegen`.
use anyhow::Result;
use std::process::ExitCode;
#[derive(clap::Args)]
pub(crate) struct Arguments {}
pub(crate) fn run(_: &Arguments) -> Result<ExitCode> {
    anyhow::bail!("not here yet")
}
pub(crate) fn outdated(_: &crate::workspace::Workspace) -> Result<Vec<String>> {
    Ok(vec![])
}
