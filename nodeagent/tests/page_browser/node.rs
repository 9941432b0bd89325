//! The node: namespaces of this test alone, links made with `ip`, and the agent in them.

use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use hwprobe::Nic;
use nix::mount::{MsFlags, mount};
use nix::sched::{CloneFlags, unshare};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;
use tempfile::TempDir;

use super::browser::{PATIENCE, http};

/// The agent's port; the network namespace is ours alone.
const PORT: u16 = 11000;

/// Where the page is.
pub(crate) const PAGE: &str = "http://127.0.0.1:11000/";

/// Gives this thread a network of its own, and a `/sys` that shows it. Children inherit both.
pub(crate) fn own_network() {
    unshare(CloneFlags::CLONE_NEWNET | CloneFlags::CLONE_NEWNS).expect("root");
    let none = None::<&str>;
    mount(none, "/", none, MsFlags::MS_REC | MsFlags::MS_PRIVATE, none).unwrap();
    // A sysfs shows the network namespace of whoever mounts it.
    mount(Some("sysfs"), "/sys", Some("sysfs"), MsFlags::empty(), none).unwrap();
    // A link-local address that appears while the page loads makes Chromium drop what it loads
    // (ERR_NETWORK_CHANGED).
    for scope in ["all", "default"] {
        std::fs::write(format!("/proc/sys/net/ipv6/conf/{scope}/disable_ipv6"), "1").unwrap();
    }
    ip("link set lo up");
}

/// Runs `ip` with these words.
pub(crate) fn ip(words: &str) {
    let status = Command::new("ip").args(words.split_whitespace()).status().unwrap();
    assert!(status.success(), "ip {words}");
}

/// A running agent; it ends with this value.
pub(crate) struct Agent {
    process: Child,
    folders: TempDir,
    options: Vec<String>,
}

impl Agent {
    /// The agent of this namespace; only notifications tell it of changes.
    pub(crate) fn live() -> Self {
        Self::start(TempDir::new().unwrap(), vec![])
    }

    /// The agent shows a machine of hwprobe's collection.
    pub(crate) fn of_machine(name: &str) -> Self {
        let file: PathBuf =
            [env!("CARGO_MANIFEST_DIR"), "../hwprobe/tests/machines", name, "machine.json"].iter().collect();
        Self::start(TempDir::new().unwrap(), vec!["--replay".to_owned(), file.to_str().unwrap().to_owned()])
    }

    fn start(folders: TempDir, options: Vec<String>) -> Self {
        let process = Command::new(env!("CARGO_BIN_EXE_multi-nicd"))
            .args(["--standalone", "--reprobe-interval", "off", "--log-level", "warn"])
            .args(["--listen", &format!("127.0.0.1:{PORT}")])
            .arg("--config")
            .arg(folders.path())
            .arg("--state-dir")
            .arg(folders.path().join("state"))
            .arg("--run-dir")
            .arg(folders.path().join("run"))
            .args(&options)
            .stdin(Stdio::null())
            .spawn()
            .unwrap();
        let mut agent = Self { process, folders, options };
        let start = Instant::now();
        while !http(PORT, "GET", "/readyz", None).is_ok_and(|(status, _)| status == 200) {
            assert!(start.elapsed() < PATIENCE, "the agent is not ready");
            assert_eq!(agent.process.try_wait().unwrap(), None, "the agent has ended");
            std::thread::sleep(Duration::from_millis(50));
        }
        agent
    }

    /// Ends the agent; `again` starts it with the same folders and options.
    pub(crate) fn stop(mut self) -> Stopped {
        self.end();
        let folders = std::mem::replace(&mut self.folders, TempDir::new().unwrap());
        Stopped { folders, options: std::mem::take(&mut self.options) }
    }

    fn end(&mut self) {
        let _ = kill(Pid::from_raw(self.process.id() as i32), Signal::SIGTERM);
        let _ = self.process.wait();
    }

    /// The JSON behind a path.
    pub(crate) fn get(&self, path: &str) -> Value {
        let (status, body) = http(PORT, "GET", path, None).unwrap();
        assert_eq!(status, 200, "{path}: {body}");
        body
    }

    /// The NICs that the API lists.
    pub(crate) fn nics(&self) -> Vec<Nic> {
        let mut list = self.get("/v1/nics");
        serde_json::from_value(list["nics"].take()).unwrap()
    }
}

impl Drop for Agent {
    fn drop(&mut self) {
        self.end();
    }
}

/// An agent that was stopped.
pub(crate) struct Stopped {
    folders: TempDir,
    options: Vec<String>,
}

impl Stopped {
    /// Starts it again.
    pub(crate) fn again(self) -> Agent {
        Agent::start(self.folders, self.options)
    }
}
