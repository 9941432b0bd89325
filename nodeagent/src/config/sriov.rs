//! The section `sriov`: how many VFs PFs should have, in the words of SriovNetworkNodePolicy.

use crds::Problem;
use crds::foreign::SriovNetworkNodePolicySpec;
use openapi::{NetworkReport, ReportGravity};
use serde::Serialize;
use serde_json::{Map, Value};

use super::reading::ConfigError;
use crate::sriov::NodePolicy;

/// A policy for PFs in `agent.yaml`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct PfPolicySettings {
    /// Its name.
    pub name: String,
    /// Device class that a PF must be in, beside what `nicSelector` says.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub device_class: Option<String>,
    /// VFs are wanted on a PF that carries the node, too.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub on_uplink: bool,
    /// What is wanted of which PFs.
    #[serde(flatten)]
    pub spec: SriovNetworkNodePolicySpec,
}

impl PfPolicySettings {
    /// The policy, and what of it does nothing on this node.
    ///
    /// # Errors
    /// What is wrong with its selector.
    fn policy(&self, path: &str) -> Result<(NodePolicy, Vec<Problem>), Vec<Problem>> {
        let (mut made, unhonoured) = NodePolicy::new(&self.name, &self.spec, path)?;
        made.policy.on_uplink = self.on_uplink;
        made.class.clone_from(&self.device_class);
        Ok((made, unhonoured))
    }
}

/// The policies, and what of them does nothing on this node.
pub(crate) fn policies(all: &[PfPolicySettings]) -> (Vec<NodePolicy>, Vec<NetworkReport>) {
    let (mut policies, mut reports) = (Vec::new(), Vec::new());
    for (index, one) in all.iter().enumerate() {
        // They have been read, so they can be made.
        let Ok((policy, unhonoured)) = one.policy(&format!("sriov[{index}]")) else { continue };
        policies.push(policy);
        reports.extend(unhonoured.into_iter().map(|problem| NetworkReport {
            gravity: ReportGravity::Warning,
            network: None,
            policy: Some(one.name.clone()),
            file: Some(super::FILE.to_owned()),
            document: None,
            field: Some(problem.path),
            message: problem.message,
            fix: Some(problem.fix),
        }));
    }
    (policies, reports)
}

/// Reads the list.
pub(super) fn read(
    file: &std::path::Path,
    value: &Value,
    into: &mut Vec<PfPolicySettings>,
) -> Result<(), ConfigError> {
    let refused = |problems: &[Problem]| ConfigError::Policy {
        file: file.to_owned(),
        problems: problems.iter().map(Problem::to_string).collect::<Vec<_>>().join("\n"),
    };
    let Value::Array(items) = value else {
        let fix = "write `- numVfs: 4` and so on, one item a policy";
        return Err(refused(&[problem("sriov", "is no list", fix)]));
    };
    for (index, item) in items.iter().enumerate() {
        let path = format!("sriov[{index}]");
        let one = item
            .as_object()
            .ok_or_else(|| vec![problem(&path, "is no mapping", "write `numVfs: 4` and so on")])
            .and_then(|members| one(&path, members))
            .map_err(|problems| refused(&problems))?;
        if into.iter().any(|other| other.name == one.name) {
            let message = format!("`{}` is the name of two policies", one.name);
            return Err(refused(&[problem(&format!("{path}.name"), &message, "name one differently")]));
        }
        into.push(one);
    }
    Ok(())
}

fn one(path: &str, members: &Map<String, Value>) -> Result<PfPolicySettings, Vec<Problem>> {
    let mut members = members.clone();
    let mut problems = Vec::new();
    let mut text = |key: &str| {
        let value = members.remove(key)?;
        let text = value.as_str().filter(|text| !text.is_empty()).map(str::to_owned);
        if text.is_none() {
            problems.push(problem(&format!("{path}.{key}"), &format!("is {value}"), "write one text"));
        }
        text
    };
    let (name, device_class) = (text("name"), text("deviceClass"));
    let on_uplink = match members.remove("onUplink") {
        None => false,
        Some(Value::Bool(flag)) => flag,
        Some(other) => {
            problems.push(problem(
                &format!("{path}.onUplink"),
                &format!("is {other}"),
                "write true or false",
            ));
            false
        }
    };
    let by_selector = members.get("nicSelector").is_some_and(|selector| !selector.is_null());
    if !by_selector && device_class.is_none() {
        let fix = "name PFs by nicSelector (pfNames, rootDevices, vendor, deviceID) or by deviceClass";
        problems.push(problem(path, "selects no PF", fix));
    }
    let spec = SriovNetworkNodePolicySpec::read_of_node(&Value::Object(members), path);
    let spec = match spec {
        Ok(spec) if problems.is_empty() => spec,
        Ok(_) => return Err(problems),
        Err(more) => {
            problems.extend(more);
            return Err(problems);
        }
    };
    let settings =
        PfPolicySettings { name: name.unwrap_or_else(|| path.to_owned()), device_class, on_uplink, spec };
    settings.policy(path).map(|_| settings)
}

fn problem(path: &str, message: &str, fix: &str) -> Problem {
    Problem { path: path.to_owned(), message: message.to_owned(), fix: fix.to_owned() }
}
