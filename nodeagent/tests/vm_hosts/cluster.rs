//! The control plane as a person has it, and the operator in it.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use ipnet::IpNet;
use serde_json::{Value, json};

use crate::harness::http;
use crate::{kubectl, wait_for};

/// Where kubectl answers for the API server, without keys.
const PROXY: ([u8; 4], u16) = ([127, 0, 0, 1], 8899);

pub(crate) const NETWORKS: &str = "/apis/multinic.fms.io/v1/multinicnetworks";
pub(crate) const NODES: &str = "/api/v1/nodes";
const BLOCKS: &str = "/apis/multinic.fms.io/v1/cidrs";
const INTERFACES: &str = "/apis/multinic.fms.io/v1/hostinterfaces";
const ATTACHMENTS: &str = "/apis/k8s.cni.cncf.io/v1/namespaces/default/network-attachment-definitions";

pub(crate) struct Cluster {
    kubeconfig: PathBuf,
    proxy: Child,
}

/// A host on a NIC network, as the operator has it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Place {
    pub(crate) index: u64,
    pub(crate) host: String,
    pub(crate) link: String,
    pub(crate) addresses: Vec<IpAddr>,
    pub(crate) blocks: Vec<IpNet>,
}

impl Cluster {
    /// One with our kinds, attachment definitions and the rights of `deploy/base`.
    pub(crate) fn new() -> Self {
        let kubeconfig = PathBuf::from(std::env::var_os("KUBECONFIG").expect("KUBECONFIG: a control plane"));
        let proxy = Command::new("kubectl")
            .arg("--kubeconfig")
            .arg(&kubeconfig)
            .args(["proxy", "--port", &PROXY.1.to_string()])
            .stdout(Stdio::null())
            .spawn()
            .expect("kubectl");
        let cluster = Self { kubeconfig, proxy };
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
        let mut files = kubectl::our_definitions();
        files.push(root.join("operator/tests/foreign/network-attachment-definitions.yaml"));
        kubectl::install(|arguments, input| cluster.kubectl(arguments, input), &files);
        let rights = ["namespace.yaml", "agent-rbac.yaml", "operator-rbac.yaml", "operator-sriov-rbac.yaml"];
        for file in rights.map(|file| root.join("deploy/base").join(file)) {
            cluster.must(&["apply", "-f", &file.to_string_lossy()]);
        }
        wait_for("kubectl's proxy", || {
            cluster.ask("GET", "/readyz", None).filter(|(status, _)| *status == 200)
        });
        cluster
    }

    fn kubectl(&self, arguments: &[&str], input: &str) -> (bool, String) {
        let mut kubectl = Command::new("kubectl");
        kubectl.arg("--kubeconfig").arg(&self.kubeconfig);
        kubectl::run(kubectl, arguments, input)
    }

    fn must(&self, arguments: &[&str]) -> String {
        let (well, said) = self.kubectl(arguments, "");
        assert!(well, "kubectl {arguments:?}: {said}");
        said
    }

    fn ask(&self, method: &str, path: &str, body: Option<&Value>) -> Option<(u16, Value)> {
        let headers = [("host", "127.0.0.1"), ("content-type", "application/json")];
        let body = body.map(Value::to_string).unwrap_or_default();
        let reply = http::tcp_with(PROXY.into(), method, path, &headers, &body).ok()?;
        Some((reply.status, serde_json::from_slice(&reply.body).unwrap_or_default()))
    }

    /// The object or list; absent when there is none.
    pub(crate) fn get(&self, path: &str) -> Option<Value> {
        let (status, said) = self.ask("GET", path, None).expect("an answer");
        assert!([200, 404].contains(&status), "GET {path}: {said}");
        (status == 200).then_some(said)
    }

    pub(crate) fn create(&self, path: &str, object: &Value) {
        let (status, said) = self.ask("POST", path, Some(object)).expect("an answer");
        assert_eq!(status, 201, "{said}");
    }

    pub(crate) fn delete(&self, path: &str) {
        let (status, said) = self.ask("DELETE", path, None).expect("an answer");
        assert!([200, 202].contains(&status), "{said}");
    }

    /// A Node without a kubelet.
    pub(crate) fn node(&self, name: &str) {
        self.create(NODES, &json!({"apiVersion": "v1", "kind": "Node", "metadata": {"name": name}}));
    }

    /// A network of ipvlan links with these fields.
    pub(crate) fn network(&self, name: &str, mode: &str, fields: Value) {
        let mut spec = json!({
            "multiNICIPAM": true, "namespaces": ["default"],
            "plugin": {"cniVersion": "1.0.0", "type": "ipvlan", "args": {"mode": mode}},
        });
        spec.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
        self.create(
            NETWORKS,
            &json!({"apiVersion": "multinic.fms.io/v1", "kind": "MultiNicNetwork",
                    "metadata": {"name": name}, "spec": spec}),
        );
    }

    /// What is published of a host.
    pub(crate) fn host(&self, name: &str) -> Option<Value> {
        self.get(&format!("{INTERFACES}/{name}"))
    }

    /// Waits until a network is ready.
    pub(crate) fn wait_ready(&self, name: &str) {
        let mut last = Value::Null;
        wait_for(&format!("{name} to be ready"), || {
            let network = self.get(&format!("{NETWORKS}/{name}"))?;
            let conditions = network["status"]["conditions"].as_array()?;
            let ready = conditions.iter().find(|one| one["type"] == "Ready")?;
            if last != ready["message"] {
                last = ready["message"].clone();
                eprintln!("  {name}: {} {last}", ready["reason"]);
            }
            let current = ready["observedGeneration"] == network["metadata"]["generation"];
            (ready["status"] == "True" && current).then_some(())
        });
    }

    /// `spec.config` of a network's attachment definition, as Multus reads it.
    pub(crate) fn config(&self, network: &str) -> String {
        let definition =
            wait_for("the attachment definition", || self.get(&format!("{ATTACHMENTS}/{network}")));
        definition["spec"]["config"].as_str().expect("a text").to_owned()
    }

    /// Who has which blocks of a network.
    pub(crate) fn places(&self, network: &str) -> BTreeSet<Place> {
        let all = self.get(BLOCKS).expect("the kind");
        let objects = all["items"].as_array().unwrap().iter();
        let entries = objects
            .filter(|object| object["spec"]["config"]["name"] == network)
            .flat_map(|object| object["spec"]["cidr"].as_array().unwrap());
        let texts = |host: &Value, list: &str, single: &str| -> Vec<String> {
            let several = host[list].as_array().into_iter().flatten().filter_map(Value::as_str);
            let mut several: Vec<String> = several.map(str::to_owned).collect();
            if several.is_empty() {
                several.extend(host[single].as_str().map(str::to_owned));
            }
            several
        };
        let place = |index: &Value, host: &Value| Place {
            index: index.as_u64().unwrap(),
            host: host["hostName"].as_str().unwrap().to_owned(),
            link: host["interfaceName"].as_str().unwrap().to_owned(),
            addresses: texts(host, "hostIPs", "hostIP").iter().map(|text| text.parse().unwrap()).collect(),
            blocks: texts(host, "podCIDRs", "podCIDR").iter().map(|text| text.parse().unwrap()).collect(),
        };
        entries
            .flat_map(|entry| {
                let hosts = entry["hosts"].as_array().into_iter().flatten();
                hosts.map(|host| place(&entry["interfaceIndex"], host)).collect::<Vec<_>>()
            })
            .collect()
    }

    /// A kubeconfig of an account of ours, for a server at this address.
    pub(crate) fn account(&self, account: &str, server: &str) -> PathBuf {
        let namespace = "multi-nic-cni-operator";
        let secret = wait_for("a token of the account", || {
            let name = "jsonpath={.secrets[0].name}";
            let (_, said) = self.kubectl(&["get", "sa", account, "-n", namespace, "-o", name], "");
            said.starts_with(account).then_some(said)
        });
        let token = "go-template={{.data.token | base64decode}}";
        let token = self.must(&["get", "secret", &secret, "-n", namespace, "-o", token]);
        let text = fs::read_to_string(&self.kubeconfig).unwrap().replace(&self.server().to_string(), server);
        let lines = text.lines().map(|line| match line.starts_with("users:") {
            true => format!("users: [{{name: admin, user: {{token: {token}}}}}]"),
            false => line.to_owned(),
        });
        let file = std::env::temp_dir().join(format!("kubeconfig.{account}"));
        fs::write(&file, lines.collect::<Vec<_>>().join("\n")).unwrap();
        file
    }

    /// Where the API server is for this machine.
    pub(crate) fn server(&self) -> SocketAddr {
        let text = fs::read_to_string(&self.kubeconfig).unwrap();
        let after = text.split("https://").nth(1).unwrap();
        after.split('"').next().unwrap().parse().unwrap()
    }

    /// The operator, with the rights of `deploy/base`.
    pub(crate) fn operator(&self) -> Operator {
        let kubeconfig = self.account("multi-nic-operator", &self.server().to_string());
        let program = Path::new(env!("CARGO_BIN_EXE_multi-nicd")).with_file_name("multi-nic-operator");
        let child = Command::new(&program)
            .arg("--kubeconfig")
            .arg(kubeconfig)
            .args([
                "--identity",
                "lab",
                "--lease-seconds",
                "600",
                "--health-probe-bind-address",
                "127.0.0.1:0",
                "--log-text",
            ])
            .args(["--log-level", "warn"])
            .spawn()
            .unwrap_or_else(|error| panic!("{}: {error}: is it built?", program.display()));
        Operator { child }
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        let _ = self.proxy.kill();
        let _ = self.proxy.wait();
    }
}

/// The running operator.
pub(crate) struct Operator {
    child: Child,
}

impl Drop for Operator {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The routes that a host should have to the others of a network: `destination via gateway dev link`.
pub(crate) fn routes_of(host: &str, places: &BTreeSet<Place>) -> BTreeSet<String> {
    let mine: BTreeMap<u64, &Place> =
        places.iter().filter(|place| place.host == host).map(|place| (place.index, place)).collect();
    let others = || places.iter().filter(|place| place.host != host);
    let mut lines = BTreeSet::new();
    for other in others() {
        let Some(mine) = mine.get(&other.index) else { continue };
        for block in &other.blocks {
            let gateway = other.addresses.iter().find(|one| one.is_ipv4() == block.addr().is_ipv4()).unwrap();
            lines.insert(format!("{block} via {gateway} dev {}", mine.link));
            // Where pods live in the hosts' own networks, hosts in others' blocks are reached as before.
            for host in others().flat_map(|other| &other.addresses).filter(|host| block.contains(*host)) {
                lines.insert(format!("{host} via {host} dev {}", mine.link));
            }
        }
    }
    lines
}
