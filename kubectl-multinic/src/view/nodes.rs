//! One row for each node.

use std::collections::BTreeMap;

use serde::Serialize;

use super::{age, routes};
use crate::facts::{Facts, NodeFacts};
use crate::output::Row;

/// A node.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct NodeRow {
    node: String,
    /// How it is with the agent.
    agent: String,
    version: String,
    /// NICs that pods may get.
    nics: usize,
    /// How many of which speed class.
    classes: BTreeMap<String, usize>,
    /// Virtual functions that nobody holds, and all there are.
    free_vfs: u32,
    vfs: u32,
    max_vfs: u32,
    /// Networks that have a block here, and all.
    networks: usize,
    all_networks: usize,
    routes: String,
    warnings: Vec<String>,
    age: String,
}

impl Row for NodeRow {
    const COLUMNS: &'static [(&'static str, bool)] = &[
        ("NODE", false),
        ("AGENT", false),
        ("VERSION", true),
        ("NICS", false),
        ("CLASSES", false),
        ("VFS", false),
        ("NETWORKS", false),
        ("ROUTES", false),
        ("WARN", false),
        ("AGE", false),
        ("WARNINGS", true),
    ];

    fn cells(&self) -> Vec<String> {
        let classes =
            self.classes.iter().map(|(class, count)| format!("{count} {class}")).collect::<Vec<_>>();
        let vfs = if self.max_vfs == 0 {
            String::new()
        } else {
            format!("{}/{}/{}", self.free_vfs, self.vfs, self.max_vfs)
        };
        vec![
            self.node.clone(),
            self.agent.clone(),
            self.version.clone(),
            self.nics.to_string(),
            classes.join(", "),
            vfs,
            format!("{}/{}", self.networks, self.all_networks),
            self.routes.clone(),
            self.warnings.len().to_string(),
            self.age.clone(),
            self.warnings.join("; "),
        ]
    }
}

/// Rows of all nodes, or of that one.
pub(crate) fn nodes(facts: &Facts, only: Option<&str>) -> Vec<NodeRow> {
    let wanted = facts.nodes.iter().filter(|node| only.is_none_or(|name| node.name == name));
    wanted.map(|node| row(facts, node)).collect()
}

fn row(facts: &Facts, node: &NodeFacts) -> NodeRow {
    let mut row = NodeRow {
        node: node.name.clone(),
        agent: agent(node),
        version: version(node),
        nics: 0,
        classes: BTreeMap::new(),
        free_vfs: 0,
        vfs: 0,
        max_vfs: 0,
        networks: 0,
        all_networks: facts.networks.len(),
        routes: String::new(),
        warnings: Vec::new(),
        age: age(&node.created, &facts.taken),
    };
    if let Some(says) = &node.agent {
        let secondary: Vec<_> = says.nics.iter().filter(|nic| nic.secondary.is_secondary).collect();
        row.nics = secondary.len();
        for nic in secondary {
            *row.classes.entry(nic.speed.class.clone()).or_default() += 1;
        }
        for capacity in says.nics.iter().filter_map(|nic| Some(&nic.sriov.as_ref()?.capacity)) {
            row.free_vfs += capacity.free;
            row.vfs += capacity.enabled;
            row.max_vfs += capacity.total;
        }
        row.warnings.extend(says.warnings.iter().map(|warning| warning.message.clone()));
        if facts.local {
            let networks = says.networks.iter().flat_map(|list| &list.networks);
            row.all_networks = networks.clone().count();
            row.networks = networks.filter(|network| network.refused.is_none()).count();
        }
    } else if let Some(object) = &node.host_interface {
        row.nics = object.spec.interfaces.len();
        for nic in &object.spec.interfaces {
            let class = if nic.class.is_empty() { "unknown" } else { &nic.class };
            *row.classes.entry(class.to_owned()).or_default() += 1;
            if let Some(sriov) = nic.sriov {
                row.free_vfs += sriov.free_vfs;
                row.vfs += sriov.num_vfs;
                row.max_vfs += sriov.total_vfs;
            }
            row.warnings.extend(nic.warnings.iter().map(|text| format!("{}: {text}", nic.interface_name)));
        }
    }
    if !facts.local {
        let hosts = |cidr: &crds::cluster::Cidr| {
            cidr.spec
                .cidr
                .iter()
                .flat_map(|entry| entry.hosts.clone())
                .any(|host| host.host_name == node.name)
        };
        let mut with_block: Vec<&str> = facts
            .cidrs
            .iter()
            .filter(|cidr| hosts(cidr))
            .map(|cidr| cidr.spec.config.name.as_str())
            .collect();
        with_block.sort_unstable();
        with_block.dedup();
        row.networks = with_block.len();
        let reports = routes(facts, Some(&node.name), None);
        let (present, wanted) = reports
            .iter()
            .fold((0, 0), |(present, wanted), row| (present + row.present, wanted + row.desired));
        if !reports.is_empty() {
            row.routes = format!("{present}/{wanted}");
        }
    }
    row
}

/// How it is with the agent of a node, in a word.
pub(crate) fn agent(node: &NodeFacts) -> String {
    if let Some(readiness) = node.agent.as_ref().and_then(|says| says.readiness.as_ref()) {
        return if readiness.ready { "ready" } else { "not ready" }.to_owned();
    }
    if !node.agent_error.is_empty() {
        return "silent".to_owned();
    }
    match &node.program {
        None if !node.exists => "node is gone".to_owned(),
        None => "none".to_owned(),
        Some(program) if program.ready => "ready".to_owned(),
        Some(program) if !program.reason.is_empty() => program.reason.clone(),
        Some(program) => format!("{}, not ready", program.phase),
    }
}

fn version(node: &NodeFacts) -> String {
    let told = node.agent.as_ref().map(|says| says.version.clone());
    let image =
        || node.program.as_ref().and_then(|program| Some(program.image.rsplit_once(':')?.1.to_owned()));
    told.or_else(image).unwrap_or_default()
}
