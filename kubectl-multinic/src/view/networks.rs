//! One row for each network.

use std::collections::BTreeSet;

use crds::Condition;
use crds::cluster::MultiNicNetwork;
use serde::Serialize;

use super::age;
use crate::facts::Facts;
use crate::guide;
use crate::output::Row;

/// A network.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct NetworkRow {
    network: String,
    plugin: String,
    subnet: String,
    strategy: String,
    /// Hosts with a block, and hosts that have told of NICs.
    hosts: usize,
    all_hosts: usize,
    /// Namespaces that have its attachment definition.
    attachment_definitions: usize,
    /// `Ready`, or the reason of the first condition that does not hold.
    status: String,
    message: String,
    fix: String,
    age: String,
}

impl Row for NetworkRow {
    const COLUMNS: &'static [(&'static str, bool)] = &[
        ("NETWORK", false),
        ("PLUGIN", false),
        ("SUBNET", false),
        ("STRATEGY", false),
        ("HOSTS", false),
        ("NADS", false),
        ("STATUS", false),
        ("AGE", false),
        ("MESSAGE", true),
        ("FIX", true),
    ];

    fn cells(&self) -> Vec<String> {
        vec![
            self.network.clone(),
            self.plugin.clone(),
            self.subnet.clone(),
            self.strategy.clone(),
            format!("{}/{}", self.hosts, self.all_hosts),
            self.attachment_definitions.to_string(),
            self.status.clone(),
            self.age.clone(),
            self.message.clone(),
            self.fix.clone(),
        ]
    }
}

/// Rows of all networks, or of that one.
pub(crate) fn networks(facts: &Facts, only: Option<&str>) -> Vec<NetworkRow> {
    let rows =
        if facts.local { local(facts) } else { facts.networks.iter().map(|one| row(facts, one)).collect() };
    rows.into_iter().filter(|row| only.is_none_or(|name| row.network == name)).collect()
}

fn row(facts: &Facts, network: &MultiNicNetwork) -> NetworkRow {
    let name = network.metadata.name.clone().unwrap_or_default();
    let spec = &network.spec;
    let subnets: Vec<&str> = spec.subnets.iter().map(|subnet| subnet.cidr.as_str()).collect();
    let strategy = spec.attach_policy.as_ref().map(|policy| policy.strategy.as_str()).unwrap_or_default();
    let mine = facts.cidrs.iter().filter(|cidr| cidr.spec.config.name == name);
    let entries = mine.flat_map(|cidr| &cidr.spec.cidr);
    let hosts: BTreeSet<&str> =
        entries.flat_map(|entry| entry.hosts.iter().map(|host| host.host_name.as_str())).collect();
    let definitions = facts.attachment_definitions.iter();
    let failing = failing(network);
    let status = match (failing, &network.status) {
        (Some(condition), _) => condition.reason.clone(),
        (None, Some(status)) if !status.conditions.is_empty() => "Ready".to_owned(),
        (None, _) => "NotSeenByOperator".to_owned(),
    };
    NetworkRow {
        plugin: spec.plugin.kind.clone(),
        subnet: if spec.subnet.is_empty() { subnets.join(", ") } else { spec.subnet.clone() },
        strategy: if strategy.is_empty() { "none" } else { strategy }.to_owned(),
        hosts: hosts.len(),
        all_hosts: facts.nodes.iter().filter(|node| node.host_interface.is_some()).count(),
        attachment_definitions: definitions.filter(|one| one.metadata.name.as_ref() == Some(&name)).count(),
        status,
        message: failing.map(|condition| condition.message.clone()).unwrap_or_default(),
        fix: failing.map(|condition| guide::fix(&condition.reason)).unwrap_or_default(),
        age: network
            .metadata
            .creation_timestamp
            .as_ref()
            .map(|time| age(&time.0.to_string(), &facts.taken))
            .unwrap_or_default(),
        network: name,
    }
}

/// The first condition of a network that does not hold; `Ready` only when nothing says more.
pub(crate) fn failing(network: &MultiNicNetwork) -> Option<&Condition> {
    let conditions = network.status.as_ref().map(|status| status.conditions.as_slice()).unwrap_or_default();
    let fails = |condition: &&Condition| condition.status == "False";
    let first = conditions.iter().filter(fails).find(|condition| condition.kind != "Ready");
    first.or_else(|| conditions.iter().find(fails))
}

/// The networks of one agent without a cluster.
fn local(facts: &Facts) -> Vec<NetworkRow> {
    let says = facts.nodes.iter().filter_map(|node| node.agent.as_ref());
    let list = says.filter_map(|says| says.networks.as_ref());
    let row = |network: &openapi::Network| NetworkRow {
        network: network.name.clone(),
        plugin: String::new(),
        subnet: network
            .interfaces
            .iter()
            .flat_map(|interface| interface.blocks.iter().map(|block| block.interface.clone()))
            .collect::<Vec<_>>()
            .join(", "),
        strategy: network.strategy.clone(),
        hosts: usize::from(network.interfaces.iter().any(|interface| interface.nic.is_some())),
        all_hosts: 1,
        attachment_definitions: 0,
        status: if network.refused.is_some() { "Refused" } else { "Ready" }.to_owned(),
        message: network.refused.clone().unwrap_or_default(),
        fix: String::new(),
        age: String::new(),
    };
    list.flat_map(|list| list.networks.iter().map(row)).collect()
}
