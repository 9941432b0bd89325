//! What the Helm chart has of the kustomize folders, the same files so that nothing is written twice; and the PrometheusRule.

use anyhow::{Context, Result, bail};

use super::Generated;
use crate::workspace::Workspace;

/// The chart.
const CHART: &str = "deploy/helm/multi-nic";

/// Files below `deploy/`, and their names in the chart.
const FILES: [(&str, &str); 13] = [
    ("base/agent.yaml", "agent.yaml"),
    ("base/agent-rbac.yaml", "agent-rbac.yaml"),
    ("base/operator.yaml", "operator.yaml"),
    ("base/operator-rbac.yaml", "operator-rbac.yaml"),
    ("base/operator-sriov-rbac.yaml", "operator-sriov-rbac.yaml"),
    ("components/sriov-operator/rbac.yaml", "sriov-namespace-rbac.yaml"),
    ("components/openshift/security-context-constraints.yaml", "security-context-constraints.yaml"),
    ("overlays/without-multus/chain.yaml", "chain.yaml"),
    ("overlays/without-multus/operator.yaml", "operator-without-multus.yaml"),
    ("overlays/without-multus/pods-rbac.yaml", "pods-rbac.yaml"),
    ("node-isolation/node-isolation.yaml", "node-isolation.yaml"),
    ("uninstall/uninstall.yaml", "uninstall.yaml"),
    ("monitoring/agents.yaml", "pod-monitor.yaml"),
];

/// Before the groups of `monitoring/prometheus-rules.yaml`, which makes a PrometheusRule of them.
const RULE: &str = "apiVersion: monitoring.coreos.com/v1
kind: PrometheusRule
metadata:
  name: multi-nic
  namespace: multi-nic-cni-operator
spec:
";

/// Copies the files, and the definitions of our kinds.
pub(super) fn generate(workspace: &Workspace) -> Result<Vec<Generated>> {
    let read = |from: &str| {
        let path = workspace.root.join("deploy").join(from);
        std::fs::read_to_string(&path).with_context(|| format!("read {}", path.display()))
    };
    let copy = |from: &str, to: String| -> Result<Generated> {
        let content = format!("# From deploy/{from}.\n{}", read(from)?);
        Ok(Generated { path: format!("{CHART}/{to}").into(), content })
    };
    let mut generated = Vec::new();
    for (from, to) in FILES {
        generated.push(copy(from, format!("files/{to}"))?);
    }
    let rules = read("monitoring/prometheus-rules.yaml")?;
    let groups = rules.lines().skip_while(|line| *line != "groups:");
    let rule: String = groups.map(|line| format!("  {line}\n")).collect();
    if rule.is_empty() {
        bail!("deploy/monitoring/prometheus-rules.yaml has no line `groups:`");
    }
    let rule = format!("# From deploy/monitoring/prometheus-rules.yaml.\n{RULE}{rule}");
    generated.push(Generated { path: "deploy/monitoring/rules.yaml".into(), content: rule.clone() });
    generated.push(Generated { path: format!("{CHART}/files/rules.yaml").into(), content: rule });
    let dashboard = read("monitoring/dashboard.json")?;
    generated.push(Generated { path: format!("{CHART}/files/dashboard.json").into(), content: dashboard });
    let mut definitions = Vec::new();
    for entry in std::fs::read_dir(workspace.root.join("deploy/crds"))? {
        let name = entry?.file_name().to_string_lossy().into_owned();
        if name != "kustomization.yaml" && name.ends_with(".yaml") {
            definitions.push(name);
        }
    }
    definitions.sort();
    if definitions.is_empty() {
        bail!("deploy/crds has no definitions: run cargo xtask codegen definitions");
    }
    for name in definitions {
        generated.push(copy(&format!("crds/{name}"), format!("crds/{name}"))?);
    }
    Ok(generated)
}
