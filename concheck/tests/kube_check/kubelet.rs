//! The kubelets of all nodes, and Multus: they see pods, start the real command in the node's namespace, tell status and
//! network-status, and end what is deleted.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::{Value, json};

use crate::cluster::Api;
use crate::wiring::{Lab, Namespace};

/// What the test and the kubelets share.
#[derive(Default)]
struct Shared {
    ends: AtomicBool,
    /// Nodes whose kubelet cannot get the image.
    broken: Mutex<BTreeSet<String>>,
    /// Whether pods have IPv6 addresses too.
    dual: AtomicBool,
    /// What the driver of a Job printed.
    log: Mutex<String>,
}

/// The kubelets; they end with this value.
pub(crate) struct Kubelet {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

impl Kubelet {
    /// Starts them; `account` is what the driver of a Job finds at the usual place.
    pub(crate) fn start(api: &Arc<Api>, lab: &Arc<Lab>, account: PathBuf) -> Self {
        let shared = Arc::new(Shared::default());
        let mut node = Nodes {
            api: Arc::clone(api),
            lab: Arc::clone(lab),
            account,
            shared: Arc::clone(&shared),
            running: BTreeMap::new(),
        };
        let thread = thread::spawn(move || {
            while !node.shared.ends.load(Ordering::SeqCst) {
                node.look();
                thread::sleep(Duration::from_millis(50));
            }
        });
        Self { shared, thread: Some(thread) }
    }

    /// No container starts there from now on.
    pub(crate) fn breaks(&self, node: &str) {
        self.shared.broken.lock().unwrap().insert(node.to_owned());
    }

    /// Pods get addresses of both families.
    pub(crate) fn dual(&self) {
        self.shared.dual.store(true, Ordering::SeqCst);
    }

    /// What the driver of a Job printed.
    pub(crate) fn log(&self) -> String {
        self.shared.log.lock().unwrap().clone()
    }
}

impl Drop for Kubelet {
    fn drop(&mut self) {
        self.shared.ends.store(true, Ordering::SeqCst);
        let end = self.thread.take().map(JoinHandle::join);
        if !thread::panicking() {
            end.unwrap().unwrap();
        }
    }
}

struct Nodes {
    api: Arc<Api>,
    lab: Arc<Lab>,
    account: PathBuf,
    shared: Arc<Shared>,
    running: BTreeMap<String, Child>,
}

impl Nodes {
    fn look(&mut self) {
        for pod in self.api.pods("multi-nic-concheck") {
            let name = pod["metadata"]["name"].as_str().unwrap().to_owned();
            let Some(node) = pod["spec"]["nodeName"].as_str() else { continue };
            if pod["metadata"]["deletionTimestamp"].is_string() {
                self.end(&name);
            } else if !self.running.contains_key(&name) && pod["status"]["phase"] == "Pending" {
                self.begin(&pod, &name, node);
            } else if pod["metadata"]["labels"]["multi-nic-concheck"] == "driver" {
                self.ended(&pod, &name);
            }
        }
    }

    fn begin(&mut self, pod: &Value, name: &str, node: &str) {
        let mut told = pod.clone();
        told["metadata"].as_object_mut().unwrap().remove("managedFields");
        if self.shared.broken.lock().unwrap().contains(node) {
            if pod["status"]["containerStatuses"].is_null() {
                told["status"]["containerStatuses"] = container(&json!({"waiting": {
                    "reason": "ErrImagePull", "message": "no such host"}}));
                self.tell(name, &told);
                self.complain(pod, name);
            }
            return;
        }
        let number: usize = node.strip_prefix("node-").unwrap().parse().unwrap();
        let driver = pod["metadata"]["labels"]["multi-nic-concheck"] == "driver";
        let program = if driver { self.driver(name, pod) } else { server(&self.lab.hosts[number - 1], pod) };
        self.running.insert(name.to_owned(), program);
        if let Some(network) = pod["metadata"]["annotations"]["k8s.v1.cni.cncf.io/networks"].as_str() {
            let link = |wire: usize| {
                let mut ips = vec![format!("10.7.{wire}.{number}")];
                ips.extend(self.shared.dual.load(Ordering::SeqCst).then(|| format!("fd07:{wire}::{number}")));
                json!({"name": format!("default/{network}"), "interface": format!("net1-{wire}"), "ips": ips, "dns": {}})
            };
            let primary = json!({"name": "cluster", "interface": "eth0", "ips": [format!("10.244.0.{number}")],
                "default": true, "dns": {}});
            let status = json!([primary, link(1), link(0)]).to_string();
            told["metadata"]["annotations"]["k8s.v1.cni.cncf.io/network-status"] = status.into();
        }
        told["status"]["phase"] = "Running".into();
        told["status"]["podIP"] = format!("10.244.0.{number}").into();
        told["status"]["podIPs"] = json!([{"ip": format!("10.244.0.{number}")}]);
        self.tell(name, &told);
    }

    /// The driver of the Job, with its account at the place where pods have it.
    fn driver(&self, name: &str, pod: &Value) -> Child {
        let container = &pod["spec"]["containers"][0];
        let script = format!(
            "mount -t tmpfs none /run && mkdir -p /run/secrets/kubernetes.io/serviceaccount && \
             cp {}/* /run/secrets/kubernetes.io/serviceaccount/ && exec \"$@\"",
            self.account.display()
        );
        let mut command = self.lab.wires.command("unshare");
        command.args(["-m", "sh", "-c", &script, "sh", env!("CARGO_BIN_EXE_multi-nic-concheck")]);
        command
            .args(words(container))
            .env("POD_NAME", name)
            .env_remove("KUBECONFIG")
            .env("HOME", "/nonexistent");
        command.env("KUBERNETES_SERVICE_HOST", "127.0.0.1");
        command.env("KUBERNETES_SERVICE_PORT", self.api.port().to_string());
        assert_eq!(container["env"][0]["valueFrom"]["fieldRef"]["fieldPath"], "metadata.name");
        command.stdout(Stdio::piped()).stderr(Stdio::inherit()).spawn().unwrap()
    }

    /// Tells when the driver has ended.
    fn ended(&mut self, pod: &Value, name: &str) {
        let Some(child) = self.running.get_mut(name) else { return };
        let Some(status) = child.try_wait().unwrap() else { return };
        let output = self.running.remove(name).unwrap().wait_with_output().unwrap();
        *self.shared.log.lock().unwrap() = String::from_utf8(output.stdout).unwrap();
        let mut told = pod.clone();
        told["metadata"].as_object_mut().unwrap().remove("managedFields");
        told["status"]["phase"] = if status.success() { "Succeeded" } else { "Failed" }.into();
        told["status"]["containerStatuses"] =
            container(&json!({"terminated": {"exitCode": status.code(), "reason": "Completed"}}));
        self.tell(name, &told);
    }

    fn end(&mut self, name: &str) {
        if let Some(mut child) = self.running.remove(name) {
            let _ = kill(Pid::from_raw(child.id().try_into().unwrap()), Signal::SIGTERM);
            // The listener ends by itself, as a container's first process must.
            let _ = child.wait();
        }
        self.api.run(&["delete", "pod", name, "--grace-period=0", "--force", "--wait=false"], "");
    }

    /// Writes a status; the pod may be gone, or changed meanwhile: then it is seen again.
    fn tell(&self, name: &str, pod: &Value) {
        let path = format!("/api/v1/namespaces/default/pods/{name}/status");
        let mut pod = pod.clone();
        pod["metadata"].as_object_mut().unwrap().remove("resourceVersion");
        let (well, said) = self.api.run(&["replace", "--raw", &path, "-f", "-"], &pod.to_string());
        assert!(well || said.contains("NotFound") || said.contains("Conflict"), "{said}");
    }

    fn complain(&self, pod: &Value, name: &str) {
        self.api.apply(&json!({
            "apiVersion": "v1", "kind": "Event", "metadata": {"name": name, "namespace": "default"},
            "involvedObject": {"kind": "Pod", "namespace": "default", "name": name, "uid": pod["metadata"]["uid"]},
            "type": "Warning", "reason": "FailedCreatePodSandBox", "message": "plugin multi-nic: no NIC fits",
            "lastTimestamp": "2026-01-01T00:00:00Z",
        }));
    }
}

impl Drop for Nodes {
    fn drop(&mut self) {
        for child in self.running.values_mut() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

fn server(host: &Namespace, pod: &Value) -> Child {
    let container = &pod["spec"]["containers"][0];
    let mut command = host.command(Path::new(env!("CARGO_BIN_EXE_multi-nic-concheck")).to_str().unwrap());
    command.args(words(container));
    for variable in container["env"].as_array().unwrap() {
        command.env(variable["name"].as_str().unwrap(), variable["value"].as_str().unwrap());
    }
    let command: &mut Command = command.stderr(Stdio::null());
    command.spawn().unwrap()
}

fn words(container: &Value) -> Vec<String> {
    container["args"].as_array().unwrap().iter().map(|word| word.as_str().unwrap().to_owned()).collect()
}

fn container(state: &Value) -> Value {
    json!([{"name": "concheck", "image": "", "imageID": "", "ready": false, "restartCount": 0, "state": state}])
}
