//! Debian's containerd: by its own tool `ctr`, and by its CRI plugin as a kubelet would.

use std::fs;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use super::grpc::{Message, call};
use super::plugins::List;
use super::{Container, IMAGE, image, install, run, try_run, wait_for, write};

const SOCKET: &str = "/run/containerd/containerd.sock";

/// The daemon, with all its state in a folder of its own.
pub(crate) struct Containerd {
    daemon: Child,
}

/// A container and the `ctr` that waits for it.
pub(crate) struct Running {
    name: String,
    waiting: Child,
    pub(crate) container: Container,
}

impl Containerd {
    pub(crate) fn with(lists: Vec<List>, plugins: &Path) -> Self {
        install(&lists, plugins);
        let _ = fs::remove_dir_all("/run/runtimes/containerd");
        write(
            "/run/runtimes/containerd.toml",
            &format!(
                r#"
version = 2
root = "/run/runtimes/containerd"
state = "/run/containerd"
[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = "{IMAGE}"
  [plugins."io.containerd.grpc.v1.cri".containerd]
    snapshotter = "native"
  [plugins."io.containerd.grpc.v1.cri".cni]
    bin_dir = "/opt/cni/bin"
    conf_dir = "/etc/cni/net.d"
    max_conf_num = {}
"#,
                lists.len()
            ),
        );
        let log = fs::File::create("/run/runtimes/containerd.log").expect("the log");
        let mut daemon = Command::new("containerd");
        daemon
            .args(["-c", "/run/runtimes/containerd.toml"])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log);
        let daemon = daemon.spawn().expect("start containerd: is its Debian package installed?");
        wait_for("containerd", || try_run("ctr", "version").ok());
        Self { daemon }
    }

    fn import(&self, namespace: &str) {
        run("ctr", &format!("-n {namespace} images import --snapshotter native {}", image().display()));
    }

    /// Runs a container with the first network list.
    pub(crate) fn run(&self, name: &str) -> Running {
        self.import("default");
        let mut command = Command::new("ctr");
        command.args(["run", "--rm", "--cni", "--snapshotter", "native", IMAGE, name]);
        let log = fs::File::create(format!("/run/runtimes/ctr-{name}.log")).expect("the log");
        command.stdin(Stdio::null()).stdout(log.try_clone().expect("the log")).stderr(log);
        let mut waiting = command.spawn().expect("start ctr");
        // ctr starts the task when its network is there.
        let pid = wait_for(&format!("the container {name}"), || {
            let ended = waiting.try_wait().expect("ctr's state");
            assert!(
                ended.is_none(),
                "{}",
                fs::read_to_string(format!("/run/runtimes/ctr-{name}.log")).unwrap()
            );
            task("default", name)
        });
        Running { name: name.to_owned(), waiting, container: Container { pid } }
    }

    /// Ends the container; ctr takes its network down and removes it.
    pub(crate) fn stop(&self, mut running: Running) {
        run("ctr", &format!("task kill -s SIGKILL {}", running.name));
        let status = running.waiting.wait().expect("ctr's end");
        // ctr's own status is the container's.
        assert_eq!(status.code(), Some(137), "ctr run {}: {status}", running.name);
        let left = run("ctr", "container ls -q");
        assert!(left.lines().all(|name| name != running.name), "ctr leaves the container: {left}");
    }
}

impl Drop for Containerd {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let log = fs::read_to_string("/run/runtimes/containerd.log").unwrap_or_default();
            let last: Vec<&str> = log.lines().rev().take(20).collect();
            last.iter().rev().for_each(|line| eprintln!("{line}"));
        }
        for namespace in ["default", "k8s.io"] {
            let tasks = try_run("ctr", &format!("-n {namespace} task ls -q")).unwrap_or_default();
            for name in tasks.lines() {
                let _ = try_run("ctr", &format!("-n {namespace} task rm -f {name}"));
            }
        }
        let _ = kill(Pid::from_raw(i32::try_from(self.daemon.id()).unwrap_or(i32::MAX)), Signal::SIGTERM);
        let _ = self.daemon.wait();
    }
}

/// Process of a task that runs.
fn task(namespace: &str, name: &str) -> Option<u32> {
    let tasks = run("ctr", &format!("-n {namespace} task ls"));
    tasks.lines().find_map(|line| match line.split_whitespace().collect::<Vec<_>>()[..] {
        [of, pid, "RUNNING"] if of == name => pid.parse().ok(),
        _ => None,
    })
}

/// What a kubelet says to containerd (`runtime.v1.RuntimeService`); Debian has no crictl.
pub(crate) struct Cri;

/// A pod with one container.
pub(crate) struct Pod {
    id: String,
    pub(crate) container: Container,
}

impl Cri {
    pub(crate) fn of(containerd: &Containerd) -> Self {
        containerd.import("k8s.io");
        // The network is ready when containerd has read the lists.
        Self
    }

    /// A sandbox, which is when the plugins are called, and a container in it.
    pub(crate) fn run_pod(&self, name: &str) -> Pod {
        // PodSandboxConfig: metadata 1 {name 1, uid 2, namespace 3}, hostname 2, log_directory 3, linux 8 {cgroup_parent 1}
        let metadata = Message::new().text(1, name).text(2, &format!("uid-{name}")).text(3, "default");
        let linux = Message::new().text(1, "/runtimes");
        let logs = "/run/runtimes/logs";
        let sandbox = Message::new().nest(1, &metadata).text(2, name).text(3, logs).nest(8, &linux);
        let answer = self.call("RunPodSandbox", &Message::new().nest(1, &sandbox));
        let id = answer.text_at(1).expect("pod_sandbox_id");

        // ContainerConfig: metadata 1 {name 1}, image 2 {image 1}, log_path 11
        let metadata = Message::new().text(1, "main");
        let wanted = Message::new().text(1, IMAGE);
        let config = Message::new().nest(1, &metadata).nest(2, &wanted).text(11, "main.log");
        let request = Message::new().text(1, &id).nest(2, &config).nest(3, &sandbox);
        let container = self.call("CreateContainer", &request).text_at(1).expect("container_id");
        self.call("StartContainer", &Message::new().text(1, &container));
        let pid = wait_for("the pod's container", || task("k8s.io", &container));
        Pod { id, container: Container { pid } }
    }

    /// Stops the sandbox, which is when the plugins are called again, and removes it.
    pub(crate) fn remove_pod(&self, pod: Pod) {
        self.call("StopPodSandbox", &Message::new().text(1, &pod.id));
        self.call("RemovePodSandbox", &Message::new().text(1, &pod.id));
    }

    fn call(&self, method: &str, request: &Message) -> Message {
        call(SOCKET, &format!("runtime.v1.RuntimeService/{method}"), request)
    }
}
