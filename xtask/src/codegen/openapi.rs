//! The OpenAPI document, as the agent itself prints it.

use anyhow::{Context, Result, bail};

use super::Generated;
use crate::program;
use crate::workspace::Workspace;

/// Builds the agent and asks it.
pub(super) fn generate(workspace: &Workspace) -> Result<Vec<Generated>> {
    let mut agent = workspace.cargo();
    agent.args(["run", "--quiet", "--all-features", "--package", "nodeagent", "--bin", "multi-nicd", "--"]);
    let document =
        String::from_utf8(program::stdout(agent.arg("openapi"))?).context("the OpenAPI document")?;
    if document.trim().is_empty() {
        bail!("the agent prints no OpenAPI document");
    }
    Ok(vec![Generated { path: "openapi/multi-nicd.v1.json".into(), content: document }])
}
