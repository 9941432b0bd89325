//! What a runtime does: it starts the executable, and takes its word.

use std::io::Write;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use serde_json::Value;

use super::pod::Links;
use crate::harness::Lab;

/// The executable, with the folders of one agent.
#[derive(Debug, Clone)]
pub(crate) struct Caller {
    program: PathBuf,
    run: PathBuf,
    state: PathBuf,
}

/// A call's failure as the executable printed it.
#[derive(Debug, Clone)]
pub(crate) struct Failure {
    /// CNI error code; 0 when nothing could be read.
    pub(crate) code: u64,
    /// All that it printed.
    pub(crate) text: String,
}

impl Failure {
    /// Whether it says that the agent is away, which in these tests it often is.
    pub(crate) fn is_of_absence(&self) -> bool {
        matches!(self.code, 11 | 50)
    }
}

impl Caller {
    pub(crate) fn new(lab: &Lab) -> Self {
        let program = Path::new(env!("CARGO_BIN_EXE_multi-nicd")).with_file_name("multi-nic");
        assert!(program.exists(), "{}: build it with `cargo build -p cni --bins`", program.display());
        Self { program, run: lab.path("run"), state: lab.path("state") }
    }

    /// Starts the executable; its configuration has been handed over.
    pub(crate) fn start(
        &self,
        command: &str,
        config: &str,
        container: &str,
        netns: &Path,
        path: &str,
    ) -> Child {
        let mut call = Command::new(&self.program);
        call.env_clear()
            .env("CNI_COMMAND", command)
            .env("CNI_CONTAINERID", container)
            .env("CNI_IFNAME", "net1")
            .env("CNI_NETNS", netns)
            .env("CNI_PATH", path)
            .env("MULTI_NIC_RUN_DIR", &self.run)
            .env("MULTI_NIC_STATE_DIR", &self.state)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .process_group(0);
        let mut child = call.spawn().unwrap();
        child.stdin.take().unwrap().write_all(config.as_bytes()).unwrap();
        child
    }

    /// A call from beginning to end.
    pub(crate) fn call(
        &self,
        command: &str,
        config: &str,
        container: &str,
        netns: &Path,
    ) -> Result<Value, Failure> {
        let output =
            self.start(command, config, container, netns, "/usr/lib/cni").wait_with_output().unwrap();
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        let value: Value = serde_json::from_str(&text).unwrap_or_default();
        if output.status.success() {
            return Ok(value);
        }
        Err(Failure {
            code: value["code"].as_u64().unwrap_or_default(),
            text: format!("{}: {text}", output.status),
        })
    }

    /// Has debts of plugins' DELs paid; whether none is left.
    pub(crate) fn pay_debts(&self) -> bool {
        let mut call = Command::new(&self.program);
        call.arg("--pay-debts").env("CNI_PATH", "/usr/lib/cni");
        call.env("MULTI_NIC_RUN_DIR", &self.run).env("MULTI_NIC_STATE_DIR", &self.state);
        call.stderr(Stdio::null()).status().unwrap().success()
    }
}

/// What a result promises.
pub(crate) fn promised(result: &Value) -> Links {
    let mut links = Links::new();
    let interfaces = result["interfaces"].as_array().unwrap();
    for interface in interfaces {
        links.insert(interface["name"].as_str().unwrap().to_owned(), Default::default());
    }
    for ip in result["ips"].as_array().unwrap() {
        let position = usize::try_from(ip["interface"].as_u64().unwrap()).unwrap();
        let name = interfaces[position]["name"].as_str().unwrap();
        let (address, _) = ip["address"].as_str().unwrap().split_once('/').unwrap();
        links.get_mut(name).unwrap().insert(address.parse().unwrap());
    }
    links
}
