//! What a runtime does: it starts the executable, and takes its word.

use std::fs::File;
use std::io::{self, Write};
use std::os::fd::AsFd;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use cni::Environment;
use cni::error::code;
use cni::protocol::{Answer, Call, Connection, PROTOCOL, Ran, Tool};
use serde_json::Value;

use super::pod::Links;
use crate::harness::Lab;

/// How long the executable waits for an agent that is away.
const PATIENCE: Duration = Duration::from_secs(2);

/// How long it waits for an answer.
const SILENCE: Duration = Duration::from_secs(300);

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

    /// A call of a network without plugins, as the executable makes it, but from this process; where the agent is away,
    /// a DEL is handed to the executable, which knows what to do then.
    pub(crate) fn call_from_here(
        &self,
        command: &str,
        config: &str,
        container: &str,
        netns: &Path,
    ) -> Result<Value, Failure> {
        match self.converse(command, config, container, netns) {
            Ok(answer) => answer,
            Err(_) if command == "DEL" => self.call(command, config, container, netns),
            Err(error) => {
                let code = if command == "ADD" { code::TRY_AGAIN } else { code::NOT_AVAILABLE };
                Err(Failure { code: code.into(), text: format!("the agent is away: {error}") })
            }
        }
    }

    fn converse(
        &self,
        command: &str,
        config: &str,
        container: &str,
        netns: &Path,
    ) -> io::Result<Result<Value, Failure>> {
        let connection = Connection::connect_within(&self.run.join(cni::SOCKET), PATIENCE)?;
        connection.set_deadline(SILENCE)?;
        let environment = Environment {
            command: match command {
                "ADD" => cni::Command::Add,
                "DEL" => cni::Command::Del,
                _ => cni::Command::Check,
            },
            container_id: container.to_owned(),
            netns: netns.display().to_string(),
            ifname: "net1".to_owned(),
            args: String::new(),
            path: "/usr/lib/cni".to_owned(),
            netns_override: false,
        };
        let config = config.to_owned();
        let call = Call { protocol: PROTOCOL, tool: Tool::MultiNic, environment, config, pay_debts: false };
        let netns = File::open(netns).ok();
        connection.send(&call, netns.as_ref().map(AsFd::as_fd))?;
        let (answer, debts) = match connection.receive::<Answer>()?.0 {
            Answer::Done { output, debts } => (Ok(output.unwrap_or_default()), debts),
            Answer::Failed { error, debts } => (Err(error), debts),
            other => panic!("an answer that needs the executable: {other:?}"),
        };
        if !debts.is_empty() {
            // The executables pay them.
            drop(connection.send(&Ran { outcomes: Vec::new() }, None));
        }
        Ok(match answer {
            Ok(text) => Ok(serde_json::from_str(&text).unwrap_or_default()),
            Err(error) => Err(Failure { code: error.code.into(), text: error.to_string() }),
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
