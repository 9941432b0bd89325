//! The chart makes the objects of each overlay.

use serde_json::{Value, json};

use crate::rendered::{Objects, chart, folder, printed, root, together, tool};

/// As one would compare them: without what only Helm says, and without the Namespace, which Helm makes itself (`--create-namespace`).
fn plain(mut objects: Objects) -> Objects {
    objects.retain(|key, _| key.0 != "Namespace");
    for object in objects.values_mut() {
        // Volumes have no order; a patch of kustomize changes it.
        if let Some(volumes) = object.pointer_mut("/spec/template/spec/volumes").and_then(Value::as_array_mut)
        {
            volumes.sort_by_key(|volume| volume["name"].to_string());
        }
        let metadata = object["metadata"].as_object_mut().unwrap();
        if let Some(Value::Object(labels)) = metadata.get_mut("labels") {
            labels.retain(|name, _| !name.starts_with("app.kubernetes.io/") && !name.starts_with("helm.sh/"));
            if labels.is_empty() {
                metadata.remove("labels");
            }
        }
    }
    objects
}

/// Compares object by object.
#[track_caller]
fn assert_same(made: Objects, wanted: Objects) {
    let (made, wanted) = (plain(made), plain(wanted));
    let names = |objects: &Objects| objects.keys().map(ToString::to_string).collect::<Vec<_>>();
    assert_eq!(names(&made), names(&wanted));
    for (key, object) in &wanted {
        assert_eq!(made[key], *object, "{key}");
    }
    assert!(wanted.len() >= 20, "only {} objects", wanted.len());
}

#[test]
fn with_nothing_set_it_makes_the_overlay_with_multus() {
    assert_same(chart(&[]), folder("overlays/with-multus"));
}

#[test]
fn without_multus() {
    assert_same(chart(&["multus=false"]), folder("overlays/without-multus"));
}

#[test]
fn with_the_sriov_operator_of_a_plain_cluster() {
    let values = ["sriovOperator.mode=installed", "sriovOperator.namespace=sriov-network-operator"];
    assert_same(chart(&values), folder("overlays/with-sriov-operator"));
}

#[test]
fn without_the_sriov_operator() {
    assert_same(chart(&["sriovOperator.mode=none"]), folder("overlays/without-sriov-operator"));
}

#[test]
fn openshift() {
    assert_same(chart(&["openshift=true"]), folder("overlays/openshift"));
}

#[test]
fn combinations() {
    let multus = ["overlays/without-multus"];
    let plain_sriov = ["sriovOperator.mode=installed", "sriovOperator.namespace=sriov-network-operator"];
    assert_same(
        chart(&["multus=false", plain_sriov[0], plain_sriov[1]]),
        together("sriov", &multus, &["components/sriov-operator"]),
    );
    assert_same(
        chart(&["multus=false", "sriovOperator.mode=none"]),
        together("own", &multus, &["components/without-sriov-operator"]),
    );
    assert_same(
        chart(&["openshift=true", "sriovOperator.mode=none"]),
        together("openshift-own", &["overlays/openshift"], &["components/without-sriov-operator"]),
    );
    assert_same(
        chart(&["nodeIsolation=true"]),
        together("isolation", &["overlays/with-multus", "node-isolation"], &[]),
    );
}

#[test]
fn with_alerts_dashboard_and_scraping() {
    let values = ["monitoring.rules=true", "monitoring.agents=true", "monitoring.dashboard=true"];
    assert_same(chart(&values), together("monitoring", &["overlays/with-multus", "monitoring"], &[]));
}

#[test]
fn uninstalling_leaves_rights_and_takes_the_workloads_away() {
    for (values, overlay, uninstall) in [
        (&["uninstall=true"][..], "overlays/with-multus", "uninstall"),
        (&["uninstall=true", "openshift=true"][..], "overlays/openshift", "uninstall-openshift"),
    ] {
        let mut wanted = folder(overlay);
        wanted.retain(|key, _| !["DaemonSet", "Deployment"].contains(&key.0.as_str()));
        wanted.extend(folder(uninstall));
        assert_same(chart(values), wanted);
    }
}

#[test]
fn values_reach_their_places() {
    let values = [
        "image.agent=a/b:1",
        "image.operator=a/c:2",
        "image.pullPolicy=Always",
        "image.pullSecrets={key}",
        "multus=false",
        "agent.pluginFolder=/bins",
        "agent.listFolder=/lists",
        "agent.extraArgs={--log-level=debug}",
        "agent.config.logLevel=debug",
        "agent.resources.limits.memory=1Gi",
        "agent.nodeSelector.fast=yes",
        "operator.replicas=2",
        "operator.extraContainers[0].name=proxy",
        "operator.extraArgs={--lease-seconds=9}",
        "sriovOperator.resourcePrefix=nvidia.com",
    ];

    let objects = chart(&values);

    let of = |kind: &str, name: &str| {
        objects.iter().find(|(key, _)| key.0 == kind && key.2 == name).unwrap_or_else(|| panic!("{name}")).1
    };
    let (agent, operator) =
        (&of("DaemonSet", "multi-nicd")["spec"], &of("Deployment", "multi-nic-operator")["spec"]);
    let pod = &agent["template"]["spec"];
    let container = &pod["containers"][0];
    assert_eq!((&container["image"], &container["imagePullPolicy"]), (&json!("a/b:1"), &json!("Always")));
    assert_eq!(pod["imagePullSecrets"], json!([{"name": "key"}]));
    assert_eq!(pod["nodeSelector"], json!({"fast": "yes"}));
    assert_eq!(container["resources"], json!({"limits": {"memory": "1Gi"}}));
    assert_eq!(container["args"].as_array().unwrap().last().unwrap(), "--log-level=debug");
    let path = |name: &str| {
        let volumes = pod["volumes"].as_array().unwrap();
        volumes.iter().find(|volume| volume["name"] == name).unwrap()["hostPath"]["path"].clone()
    };
    assert_eq!((path("plugins"), path("cni-lists")), (json!("/bins"), json!("/lists")));
    assert_eq!(of("ConfigMap", "multi-nicd")["data"]["agent.yaml"], "logLevel: debug\n");
    assert!(agent["template"]["metadata"]["annotations"]["checksum/config"].is_string());
    assert_eq!(operator["replicas"], 2);
    assert_eq!(operator["template"]["spec"]["containers"][1], json!({"name": "proxy"}));
    assert_eq!(operator["template"]["spec"]["containers"][0]["image"], "a/c:2");
    assert_eq!(
        operator["template"]["spec"]["containers"][0]["args"],
        json!([
            "--health-probe-bind-address=0.0.0.0:8081",
            "--without-multus",
            "--sriov-resource-prefix=nvidia.com",
            "--lease-seconds=9"
        ])
    );
}

#[test]
fn another_namespace_is_meant_everywhere() {
    let mut helm = tool("helm");
    helm.args([
        "template",
        "one",
        "-n",
        "elsewhere",
        "--set",
        "nodeIsolation=true,multus=false,openshift=true",
    ]);

    let text = printed(helm.arg(root().join("deploy/helm/multi-nic")));

    assert!(text.contains("system:serviceaccount:elsewhere:multi-nicd"));
    assert_eq!(text.matches("multi-nic-cni-operator").count(), 0);
}

#[test]
fn values_that_mean_nothing_are_refused_by_name() {
    for (value, said) in [
        ("multuss=true", "multuss"),
        ("sriovOperator.mode=perhaps", "mode"),
        ("agent.pluginFolder=relative", "pluginFolder"),
        ("operator.replicas=-1", "replicas"),
    ] {
        let chart = root().join("deploy/helm/multi-nic");
        let output = tool("helm").arg("template").arg(chart).args(["--set", value]).output().unwrap();

        let errors = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(!output.status.success() && errors.contains(said), "{value}: {errors}");
    }
}

#[test]
fn helm_finds_nothing_wrong() {
    let said = printed(tool("helm").args(["lint", "--strict"]).arg(root().join("deploy/helm/multi-nic")));

    assert!(said.contains("0 chart(s) failed"), "{said}");
}

#[test]
fn versions_are_the_workspaces() {
    let version = env!("CARGO_PKG_VERSION");
    let read = |name: &str| -> Value {
        let text = std::fs::read_to_string(root().join("deploy/helm/multi-nic").join(name)).unwrap();
        serde_saphyr::from_str(&text).unwrap()
    };
    let (chart, values) = (read("Chart.yaml"), read("values.yaml"));

    assert_eq!((&chart["version"], &chart["appVersion"]), (&json!(version), &json!(version)));
    for image in ["agent", "operator"] {
        let image = values["image"][image].as_str().unwrap();
        assert!(image.ends_with(&format!(":{version}")), "{image}");
    }
}
