//! The cluster of a test, as a person with kubectl has it.

use std::fs::File;
use std::os::fd::AsRawFd;
use std::path::PathBuf;
use std::process::Command;

use serde_json::{Value, json};

use crate::harness::wait_for;
use crate::kubectl;

/// Name of the node that the agent under test is.
pub(crate) const NODE: &str = "n1";

pub(crate) struct Cluster {
    folder: PathBuf,
    /// The host's network, which the API server is in; the test's thread leaves it for the agent's machine.
    network: File,
}

impl Cluster {
    /// An empty one with our kinds, the agent's rights and a Node in it.
    pub(crate) fn new() -> Self {
        let folder = std::env::var_os("KUBE_DIR").expect("KUBE_DIR: see `cargo xtask test`").into();
        let network = File::open("/proc/thread-self/ns/net").expect("the host's network");
        let cluster = Self { folder, network };
        cluster.install();
        for kind in ["multinicnetworks", "cidrs", "hostinterfaces", "ippools", "deviceclasses"] {
            let kind = format!("{kind}.multinic.fms.io");
            cluster.must(&["delete", &kind, "--all", "--wait=true"], "");
        }
        cluster.must(&["delete", "nodes", "--all"], "");
        cluster.apply(&json!({"apiVersion": "v1", "kind": "Node", "metadata": {"name": NODE}}));
        cluster
    }

    /// Our kinds and the agent's rights.
    pub(crate) fn install(&self) {
        let mut files = kubectl::our_definitions();
        files.retain(|file| file.to_string_lossy().ends_with(".multinic.fms.io.yaml"));
        kubectl::install(|arguments, input| self.run(arguments, input), &files);
        let root = concat!(env!("CARGO_MANIFEST_DIR"), "/..");
        for file in ["base/namespace.yaml", "base/agent-rbac.yaml", "overlays/without-multus/pods-rbac.yaml"]
        {
            self.must(&["apply", "-f", &format!("{root}/deploy/{file}")], "");
        }
    }

    /// What kubectl printed; it must be content.
    pub(crate) fn must(&self, arguments: &[&str], input: &str) -> String {
        let (well, said) = self.run(arguments, input);
        assert!(well, "kubectl {arguments:?}: {said}");
        said
    }

    /// Whether kubectl was content; for what may have to be tried again.
    pub(crate) fn tries(&self, arguments: &[&str], input: &str) -> Option<()> {
        self.run(arguments, input).0.then_some(())
    }

    fn run(&self, arguments: &[&str], input: &str) -> (bool, String) {
        let network = format!("--net=/proc/{}/fd/{}", std::process::id(), self.network.as_raw_fd());
        let mut kubectl = Command::new("nsenter");
        kubectl.args([&network, "kubectl"]).env("KUBECONFIG", self.folder.join("kubeconfig"));
        kubectl::run(kubectl, arguments, input)
    }

    pub(crate) fn apply(&self, object: &Value) {
        self.must(&["apply", "-f", "-"], &object.to_string());
    }

    /// The object; absent when there is none.
    pub(crate) fn get(&self, kind: &str, name: &str) -> Option<Value> {
        let (well, said) = self.run(&["get", kind, name, "-o", "json"], "");
        if !well && (said.contains("NotFound") || said.contains("the server doesn't have a resource type")) {
            return None;
        }
        assert!(well, "{said}");
        Some(serde_json::from_str(&said).unwrap())
    }

    /// A kubeconfig of the agent's account.
    pub(crate) fn kubeconfig(&self) -> PathBuf {
        let namespace = "multi-nic-cni-operator";
        let secret = wait_for("a token of the account", || {
            let name = "jsonpath={.secrets[0].name}";
            let (_, said) = self.run(&["get", "sa", "multi-nicd", "-n", namespace, "-o", name], "");
            said.starts_with("multi-nicd").then_some(said)
        });
        let token = "go-template={{.data.token | base64decode}}";
        let token = self.must(&["get", "secret", &secret, "-n", namespace, "-o", token], "");
        let text = std::fs::read_to_string(self.folder.join("kubeconfig")).unwrap();
        let text = text.lines().map(|line| match line.starts_with("users:") {
            true => format!("users: [{{name: admin, user: {{token: {token}}}}}]"),
            false => line.to_owned(),
        });
        let file = self.folder.join("kubeconfig.agent");
        std::fs::write(&file, text.collect::<Vec<_>>().join("\n")).unwrap();
        file
    }

    /// Port of the API server on this host's loopback.
    pub(crate) fn port(&self) -> u16 {
        let text = std::fs::read_to_string(self.folder.join("kubeconfig")).unwrap();
        let after = text.split("127.0.0.1:").nth(1).unwrap();
        after.split(|c: char| !c.is_ascii_digit()).next().unwrap().parse().unwrap()
    }

    /// A network with blocks, and the routes between hosts.
    pub(crate) fn network(&self, name: &str) {
        self.apply(&json!({
            "apiVersion": "multinic.fms.io/v1", "kind": "MultiNicNetwork", "metadata": {"name": name},
            "spec": {
                "subnet": "192.168.0.0/16", "multiNICIPAM": true,
                "ipam": r#"{"type": "multi-nic-ipam", "hostBlock": 6, "interfaceBlock": 2, "vlanMode": "l3"}"#,
                "plugin": {"cniVersion": "1.0.0", "type": "macvlan", "args": {"mode": "bridge"}},
            },
        }));
    }

    /// A slice of its blocks: hosts `name interface address block` by NIC network.
    pub(crate) fn slice(&self, object: &str, network: &str, entries: &[(u32, &str, &str, &[&str])]) {
        let host = |text: &&str| {
            let words: Vec<&str> = text.split(' ').collect();
            json!({"hostIndex": 0, "hostName": words[0], "interfaceName": words[1], "hostIP": words[2],
                   "podCIDR": words[3]})
        };
        let entries: Vec<Value> = entries
            .iter()
            .map(|(index, net, interface, hosts)| {
                json!({"netAddress": net, "interfaceIndex": index, "vlanCIDR": interface,
                       "hosts": hosts.iter().map(host).collect::<Vec<_>>()})
            })
            .collect();
        self.apply(&json!({
            "apiVersion": "multinic.fms.io/v1", "kind": "CIDR",
            "metadata": {"name": object, "labels": {"multinic.fms.io/network": network}},
            "spec": {
                "config": {"name": network, "type": "macvlan", "subnet": "192.168.0.0/16", "masterNets": [],
                           "hostBlock": 6, "interfaceBlock": 2, "vlanMode": "l3"},
                "cidr": entries,
            },
        }));
    }
}
