//! Every sample of `deploy/samples`: the server takes it as it stands, and the operator finds nothing wrong with it.

use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use crate::cluster::{Cluster, foreign};

/// Networks whose `Ready` says something else than `AsWanted`: there are no agents here, who would tell of routes.
const WAITING: [&str; 3] = ["filtered", "multi-nic-sample", "routed"];

/// Files of a folder of samples.
fn files(folder: &str) -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../deploy").join(folder);
    let entries = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let mut files: Vec<PathBuf> =
        entries.filter(|path| path.extension().is_some_and(|one| one == "yaml")).collect();
    files.sort();
    files
}

/// The networks of a file, by name.
fn networks(text: &str) -> Vec<String> {
    let objects = text.split("\n---\n").map(|text| serde_saphyr::from_str::<Value>(text).unwrap());
    let networks = objects.filter(|object| object["kind"] == "MultiNicNetwork");
    networks.map(|object| object["metadata"]["name"].as_str().unwrap().to_owned()).collect()
}

/// What NVIDIA's network operator would give out.
fn nvidia_policy() -> Value {
    let resources = r#"{"resourceList": [{"resourcePrefix": "nvidia.com", "resourceName": "hostdev"}]}"#;
    json!({
        "apiVersion": "mellanox.com/v1alpha1", "kind": "NicClusterPolicy", "metadata": {"name": "nic-cluster-policy"},
        "spec": {"sriovDevicePlugin": {"image": "i", "repository": "r", "version": "v", "config": resources}},
    })
}

/// A node with two NICs that can have virtual functions.
fn node(cluster: &Cluster, nets: [&str; 2]) {
    let nics = [("eth1", nets[0]), ("eth2", nets[1])];
    let nics = nics.iter().enumerate().map(|(index, (name, net))| {
        json!({"interfaceName": name, "netAddress": format!("{net}.0/24"), "hostIP": format!("{net}.7"),
               "pciAddress": format!("0000:{}a:00.0", index + 1), "vendor": "15b3", "product": "101d",
               "sriov": {"totalVfs": 16, "numVfs": 0, "freeVfs": 0}})
    });
    let labels = json!({"feature.node.kubernetes.io/network-sriov.capable": "true"});
    cluster.apply(&json!({"apiVersion": "v1", "kind": "Node", "metadata": {"name": "h1", "labels": labels}}));
    cluster.apply(&json!({
        "apiVersion": "multinic.fms.io/v1", "kind": "HostInterface", "metadata": {"name": "h1"},
        "spec": {"hostName": "h1", "interfaces": nics.collect::<Vec<_>>()},
    }));
}

#[test]
#[ignore = "needs an API server"]
fn each_sample_is_taken_and_nothing_is_wrong_with_it() {
    let cluster = Cluster::new();
    cluster.sriov_operator(true);
    let nvidia = foreign("nicclusterpolicies");
    cluster.must(&["apply", "-f", &nvidia.to_string_lossy()], "");
    cluster.must(&["wait", "--for=condition=Established", "crd/nicclusterpolicies.mellanox.com"], "");
    cluster.apply(&nvidia_policy());
    let _operator = cluster.operator("a");
    let mut seen = 0;

    for file in files("samples").into_iter().chain(files("samples/cluster")) {
        let text = std::fs::read_to_string(&file).unwrap();
        // One sample is for NICs in a network that others give to pods.
        let second = if text.contains("[192.168.71.0/24]") { "192.168.71" } else { "10.0.2" };
        node(&cluster, ["10.0.1", second]);
        cluster.must(&["apply", "-f", &file.to_string_lossy()], "");
        let networks = networks(&text);
        for name in &networks {
            let wanted = if WAITING.contains(&name.as_str()) { "WaitingForAgents" } else { "AsWanted" };
            cluster.until_reason(name, "Ready", wanted);
            assert!(cluster.config(name, "default").is_some(), "pods cannot name {name}");
            seen += 1;
        }
        // Samples are independent of each other: these have the same addresses, or want the same functions.
        if text.contains("192.168.") || text.contains("type: sriov") {
            cluster.must(&["delete", "-f", &file.to_string_lossy()], "");
            cluster.until("it is gone", || {
                let left = networks.iter().any(|name| cluster.get("mnn", name, "").is_some());
                (!left).then_some(())
            });
        }
    }

    cluster.must(&["delete", "-f", &nvidia.to_string_lossy()], "");
    assert_eq!(seen, 18, "networks");
}

#[test]
fn the_list_of_samples_names_each() {
    let list = include_str!("../../../deploy/samples/README.md");
    for (folder, before) in [("samples", ""), ("samples/cluster", "cluster/")] {
        for file in files(folder) {
            let name = format!("`{before}{}`", file.file_name().unwrap().to_string_lossy());
            assert!(list.contains(&name), "{name}");
        }
    }
}

/// What the issue asks of the samples: each type of plugin and each strategy.
#[test]
fn there_is_one_for_each_type_and_each_strategy() {
    let texts = files("samples")
        .into_iter()
        .chain(files("samples/cluster"))
        .map(|file| std::fs::read_to_string(file).unwrap());
    let texts: Vec<String> = texts.collect();
    let has = |word: &str| texts.iter().any(|text| text.lines().any(|line| line.trim_start() == word));
    for kind in ["ipvlan", "macvlan", "sriov", "host-device", "mellanox", "aws-ipvlan", "ipoib"] {
        assert!(has(&format!("type: {kind}")), "{kind}");
    }
    for mode in ["l2", "l3", "l3s", "bridge"] {
        assert!(has(&format!("mode: {mode}")), "{mode}");
    }
    for strategy in crds::STRATEGIES {
        assert!(has(&format!("strategy: {strategy}")), "{strategy}");
    }
    for kind in ["MultiNicNetwork", "DeviceClass", "Config"] {
        assert!(has(&format!("kind: {kind}")), "{kind}");
    }
    assert!(has("apiVersion: net.cogadvisor.io/v1"));
}

#[test]
fn the_predecessors_own_network_is_as_the_quick_start_has_it() {
    let page = include_str!("../../../docs/quickstart.md");
    let block =
        page.split("```yaml\n# network.yaml\n").nth(1).and_then(|rest| rest.split("```").next()).unwrap();

    let sample = include_str!("../../../deploy/samples/cluster/network.yaml");

    assert_eq!(sample.split_once('\n').unwrap().1, block);
}
