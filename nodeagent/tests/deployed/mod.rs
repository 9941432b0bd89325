//! What `deploy/` makes of this machine's cluster, from images that `cargo xtask dist` made.

#[path = "../runtimes/grpc.rs"]
mod grpc;
pub(crate) mod node;
pub(crate) mod pods;
pub(crate) mod sandbox;
pub(crate) mod wires;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::kubelet::{Cluster, NODE};

pub(crate) const NAMESPACE: &str = "multi-nic-cni-operator";

/// Our parts in the cluster.
pub(crate) struct Deployed<'a> {
    cluster: &'a Cluster,
    /// The overlay's folder.
    overlay: PathBuf,
}

impl<'a> Deployed<'a> {
    /// Imports the images and applies an overlay of `deploy/overlays`.
    pub(crate) fn apply(cluster: &'a Cluster, overlay: &str) -> Self {
        // Beside the executables that this test was built with; seen through the view that has a page cache.
        let built = Path::new(env!("CARGO_BIN_EXE_multi-nicd")).parent().and_then(Path::parent).unwrap();
        for image in ["multi-nicd", "multi-nic-operator"] {
            let archive = format!("/run/host{}/lab/images/{image}.oci.tar", built.display());
            run("ctr", &format!("-n k8s.io images import --snapshotter native {archive}"));
        }
        let ours = Self { cluster, overlay: lab_overlay(overlay) };
        ours.apply_again();
        ours
    }

    /// Applies the overlay: what was deleted of it comes back.
    pub(crate) fn apply_again(&self) {
        // The server is 1.20: it does not know rules in definitions, and drops them.
        let arguments = ["apply", "--validate=false", "-k", self.overlay.to_str().unwrap()];
        self.cluster.kubectl(&arguments, "").unwrap();
    }

    /// Begins to take away what is left on the node.
    pub(crate) fn uninstall(&self) {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../deploy/uninstall");
        self.cluster.kubectl(&["apply", "-k", folder], "").unwrap();
    }

    /// Whether it says so, which is why it does not go on.
    pub(crate) fn uninstall_says(&self, words: &str) -> Option<()> {
        let logs = fs::read_dir("/var/log/pods").ok()?.flatten().map(|entry| entry.path().join("uninstall"));
        let files = logs.filter_map(|folder| fs::read_dir(folder).ok()).flatten().flatten();
        files
            .filter_map(|file| fs::read_to_string(file.path()).ok())
            .any(|text| text.contains(words))
            .then_some(())
    }

    /// Waits until nothing of ours is left on the node, as the quick start says; then the rest is deleted.
    pub(crate) fn uninstalled(&self) {
        until("nothing to be left", || {
            let pods = self.pods("multi-nic-uninstall");
            let pod = pods.iter().find(|pod| pod["spec"]["nodeName"] == NODE)?;
            (state(pod) == "ready").then_some(())
        });
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../deploy/uninstall");
        self.cluster.kubectl(&["delete", "-k", folder, "--wait=false"], "").unwrap();
        self.cluster
            .kubectl(
                &["delete", "--ignore-not-found", "-k", self.overlay.to_str().unwrap(), "--wait=false"],
                "",
            )
            .unwrap();
    }

    /// Takes that back.
    pub(crate) fn stop_uninstalling(&self) {
        let arguments = ["delete", "-n", NAMESPACE, "daemonset/multi-nic-uninstall", "--wait=false"];
        self.cluster.kubectl(&arguments, "").unwrap();
    }

    /// The pod of a part, once it is ready and is another one than `but`; the pod.
    pub(crate) fn ready(&self, app: &str, but: Option<&Value>) -> Value {
        let mut last = String::new();
        until(&format!("a pod of {app} to be ready"), || {
            let pods = self.pods(app);
            let pod = pods.iter().find(|pod| {
                pod["spec"]["nodeName"] == NODE
                    && but.is_none_or(|but| pod["metadata"]["uid"] != but["metadata"]["uid"])
            });
            let state = pod.map_or_else(|| "none".to_owned(), state);
            if state != last {
                eprintln!("{app}: {state}");
                last.clone_from(&state);
            }
            (state == "ready").then(|| pod.cloned())?
        })
    }

    /// Pods of a part.
    pub(crate) fn pods(&self, app: &str) -> Vec<Value> {
        let list = self.cluster.get(&["pods", "-n", NAMESPACE, "-l", &format!("app={app}")]);
        list.and_then(|list| list["items"].as_array().cloned()).unwrap_or_default()
    }

    /// Takes the agent off this node, or lets it come back.
    pub(crate) fn station_agent(&self, here: bool) {
        // No node has this label.
        let selector = if here { "null" } else { r#"{"nowhere":"yes"}"# };
        let patch = format!(r#"{{"spec":{{"template":{{"spec":{{"nodeSelector":{selector}}}}}}}}}"#);
        let arguments = ["patch", "daemonset", "multi-nicd", "-n", NAMESPACE, "-p", &patch];
        self.cluster.kubectl(&arguments, "").unwrap();
        if !here {
            until("the agent to be gone", || {
                self.pods("multi-nicd").iter().all(|pod| pod["spec"]["nodeName"] != NODE).then_some(())
            });
        }
    }

    /// Makes the agent's pod be replaced, as a new version does. The controller itself would wait for the other host's,
    /// which is none.
    pub(crate) fn upgrade(&self, agent: &Value) {
        let patch = r#"{"spec":{"template":{"metadata":{"annotations":{"version":"another"}}}}}"#;
        let arguments = ["patch", "daemonset", "multi-nicd", "-n", NAMESPACE, "-p", patch];
        self.cluster.kubectl(&arguments, "").unwrap();
        self.delete(agent);
    }

    /// Deletes the pod of a part; another one takes its place.
    pub(crate) fn delete(&self, pod: &Value) {
        let name = pod["metadata"]["name"].as_str().unwrap();
        self.cluster.kubectl(&["delete", "pod", "-n", NAMESPACE, name, "--wait=false"], "").unwrap();
    }
}

impl Drop for Deployed<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let logs = Command::new("bash")
                .args(["-c", "tail -n 60 /var/log/pods/multi-nic-cni-operator_*/*/*.log | grep -v operator:: | cut -c 1-300"])
                .output();
            eprintln!("{}", String::from_utf8_lossy(&logs.map(|logs| logs.stdout).unwrap_or_default()));
            let events = self.cluster.kubectl(&["get", "events", "-A", "--sort-by=.lastTimestamp"], "");
            eprintln!("{}", events.unwrap_or_else(|error| error));
        }
    }
}

/// What a person sees of a pod.
fn state(pod: &Value) -> String {
    if pod["metadata"]["deletionTimestamp"].is_string() {
        return "terminating".to_owned();
    }
    let status = &pod["status"]["containerStatuses"][0];
    match (status["ready"] == true, &status["state"]["waiting"]["reason"]) {
        (true, _) => "ready".to_owned(),
        (false, Value::String(reason)) => reason.clone(),
        (false, _) => pod["status"]["phase"].as_str().unwrap_or("new").to_owned(),
    }
}

/// An overlay of ours with what this lab alone needs: there is no kube-proxy that leads to the server, and only the host's
/// network leads there at all.
fn lab_overlay(overlay: &str) -> PathBuf {
    let kubeconfig = fs::read_to_string(std::env::var("KUBECONFIG").unwrap()).unwrap();
    let server = kubeconfig.split("https://").nth(1).and_then(|rest| rest.split('"').next()).unwrap();
    let (host, port) = server.split_once(':').unwrap();
    let variables = json!([
        { "name": "KUBERNETES_SERVICE_HOST", "value": host },
        { "name": "KUBERNETES_SERVICE_PORT", "value": port },
    ]);
    let patch = |kind: &str, name: &str, container: &str| {
        json!({
            "apiVersion": "apps/v1", "kind": kind, "metadata": { "name": name, "namespace": NAMESPACE },
            "spec": { "template": { "spec": {
                "hostNetwork": true, "containers": [{ "name": container, "env": variables }],
            }}},
        })
    };
    let mut agent = patch("DaemonSet", "multi-nicd", "agent");
    // Each costs a second of an emulated CPU.
    agent["spec"]["template"]["spec"]["containers"][0]["readinessProbe"] = json!({ "periodSeconds": 20 });
    let folder = PathBuf::from("/run/lab-overlay");
    fs::create_dir_all(&folder).unwrap();
    fs::write(folder.join("agent.yaml"), agent.to_string()).unwrap();
    let operator = patch("Deployment", "multi-nic-operator", "operator");
    fs::write(folder.join("operator.yaml"), operator.to_string()).unwrap();
    let ours = concat!(env!("CARGO_MANIFEST_DIR"), "/../deploy/overlays");
    let list = json!({
        "apiVersion": "kustomize.config.k8s.io/v1beta1", "kind": "Kustomization",
        "bases": [format!("../..{ours}/{overlay}")],
        "patchesStrategicMerge": ["agent.yaml", "operator.yaml"],
    });
    fs::write(folder.join("kustomization.yaml"), list.to_string()).unwrap();
    folder
}

/// The network of the quick start, which is the seed's.
pub(crate) fn network() -> String {
    let text = include_str!("../../../docs/quickstart.md");
    let block = text.split("```yaml\n# network.yaml\n").nth(1).expect("the network's block");
    block.split("```").next().expect("its end").to_owned()
}

/// Another host of the cluster: its Node, and what its agent would have told.
pub(crate) fn other_host(name: &str, addresses: [&str; 2]) -> String {
    let nics: Vec<Value> = addresses
        .iter()
        .enumerate()
        .map(|(index, address)| {
            let net = format!("10.0.{}.0/24", index + 1);
            json!({ "interfaceName": format!("eth{index}"), "netAddress": net, "hostIP": address,
                    "pciAddress": format!("0000:0{}:00.0", index + 1) })
        })
        .collect();
    json!({ "apiVersion": "v1", "kind": "List", "items": [
        { "apiVersion": "v1", "kind": "Node", "metadata": { "name": name } },
        { "apiVersion": "multinic.fms.io/v1", "kind": "HostInterface", "metadata": { "name": name },
          "spec": { "hostName": name, "interfaces": nics } },
    ]})
    .to_string()
}

/// How long something of the cluster may take on an emulated CPU.
const PATIENCE: Duration = Duration::from_secs(240);

/// Waits until there is a value. Looks seldom: on an emulated CPU kubectl is what there is least time for.
pub(crate) fn until<T>(what: &str, mut value: impl FnMut() -> Option<T>) -> T {
    let end = Instant::now() + PATIENCE;
    loop {
        if let Some(value) = value() {
            return value;
        }
        assert!(Instant::now() < end, "waited {PATIENCE:?} for {what}");
        std::thread::sleep(Duration::from_secs(2));
    }
}

/// Runs a program and gives its output; it has to succeed.
pub(crate) fn run(program: &str, arguments: &str) -> String {
    let output = Command::new(program).args(arguments.split_whitespace()).stdin(Stdio::null()).output();
    let output = output.unwrap_or_else(|error| panic!("{program}: {error}"));
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{program} {arguments}: {errors}");
    String::from_utf8(output.stdout).expect("text")
}
