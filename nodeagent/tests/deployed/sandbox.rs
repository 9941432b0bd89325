//! Pods without a cluster: what a kubelet says to containerd (`runtime.v1.RuntimeService`).

use super::grpc::{Message, call};
use super::pods::NETWORKS;
use super::run;
use crate::kubelet::Container;

/// A pod without a container of its own; its network is there.
pub(crate) struct Sandbox {
    id: String,
    pub(crate) container: Container,
}

impl Sandbox {
    /// Makes one that asks for networks.
    pub(crate) fn run(name: &str, networks: &str) -> Self {
        // PodSandboxConfig: metadata 1 {name 1, uid 2, namespace 3}, hostname 2, log_directory 3, annotations 7 {key 1,
        // value 2}, linux 8 {cgroup_parent 1}
        let metadata = Message::new().text(1, name).text(2, &format!("uid-{name}")).text(3, "default");
        let annotation = Message::new().text(1, NETWORKS).text(2, networks);
        let config = Message::new()
            .nest(1, &metadata)
            .text(2, name)
            .text(3, "/run/node/logs")
            .nest(7, &annotation)
            .nest(8, &Message::new().text(1, "/sandboxes"));
        let id = ask("RunPodSandbox", &Message::new().nest(1, &config)).text_at(1).expect("pod_sandbox_id");
        let tasks = run("ctr", "-n k8s.io task ls");
        let task = tasks.lines().find(|line| line.starts_with(&id)).expect("its task");
        let pid = task.split_whitespace().nth(1).and_then(|pid| pid.parse().ok()).expect("its process");
        Self { id, container: Container::of(pid) }
    }

    /// Takes it away.
    pub(crate) fn remove(self) {
        ask("StopPodSandbox", &Message::new().text(1, &self.id));
        ask("RemovePodSandbox", &Message::new().text(1, &self.id));
    }
}

fn ask(method: &str, request: &Message) -> Message {
    call("/run/containerd/containerd.sock", &format!("runtime.v1.RuntimeService/{method}"), request)
}
