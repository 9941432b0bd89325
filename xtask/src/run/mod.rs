//! `cargo xtask run`: the agent on this machine's own NICs, or on those of a machine of the lab.

mod agent;
mod machine;
mod signals;

use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::PathBuf;
use std::process::{Child, ExitCode, ExitStatus};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::http::Connection;
use crate::workspace::Workspace;
use crate::{output, program};
pub(crate) use agent::Agent;
pub(crate) use machine::NICS;
use signals::Signals;

/// How the line begins that says that the agent answers.
pub(crate) const READY: &str = "ready:";

/// The agent's usual port.
const PORT: u16 = 11_000;

/// How long an agent may take to end after SIGTERM.
const FAREWELL: Duration = Duration::from_secs(15);

#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// Inside a machine of the lab that has two SR-IOV NICs on two NUMA nodes, an e1000e and a vmxnet3.
    #[arg(long)]
    vm: bool,
    /// Port on loopback [default: 11000, or the next free one].
    #[arg(long)]
    port: Option<u16>,
    /// Build with optimisation.
    #[arg(long)]
    release: bool,
}

pub(crate) fn run(arguments: &Arguments) -> Result<ExitCode> {
    let workspace = Workspace::load()?;
    let programs = build(&workspace, &CRATES, arguments.release)?;
    let port = free_port(arguments.port)?;
    if arguments.vm {
        return machine::run(&workspace, &programs, port);
    }
    let agent = Agent::start(&workspace, &programs, "run", port, &[])?;
    // From here on Ctrl-C is ours: it stops the agent, then this command. Not before, or the agent
    // would be born with the signals blocked.
    let signals = Signals::take()?;
    let log = agent.log.clone();
    let shown = || program::must(&mut std::process::Command::new(&programs.hwprobe));
    serve(agent.child, port, &log, &signals, Duration::from_secs(60), shown)
}

/// The executables that a trial needs.
pub(crate) struct Programs {
    /// The agent.
    pub(crate) multi_nicd: PathBuf,
    /// The inventory on the command line.
    pub(crate) hwprobe: PathBuf,
}

/// The crates of both.
pub(crate) const CRATES: [&str; 2] = ["hwprobe", "nodeagent"];

/// Builds the executables of crates, with the features that the tests use: nothing is built twice.
pub(crate) fn build(workspace: &Workspace, crates: &[&str], release: bool) -> Result<Programs> {
    output::line(&format!("building {} (the first time takes minutes)", crates.join(" and ")));
    let mut build = workspace.cargo();
    build.args(["build", "--quiet", "--all-features", "--bins"]);
    for name in crates {
        build.args(["-p", name]);
    }
    if release {
        build.arg("--release");
    }
    program::must(&mut build)?;
    let folder = workspace.target.join(if release { "release" } else { "debug" });
    Ok(Programs { multi_nicd: folder.join("multi-nicd"), hwprobe: folder.join("hwprobe") })
}

/// The asked port, which must be free, or the first free one from the usual one on.
pub(crate) fn free_port(asked: Option<u16>) -> Result<u16> {
    let is_free = |port: &u16| TcpListener::bind((Ipv4Addr::LOCALHOST, *port)).is_ok();
    match asked {
        Some(port) if is_free(&port) => Ok(port),
        Some(port) => bail!("port {port} of 127.0.0.1 is in use: give another with --port"),
        None => (PORT..PORT + 50).find(is_free).context("no free port: give one with --port"),
    }
}

/// Waits until the agent answers, shows how to reach it, and stays until somebody stops it.
fn serve(
    mut child: Child,
    port: u16,
    log: &std::path::Path,
    signals: &Signals,
    patience: Duration,
    show: impl FnOnce() -> Result<()>,
) -> Result<ExitCode> {
    match wait_ready(&mut child, port, signals, patience).and_then(|ready| {
        if ready {
            show()?;
            describe(port, log);
        }
        Ok(ready)
    }) {
        Ok(true) => {}
        Ok(false) => return farewell(child),
        Err(error) => {
            stop(&mut child)?;
            return Err(error.context(last_lines(log)));
        }
    }
    loop {
        if signals.within(Duration::from_millis(200)) {
            return farewell(child);
        }
        if let Some(status) = child.try_wait()? {
            bail!("the agent ended by itself ({status})\n{}", last_lines(log));
        }
    }
}

/// True when the agent is ready, false when somebody stops us before.
fn wait_ready(child: &mut Child, port: u16, signals: &Signals, patience: Duration) -> Result<bool> {
    let end = Instant::now() + patience;
    loop {
        if answers(port) {
            return Ok(true);
        }
        if let Some(status) = child.try_wait()? {
            bail!("the agent ended before it was ready ({status})");
        }
        if Instant::now() > end {
            bail!("the agent is not ready after {} s", patience.as_secs());
        }
        if signals.within(Duration::from_millis(100)) {
            return Ok(false);
        }
    }
}

/// Whether an agent at this port of loopback says that it is ready.
pub(crate) fn answers(port: u16) -> bool {
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    let asked =
        Connection::open(address, Duration::from_secs(2)).and_then(|mut agent| agent.get("/readyz", None));
    asked.is_ok_and(|answer| answer.status == 200)
}

fn describe(port: u16, log: &std::path::Path) {
    let base = format!("http://127.0.0.1:{port}");
    for line in [
        String::new(),
        format!("page      {base}/"),
        format!("API       {base}/v1/nics   (described at {base}/docs/)"),
        format!("log       {}", log.display()),
        "try".to_owned(),
        format!("  curl -fsS {base}/v1/node"),
        format!("  curl -fsS '{base}/v1/nics?state=up'"),
        format!("  curl -fsS {base}/v1/sriov"),
        format!("{READY} Ctrl-C stops it"),
    ] {
        output::line(&line);
    }
}

fn farewell(mut child: Child) -> Result<ExitCode> {
    let status = stop(&mut child)?;
    if !status.success() {
        bail!("the agent was stopped and ended badly ({status})");
    }
    output::line("stopped");
    Ok(ExitCode::SUCCESS)
}

/// SIGTERM, then patience, then SIGKILL.
pub(crate) fn stop(child: &mut Child) -> Result<ExitStatus> {
    if child.try_wait()?.is_none() {
        kill(Pid::from_raw(child.id().cast_signed()), Signal::SIGTERM)?;
    }
    let end = Instant::now() + FAREWELL;
    while Instant::now() < end {
        if let Some(status) = child.try_wait()? {
            return Ok(status);
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    child.kill()?;
    Ok(child.wait()?)
}

fn last_lines(log: &std::path::Path) -> String {
    let text = std::fs::read_to_string(log).unwrap_or_default();
    let lines: Vec<&str> = text.lines().collect();
    let last = lines.get(lines.len().saturating_sub(20)..).unwrap_or_default();
    format!("{}:\n{}", log.display(), last.join("\n"))
}
