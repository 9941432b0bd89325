//! What agents say.

use std::collections::BTreeMap;

use anyhow::anyhow;
use futures_util::StreamExt;
use openapi::AttachmentList;
use serde_json::Value;

use super::cluster::Cluster;
use crate::facts::{AgentSays, Facts, NicFacts, NodeFacts, Unread, WarningFacts};
use crate::way::Way;

/// Agents that are asked at the same time.
const AT_ONCE: usize = 16;

/// What an agent says of itself and its machine. What it does not serve is noted.
///
/// # Errors
/// When it does not answer at all.
pub(crate) async fn ask_agent(way: &Way) -> anyhow::Result<AgentSays> {
    let node: Value = way.get("/v1/node").await?;
    let text = |pointer: &str| node.pointer(pointer).and_then(Value::as_str).unwrap_or_default().to_owned();
    let mut says = AgentSays {
        version: text("/agent/version"),
        started: text("/agent/started"),
        host_name: text("/node/hostName"),
        ..AgentSays::default()
    };
    if says.host_name.is_empty() {
        says.host_name = text("/node/hostname");
    }
    let mut unread = Vec::new();
    let mut note = |what: &str, error: &anyhow::Error| {
        unread.push(Unread { what: what.to_owned(), why: format!("{error:#}") });
    };
    match way.get("/readyz").await {
        Ok(readiness) => says.readiness = Some(readiness),
        Err(error) => note("/readyz", &error),
    }
    match way.get::<BTreeMap<String, Value>>("/v1/nics").await {
        Ok(mut list) => {
            match serde_json::from_value::<Vec<NicFacts>>(list.remove("nics").unwrap_or_default()) {
                Ok(nics) => says.nics = nics,
                Err(error) => note("/v1/nics", &error.into()),
            }
        }
        Err(error) => note("/v1/nics", &error),
    }
    match way.get::<BTreeMap<String, Value>>("/v1/warnings").await {
        Ok(mut list) => {
            let warnings = list.remove("warnings").unwrap_or_default();
            says.warnings = serde_json::from_value::<Vec<WarningFacts>>(warnings).unwrap_or_default();
        }
        Err(error) => note("/v1/warnings", &error),
    }
    match way.get("/v1/networks").await {
        Ok(networks) => says.networks = Some(networks),
        Err(error) => note("/v1/networks", &error),
    }
    match way.get("/v1/addresses").await {
        Ok(addresses) => says.addresses = Some(addresses),
        Err(error) => note("/v1/addresses", &error),
    }
    match way.get::<AttachmentList>("/v1/attachments").await {
        Ok(list) => says.attachments = list.attachments,
        Err(error) => note("/v1/attachments", &error),
    }
    says.unread = unread;
    Ok(says)
}

/// Asks the agents of these nodes, several at a time, and notes what they say.
pub(crate) async fn ask_agents(cluster: &Cluster, facts: &mut Facts, wanted: impl Fn(&NodeFacts) -> bool) {
    let asked = facts.nodes.iter_mut().filter(|node| wanted(node) && node.program.is_some());
    let ask = asked.map(|node| async move {
        let answer = match way_to(cluster, node) {
            Ok(way) => ask_agent(&way).await,
            Err(error) => Err(error),
        };
        match answer {
            Ok(says) => node.agent = Some(says),
            Err(error) => node.agent_error = format!("{error:#}"),
        }
    });
    futures_util::stream::iter(ask).buffer_unordered(AT_ONCE).collect::<()>().await;
}

/// The way to the agent of a node.
///
/// # Errors
/// When it has none.
pub(crate) fn way_to(cluster: &Cluster, node: &NodeFacts) -> anyhow::Result<Way> {
    let none = || anyhow!("node {} has no pod of the agent: `kubectl multinic doctor` says why", node.name);
    let program = node.program.clone().ok_or_else(none)?;
    Ok(Way::Exec { client: cluster.client.clone(), program: Box::new(program) })
}
