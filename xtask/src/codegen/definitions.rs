//! The definitions of our kinds, as `crds` prints them.

use anyhow::{Context, Result, bail};

use super::Generated;
use crate::program;
use crate::workspace::Workspace;

/// Builds the example of `crds` that prints them: developer commands themselves need no kube.
pub(super) fn generate(workspace: &Workspace) -> Result<Vec<Generated>> {
    let mut example = workspace.cargo();
    example.args(["run", "--quiet", "--all-features", "--package", "crds", "--example", "definitions"]);
    let files: Vec<(String, String)> =
        serde_json::from_slice(&program::stdout(&mut example)?).context("the definitions of our kinds")?;
    if files.is_empty() {
        bail!("crds prints no definitions");
    }
    let generated = files.into_iter().map(|(name, yaml)| Generated {
        path: format!("deploy/crds/{name}").into(),
        content: format!("# Written by `cargo xtask codegen` from the types in crds/.\n{yaml}"),
    });
    Ok(generated.collect())
}
