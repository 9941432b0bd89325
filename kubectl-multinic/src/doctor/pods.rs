//! Whether pods have what they asked for.

use openapi::AttachmentPhase;

use super::{Outcome, count, failures, in_cluster, unread};
use crate::annotation;
use crate::facts::Facts;

/// Events of a sandbox that cannot be made.
pub(crate) const SANDBOX: &str = "FailedCreatePodSandBox";

pub(super) fn whole(facts: &Facts) -> Outcome {
    let mut outcome = Outcome::default();
    let (mut agents, mut all) = (0, 0);
    for node in &facts.nodes {
        let Some(says) = &node.agent else { continue };
        agents += 1;
        for attachment in &says.attachments {
            all += 1;
            let pod = attachment.pod.as_ref().map(|pod| format!("{}/{}", pod.namespace, pod.name));
            let about =
                format!("{} of {}", attachment.network, pod.as_ref().unwrap_or(&attachment.container_id));
            match attachment.phase {
                AttachmentPhase::Lost => {
                    outcome.problem(&about, "a NIC of it is gone", "bring the NIC back, or delete the pod");
                }
                AttachmentPhase::Detaching => {
                    let fix = "the plugin's executable must be in the CNI folder of the node";
                    outcome.warning(&about, "a plugin's DEL is owed", fix);
                }
                _ => {}
            }
        }
    }
    if agents == 0 {
        return Outcome::not_known("no agent was asked, or none answers");
    }
    outcome.seen = count(all, "attachment");
    outcome
}

pub(super) fn start(facts: &Facts) -> Outcome {
    if let Some(outcome) = in_cluster(facts).or_else(|| unread(facts, "events")) {
        return outcome;
    }
    let mut outcome = Outcome::seen(count(facts.pods.len(), "pod"));
    for pod in facts.pods.iter().filter(|pod| pod.phase == "Pending") {
        let last =
            facts.events_about("Pod", &pod.namespace, &pod.name).rfind(|event| event.reason == SANDBOX);
        let Some(event) = last else { continue };
        let about = format!("{}/{}", pod.namespace, pod.name);
        let known = failures::known(&event.message);
        let cause = known.map_or("its sandbox cannot be made", |known| known.cause);
        let fix = known.map_or_else(
            || format!("kubectl multinic why {} -n {}", pod.name, pod.namespace),
            |known| known.fix.to_owned(),
        );
        outcome.problem(&about, format!("{cause}: {}", failures::heart(&event.message)), fix);
    }
    outcome
}

pub(super) fn complete(facts: &Facts) -> Outcome {
    if let Some(outcome) = in_cluster(facts).or_else(|| unread(facts, "pods")) {
        return outcome;
    }
    let running = facts.pods.iter().filter(|pod| pod.phase == "Running");
    let mut outcome = Outcome::seen(count(running.clone().count(), "pod"));
    for pod in running {
        let about = format!("{}/{}", pod.namespace, pod.name);
        let asked = match annotation::asked(pod.asked.as_deref().unwrap_or_default(), &pod.namespace) {
            Ok(asked) => asked,
            Err(error) => {
                let evidence = format!("its annotation cannot be read: {error}");
                outcome.problem(
                    &about,
                    evidence,
                    "correct the annotation (docs/annotations.md) and make the pod anew",
                );
                continue;
            }
        };
        let got = annotation::got(pod.got.as_deref().unwrap_or_default());
        let ours = asked.iter().filter(|one| facts.network(&one.network).is_some());
        for one in ours.filter(|one| !got.iter().any(|got| got.is_of(one))) {
            let evidence = format!("runs without network {} that it asks for", one.network);
            let fix = "make the pod anew: networks are attached when a pod starts";
            outcome.problem(&about, evidence, fix);
        }
    }
    outcome
}
