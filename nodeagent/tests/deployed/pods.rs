//! Pods of the cluster, and what they see.

use std::process::{Command, Stdio};

use serde_json::{Value, json};

use super::until;
use crate::kubelet::{Cluster, Container, NODE};

/// What pods ask for networks with.
pub(crate) const NETWORKS: &str = "k8s.v1.cni.cncf.io/networks";

/// What they are told.
const STATUS: &str = "k8s.v1.cni.cncf.io/network-status";

/// Makes a pod on this node that asks for networks, or for nothing.
pub(crate) fn create(cluster: &Cluster, name: &str, networks: Option<&str>) {
    cluster.kubectl(&["create", "-f", "-"], &pod(name, networks).to_string()).unwrap();
}

/// Makes several that ask for the same.
pub(crate) fn create_all(cluster: &Cluster, names: &[String], networks: &str) {
    let items: Vec<Value> = names.iter().map(|name| pod(name, Some(networks))).collect();
    let list = json!({ "apiVersion": "v1", "kind": "List", "items": items });
    cluster.kubectl(&["create", "-f", "-"], &list.to_string()).unwrap();
}

/// Waits until all of them run.
pub(crate) fn all_running(cluster: &Cluster, names: &[String]) {
    until("all pods to run", || {
        let list = cluster.get(&["pods"])?;
        let running = |name: &&String| {
            let mut pods = list["items"].as_array().into_iter().flatten();
            pods.any(|pod| pod["metadata"]["name"] == name.as_str() && pod["status"]["phase"] == "Running")
        };
        names.iter().all(|name| running(&name)).then_some(())
    });
}

fn pod(name: &str, networks: Option<&str>) -> Value {
    let annotations = networks.map(|networks| json!({ NETWORKS: networks }));
    json!({
        "apiVersion": "v1", "kind": "Pod", "metadata": { "name": name, "annotations": annotations },
        "spec": {
            "nodeName": NODE, "automountServiceAccountToken": false, "terminationGracePeriodSeconds": 0,
            "containers": [{ "name": "main", "image": "localhost/pause:1", "imagePullPolicy": "Never" }],
        },
    })
}

/// Waits until a pod runs; its container.
pub(crate) fn running(cluster: &Cluster, name: &str) -> Container {
    until(&format!("the pod {name} to run"), || (phase(cluster, name)? == "Running").then_some(()));
    cluster.container(name)
}

/// How far a pod is.
pub(crate) fn phase(cluster: &Cluster, name: &str) -> Option<String> {
    let status = cluster.get(&["pod", name])?["status"].clone();
    assert_ne!(status["phase"], "Failed", "{status}");
    Some(status["phase"].as_str()?.to_owned())
}

/// What a pod's status says of its networks, once it says it: `interface: addresses` each.
pub(crate) fn told(cluster: &Cluster, name: &str) -> Vec<String> {
    let text = until("the network status", || {
        Some(cluster.get(&["pod", name])?["metadata"]["annotations"][STATUS].as_str()?.to_owned())
    });
    let list: Value = serde_json::from_str(&text).unwrap();
    let words = |one: &Value| {
        let ips = one["ips"].as_array().unwrap().iter().map(|ip| ip.as_str().unwrap());
        format!("{}: {}", one["interface"].as_str().unwrap(), ips.collect::<Vec<_>>().join(" "))
    };
    list.as_array().unwrap().iter().map(words).collect()
}

impl Container {
    /// Runs a program of this machine in the pod's network; its output. It has to succeed.
    pub(crate) fn inside(&self, command: &str) -> String {
        let output = self.command(command).output().expect("start nsenter");
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        let errors = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{command}: {text}{errors}");
        text
    }

    /// The same, to be started.
    pub(crate) fn command(&self, command: &str) -> Command {
        let mut nsenter = Command::new("nsenter");
        nsenter.args(["-t", &self.pid.to_string(), "-n"]).args(command.split_whitespace());
        nsenter.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        nsenter
    }

    /// The IPv4 addresses of its interfaces but the loopback, by name: `interface: addresses` each.
    pub(crate) fn interfaces(&self) -> Vec<String> {
        let list: Value = serde_json::from_str(&self.inside("ip -j -4 addr")).unwrap();
        let links = list.as_array().unwrap().iter().filter(|link| link["ifname"] != "lo");
        let words = |link: &Value| {
            let addresses = link["addr_info"].as_array().unwrap().iter();
            let addresses =
                addresses.map(|one| format!("{}/{}", one["local"].as_str().unwrap(), one["prefixlen"]));
            format!("{}: {}", link["ifname"].as_str().unwrap(), addresses.collect::<Vec<_>>().join(" "))
        };
        let mut all: Vec<String> = links.map(words).collect();
        all.sort();
        all
    }
}
