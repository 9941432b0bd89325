//! The attachment definitions of a network, one in each of its namespaces (CONTRACTS §2). Pure.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use crate::index::Index;
use crate::seen::{Attachment, Key, Network};
use crate::write::{FIELD_MANAGER, Write};

/// Label of what the predecessor's operator generated, and ours.
pub const GENERATED_LABEL: &str = "multi-nic-cni-generated";

/// What an attachment definition should be.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Definition {
    /// `spec.config`.
    pub config: String,
    /// Annotation `k8s.v1.cni.cncf.io/resourceName`; empty: none.
    pub resource_name: String,
}

/// What is to be done, and what cannot be.
#[derive(Debug, Default, PartialEq)]
pub struct AttachmentPlan {
    /// What is to be done.
    pub writes: Vec<Write>,
    /// Definitions that are as they should be.
    pub ready: usize,
    /// Definitions that there should be.
    pub wanted: usize,
    /// Definitions that are somebody else's, with why.
    pub conflicts: Vec<(Key, String)>,
    /// Namespaces that the network lists and that there are not, or that are ending.
    pub missing_namespaces: Vec<String>,
}

/// Who writes a field without being a person: the predecessor's operator, whose executable was called `manager`, and we.
const OPERATORS: [&str; 3] = [FIELD_MANAGER, "manager", ""];

/// Plans the definitions of a network. Without a definition (its texts cannot be parsed) what there is stays.
pub fn plan(index: &Index, network: &Network, definition: Option<&Definition>) -> AttachmentPlan {
    let mut plan = AttachmentPlan::default();
    let active: BTreeSet<&str> = index
        .namespaces
        .iter()
        .filter(|namespace| namespace.active)
        .map(|namespace| namespace.meta.key.name.as_str())
        .collect();
    let listed = &network.spec.namespaces;
    let wanted: BTreeSet<&str> = if listed.is_empty() {
        active.clone()
    } else {
        listed.iter().map(String::as_str).filter(|name| active.contains(name)).collect()
    };
    let missing = listed.iter().filter(|name| !active.contains(name.as_str()));
    plan.missing_namespaces = missing.cloned().collect();
    plan.wanted = wanted.len();

    let name = network.meta.key.name.as_str();
    let existing: BTreeMap<&str, &Attachment> = index
        .attachments
        .iter()
        .filter(|one| one.meta.key.name == name)
        .map(|one| (one.meta.key.namespace.as_str(), one))
        .collect();
    for (namespace, one) in &existing {
        if !wanted.contains(namespace) && is_ours(one, network) && !one.meta.deleting {
            plan.writes
                .push(Write::DeleteAttachment { key: one.meta.key.clone(), uid: one.meta.uid.clone() });
        }
    }
    let Some(definition) = definition else {
        plan.ready = wanted.iter().filter(|namespace| existing.contains_key(*namespace)).count();
        return plan;
    };
    for namespace in wanted {
        let key = Key::within(namespace, name);
        match existing.get(namespace) {
            Some(one) if !is_ours(one, network) => {
                let why = if one.owner.is_empty() {
                    "somebody else made it: delete it, or give the network another name"
                } else {
                    "it belongs to a network that is gone; the cluster's garbage collection deletes it"
                };
                plan.conflicts.push((key, why.to_owned()));
            }
            Some(one) if is_as(one, definition) => plan.ready += 1,
            Some(one) if !OPERATORS.contains(&one.config_by.as_str()) => {
                let why = format!(
                    "`{}` changed spec.config by hand: delete the definition to have it made anew",
                    one.config_by
                );
                plan.conflicts.push((key, why));
            }
            existing => {
                let force = existing.is_some();
                let (network, definition) = (network.meta.clone(), definition.clone());
                plan.writes.push(Write::Attachment { key, network: Box::new(network), definition, force });
            }
        }
    }
    plan
}

/// It has our mark and belongs to this very network.
fn is_ours(one: &Attachment, network: &Network) -> bool {
    one.meta.is_generated() && one.owner == network.meta.uid
}

fn is_as(one: &Attachment, definition: &Definition) -> bool {
    one.resource_name == definition.resource_name && same_json(&one.config, &definition.config)
}

/// The same but for white space and the order of keys.
fn same_json(left: &str, right: &str) -> bool {
    left == right
        || match (serde_json::from_str::<Value>(left), serde_json::from_str::<Value>(right)) {
            (Ok(left), Ok(right)) => left == right,
            _ => false,
        }
}

#[cfg(test)]
mod tests;
