//! Gathers facts: the only part that asks somebody.

mod agents;
mod cluster;
mod objects;

pub(crate) use agents::{ask_agent, ask_agents, way_to};
pub(crate) use cluster::{Access, Cluster, Wanted};
pub(crate) use objects::pod;

use std::path::Path;

use anyhow::Context;
use k8s_openapi::jiff::Timestamp;

use crate::facts::{Facts, NodeFacts};
use crate::way::Way;

/// Facts of nothing, with the time of now.
pub(crate) fn begun() -> Facts {
    Facts {
        taken: Timestamp::now().to_string(),
        tool_version: env!("CARGO_PKG_VERSION").to_owned(),
        ..Facts::default()
    }
}

/// What one agent knows, without a cluster.
///
/// # Errors
/// When it does not answer.
pub(crate) async fn local(way: &Way, socket: &Path) -> anyhow::Result<Facts> {
    let says = ask_agent(way).await.with_context(|| {
        let socket = socket.display();
        format!(
            "ask the agent at {socket} (is multi-nicd running, and are you root? --socket says where it is)"
        )
    })?;
    let name = says.host_name.clone();
    let node = NodeFacts { name, exists: true, ready: true, agent: Some(says), ..NodeFacts::default() };
    Ok(Facts { local: true, nodes: vec![node], ..begun() })
}

/// What a bundle recorded.
///
/// # Errors
/// When the file does not hold facts.
pub(crate) fn recorded(file: &Path) -> anyhow::Result<Facts> {
    let named = || format!("read {}", file.display());
    let bytes = std::fs::read(file).with_context(named)?;
    let text = if bytes.starts_with(&[0x1f, 0x8b]) { crate::bundle::facts_in(&bytes)? } else { bytes };
    serde_json::from_slice(&text).with_context(named)
}
