//! What our operator wants of this node's PFs: `status.sriovPlan` of its HostInterface, as policies of the PFs' keeper.
//! Pure.
//!
//! Each item is read by itself, so that one which is not right costs no other. An object without the list says nothing:
//! it has just been made anew, and the operator has not come to it. Only a list that lacks a network takes its plan away.

use crds::{Problem, SriovPlan};
use openapi::{NetworkReport, ReportGravity};
use serde_json::Value;

use super::known::{Known, Object, Said};
use crate::sriov::NodePolicy;

/// Where the plans stand in the object.
const LIST: &str = "status.sriovPlan";

/// Where a policy stands in a plan, as `SriovPlan::policy` names it.
const POLICY: &str = "status.sriovPlan.policy";

/// What a HostInterface with this status says of plans.
pub(super) fn said(status: &Value) -> Vec<Said> {
    let Some(items) = status.get("sriovPlan").and_then(Value::as_array) else { return Vec::new() };
    let mut said = vec![Said::Listing];
    let mut whole = true;
    for (index, item) in items.iter().enumerate() {
        let network = item.get("network").and_then(Value::as_str).filter(|name| !name.is_empty());
        let read = serde_json::from_value::<SriovPlan>(item.clone()).map_err(|error| {
            let fix = "let the operator and the agent be of one version";
            vec![Problem { path: LIST.to_owned(), message: error.to_string(), fix: fix.to_owned() }]
        });
        let checked = read.and_then(|plan| policy(&plan).map(|_| plan));
        said.push(match (network, checked) {
            (Some(network), Ok(plan)) => Said::There(network.to_owned(), Object::Plan(Box::new(plan))),
            (Some(network), Err(problems)) => Said::Wrong(network.to_owned(), problems),
            // It may be about any of them.
            (None, _) => {
                whole = false;
                let fix = "let the operator and the agent be of one version";
                let (path, message) = (format!("{LIST}[{index}]"), "names no network".to_owned());
                Said::Wrong(String::new(), vec![Problem { path, message, fix: fix.to_owned() }])
            }
        });
    }
    if whole {
        said.push(Said::Listed);
    }
    said
}

/// The policies of networks that are known, and what is wrong with plans or does nothing here.
///
/// A plan without its network is kept and does not count: the network is gone, or not yet known.
pub(super) fn policies(known: &Known) -> (Vec<NodePolicy>, Vec<NetworkReport>) {
    let (mut policies, mut reports) = (Vec::new(), Vec::new());
    let mut report = |network: &str, gravity: ReportGravity, problems: Vec<Problem>| {
        reports.extend(problems.into_iter().map(|problem| NetworkReport {
            gravity,
            network: Some(network.to_owned()).filter(|name| !name.is_empty()),
            policy: Some(network.to_owned()),
            file: None,
            document: None,
            field: Some(problem.path).filter(|path| !path.is_empty()),
            message: problem.message,
            fix: Some(problem.fix),
        }));
    };
    for (network, problems) in &known.wrong_plans {
        report(network, ReportGravity::Error, problems.clone());
    }
    for (network, plan) in known.plans.iter().filter(|(network, _)| known.networks.contains_key(*network)) {
        match policy(plan) {
            Ok((policy, unhonoured)) => {
                policies.push(policy);
                report(network, ReportGravity::Warning, unhonoured);
            }
            // It was right for the agent that remembered it.
            Err(problems) => report(network, ReportGravity::Error, problems),
        }
    }
    (policies, reports)
}

fn policy(plan: &SriovPlan) -> Result<(NodePolicy, Vec<Problem>), Vec<Problem>> {
    NodePolicy::new(&plan.network, &plan.policy()?, POLICY)
}

#[cfg(test)]
mod tests;
