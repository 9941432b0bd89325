//! The cluster of a test, as a person with kubectl has it, and operators that run in it.

use std::path::PathBuf;
use std::process::{Child, Command};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::kubectl;

/// The operator's account, as the audit log has it.
const USER: &str = "system:serviceaccount:multi-nic-cni-operator:multi-nic-operator";

/// How long something may take that is a matter of milliseconds.
const PATIENCE: Duration = Duration::from_secs(60);

pub(crate) struct Cluster {
    folder: PathBuf,
    begun: usize,
}

impl Cluster {
    /// An empty one with our kinds, attachment definitions and the operator's rights in it.
    pub(crate) fn new() -> Self {
        let folder = PathBuf::from(std::env::var_os("KUBE_DIR").expect("KUBE_DIR: see `cargo xtask test`"));
        let cluster = Self { begun: 0, folder };
        cluster.install();
        cluster.sriov_operator(false);
        let kinds = ["multinicnetworks", "cidrs", "hostinterfaces", "configs", "ippools"];
        for (kind, group) in
            kinds.iter().flat_map(|kind| ["net.cogadvisor.io", "multinic.fms.io"].map(|group| (kind, group)))
        {
            let held = r#"jsonpath={range .items[?(@.metadata.finalizers)]}{.metadata.name}{"\n"}{end}"#;
            let kind_of_group = format!("{kind}.{group}");
            for name in cluster.kubectl(&["get", &kind_of_group, "-o", held], "").lines() {
                let none = r#"{"metadata":{"finalizers":[]}}"#;
                cluster.kubectl(&["patch", &kind_of_group, name, "--type=merge", "-p", none], "");
            }
            cluster.clear(&format!("/apis/{group}/v1/{kind}"));
        }
        cluster.kubectl(&["delete", "net-attach-def", "--all", "-A"], "");
        cluster.clear("/api/v1/nodes");
        cluster.kubectl(&["delete", "lease", "-n", "multi-nic-cni-operator", "--all"], "");
        let namespaces = cluster.kubectl(&["get", "namespaces", "-l", "test=operator", "-o", "name"], "");
        if !namespaces.is_empty() {
            cluster.kubectl(&["delete", "namespaces", "-l", "test=operator", "--wait=true"], "");
        }
        // Many, and nobody needs their names again.
        cluster.kubectl(&["delete", "namespaces", "-l", "test=many", "--wait=false"], "");
        let begun = cluster.requests().len();
        Self { begun, ..cluster }
    }

    /// Deletes everything there with one request.
    fn clear(&self, path: &str) {
        self.kubectl(&["delete", "--raw", path], "");
    }

    /// Installs or removes the SR-IOV operator's kinds.
    pub(crate) fn sriov_operator(&self, there: bool) {
        let verb = if there { "apply" } else { "delete" };
        for kind in ["sriovnetworknodepolicies", "sriovnetworks", "sriovnetworknodestates"] {
            let file = foreign(kind);
            let (well, said) = self.run(&[verb, "-f", &file.to_string_lossy()], "");
            assert!(well || said.contains("NotFound"), "{said}");
            if there {
                let name = format!("crd/{kind}.sriovnetwork.openshift.io");
                self.must(&["wait", "--for=condition=Established", "--timeout=60s", &name], "");
            }
        }
        if there && self.get("namespace", "openshift-sriov-network-operator", "").is_none() {
            self.must(&["create", "namespace", "openshift-sriov-network-operator"], "");
        }
    }

    /// Our kinds, attachment definitions, the operator's rights.
    pub(crate) fn install(&self) {
        let mut files = kubectl::our_definitions();
        files.push(foreign("network-attachment-definitions"));
        kubectl::install(|arguments, input| self.run(arguments, input), &files);
        let root = concat!(env!("CARGO_MANIFEST_DIR"), "/..");
        for file in ["namespace.yaml", "operator-rbac.yaml", "operator-sriov-rbac.yaml"] {
            self.must(&["apply", "-f", &format!("{root}/deploy/base/{file}")], "");
        }
    }

    /// What kubectl printed, content or not.
    pub(crate) fn kubectl(&self, arguments: &[&str], input: &str) -> String {
        self.run(arguments, input).1
    }

    /// What kubectl printed; it must be content.
    pub(crate) fn must(&self, arguments: &[&str], input: &str) -> String {
        let (well, said) = self.run(arguments, input);
        assert!(well, "kubectl {arguments:?}: {said}");
        said
    }

    fn run(&self, arguments: &[&str], input: &str) -> (bool, String) {
        let mut kubectl = Command::new("kubectl");
        kubectl.env("KUBECONFIG", self.folder.join("kubeconfig"));
        kubectl::run(kubectl, arguments, input)
    }

    pub(crate) fn apply(&self, object: &Value) {
        self.must(&["apply", "-f", "-"], &object.to_string());
    }

    /// The object; absent when there is none.
    pub(crate) fn get(&self, kind: &str, name: &str, namespace: &str) -> Option<Value> {
        let (well, said) = self.run(&["get", kind, name, "-n", namespace, "-o", "json"], "");
        if !well && said.contains("NotFound") {
            return None;
        }
        assert!(well, "{said}");
        Some(serde_json::from_str(&said).unwrap())
    }

    pub(crate) fn namespace(&self, name: &str) {
        self.apply(&json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "labels": {"test": "operator"}}}));
    }

    /// A Node and what its agent found: NICs eth1, eth2, … with the address `10.0.<n>.<last>`.
    pub(crate) fn host(&self, name: &str, last: u8, nics: u8) {
        self.apply(&json!({"apiVersion": "v1", "kind": "Node", "metadata": {"name": name}}));
        let nics: Vec<Value> = (1..=nics)
            .map(|nic| {
                json!({"interfaceName": format!("eth{nic}"), "netAddress": format!("10.0.{nic}.0/24"),
                       "hostIP": format!("10.0.{nic}.{last}"), "pciAddress": format!("0000:0{nic}:00.0")})
            })
            .collect();
        self.apply(&json!({
            "apiVersion": "multinic.fms.io/v1", "kind": "HostInterface", "metadata": {"name": name},
            "spec": {"hostName": name, "interfaces": nics},
        }));
    }

    /// The predecessor's own sample, with other namespaces.
    pub(crate) fn network(&self, name: &str, namespaces: &[&str]) {
        self.apply(&sample(name, namespaces));
    }

    /// Waits until it is so; what it is then.
    pub(crate) fn until<T>(&self, what: &str, mut look: impl FnMut() -> Option<T>) -> T {
        let begun = Instant::now();
        loop {
            if let Some(found) = look() {
                return found;
            }
            assert!(begun.elapsed() < PATIENCE, "not so after {PATIENCE:?}: {what}\n{}", self.state());
            std::thread::sleep(Duration::from_millis(100));
        }
    }

    fn state(&self) -> String {
        self.kubectl(&["get", "mnn,cidr,net-attach-def", "-A", "-o", "yaml"], "")
    }

    /// Waits until a condition of a network has this reason; the condition.
    pub(crate) fn until_reason(&self, network: &str, kind: &str, reason: &str) -> Value {
        self.until(&format!("{kind} of {network} is {reason}"), || {
            self.condition(network, kind).filter(|one| one["reason"] == reason)
        })
    }

    pub(crate) fn condition(&self, network: &str, kind: &str) -> Option<Value> {
        let network = self.get("mnn", network, "default")?;
        network["status"]["conditions"].as_array()?.iter().find(|one| one["type"] == kind).cloned()
    }

    /// `spec.config` of an attachment definition.
    pub(crate) fn config(&self, network: &str, namespace: &str) -> Option<Value> {
        let nad = self.get("net-attach-def", network, namespace)?;
        Some(serde_json::from_str(nad["spec"]["config"].as_str()?).unwrap())
    }

    /// An operator with exactly the rights of `deploy/`.
    pub(crate) fn operator(&self, identity: &str) -> Operator {
        self.operator_with(identity, &[])
    }

    /// The same, with further arguments.
    pub(crate) fn operator_with(&self, identity: &str, arguments: &[&str]) -> Operator {
        Operator::start(&self.kubeconfig(), identity, arguments)
    }

    /// A kubeconfig of the operator's account.
    fn kubeconfig(&self) -> PathBuf {
        let secret = self.until("the account has a token", || {
            let said = self.kubectl(
                &[
                    "get",
                    "sa",
                    "multi-nic-operator",
                    "-n",
                    "multi-nic-cni-operator",
                    "-o",
                    "jsonpath={.secrets[0].name}",
                ],
                "",
            );
            (!said.is_empty()).then_some(said)
        });
        let token = self.must(
            &[
                "get",
                "secret",
                &secret,
                "-n",
                "multi-nic-cni-operator",
                "-o",
                "go-template={{.data.token | base64decode}}",
            ],
            "",
        );
        let text = std::fs::read_to_string(self.folder.join("kubeconfig")).unwrap();
        let text = text.lines().map(|line| {
            if line.starts_with("users:") {
                format!("users: [{{name: admin, user: {{token: {token}}}}}]")
            } else {
                line.to_owned()
            }
        });
        let file = self.folder.join("kubeconfig.operator");
        std::fs::write(&file, text.collect::<Vec<_>>().join("\n")).unwrap();
        file
    }

    /// What the operator has asked for since the test began, by the server's own log.
    pub(crate) fn asked(&self) -> Vec<Request> {
        self.requests().split_off(self.begun)
    }

    fn requests(&self) -> Vec<Request> {
        let log = std::fs::read_to_string(self.folder.join("audit.log")).unwrap_or_default();
        let lines = log.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
        lines
            .filter(|line| line["user"]["username"] == USER && line["stage"] == "ResponseComplete")
            .map(|line| Request {
                verb: line["verb"].as_str().unwrap_or_default().to_owned(),
                resource: line["objectRef"]["resource"].as_str().unwrap_or_default().to_owned(),
                name: line["objectRef"]["name"].as_str().unwrap_or_default().to_owned(),
                code: line["responseStatus"]["code"].as_u64().unwrap_or_default(),
            })
            .collect()
    }

    /// Process of a part of the control plane.
    pub(crate) fn pid(&self, name: &str) -> i32 {
        let pids = std::fs::read_to_string(self.folder.join("pids")).unwrap();
        let line = pids.lines().rev().find(|line| line.ends_with(&format!(" {name}"))).unwrap();
        line.split(' ').next().unwrap().parse().unwrap()
    }
}

/// One request of the operator.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Request {
    pub(crate) verb: String,
    pub(crate) resource: String,
    pub(crate) name: String,
    pub(crate) code: u64,
}

impl Request {
    /// It changes something other than the Lease.
    pub(crate) fn is_write(&self) -> bool {
        !["get", "list", "watch"].contains(&self.verb.as_str()) && self.resource != "leases"
    }
}

/// A running operator; it ends with the test.
pub(crate) struct Operator {
    child: Child,
}

impl Operator {
    fn start(kubeconfig: &PathBuf, identity: &str, arguments: &[&str]) -> Self {
        let child = Command::new(env!("CARGO_BIN_EXE_multi-nic-operator"))
            .arg("--kubeconfig")
            .arg(kubeconfig)
            .args([
                "--identity",
                identity,
                "--lease-seconds",
                "6",
                "--health-probe-bind-address",
                "127.0.0.1:0",
            ])
            .arg("--log-text")
            .args(arguments)
            .spawn()
            .expect("the operator");
        Self { child }
    }

    /// SIGKILL.
    pub(crate) fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// SIGTERM, and it ends well.
    pub(crate) fn stop(mut self) {
        let pid = nix::unistd::Pid::from_raw(self.child.id().try_into().unwrap());
        nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGTERM).unwrap();
        assert!(self.child.wait().unwrap().success());
    }
}

impl Operator {
    /// Most memory that it ever had, MB.
    pub(crate) fn peak_memory(&self) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id())).unwrap();
        let line = status.lines().find(|line| line.starts_with("VmHWM")).unwrap();
        line.split_whitespace().nth(1).unwrap().parse::<u64>().unwrap() / 1024
    }
}

impl Drop for Operator {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

pub(crate) fn sample(name: &str, namespaces: &[&str]) -> Value {
    let ipam = "{\n  \"type\": \"multi-nic-ipam\",\n  \"hostBlock\": 6, \n  \"interfaceBlock\": 2,\n  \"vlanMode\": \"l3\"\n}\n";
    json!({
        "apiVersion": "multinic.fms.io/v1", "kind": "MultiNicNetwork", "metadata": {"name": name},
        "spec": {
            "subnet": "192.168.0.0/16", "ipam": ipam, "multiNICIPAM": true,
            "plugin": {"cniVersion": "0.3.0", "type": "ipvlan", "args": {"mode": "l3"}},
            "attachPolicy": {"strategy": "none"}, "namespaces": namespaces,
        },
    })
}

/// The definition of a kind of others.
pub(crate) fn foreign(kind: &str) -> PathBuf {
    format!("{}/tests/foreign/{kind}.yaml", env!("CARGO_MANIFEST_DIR")).into()
}
