//! Virtual functions of a network: its objects of the SR-IOV operator, or plans for our agents, and the resources that its
//! attachment definitions name.

use std::collections::{BTreeMap, BTreeSet};

use crds::{NETWORK_LABEL, PluginType, SriovPlan};
use serde_json::Value;

use crate::blocks::Presence;
use crate::condition::{Finding, Kind, Reason};
use crate::index::Index;
use crate::seen::{Key, Meta, Network};
use crate::sriov::{self, Existing, Host, Manager, Plan, Policies, World};
use crate::write::{SriovKind, Write};

use super::presences;

/// What a network's virtual functions come to.
#[derive(Debug, Default)]
pub(crate) struct Functions {
    /// Annotation of the attachment definitions; empty: none.
    pub(crate) resource_name: String,
    /// The attachment definitions cannot be written yet.
    pub(crate) unknown: bool,
    /// What is to be done.
    pub(crate) writes: Vec<Write>,
    /// What is said of it; absent: the network has none.
    pub(crate) finding: Option<Finding>,
}

/// Plans the virtual functions of a network.
pub(crate) fn plan(index: &Index, network: &Network) -> Functions {
    match PluginType::of(&network.spec.plugin.kind) {
        PluginType::Sriov => of_sriov(index, network),
        PluginType::Mellanox => of_mellanox(index),
        _ => Functions::default(),
    }
}

fn of_mellanox(index: &Index) -> Functions {
    let policies: Vec<_> = index.nvidia.iter().map(|policy| policy.spec.clone()).collect();
    match sriov::mellanox_annotation(&policies) {
        Ok(resource_name) => {
            let finding = Finding::fine(
                Kind::SriovReady,
                Reason::AsWanted,
                "NVIDIA's network operator gives the devices",
            );
            Functions { resource_name, finding: Some(finding), ..Functions::default() }
        }
        Err(why) => {
            let finding = Finding::wrong(Kind::SriovReady, Reason::NoNvidiaResource, why);
            Functions { unknown: true, finding: Some(finding), ..Functions::default() }
        }
    }
}

fn of_sriov(index: &Index, network: &Network) -> Functions {
    let name = network.meta.key.name.as_str();
    let Some(plan) = plans(index).remove(name) else { return Functions::default() };
    let writes = objects(index, name, &plan);
    let finding = Some(finding(index, &plan));
    Functions {
        unknown: plan.annotation.is_none(),
        resource_name: plan.annotation.unwrap_or_default(),
        writes,
        finding,
    }
}

/// The plans of all networks, the older ones first.
fn plans(index: &Index) -> BTreeMap<String, Plan> {
    let mut networks: Vec<&Network> =
        index.networks.iter().filter(|network| !network.meta.deleting).collect();
    networks.sort_by_key(|network| (&network.meta.created, &network.meta.key));
    let networks: Vec<_> =
        networks.iter().map(|network| (network.meta.key.name.as_str(), &network.spec)).collect();
    let presences = presences(index);
    let world = World {
        hosts: index
            .nodes
            .iter()
            .map(|node| {
                let name = node.meta.key.name.as_str();
                let key = Key::within(&index.sriov_settings.namespace, name);
                Host {
                    node: name,
                    labels: &node.labels,
                    interfaces: match presences.get(name) {
                        Some(Presence::Here(nics)) => nics,
                        _ => &[],
                    },
                    state: index.sriov.states.get(&key).map(|state| &state.status),
                }
            })
            .collect(),
        policies: index
            .sriov
            .policies
            .iter()
            .map(|one| Existing {
                name: &one.meta.key.name,
                generated: one.meta.is_generated(),
                spec: &one.spec,
            })
            .collect(),
        networks: index
            .sriov
            .networks
            .iter()
            .map(|one| Existing {
                name: &one.meta.key.name,
                generated: one.meta.is_generated(),
                spec: &one.spec,
            })
            .collect(),
        classes: index.classes.iter().map(|class| (class.meta.key.name.as_str(), &class.spec)).collect(),
        operator: !index.sriov.policies.is_absent(),
        settings: &index.sriov_settings,
    };
    sriov::plan(&networks, &world)
}

/// It was made for this network: by us, with our label; by the predecessor, with the network's name.
fn is_of(meta: &Meta, network: &str, former_name: &str) -> bool {
    meta.is_generated()
        && meta.labels.get(NETWORK_LABEL).map_or(meta.key.name == former_name, |label| label == network)
}

fn objects(index: &Index, network: &str, plan: &Plan) -> Vec<Write> {
    let mut writes = Vec::new();
    if let Policies::Exactly { policies, .. } = &plan.policies {
        for (name, spec) in policies {
            let key = Key::within(&index.sriov_settings.namespace, name);
            let existing = index.sriov.policies.get(&key);
            if existing.is_none_or(|existing| {
                !sriov::policy_says(&existing.spec, spec) || !existing.meta.labels.contains_key(NETWORK_LABEL)
            }) {
                writes.push(object(SriovKind::Policy, key, network, spec));
            }
        }
        let kept: BTreeSet<&str> = policies.keys().map(String::as_str).collect();
        writes.extend(delete_policies(index, network, &kept, false));
    }
    if let Some((name, spec)) = &plan.network {
        let key = Key::within(&index.sriov_settings.namespace, name);
        let existing = index.sriov.networks.get(&key);
        if existing.is_none_or(|existing| {
            !sriov::network_says(&existing.spec, spec) || !existing.meta.labels.contains_key(NETWORK_LABEL)
        }) {
            writes.push(object(SriovKind::Network, key, network, spec));
        }
    }
    writes
}

fn object(kind: SriovKind, key: Key, network: &str, spec: &impl serde::Serialize) -> Write {
    let spec = Box::new(serde_json::to_value(spec).unwrap_or(Value::Null));
    Write::SriovObject { kind, key, network: network.to_owned(), spec }
}

fn delete_policies(index: &Index, network: &str, kept: &BTreeSet<&str>, network_gone: bool) -> Vec<Write> {
    let own =
        index.sriov.policies.iter().filter(|one| is_of(&one.meta, network, network) && !one.meta.deleting);
    own.filter(|one| !kept.contains(one.meta.key.name.as_str()))
        .map(|one| delete(SriovKind::Policy, &one.meta, network_gone))
        .collect()
}

fn delete(kind: SriovKind, meta: &Meta, network_gone: bool) -> Write {
    Write::DeleteSriovObject { kind, key: meta.key.clone(), uid: meta.uid.clone(), network_gone }
}

/// What a network that is gone has left.
pub(super) fn leave(index: &Index, network: &str) -> Vec<Write> {
    let mut writes = delete_policies(index, network, &BTreeSet::new(), true);
    let former_name = format!("{network}-net");
    let networks = index.sriov.networks.iter().filter(|one| is_of(&one.meta, network, &former_name));
    let networks = networks.filter(|one| !one.meta.deleting);
    writes.extend(networks.map(|one| delete(SriovKind::Network, &one.meta, true)));
    writes
}

/// What agents are told to make of their PFs, where it is not what they have been told. One list a node holds the plans
/// of all networks, so this belongs to none of them.
pub(super) fn node_plans(index: &Index) -> Vec<Write> {
    let has_plans = index.hosts.iter().any(|host| !host.sriov_plan.is_empty());
    let is_sriov = |network: &Network| PluginType::of(&network.spec.plugin.kind) == PluginType::Sriov;
    if !has_plans && !index.networks.iter().any(is_sriov) {
        return Vec::new();
    }
    let plans = plans(index);
    let mut wanted: BTreeMap<&str, Vec<SriovPlan>> = BTreeMap::new();
    for host in index.hosts.iter().filter(|host| !host.is_unmanaged() && !host.meta.deleting) {
        let node = host.meta.key.name.as_str();
        let list = wanted.entry(node).or_default();
        for network in index.networks.iter() {
            let name = &network.meta.key.name;
            match plans.get(name).map(|plan| &plan.policies) {
                Some(Policies::Exactly { nodes, .. }) => list.extend(nodes.get(node).cloned()),
                // What was told stays while something is wrong.
                Some(Policies::AsTheyAre) => {
                    list.extend(host.sriov_plan.iter().filter(|plan| plan.network == *name).cloned());
                }
                None => {}
            }
        }
    }
    let told = |host: &crate::seen::Host| {
        let plans = wanted.remove(host.meta.key.name.as_str())?;
        (plans != host.sriov_plan).then(|| Write::NodePlan { name: host.meta.key.name.clone(), plans })
    };
    index.hosts.iter().filter_map(told).collect()
}

fn finding(index: &Index, plan: &Plan) -> Finding {
    let kind = Kind::SriovReady;
    if let Some(problem) = plan.problems.first() {
        return Finding::wrong(kind, problem.reason, problem.message.clone());
    }
    if plan.manager == Manager::Agent {
        return Finding::fine(kind, Reason::AsWanted, "the agents manage the virtual functions");
    }
    let states = || index.sriov.states.iter();
    if let Some(failed) = states().find(|state| state.status.sync_status == "Failed") {
        let message = format!(
            "the SR-IOV operator failed on node {}: {}; see its log there",
            failed.meta.key.name, failed.status.last_sync_error
        );
        return Finding::wrong(kind, Reason::SriovFailed, message);
    }
    let busy: Vec<String> = states()
        .filter(|state| state.status.sync_status == "InProgress")
        .map(|state| state.meta.key.name.clone())
        .collect();
    if !busy.is_empty() {
        let message = format!("the SR-IOV operator works on {}", super::status::some(&busy));
        return Finding::open(kind, Reason::InProgress, message);
    }
    Finding::fine(kind, Reason::AsWanted, "the SR-IOV operator has the policies")
}
