//! The cluster of a test: hosts on wires, nodes of the API server, networks, and the check as a person starts it.

use std::path::PathBuf;
use std::process::{Child, Command, Output, Stdio};
use std::sync::Arc;

use serde_json::{Value, json};

use crate::api_way::ApiWay;
use crate::kubectl;
use crate::kubelet::Kubelet;
use crate::wiring::{Lab, wait_for};

/// What the clusters of tests have in common.
pub(crate) struct Api {
    folder: PathBuf,
}

/// A cluster with so many hosts; its kubelet ends with this value.
pub(crate) struct Cluster {
    pub(crate) api: Arc<Api>,
    pub(crate) lab: Arc<Lab>,
    pub(crate) kubelet: Kubelet,
    kubeconfig: PathBuf,
    _way: ApiWay,
}

impl Api {
    /// What kubectl printed; it must be content.
    pub(crate) fn must(&self, arguments: &[&str], input: &str) -> String {
        let (well, said) = self.run(arguments, input);
        assert!(well, "kubectl {arguments:?}: {said}");
        said
    }

    /// Whether kubectl was content, and what it printed.
    pub(crate) fn run(&self, arguments: &[&str], input: &str) -> (bool, String) {
        let mut kubectl = Command::new("kubectl");
        kubectl.env("KUBECONFIG", self.folder.join("kubeconfig"));
        kubectl::run(kubectl, arguments, input)
    }

    pub(crate) fn apply(&self, object: &Value) {
        self.must(&["apply", "-f", "-"], &object.to_string());
    }

    /// The pods with this label, their whole objects.
    pub(crate) fn pods(&self, label: &str) -> Vec<Value> {
        let text = self.must(&["get", "pods", "-l", label, "-o", "json"], "");
        let list: Value = serde_json::from_str(&text).unwrap();
        list["items"].as_array().unwrap().clone()
    }

    /// Token and authority of the check's account, in a folder as a pod has it.
    pub(crate) fn account(&self) -> PathBuf {
        let folder = self.folder.join("concheck-account");
        let _ = std::fs::create_dir(&folder);
        let name = wait_for("a token of the account", || {
            let name = "jsonpath={.secrets[0].name}";
            let (well, said) = self.run(&["get", "sa", "multi-nic-concheck-account", "-o", name], "");
            (well && !said.is_empty()).then_some(said)
        });
        let token =
            self.must(&["get", "secret", &name, "-o", "go-template={{.data.token | base64decode}}"], "");
        std::fs::write(folder.join("token"), token).unwrap();
        std::fs::copy(self.folder.join("ca.crt"), folder.join("ca.crt")).unwrap();
        std::fs::write(folder.join("namespace"), "default").unwrap();
        folder
    }

    /// Port of the API server on the loopback.
    pub(crate) fn port(&self) -> u16 {
        let text = std::fs::read_to_string(self.folder.join("kubeconfig")).unwrap();
        let after = text.split("127.0.0.1:").nth(1).unwrap();
        after.split(|c: char| !c.is_ascii_digit()).next().unwrap().parse().unwrap()
    }
}

/// The manifest; `arguments` are added to those of the driver.
pub(crate) fn manifest(arguments: &[&str]) -> String {
    let file = concat!(env!("CARGO_MANIFEST_DIR"), "/../deploy/concheck/concheck.yaml");
    let text = std::fs::read_to_string(file).unwrap();
    let added: String = arguments.iter().map(|argument| format!("\n        - {argument}")).collect();
    text.replace("\n        - run", &format!("\n        - run{added}"))
}

impl Cluster {
    /// Hosts `node-1` … on two wires; the driver lives on a network that reaches every pod.
    pub(crate) fn new(hosts: usize) -> Self {
        let folder = std::env::var_os("KUBE_DIR").expect("KUBE_DIR: see `cargo xtask test`").into();
        let api = Arc::new(Api { folder });
        let mut files = kubectl::our_definitions();
        files.retain(|file| file.to_string_lossy().ends_with(".multinic.fms.io.yaml"));
        kubectl::install(|arguments, input| api.run(arguments, input), &files);
        // Nodes last: pods of a node that is gone are the garbage collector's.
        let kinds = "jobs,pods,leases,multinicnetworks.multinic.fms.io,cidrs.multinic.fms.io,\
                     hostinterfaces.multinic.fms.io,nodes";
        api.must(&["delete", kinds, "--all", "--force", "--grace-period=0"], "");

        let lab = Arc::new(Lab::new(hosts));
        lab.wires.must("ip link add pods type bridge mcast_snooping 0");
        lab.wires.must("ip addr add 10.244.0.254/24 dev pods");
        lab.wires.must("ip link set pods up");
        // The account and its rights, without the Job.
        let text = manifest(&[]);
        let mut objects: Vec<String> =
            text.split("\n---\n").filter(|part| !part.contains("kind: Job")).map(str::to_owned).collect();
        for (index, host) in lab.hosts.iter().enumerate() {
            lab.link(host, &format!("e{index}"), "pods", "eth0", &format!("10.244.0.{}/24", index + 1));
            let node = json!({"apiVersion": "v1", "kind": "Node", "metadata": {"name": format!("node-{}", index + 1)},
                "status": {"capacity": {"pods": "10", "cpu": "4", "memory": "4Gi"},
                           "allocatable": {"pods": "10", "cpu": "4", "memory": "4Gi"}}});
            objects.push(node.to_string());
        }
        api.must(&["apply", "-f", "-"], &objects.join("\n---\n"));
        let account = api.account();
        let way = ApiWay::to(([127, 0, 0, 1], api.port()).into());
        let port = api.port();
        lab.wires.inside(|| way.open_at(port));
        let kubeconfig = account.join("kubeconfig");
        let token = std::fs::read_to_string(account.join("token")).unwrap();
        let text = std::fs::read_to_string(api.folder.join("kubeconfig")).unwrap();
        let text = text.lines().map(|line| match line.starts_with("users:") {
            true => format!("users: [{{name: admin, user: {{token: {token}}}}}]"),
            false => line.to_owned(),
        });
        std::fs::write(&kubeconfig, text.collect::<Vec<_>>().join("\n")).unwrap();
        let kubelet = Kubelet::start(&api, &lab, account);
        Self { api, lab, kubelet, kubeconfig, _way: way }
    }

    /// A network of both wires with blocks for each host, and IPv6 when `dual`.
    pub(crate) fn network(&self, name: &str, dual: bool) {
        let network = json!({
            "apiVersion": "multinic.fms.io/v1", "kind": "MultiNicNetwork", "metadata": {"name": name},
            "spec": {"subnet": "10.7.0.0/16", "ipam": r#"{"type": "multi-nic-ipam", "hostBlock": 6, "interfaceBlock": 2}"#,
                     "plugin": {"cniVersion": "1.0.0", "type": "macvlan"}},
        });
        let host = |wire: usize, number: usize| {
            let mut blocks = vec![format!("10.7.{wire}.{number}/32")];
            blocks.extend(dual.then(|| format!("fd07:{wire}::{number}/128")));
            json!({"hostIndex": number, "hostName": format!("node-{number}"), "interfaceName": format!("eth{}", wire + 1),
                   "hostIP": format!("10.0.{wire}.{number}"), "podCIDR": blocks[0], "podCIDRs": blocks})
        };
        let entry = |wire: usize| {
            let hosts: Vec<Value> = (1..=self.lab.hosts.len()).map(|number| host(wire, number)).collect();
            json!({"netAddress": format!("10.0.{wire}.0/24"), "interfaceIndex": wire,
                   "vlanCIDR": format!("10.7.{wire}.0/24"), "hosts": hosts})
        };
        let blocks = json!({
            "apiVersion": "multinic.fms.io/v1", "kind": "CIDR",
            "metadata": {"name": name, "labels": {"multinic.fms.io/network": name}},
            "spec": {"config": {"name": name, "type": "macvlan", "subnet": "10.7.0.0/16", "masterNets": [], "hostBlock": 6,
                                "interfaceBlock": 2},
                     "cidr": [entry(0), entry(1)]},
        });
        self.api.apply(&json!({"apiVersion": "v1", "kind": "List", "items": [network, blocks]}));
    }

    /// The check, started by hand where it reaches the pods.
    pub(crate) fn start(&self, arguments: &[&str]) -> Child {
        let mut run = self.lab.wires.command(env!("CARGO_BIN_EXE_multi-nic-concheck"));
        run.args(["run", "--streams", "2", "--connect-timeout", "2"]).args(arguments);
        run.args(["--lease-seconds", "3"]);
        if !arguments.contains(&"--seconds") {
            run.args(["--seconds", "1"]);
        }
        run.arg("--kubeconfig").arg(&self.kubeconfig).env_remove("KUBECONFIG");
        run.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
    }

    /// Runs it to its end.
    pub(crate) fn check(&self, arguments: &[&str]) -> Check {
        Check::of(self.start(arguments))
    }

    /// Nothing of any check is left.
    pub(crate) fn is_clean(&self) {
        assert_eq!(self.api.pods("multi-nic-concheck=server"), [] as [Value; 0]);
        assert_eq!(self.api.must(&["get", "lease", "-l", "multi-nic-concheck", "-o", "name"], ""), "");
    }
}

/// What a check that has ended printed.
pub(crate) struct Check {
    pub(crate) code: i32,
    pub(crate) results: String,
    pub(crate) progress: String,
}

impl Check {
    /// Waits for its end.
    pub(crate) fn of(child: Child) -> Self {
        let Output { status, stdout, stderr } = child.wait_with_output().unwrap();
        let progress = String::from_utf8(stderr).unwrap();
        println!("{progress}");
        Self {
            code: status.code().expect("an exit code"),
            results: String::from_utf8(stdout).unwrap(),
            progress,
        }
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.results).unwrap_or_else(|_| panic!("{}{}", self.results, self.progress))
    }
}
