//! Whether our parts are installed and run.

use super::{Outcome, count, in_cluster, unread};
use crate::facts::{Facts, Program};

pub(super) fn kinds(facts: &Facts) -> Outcome {
    if let Some(outcome) = in_cluster(facts).or_else(|| unread(facts, "our kinds")) {
        return outcome;
    }
    let mut outcome = Outcome::seen("all are known to the API server");
    for kind in &facts.install.missing_kinds {
        let evidence = "the API server does not know this kind";
        outcome.problem(&format!("{kind}.multinic.fms.io"), evidence, "kubectl apply -k deploy/crds");
    }
    outcome
}

pub(super) fn multus(facts: &Facts) -> Outcome {
    if let Some(outcome) = in_cluster(facts) {
        return outcome;
    }
    let install = &facts.install;
    let without =
        |workload: &Option<crate::facts::Workload>| workload.as_ref().is_some_and(|one| one.without_multus);
    if without(&install.daemon_set) {
        return Outcome::seen("agents read annotations themselves (--chain)");
    }
    let mut outcome = Outcome::seen("NetworkAttachmentDefinitions are known");
    if !install.knows_attachment_definitions {
        let evidence =
            "the API server does not know NetworkAttachmentDefinitions, and the agents have no --chain";
        let fix = "install Multus, or deploy/overlays/without-multus";
        outcome.problem("network-attachment-definitions.k8s.cni.cncf.io", evidence, fix);
    }
    outcome
}

pub(super) fn operator(facts: &Facts) -> Outcome {
    if let Some(outcome) = in_cluster(facts).or_else(|| unread(facts, "the operator's Deployment")) {
        return outcome;
    }
    let Some(deployment) = &facts.install.operator else {
        let mut outcome = Outcome::default();
        let evidence = "there is no Deployment of that name in the namespace of our parts";
        let fix = "install it (docs/install.md); --system-namespace when it is in another namespace";
        outcome.problem("multi-nic-operator", evidence, fix);
        return outcome;
    };
    let mut outcome = Outcome::seen(format!("{}/{} ready", deployment.ready, deployment.wanted));
    for pod in &facts.install.operator_pods {
        killed(&mut outcome, pod, "Deployment multi-nic-operator");
    }
    if deployment.ready < 1 {
        let evidence = format!("{} of {} pods are ready", deployment.ready, deployment.wanted);
        let fix = "kubectl describe its pods; its log says what it lacks";
        outcome.problem("multi-nic-operator", evidence, fix);
    }
    outcome
}

/// A pod of ours that was ended for want of memory.
pub(super) fn killed(outcome: &mut Outcome, pod: &Program, of: &str) {
    if pod.reason.contains("OOMKilled") {
        let evidence = format!("ended for want of memory, started again {} times", pod.restarts);
        outcome.problem(&pod.name, evidence, format!("raise the memory limit of {of}"));
    }
}

pub(super) fn everywhere(facts: &Facts) -> Outcome {
    if let Some(outcome) = in_cluster(facts).or_else(|| unread(facts, "pods of the agents")) {
        return outcome;
    }
    let mut outcome = Outcome::seen(count(facts.nodes.len(), "node"));
    if facts.install.daemon_set.is_none() {
        let evidence = "there is no DaemonSet of that name in the namespace of our parts";
        let fix = "install it (docs/install.md); --system-namespace when it is in another namespace";
        outcome.problem("multi-nicd", evidence, fix);
        return outcome;
    }
    for node in facts.nodes.iter().filter(|node| node.exists && node.program.is_none()) {
        let (evidence, fix) = match node.taints.first() {
            Some(taint) => (
                format!("no pod of the agent; the node has the taint {taint}"),
                format!("add a toleration for {taint} to DaemonSet multi-nicd"),
            ),
            None => (
                "no pod of the agent, and no taint".to_owned(),
                "kubectl describe daemonset multi-nicd: its node selector, quota and events".to_owned(),
            ),
        };
        outcome.problem(&node.name, evidence, fix);
    }
    outcome
}
