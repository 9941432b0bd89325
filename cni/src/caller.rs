//! What the executables do: read, hand over to the agent, run what it names, print (issue "Pods get NICs" §1).
//!
//! Everything here is meant for a program that lives for a millisecond: one thread, few system calls, no tree of the
//! configuration. `MULTI_NIC_RUN_DIR` and `MULTI_NIC_STATE_DIR` lead to other folders than [`crate::RUN_DIR`] and
//! [`crate::STATE_DIR`]; who runs a CNI plugin is root and chooses its environment anyhow.

mod absent;
mod chained;
mod conversation;
mod debts;
mod namespace;

use std::io::{self, IsTerminal, Read, Write};
use std::path::PathBuf;
use std::time::Duration;

use serde::Deserialize;

use self::conversation::Work;
use self::namespace::Namespace;
use crate::environment::{Command, Environment};
use crate::error::{Error, code};
use crate::protocol::{Call, PROTOCOL, Tool};
use crate::version::{self, Version};

/// How long an agent that is away is waited for.
const PATIENCE: Duration = Duration::from_secs(2);

/// Bytes of standard input at most; with the rest of a call it fits a message.
const INPUT: u64 = 3 * 1024 * 1024;

/// Runs an executable and gives its exit status.
pub fn main(tool: Tool) -> i32 {
    let mut arguments = std::env::args_os().skip(1);
    match arguments.next() {
        Some(argument) if argument == "--pay-debts" && tool == Tool::MultiNic => return debts::pay(tool),
        Some(_) => {
            about(tool);
            return 2;
        }
        None => {}
    }
    if std::env::var_os("CNI_COMMAND").is_none() && io::stdin().is_terminal() {
        about(tool);
        return 0;
    }
    let mut version = None;
    match serve(tool, &mut version) {
        Ok(status) => status,
        Err(error) => {
            print(&error.print(version.as_deref()));
            1
        }
    }
}

fn name(tool: Tool) -> &'static str {
    match tool {
        Tool::MultiNic => "multi-nic",
        Tool::MultiNicIpam => "multi-nic-ipam",
    }
}

/// For people who start it by hand.
fn about(tool: Tool) {
    let versions = Version::ALL.map(Version::as_str).join(", ");
    let name = name(tool);
    eprint(&format!(
        "{name} {}: CNI plugin of Multi-NIC\nCNI protocol versions supported: {versions}\n\
         A container runtime starts it; its agent is multi-nicd.\n",
        env!("CARGO_PKG_VERSION")
    ));
    if tool == Tool::MultiNic {
        eprint("multi-nic --pay-debts runs the DELs of other plugins that could not be run before.\n");
    }
}

fn print(text: &str) {
    // In one piece: a reader never sees half a line. A reader that is gone changes nothing any more.
    drop(io::stdout().lock().write_all(format!("{}\n", text.trim_end()).as_bytes()));
}

fn eprint(text: &str) {
    drop(io::stderr().lock().write_all(text.as_bytes()));
}

/// The folder of the socket and that of the state.
fn folders() -> (PathBuf, PathBuf) {
    let folder =
        |variable: &str, default: &str| PathBuf::from(std::env::var_os(variable).unwrap_or(default.into()));
    (folder("MULTI_NIC_RUN_DIR", crate::RUN_DIR), folder("MULTI_NIC_STATE_DIR", crate::STATE_DIR))
}

/// One call of a runtime, from its environment to the exit status; `version` is told as soon as it is known.
fn serve(tool: Tool, version: &mut Option<String>) -> Result<i32, Error> {
    let variable = |name: &str| std::env::var_os(name).map(|value| value.to_string_lossy().into_owned());
    let environment = Environment::read(variable)?;
    if environment.command == Command::Version {
        print(&version::supported());
        return Ok(0);
    }
    let config = input()?;
    let network = head(&config, environment.command, version)?;
    if tool == Tool::MultiNic
        && let Some(status) = chained::alone(&config, environment.command)?
    {
        return Ok(status);
    }
    let netns = match namespace::open(&environment)? {
        Namespace::Open(fd) => Some(fd),
        Namespace::None => None,
        // Nothing of ours is there, and what is there is the host's.
        Namespace::Host => return Ok(0),
    };
    let call = Call { protocol: PROTOCOL, tool, environment, config, pay_debts: false };
    let (run_dir, state_dir) = folders();
    let socket = run_dir.join(crate::SOCKET);
    Work { call, netns, network, version: version.clone(), socket, state_dir }.serve()
}

fn input() -> Result<String, Error> {
    let wrong = |error| Error::new(code::IO, format!("standard input: {error}"));
    let mut bytes = Vec::with_capacity(4096);
    io::stdin().lock().take(INPUT + 1).read_to_end(&mut bytes).map_err(wrong)?;
    if bytes.len() as u64 > INPUT {
        return Err(Error::new(code::IO, "standard input: the configuration is over 3 MiB"));
    }
    String::from_utf8(bytes)
        .map_err(|_| Error::new(code::DECODE, "standard input: the configuration is no UTF-8"))
}

/// What has to be right before anybody is asked: JSON, version, name. Gives the name of the network.
fn head(config: &str, command: Command, printed: &mut Option<String>) -> Result<String, Error> {
    #[derive(Deserialize)]
    struct Head {
        #[serde(rename = "cniVersion", default)]
        version: Option<String>,
        #[serde(default)]
        name: Option<String>,
    }
    if !config.trim_start().starts_with('{') {
        return Err(Error::new(code::DECODE, "the configuration on standard input is no JSON object"));
    }
    let head: Head = serde_json::from_str(config).map_err(|error| {
        let wrong = if error.is_data() { code::INVALID_CONFIG } else { code::DECODE };
        Error::new(wrong, format!("the configuration on standard input cannot be read: {error}"))
    })?;
    printed.clone_from(&head.version);
    Version::parse(head.version.as_deref().unwrap_or_default())?.allow(command)?;
    crate::config::network_name(head.name.unwrap_or_default())
}
