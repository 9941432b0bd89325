//! `deploy/` against a real API server: it takes every object of every overlay, and Helm installs and removes the chart.
//!
//! REQUIRES: `lab/kube-up`, its kubeconfig in KUBECONFIG, kubectl, and `lab/deploy-tools` (x86_64).
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "test code outside of test functions"
)]

#[path = "../../../lab/kubectl.rs"]
mod kubectl;
#[allow(dead_code, reason = "the chart's tests use the rest")]
#[path = "../deploy/rendered.rs"]
mod rendered;

use std::process::Command;

use serde_json::{Value, json};

use rendered::{Key, folder, folder_by, printed, root, together, tool};

const NAMESPACE: &str = "multi-nic-cni-operator";

fn must(arguments: &[&str], input: &str) -> String {
    let (well, said) = kubectl::run(Command::new("kubectl"), arguments, input);
    assert!(well, "kubectl {arguments:?}: {said}");
    said
}

/// Our kinds as the lab's server takes them, and the namespaces that overlays speak of.
fn prepare() {
    kubectl::install(
        |arguments, input| kubectl::run(Command::new("kubectl"), arguments, input),
        &kubectl::our_definitions(),
    );
    for name in [NAMESPACE, "sriov-network-operator"] {
        let object = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}});
        must(&["apply", "-f", "-"], &object.to_string());
    }
}

/// Kinds of others, as little of them as the server needs to take an object: what their fields mean it does not check.
/// `tests/deploy` does: constraints by their rules, alerts with promtool.
const OTHERS: [(&str, &str, &str, &str); 3] = [
    ("security.openshift.io", "SecurityContextConstraints", "securitycontextconstraints", "Cluster"),
    ("monitoring.coreos.com", "PrometheusRule", "prometheusrules", "Namespaced"),
    ("monitoring.coreos.com", "PodMonitor", "podmonitors", "Namespaced"),
];

fn definition((group, kind, plural, scope): (&str, &str, &str, &str)) -> Value {
    json!({
        "apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
        "metadata": {"name": format!("{plural}.{group}")},
        "spec": {
            "group": group, "scope": scope,
            "names": {"kind": kind, "plural": plural, "singular": kind.to_lowercase(), "listKind": format!("{kind}List")},
            "versions": [{"name": "v1", "served": true, "storage": true, "schema": {"openAPIV3Schema": {
                "type": "object", "x-kubernetes-preserve-unknown-fields": true}}}],
        },
    })
}

#[test]
#[ignore = "needs an API server"]
fn the_server_takes_every_object_of_every_overlay() {
    prepare();
    let others = json!({"apiVersion": "v1", "kind": "List", "items": OTHERS.map(definition)}).to_string();
    must(&["apply", "-f", "-"], &others);
    must(&["wait", "--for=condition=Established", "--timeout=60s", "-f", "-"], &others);
    let mut taken = 0;
    for objects in [
        folder("overlays/with-multus"),
        folder("overlays/without-multus"),
        folder("overlays/with-sriov-operator"),
        folder("overlays/without-sriov-operator"),
        folder("overlays/openshift"),
        folder("uninstall"),
        folder("uninstall-openshift"),
        together("kube", &["overlays/without-multus"], &["components/sriov-operator"]),
        folder("monitoring"),
    ] {
        // `prepare` has applied the definitions.
        let items: Vec<&Value> = objects
            .iter()
            .filter(|(key, _)| key.0 != "CustomResourceDefinition")
            .map(|(_, one)| one)
            .collect();
        let list = json!({"apiVersion": "v1", "kind": "List", "items": items}).to_string();
        let said = must(&["apply", "--dry-run=server", "-o", "name", "-f", "-"], &list);
        assert_eq!(said.lines().count(), items.len(), "{said}");
        taken += items.len();
    }
    must(&["delete", "-f", "-"], &others);
    assert!(taken > 60, "only {taken} objects");
}

#[test]
#[ignore = "needs an API server"]
fn a_field_that_no_kind_has_would_be_noticed() {
    prepare();
    let mut agent = folder("overlays/with-multus")
        .remove(&Key("DaemonSet".into(), NAMESPACE.into(), "multi-nicd".into()))
        .unwrap();
    agent["spec"]["template"]["spec"]["hostNetworks"] = json!(true);

    let arguments = ["apply", "--dry-run=server", "-f", "-"];
    let (well, said) = kubectl::run(Command::new("kubectl"), &arguments, &agent.to_string());

    assert!(!well && said.contains("hostNetworks"), "{said}");
}

#[test]
#[ignore = "needs an API server"]
fn the_kustomize_of_this_machines_kubectl_makes_the_same() {
    for name in ["overlays/with-multus", "overlays/without-multus", "uninstall", "node-isolation"] {
        assert_eq!(folder_by(Command::new("kubectl"), name), folder(name), "{name}");
    }
}

#[test]
#[ignore = "needs an API server"]
fn helm_installs_the_chart_uninstalls_the_nodes_and_leaves_the_definitions() {
    prepare();
    let helm = |arguments: &[&str]| printed(tool("helm").args(arguments).args(["-n", NAMESPACE, "one"]));
    let chart = root().join("deploy/helm/multi-nic");
    let chart = chart.to_str().unwrap();
    let workloads = || {
        let said = must(&["get", "daemonset,deployment", "-n", NAMESPACE, "-o", "name"], "");
        said.lines().map(str::to_owned).collect::<Vec<_>>()
    };

    // Other tests have applied some of it, and Helm takes nothing over from others.
    let mut before = folder("overlays/with-multus");
    before.retain(|key, _| !["CustomResourceDefinition", "Namespace"].contains(&key.0.as_str()));
    let before =
        json!({"apiVersion": "v1", "kind": "List", "items": before.into_values().collect::<Vec<_>>()});
    must(&["delete", "--ignore-not-found", "-f", "-"], &before.to_string());
    // The server's definitions are the lab's: without rules, which it does not know.
    printed(tool("helm").args(["install", "--skip-crds", "-n", NAMESPACE, "one", chart]));
    assert_eq!(workloads(), ["daemonset.apps/multi-nicd", "deployment.apps/multi-nic-operator"]);
    let may = ["auth", "can-i", "watch", "cidrs.multinic.fms.io", "--as"];
    let account = format!("system:serviceaccount:{NAMESPACE}:multi-nicd");
    assert_eq!(must(&[&may[..], &[&account]].concat(), "").trim(), "yes");

    printed(tool("helm").args([
        "upgrade",
        "--skip-crds",
        "-n",
        NAMESPACE,
        "--set",
        "uninstall=true",
        "one",
        chart,
    ]));
    assert_eq!(workloads(), ["daemonset.apps/multi-nic-uninstall"]);

    helm(&["uninstall"]);
    assert_eq!(workloads(), Vec::<String>::new());
    let (_, said) = kubectl::run(Command::new("kubectl"), &[&may[..], &[&account]].concat(), "");
    assert!(!said.contains("yes"), "{said}");
    must(&["get", "crd", "multinicnetworks.multinic.fms.io"], "");
}
