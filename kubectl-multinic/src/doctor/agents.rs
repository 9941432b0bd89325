//! Whether agents run, answer and have what they need.

use std::collections::BTreeMap;

use openapi::{ListenerState, StoreState};

use super::{Outcome, count, in_cluster, install, unread};
use crate::facts::{AgentSays, Facts, NodeFacts};

/// Codes of warnings that have a check of their own.
const OWN_CHECK: [&str; 1] = ["pluginsNotInstalled"];

/// Codes of warnings that are about the agent, not about its NICs.
pub(super) const ABOUT_AGENT: [&str; 4] =
    ["restPortBusy", "pluginsNotInstalled", "rightMissing", "resourceTaken"];

fn says(facts: &Facts) -> impl Iterator<Item = (&NodeFacts, &AgentSays)> {
    facts.nodes.iter().filter_map(|node| Some((node, node.agent.as_ref()?)))
}

/// Nobody was asked.
fn nobody(facts: &Facts) -> Option<Outcome> {
    says(facts).next().is_none().then(|| Outcome::not_known("no agent was asked, or none answers"))
}

pub(super) fn run(facts: &Facts) -> Outcome {
    if let Some(outcome) = in_cluster(facts).or_else(|| unread(facts, "pods of the agents")) {
        return outcome;
    }
    let pods: Vec<_> = facts.nodes.iter().filter_map(|node| Some((node, node.program.as_ref()?))).collect();
    let mut outcome = Outcome::seen(count(pods.len(), "agent"));
    for (node, pod) in pods {
        install::killed(&mut outcome, pod, "DaemonSet multi-nicd");
        if !pod.ready {
            let reason = if pod.reason.is_empty() { "no reason given" } else { &pod.reason };
            let evidence = format!("pod {} is {} and not ready: {reason}", pod.name, pod.phase);
            let fix = format!("kubectl logs -n {} {} --previous", pod.namespace, pod.name);
            outcome.problem(&node.name, evidence, fix);
        }
    }
    outcome
}

pub(super) fn answer(facts: &Facts) -> Outcome {
    let silent: Vec<_> = facts.nodes.iter().filter(|node| !node.agent_error.is_empty()).collect();
    if silent.is_empty() && says(facts).next().is_none() {
        return Outcome::not_known("no agent was asked");
    }
    let mut outcome = Outcome::seen(count(says(facts).count(), "agent"));
    for node in silent {
        let fix = "its log; the right to create pods/exec is in deploy/kubectl-multinic";
        outcome.problem(&node.name, format!("the agent does not answer: {}", node.agent_error), fix);
    }
    for (node, says) in says(facts) {
        let readiness = says.readiness.as_ref();
        if readiness.is_some_and(|readiness| !readiness.ready) {
            let evidence = "the agent is not ready: it has not read the machine yet, or has ceased to";
            outcome.problem(&node.name, evidence, "wait a minute; then its log says what it waits for");
        }
        for unread in &says.unread {
            let evidence = format!("{}: {}", unread.what, unread.why);
            outcome.warning(&node.name, evidence, "take a kubectl-multinic of the agent's version");
        }
        let closed = readiness.iter().flat_map(|readiness| &readiness.listeners);
        for listener in closed.filter(|listener| listener.state != ListenerState::Open) {
            let why = listener.error.as_deref().unwrap_or("it is taken");
            let evidence = format!("{} is not open: {why}", listener.address);
            outcome.warning(&node.name, evidence, "`listen` in agent.yaml: another port, or end who has it");
        }
    }
    outcome
}

pub(super) fn versions(facts: &Facts) -> Outcome {
    let mut versions: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for (node, says) in says(facts) {
        versions.entry(&says.version).or_default().push(&node.name);
    }
    if versions.is_empty() {
        return Outcome::not_known("no agent was asked, or none answers");
    }
    let mut outcome = Outcome::seen(versions.keys().copied().collect::<Vec<_>>().join(", "));
    if versions.len() > 1 {
        let told = versions.iter().map(|(version, nodes)| format!("{version} on {}", nodes.join(", ")));
        let evidence = told.collect::<Vec<_>>().join("; ");
        outcome.warning(
            "multi-nicd",
            evidence,
            "kubectl rollout status daemonset/multi-nicd: finish the upgrade",
        );
    }
    outcome
}

pub(super) fn memory(facts: &Facts) -> Outcome {
    if let Some(outcome) = nobody(facts) {
        return outcome;
    }
    let mut outcome = Outcome::seen(count(says(facts).count(), "agent"));
    for (node, says) in says(facts) {
        let Some(store) = says.readiness.as_ref().map(|readiness| &readiness.store) else { continue };
        let detail = store.detail.as_deref().unwrap_or("no detail");
        match store.state {
            StoreState::Unavailable => {
                let fix = "its state folder (/var/lib/multi-nic) must be writable and have room";
                outcome.problem(&node.name, format!("cannot be written: {detail}"), fix);
            }
            StoreState::OpenedAnew => {
                let fix = "keep the file that was set aside for a report; look at the node's disk";
                outcome.warning(&node.name, format!("was begun anew: {detail}"), fix);
            }
            StoreState::Open | StoreState::NotUsed => {}
        }
    }
    outcome
}

pub(super) fn plugins(facts: &Facts) -> Outcome {
    about(facts, |code| code == "pluginsNotInstalled")
}

pub(super) fn warnings(facts: &Facts) -> Outcome {
    about(facts, |code| ABOUT_AGENT.contains(&code) && !OWN_CHECK.contains(&code))
}

/// Warnings of agents about themselves, each once.
fn about(facts: &Facts, wanted: impl Fn(&str) -> bool) -> Outcome {
    if let Some(outcome) = nobody(facts) {
        return outcome;
    }
    let mut outcome = Outcome::seen(count(says(facts).count(), "agent"));
    for (node, says) in says(facts) {
        for warning in says.warnings.iter().filter(|warning| wanted(&warning.code)) {
            outcome.problem(&node.name, warning.message.clone(), warning.fix.clone());
        }
    }
    outcome
}

pub(super) fn predecessor(facts: &Facts) -> Outcome {
    if let Some(outcome) = in_cluster(facts) {
        return outcome;
    }
    let mut outcome = Outcome::seen("none");
    for node in &facts.nodes {
        let Some(object) = &node.host_interface else { continue };
        let finalizers = object.metadata.finalizers.as_deref().unwrap_or_default();
        if object.spec.node_uid.is_empty() && !finalizers.is_empty() {
            let evidence = "its HostInterface is the predecessor's (a finalizer, no nodeUID)";
            let fix =
                "let our agent replace the daemon there (docs/migration.md), or delete the HostInterface";
            outcome.warning(&node.name, evidence, fix);
        }
    }
    outcome
}
