//! A scratch host for the executables: folders of its own, a namespace, plugins that are shell scripts, and a toy
//! agent that speaks the protocol.
#![allow(dead_code, reason = "each test file uses its part")]

use std::fs::{self, Permissions};
use std::io::Write;
use std::os::fd::{AsFd, AsRawFd};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use cni::Environment;
use cni::note::Note;
use cni::protocol::{Call, Connection, DelegateCall, accept, listen_at};
use serde_json::{Value, json};

pub(crate) struct Host {
    folder: tempfile::TempDir,
    /// Holds the namespace.
    holder: Child,
}

/// How an executable ended.
#[derive(Debug)]
pub(crate) struct Ended {
    pub(crate) status: i32,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
    pub(crate) time: Duration,
}

impl Ended {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.stdout).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    pub(crate) fn code(&self) -> u64 {
        assert_eq!(self.status, 1, "{self:?}");
        self.json()["code"].as_u64().unwrap()
    }

    pub(crate) fn message(&self) -> String {
        self.json()["msg"].as_str().unwrap().to_owned()
    }
}

impl Host {
    pub(crate) fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        for name in ["run", "state", "plugins"] {
            fs::create_dir(folder.path().join(name)).unwrap();
        }
        let mut holder = Command::new("unshare");
        holder.args(["--net", "sh", "-c", "echo; exec sleep 600"]).stdout(Stdio::piped());
        let mut holder = holder.spawn().unwrap();
        let mut line = [0];
        std::io::Read::read_exact(holder.stdout.as_mut().unwrap(), &mut line).unwrap();
        Self { folder, holder }
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub(crate) fn netns(&self) -> String {
        format!("/proc/{}/ns/net", self.holder.id())
    }

    pub(crate) fn netns_inode(&self) -> u64 {
        fs::metadata(self.netns()).unwrap().ino()
    }

    pub(crate) fn state(&self) -> PathBuf {
        self.path("state")
    }

    pub(crate) fn notes(&self) -> Vec<Note> {
        Note::all(&self.state()).into_iter().map(|(_, note)| note).collect()
    }

    /// Path of the delegate file of this host's usual call.
    pub(crate) fn delegate_file(&self) -> PathBuf {
        self.state().join("delegates").join("net-c1-net1.json")
    }

    /// Lines that the plugins have written.
    pub(crate) fn log(&self) -> Vec<String> {
        let text = fs::read_to_string(self.path("log")).unwrap_or_default();
        text.lines().map(str::to_owned).collect()
    }

    /// A plugin, a shell script that may write to `$LOG`.
    pub(crate) fn plugin(&self, name: &str, script: &str) {
        let path = self.path("plugins").join(name);
        let log = self.path("log");
        fs::write(&path, format!("#!/bin/sh\nLOG={}\n{script}\n", log.display())).unwrap();
        fs::set_permissions(&path, Permissions::from_mode(0o755)).unwrap();
    }

    /// The executable with a clean environment.
    pub(crate) fn command(&self, tool: &str) -> Command {
        let path = match tool {
            "multi-nic" => env!("CARGO_BIN_EXE_multi-nic"),
            "multi-nic-ipam" => env!("CARGO_BIN_EXE_multi-nic-ipam"),
            _ => panic!("no tool {tool}"),
        };
        let mut command = Command::new(path);
        command
            .env_clear()
            .env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin")
            .env("MULTI_NIC_RUN_DIR", self.path("run"))
            .env("MULTI_NIC_STATE_DIR", self.state());
        command
    }

    /// The usual call of a command.
    pub(crate) fn call(&self, cni_command: &str) -> Command {
        let mut command = self.command("multi-nic");
        command
            .env("CNI_COMMAND", cni_command)
            .env("CNI_CONTAINERID", "c1")
            .env("CNI_NETNS", self.netns())
            .env("CNI_IFNAME", "net1")
            .env("CNI_ARGS", "IgnoreUnknown=1;K8S_POD_NAME=p")
            .env("CNI_PATH", self.path("plugins"));
        command
    }

    /// Runs the usual call with the usual configuration.
    pub(crate) fn run(&self, cni_command: &str) -> Ended {
        run(self.call(cni_command), &config().to_string())
    }

    /// An agent that serves one connection and ends.
    pub(crate) fn agent<T: Send + 'static>(
        &self,
        serve: impl FnOnce(Connection) -> T + Send + 'static,
    ) -> JoinHandle<T> {
        let listener = listen_at(&self.path("run").join("cni.sock")).unwrap();
        let path = self.path("run").join("cni.sock");
        std::thread::spawn(move || {
            let connection = accept(listener.as_fd()).unwrap();
            drop(listener);
            fs::remove_file(path).unwrap();
            connection.set_deadline(Duration::from_secs(30)).unwrap();
            serve(connection)
        })
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        drop(self.holder.kill());
        drop(self.holder.wait());
    }
}

/// The usual configuration.
pub(crate) fn config() -> Value {
    json!({"cniVersion": "1.1.0", "name": "net", "type": "multi-nic", "plugin": {"type": "ipvlan"}, "odd": [1.50]})
}

pub(crate) fn run(mut command: Command, input: &str) -> Ended {
    let begin = Instant::now();
    let mut child =
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    // One that does not read ends the pipe.
    drop(child.stdin.take().unwrap().write_all(input.as_bytes()));
    let output = child.wait_with_output().unwrap();
    Ended {
        status: output.status.code().unwrap_or(-1),
        stdout: String::from_utf8(output.stdout).unwrap(),
        stderr: String::from_utf8(output.stderr).unwrap(),
        time: begin.elapsed(),
    }
}

/// The call of a delegate, `ADD` for example.
pub(crate) fn delegate(
    id: u32,
    plugin: &str,
    command: cni::Command,
    ifname: &str,
    timeout_ms: u64,
) -> DelegateCall {
    let environment = Environment {
        command,
        container_id: "c1".to_owned(),
        netns: "/n".to_owned(),
        ifname: ifname.to_owned(),
        args: String::new(),
        path: String::new(),
        netns_override: false,
    };
    let config = json!({"cniVersion": "1.0.0", "name": format!("net-{id}"), "type": plugin}).to_string();
    DelegateCall { id, plugin: plugin.to_owned(), environment, config, timeout_ms, file: String::new() }
}

/// Takes the call, with the inode of the namespace that came with it.
pub(crate) fn taken(connection: &Connection) -> (Call, Option<u64>) {
    let (call, fd) = connection.receive_call().unwrap().unwrap();
    let inode =
        |fd: std::os::fd::OwnedFd| fs::metadata(format!("/proc/self/fd/{}", fd.as_raw_fd())).unwrap().ino();
    (call, fd.map(inode))
}

/// Waits for something that must come.
pub(crate) fn until(what: &str, mut there: impl FnMut() -> bool) {
    let end = Instant::now() + Duration::from_secs(20);
    while !there() {
        assert!(Instant::now() < end, "{what} never came");
        std::thread::sleep(Duration::from_millis(5));
    }
}

pub(crate) fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o777
}
