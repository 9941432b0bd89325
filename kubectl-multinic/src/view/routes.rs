//! One row for each node and network that has routes.

use serde::Serialize;

use crate::facts::Facts;
use crate::output::Row;

/// Routes of a network on a node.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct RouteRow {
    pub(crate) node: String,
    pub(crate) network: String,
    pub(crate) desired: u32,
    pub(crate) present: u32,
    pub(crate) missing: u32,
    /// Why some are missing, or who takes them away.
    pub(crate) message: String,
}

impl Row for RouteRow {
    const COLUMNS: &'static [(&'static str, bool)] = &[
        ("NODE", false),
        ("NETWORK", false),
        ("DESIRED", false),
        ("PRESENT", false),
        ("MISSING", false),
        ("MESSAGE", false),
    ];

    fn cells(&self) -> Vec<String> {
        vec![
            self.node.clone(),
            self.network.clone(),
            self.desired.to_string(),
            self.present.to_string(),
            self.missing.to_string(),
            self.message.clone(),
        ]
    }
}

/// Routes as agents told of them.
pub(crate) fn routes(facts: &Facts, node: Option<&str>, network: Option<&str>) -> Vec<RouteRow> {
    let nodes = facts.nodes.iter().filter(|one| node.is_none_or(|name| one.name == name));
    let mut rows = Vec::new();
    for one in nodes {
        let status = one.host_interface.as_ref().and_then(|object| object.status.as_ref());
        for report in status.iter().flat_map(|status| &status.routes) {
            rows.push(RouteRow {
                node: one.name.clone(),
                network: report.network.clone(),
                desired: report.wanted,
                present: report.present,
                missing: report.wanted.saturating_sub(report.present),
                message: report.message.clone(),
            });
        }
    }
    rows.retain(|row| network.is_none_or(|name| row.network == name));
    rows
}
