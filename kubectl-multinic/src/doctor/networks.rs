//! Whether networks are set up.

use openapi::ReportGravity;

use super::{Outcome, count, in_cluster, unread};
use crate::facts::Facts;
use crate::{guide, view};

pub(super) fn ready(facts: &Facts) -> Outcome {
    if let Some(outcome) = in_cluster(facts).or_else(|| unread(facts, "MultiNicNetworks")) {
        return outcome;
    }
    let mut outcome = Outcome::seen(count(facts.networks.len(), "network"));
    for network in &facts.networks {
        let name = network.metadata.name.clone().unwrap_or_default();
        let conditions = network.status.as_ref().map(|status| status.conditions.len()).unwrap_or_default();
        if let Some(condition) = view::failing(network) {
            let evidence = format!("{}: {}", condition.reason, condition.message);
            outcome.problem(&name, evidence, guide::fix(&condition.reason));
        } else if conditions == 0 {
            outcome.problem(&name, "the operator has said nothing of it", "see that the operator runs");
        }
    }
    outcome
}

pub(super) fn definitions(facts: &Facts) -> Outcome {
    if let Some(outcome) = in_cluster(facts)
        .or_else(|| unread(facts, "NetworkAttachmentDefinitions"))
        .or_else(|| unread(facts, "namespaces"))
    {
        return outcome;
    }
    if !facts.install.knows_attachment_definitions {
        return Outcome::seen("the cluster does not know them");
    }
    let mut outcome = Outcome::seen(count(facts.attachment_definitions.len(), "definition"));
    for network in &facts.networks {
        let name = network.metadata.name.as_deref().unwrap_or_default();
        let wanted = &network.spec.namespaces;
        let in_namespace = facts.namespaces.iter().filter(|one| wanted.is_empty() || wanted.contains(one));
        let has = |namespace: &String| {
            facts.attachment_definitions.iter().any(|one| {
                one.metadata.name.as_deref() == Some(name)
                    && one.metadata.namespace.as_ref() == Some(namespace)
            })
        };
        let missing: Vec<&str> = in_namespace.filter(|one| !has(one)).map(String::as_str).collect();
        if !missing.is_empty() {
            let shown = missing.iter().take(5).copied().collect::<Vec<_>>().join(", ");
            let more =
                if missing.len() > 5 { format!(" and {} more", missing.len() - 5) } else { String::new() };
            let evidence = format!("no attachment definition in {shown}{more}");
            outcome.problem(
                name,
                evidence,
                "see that the operator runs, and the network's NetworkAttachmentsReady",
            );
        }
    }
    outcome
}

pub(super) fn served(facts: &Facts) -> Outcome {
    let lists = facts.nodes.iter().filter_map(|node| Some((node, node.agent.as_ref()?.networks.as_ref()?)));
    let lists: Vec<_> = lists.collect();
    if lists.is_empty() {
        return Outcome::not_known("no agent was asked, or none answers");
    }
    let mut outcome =
        Outcome::seen(count(lists.iter().map(|(_, list)| list.networks.len()).sum(), "network"));
    for (node, list) in lists {
        for network in &list.networks {
            if let Some(refused) = &network.refused {
                let fix = format!("kubectl multinic explain --node {} --network {}", node.name, network.name);
                outcome.problem(&format!("{} on {}", network.name, node.name), refused.clone(), fix);
            }
        }
        for report in &list.reports {
            let about = report.network.as_ref().or(report.file.as_ref()).unwrap_or(&node.name);
            let field = report.field.as_ref().map(|field| format!("{field}: ")).unwrap_or_default();
            let (evidence, fix) =
                (format!("{field}{}", report.message), report.fix.clone().unwrap_or_default());
            match report.gravity {
                ReportGravity::Error => outcome.problem(about, evidence, fix),
                ReportGravity::Warning => outcome.warning(about, evidence, fix),
            }
        }
    }
    outcome
}
