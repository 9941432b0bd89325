//! This machine as a node of the control plane that `KUBECONFIG` names.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::process::CommandExt;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::{Value, json};

/// Name of the node.
pub(crate) const NODE: &str = "node-a";

/// How long something that must come is waited for: the kubelet tells the node's state every 10 s, on an emulated CPU.
const PATIENCE: Duration = Duration::from_secs(120);

/// The control plane as this node sees it.
pub(crate) struct Cluster {
    kubeconfig: String,
}

/// A running container of a pod.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Container {
    pub(crate) pid: u32,
    /// When its process was started, in ticks since boot.
    started: String,
}

impl Cluster {
    /// Makes this machine a node, and waits until it is ready.
    pub(crate) fn with_this_node() -> Self {
        let kubeconfig = std::env::var("KUBECONFIG").expect("KUBECONFIG: is there a control plane?");
        // The node makes its own list; one that a package brought may want programs that are not there.
        let _ = fs::remove_dir_all("/etc/cni/net.d");
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/../lab/node-up");
        let status = Command::new(script).args([&kubeconfig, NODE]).stdin(Stdio::null()).status();
        assert!(status.expect("start lab/node-up").success(), "no node");
        Self { kubeconfig }
    }

    /// What kubectl printed, or its complaint.
    pub(crate) fn kubectl(&self, arguments: &[&str], input: &str) -> Result<String, String> {
        let mut kubectl = Command::new("kubectl");
        kubectl.arg("--kubeconfig").arg(&self.kubeconfig).args(arguments);
        kubectl.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = kubectl.spawn().expect("start kubectl");
        std::io::Write::write_all(&mut child.stdin.take().expect("its input"), input.as_bytes())
            .expect("tell kubectl");
        let output = child.wait_with_output().expect("kubectl's end");
        if output.status.success() {
            return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
        }
        Err(format!("kubectl {arguments:?}: {}", String::from_utf8_lossy(&output.stderr)))
    }

    /// An object, or a list of them; absent when there is none.
    pub(crate) fn get(&self, what: &[&str]) -> Option<Value> {
        let arguments: Vec<&str> = ["get", "-o", "json"].iter().chain(what).copied().collect();
        serde_json::from_str(&self.kubectl(&arguments, "").ok()?).ok()
    }

    /// How many devices of a resource the node has to give.
    pub(crate) fn allocatable(&self, resource: &str) -> Option<String> {
        Some(self.get(&["node", NODE])?["status"]["allocatable"][resource].as_str()?.to_owned())
    }

    /// Waits until the node has so many to give.
    pub(crate) fn wait_allocatable(&self, resource: &str, count: &str) {
        let mut last = None;
        wait_for(&format!("{count} of {resource}"), || {
            let now = self.allocatable(resource);
            if now != last {
                eprintln!("allocatable {resource}: {now:?}");
                last.clone_from(&now);
            }
            (now.as_deref() == Some(count)).then_some(())
        });
    }

    /// Runs a pod that asks for devices, on this node without a scheduler, and waits until it runs.
    pub(crate) fn run_pod(&self, name: &str, resource: &str, count: u32) {
        let amount = json!({ resource: count.to_string() });
        let pod = json!({
            "apiVersion": "v1", "kind": "Pod", "metadata": { "name": name },
            "spec": {
                "nodeName": NODE, "automountServiceAccountToken": false, "terminationGracePeriodSeconds": 0,
                "containers": [{
                    "name": "main", "image": "localhost/pause:1", "imagePullPolicy": "Never",
                    "resources": { "requests": amount, "limits": amount },
                }],
            },
        });
        // The account of the namespace may be a moment later than the node.
        wait_for("the pod to be accepted", || self.kubectl(&["create", "-f", "-"], &pod.to_string()).ok());
        let mut last = Value::Null;
        wait_for(&format!("the pod {name} to run"), || {
            let status = self.get(&["pod", name])?["status"].clone();
            assert_ne!(status["phase"], "Failed", "{status}");
            if status["phase"] != last {
                eprintln!("pod {name}: {}", status["phase"]);
                last = status["phase"].clone();
            }
            (status["phase"] == "Running").then_some(())
        });
    }

    /// Deletes a pod and waits until it is gone.
    pub(crate) fn delete_pod(&self, name: &str) {
        self.kubectl(&["delete", "pod", name, "--timeout=100s"], "").expect("delete the pod");
    }

    /// The container of a pod.
    pub(crate) fn container(&self, pod: &str) -> Container {
        let status = self.get(&["pod", pod]).expect("the pod")["status"].clone();
        let id = status["containerStatuses"][0]["containerID"].as_str().expect("its container").to_owned();
        let id = id.trim_start_matches("containerd://");
        let tasks = Command::new("ctr").args(["-n", "k8s.io", "task", "ls"]).output().expect("start ctr");
        let tasks = String::from_utf8_lossy(&tasks.stdout).into_owned();
        let task =
            tasks.lines().find(|line| line.starts_with(id)).unwrap_or_else(|| panic!("{id} in\n{tasks}"));
        let pid = task.split_whitespace().nth(1).and_then(|pid| pid.parse().ok()).expect("its pid");
        Container::of(pid)
    }

    /// The pod runs on as it did.
    pub(crate) fn assert_undisturbed(&self, pod: &str, container: &Container) {
        let status = self.get(&["pod", pod]).expect("the pod")["status"].clone();
        assert_eq!(status["phase"], "Running", "{status}");
        assert_eq!(status["containerStatuses"][0]["restartCount"], 0, "{status}");
        assert_eq!(self.container(pod), *container, "its process is another one");
    }

    /// Ends the kubelet and starts it again, as it was.
    pub(crate) fn restart_kubelet(&self) {
        let pid = kubelet();
        let arguments = fs::read(format!("/proc/{pid}/cmdline")).expect("its arguments");
        let arguments: Vec<&str> = std::str::from_utf8(&arguments).unwrap().split_terminator('\0').collect();
        let program = fs::read_link(format!("/proc/{pid}/exe")).expect("its program");
        kill(Pid::from_raw(pid as i32), Signal::SIGTERM).expect("end the kubelet");
        // Who reaps it does not matter: its descriptors are closed then.
        let is_alive = || fs::read(format!("/proc/{pid}/cmdline")).is_ok_and(|line| !line.is_empty());
        wait_for("the kubelet's end", || (!is_alive()).then_some(()));
        let log = fs::OpenOptions::new().append(true).open("/run/node/kubelet.log").expect("its log");
        let mut again = Command::new(program);
        again.args(&arguments[1..]).stdin(Stdio::null()).stdout(log.try_clone().unwrap()).stderr(log);
        // It runs until the machine ends; somebody has to wait for it.
        let mut kubelet = again.process_group(0).spawn().expect("start the kubelet");
        std::thread::spawn(move || kubelet.wait());
    }
}

impl Container {
    /// The one whose process this is.
    pub(crate) fn of(pid: u32) -> Self {
        Self { pid, started: started(pid) }
    }

    /// A variable of its environment.
    pub(crate) fn variable(&self, name: &str) -> String {
        let all = fs::read(format!("/proc/{}/environ", self.pid)).expect("its environment");
        let all = String::from_utf8_lossy(&all).into_owned();
        let found = all.split('\0').find_map(|one| one.strip_prefix(name)?.strip_prefix('='));
        found.unwrap_or_else(|| panic!("no {name} in {all}")).to_owned()
    }

    /// The devices that a variable lists.
    pub(crate) fn devices(&self, name: &str) -> BTreeSet<String> {
        self.variable(name).split(',').map(str::to_owned).collect()
    }
}

/// The devices of a resource that the kubelet noted as given to pods.
pub(crate) fn checkpointed(resource: &str) -> BTreeSet<String> {
    let text = fs::read_to_string("/var/lib/kubelet/device-plugins/kubelet_internal_checkpoint")
        .expect("a checkpoint");
    let root: Value = serde_json::from_str(&text).expect("JSON");
    let entries = root["Data"]["PodDeviceEntries"].as_array().cloned().unwrap_or_default();
    let ours = entries.into_iter().filter(|entry| entry["ResourceName"] == resource);
    let ids = ours.flat_map(|entry| match &entry["DeviceIDs"] {
        Value::Array(ids) => ids.clone(),
        Value::Object(nodes) => nodes.values().filter_map(Value::as_array).flatten().cloned().collect(),
        other => panic!("DeviceIDs are {other}"),
    });
    ids.map(|id| id.as_str().unwrap().to_owned()).collect()
}

/// The kubelet's process.
pub(crate) fn kubelet() -> u32 {
    let processes = fs::read_dir("/proc").expect("/proc").flatten();
    let mut pids = processes.filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok());
    let is = |pid: &u32| {
        fs::read_to_string(format!("/proc/{pid}/comm")).is_ok_and(|name| name.trim() == "kubelet")
    };
    pids.find(is).expect("a kubelet")
}

/// When a process was started (field 22 of its `stat`).
fn started(pid: u32) -> String {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).expect("the process");
    let after_name = stat.rsplit_once(')').expect("its name").1.to_owned();
    after_name.split_whitespace().nth(19).expect("its start").to_owned()
}

/// Waits until there is a value; the kubelet's log is shown when there is none.
pub(crate) fn wait_for<T>(what: &str, mut value: impl FnMut() -> Option<T>) -> T {
    let end = Instant::now() + PATIENCE;
    loop {
        if let Some(value) = value() {
            return value;
        }
        if Instant::now() >= end {
            let log = fs::read_to_string("/run/node/kubelet.log").unwrap_or_default();
            let last: Vec<&str> = log.lines().rev().take(40).collect();
            eprintln!("{}", last.into_iter().rev().collect::<Vec<_>>().join("\n"));
            panic!("waited {PATIENCE:?} for {what}");
        }
        std::thread::sleep(Duration::from_millis(200));
    }
}
