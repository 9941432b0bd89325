//! `why POD`: what it asked for, what it got, and, where not, the first cause and its fix.

use openapi::{Attachment, SelectAnswer};
use serde::Serialize;

use crate::annotation::{self, Asked, Got};
use crate::facts::{Facts, PodFacts};
use crate::{doctor, guide, view};

/// What is said of a pod.
#[derive(Debug, Clone, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Story {
    /// `namespace/name`.
    pub(crate) pod: String,
    /// Sentences, in the order in which a pod gets its networks.
    pub(crate) steps: Vec<Step>,
    /// The first thing that is wrong; absent: nothing is.
    pub(crate) cause: Option<String>,
    /// What to do about it.
    pub(crate) fix: Option<String>,
}

/// A sentence.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Step {
    /// It is as it should be.
    pub(crate) well: bool,
    /// What is.
    pub(crate) says: String,
}

/// What the pod's agent says of one network for this pod.
#[derive(Debug, Clone)]
pub(crate) struct DryRun {
    pub(crate) network: String,
    /// What it would choose; or why it could not be asked.
    pub(crate) answer: Result<SelectAnswer, String>,
}

impl Story {
    fn well(&mut self, says: impl Into<String>) {
        self.steps.push(Step { well: true, says: says.into() });
    }

    fn wrong(&mut self, says: impl Into<String>, fix: impl Into<String>) {
        let (says, fix) = (says.into(), fix.into());
        if self.cause.is_none() {
            self.cause = Some(says.clone());
            self.fix = Some(fix).filter(|fix| !fix.is_empty());
        }
        self.steps.push(Step { well: false, says });
    }

    /// As text for people.
    pub(crate) fn text(&self) -> String {
        let mut text = format!("Pod {}\n", self.pod);
        for step in &self.steps {
            text += &format!("  {} {}\n", if step.well { "+" } else { "x" }, step.says);
        }
        match &self.cause {
            Some(cause) => text += &format!("Cause: {cause}\n"),
            None => text += "Nothing keeps it from its networks.\n",
        }
        if let Some(fix) = &self.fix {
            text += &format!("Fix:   {fix}\n");
        }
        text
    }
}

/// The story of a pod.
pub(crate) fn story(facts: &Facts, pod: &PodFacts, dry_runs: &[DryRun]) -> Story {
    let mut story = Story { pod: format!("{}/{}", pod.namespace, pod.name), ..Story::default() };
    let Some(text) = &pod.asked else {
        story.wrong(
            "it asks for no network: it has no annotation k8s.v1.cni.cncf.io/networks",
            "write the annotation into the pod's template (docs/annotations.md) and make the pod anew",
        );
        return story;
    };
    let asked = match annotation::asked(text, &pod.namespace) {
        Ok(asked) => asked,
        Err(error) => {
            story.wrong(
                format!("its annotation k8s.v1.cni.cncf.io/networks cannot be read: {error}"),
                "correct it (docs/annotations.md) and make the pod anew",
            );
            return story;
        }
    };
    let names: Vec<String> = asked.iter().map(|one| format!("{}/{}", one.namespace, one.network)).collect();
    story.well(format!("it asks for {}", names.join(", ")));
    let got = annotation::got(pod.got.as_deref().unwrap_or_default());
    asked.iter().for_each(|one| network(&mut story, facts, pod, one, &got));
    if !node(&mut story, facts, pod) {
        return story;
    }
    let says = facts.node(&pod.node).and_then(|node| node.agent.as_ref());
    let mine: Vec<&Attachment> =
        says.iter().flat_map(|says| &says.attachments).filter(|one| is_of(one, pod)).collect();
    for one in &asked {
        given(&mut story, facts, pod, one, &got, &mine, dry_runs);
    }
    events(&mut story, facts, pod, &asked, &got);
    story
}

fn is_of(attachment: &Attachment, pod: &PodFacts) -> bool {
    attachment.pod.as_ref().is_some_and(|of| of.namespace == pod.namespace && of.name == pod.name)
}

/// The network and its attachment definition.
fn network(story: &mut Story, facts: &Facts, pod: &PodFacts, asked: &Asked, got: &[Got]) {
    let name = &asked.network;
    let Some(network) = facts.network(name) else {
        if got.iter().any(|got| got.is_of(asked)) {
            story.well(format!("{name} is no MultiNicNetwork, and another plugin's: it is attached"));
            return;
        }
        let known: Vec<&str> = facts.networks.iter().filter_map(|one| one.metadata.name.as_deref()).collect();
        let known = if known.is_empty() { "none".to_owned() } else { known.join(", ") };
        story.wrong(
            format!("there is no MultiNicNetwork {name}; there are: {known}"),
            "make it, or name one that there is, in the annotation",
        );
        return;
    };
    match view::failing(network) {
        // A pod starts all the same: only packets to other hosts are lost.
        Some(condition) if matches!(condition.kind.as_str(), "RoutesReady" | "Ready") => {
            story.well(format!(
                "network {name} can be attached, but: {}: {}",
                condition.reason, condition.message
            ));
        }
        Some(condition) => story.wrong(
            format!("network {name} is not ready: {}: {}", condition.reason, condition.message),
            guide::fix(&condition.reason),
        ),
        None => story.well(format!("network {name} is ready")),
    }
    let without_multus = facts.install.daemon_set.as_ref().is_some_and(|set| set.without_multus);
    let served = &network.spec.namespaces;
    if without_multus {
        if !served.is_empty() && !served.contains(&pod.namespace) {
            story.wrong(
                format!("network {name} is not for namespace {}", pod.namespace),
                format!("add {} to spec.namespaces of network {name}", pod.namespace),
            );
        }
        return;
    }
    let there = facts.attachment_definitions.iter().any(|one| {
        one.metadata.name.as_ref() == Some(name) && one.metadata.namespace.as_ref() == Some(&asked.namespace)
    });
    if there {
        story.well(format!("namespace {} has its attachment definition", asked.namespace));
    } else if served.is_empty() || served.contains(&asked.namespace) {
        story.wrong(
            format!("namespace {} has no attachment definition {name}", asked.namespace),
            "see that the operator runs (kubectl multinic doctor: operator-runs)",
        );
    } else {
        story.wrong(
            format!(
                "network {name} is not for namespace {}, so it has no attachment definition there",
                asked.namespace
            ),
            format!("add {} to spec.namespaces of network {name}", asked.namespace),
        );
    }
}

/// The node and its agent; no: there is nobody to ask.
fn node(story: &mut Story, facts: &Facts, pod: &PodFacts) -> bool {
    if pod.node.is_empty() {
        let why =
            if pod.unschedulable.is_empty() { "the scheduler gives no reason" } else { &pod.unschedulable };
        story.wrong(
            format!("no node has taken it: {why}"),
            "requests, node selector and taints; a resource of virtual functions may be used up (kubectl multinic nodes)",
        );
        return false;
    }
    let Some(node) = facts.node(&pod.node) else {
        story.wrong(format!("its node {} is not there", pod.node), "delete the pod");
        return false;
    };
    if node.agent.is_some() {
        story.well(format!("it is on node {}, whose agent answers", pod.node));
        return true;
    }
    let doctor = format!("kubectl multinic doctor --node {}", pod.node);
    if node.agent_error.is_empty() && node.program.is_some() {
        story.well(format!("it is on node {}, whose agent is {}", pod.node, view::agent(node)));
    } else if node.agent_error.is_empty() {
        story.wrong(format!("its node {} has no agent", pod.node), doctor);
    } else {
        story.wrong(
            format!("the agent of its node {} does not answer: {}", pod.node, node.agent_error),
            doctor,
        );
    }
    true
}

/// What it got of one network.
fn given(
    story: &mut Story,
    facts: &Facts,
    pod: &PodFacts,
    asked: &Asked,
    got: &[Got],
    mine: &[&Attachment],
    dry_runs: &[DryRun],
) {
    let name = &asked.network;
    if facts.network(name).is_none() {
        return;
    }
    let held: Vec<&&Attachment> = mine.iter().filter(|one| one.network == *name).collect();
    if let Some(one) = held.first() {
        let links = one.links.iter().map(|link| {
            let addresses: Vec<&str> = link.addresses.iter().map(|one| one.address.as_str()).collect();
            format!("{} over {} ({})", link.name, link.master, addresses.join(", "))
        });
        let links = links.collect::<Vec<_>>().join(", ");
        match one.phase {
            openapi::AttachmentPhase::Lost => story.wrong(
                format!("of network {name} it had {links}, and a NIC below is gone"),
                "bring the NIC back, or delete the pod",
            ),
            openapi::AttachmentPhase::Attaching => {
                story.well(format!("network {name} is being attached: {links}"));
            }
            _ => story.well(format!("of network {name} it has {links}")),
        }
        return;
    }
    let told: Vec<String> = got
        .iter()
        .filter(|got| got.is_of(asked))
        .map(|got| format!("{} ({})", got.interface, got.addresses.join(", ")))
        .collect();
    if !told.is_empty() {
        story.well(format!("of network {name} it got {}", told.join(", ")));
        return;
    }
    let Some(run) = dry_runs.iter().find(|run| run.network == *name) else {
        return;
    };
    match &run.answer {
        Err(error) => story.wrong(format!("the agent cannot say what network {name} gives: {error}"), ""),
        Ok(answer) if answer.chosen.is_empty() => {
            let why = answer.refused.clone().unwrap_or_else(|| "no NIC fits".to_owned());
            story.wrong(
                format!("network {name} has no NIC for it on {}: {why}", pod.node),
                format!("kubectl multinic explain --node {} --network {name}", pod.node),
            );
            for nic in &answer.left_out {
                let label = nic.name.clone().unwrap_or_else(|| nic.nic.to_string());
                story
                    .steps
                    .push(Step { well: false, says: format!("  {label}: {} ({})", nic.why, nic.rule) });
            }
        }
        Ok(answer) => {
            let masters: Vec<&str> = answer.chosen.iter().map(|nic| nic.master.as_str()).collect();
            story.well(format!("network {name} would give it {}", masters.join(", ")));
            full(story, facts, pod, name);
        }
    }
}

/// Blocks of a network that are full on the pod's node.
fn full(story: &mut Story, facts: &Facts, pod: &PodFacts, network: &str) {
    let says = facts.node(&pod.node).and_then(|node| node.agent.as_ref());
    let lists = says.and_then(|says| says.addresses.as_ref());
    let of_network = lists.iter().flat_map(|list| &list.networks).filter(|one| one.network == network);
    for block in of_network
        .flat_map(|one| &one.blocks)
        .filter(|block| block.counts.free == 0 && block.counts.quarantined == 0)
    {
        story.wrong(
            format!("block {} of network {network} on {}/{} is full", block.block, pod.node, block.master),
            "delete a pod there, or run this one on another node",
        );
    }
}

/// The runtime's own words, as long as it has not what it asked for.
fn events(story: &mut Story, facts: &Facts, pod: &PodFacts, asked: &[Asked], got: &[Got]) {
    let complete = asked.iter().all(|one| got.iter().any(|got| got.is_of(one)));
    let about =
        facts.events_about("Pod", &pod.namespace, &pod.name).filter(|event| event.gravity == "Warning");
    let last = about
        .rev()
        .find(|event| event.reason == "FailedCreatePodSandBox" || event.message.contains("multi-nic"));
    if let Some(event) = last.filter(|_| !complete) {
        let known = doctor::known_failure(&event.message);
        let cause = known.map_or_else(String::new, |known| format!("{}: ", known.cause));
        let times = if event.count > 1 { format!(" ({} times)", event.count) } else { String::new() };
        let heart = doctor::heart(&event.message);
        story.wrong(format!("the runtime says{times}: {cause}{heart}"), known.map_or("", |known| known.fix));
    } else if !complete && pod.phase == "Running" {
        story.wrong(
            "it runs without some of what it asks for",
            "make the pod anew: networks are attached when a pod starts",
        );
    } else if !complete && story.cause.is_none() {
        story.well("it has not got all of it yet, and nothing is known to be wrong: it is on its way");
    }
}
