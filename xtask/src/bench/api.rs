//! The agent under load, at rest, and the way of a change from the kernel to a client.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::process::Command;
use std::sync::mpsc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use nix::sched::{CpuSet, sched_setaffinity};
use nix::unistd::Pid;

use super::measure::{median, milliseconds, percentile};
use crate::http::Connection;
use crate::run::{Agent, Programs, answers, free_port, stop};
use crate::workspace::Workspace;
use crate::{output, program};

/// Patience with one answer.
const PATIENCE: Duration = Duration::from_secs(10);

pub(super) fn run(workspace: &Workspace, programs: &Programs, seconds: u64, changes: usize) -> Result<()> {
    // Server on one core, client on another: neither is measured with the other's work.
    let two_cores = std::thread::available_parallelism().is_ok_and(|cores| cores.get() > 1);
    let pinned: &[&str] = if two_cores { &["taskset", "-c", "0"] } else { &[] };
    let port = free_port(None)?;
    let mut agent = Agent::start(workspace, programs, "bench/agent", port, pinned)?;
    if two_cores {
        let mut second = CpuSet::new();
        second.set(1)?;
        sched_setaffinity(Pid::from_raw(0), &second)?;
    }
    let measured = measure(&mut agent, port, seconds, changes);
    let status = stop(&mut agent.child)?;
    measured?;
    if status.success() { Ok(()) } else { bail!("the agent ended badly ({status}): {}", agent.log.display()) }
}

fn measure(agent: &mut Agent, port: u16, seconds: u64, changes: usize) -> Result<()> {
    let end = Instant::now() + Duration::from_secs(30);
    while !answers(port) {
        if let Some(status) = agent.child.try_wait()? {
            bail!("the agent ended ({status}): {}", agent.log.display());
        }
        if Instant::now() > end {
            bail!("the agent is not ready: {}", agent.log.display());
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    let process = format!("/proc/{}", agent.child.id());
    std::thread::sleep(Duration::from_secs(3));
    let before = context_switches(Path::new(&process))?;
    std::thread::sleep(Duration::from_secs(10));
    let woken = context_switches(Path::new(&process))? - before;
    output::line(&format!(
        "idle      {} of memory, {woken} voluntary context switches in 10 s",
        memory(&process)?
    ));

    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    let whole = Connection::open(address, PATIENCE)?.get("/v1/inventory", None)?;
    let etag = whole.etag.context("/v1/inventory has no ETag")?;
    for connections in [1, 16] {
        let rate = load(address, connections, Some(&etag), 304, seconds)?;
        output::line(&format!("ETag hits {rate:>8.0} requests/s on one core, {connections} connections"));
    }
    let rate = load(address, 16, None, 200, seconds)?;
    let size = whole.body.len();
    output::line(&format!("whole     {rate:>8.0} requests/s on one core, 16 connections, {size} bytes each"));
    output::line(&format!("after it  {} of memory", memory(&process)?));
    latency(address, changes)
}

/// Requests a second: one in flight on each connection, one client thread.
fn load(
    address: SocketAddr,
    connections: usize,
    etag: Option<&str>,
    status: u16,
    seconds: u64,
) -> Result<f64> {
    let mut open = Vec::new();
    for _ in 0..connections {
        open.push(Connection::open(address, PATIENCE)?);
    }
    let request =
        open.first().map(|connection| connection.request("/v1/inventory", etag)).unwrap_or_default();
    let start = Instant::now();
    let mut answered = 0_u32;
    while start.elapsed() < Duration::from_secs(seconds) {
        for connection in &mut open {
            connection.ask(&request)?;
        }
        for connection in &mut open {
            let answer = connection.answer()?;
            if answer.status != status {
                bail!("status {} instead of {status}", answer.status);
            }
            answered += 1;
        }
    }
    Ok(f64::from(answered) / start.elapsed().as_secs_f64())
}

/// `VmRSS` and its peak.
fn memory(process: &str) -> Result<String> {
    let status = std::fs::read_to_string(format!("{process}/status"))?;
    let field = |name: &str| status.lines().find_map(|line| line.strip_prefix(name)).map(str::trim);
    let resident = field("VmRSS:").context("no VmRSS")?;
    Ok(format!("{resident} (peak {})", field("VmHWM:").unwrap_or("unknown")))
}

fn context_switches(process: &Path) -> Result<u64> {
    let mut sum = 0;
    for thread in std::fs::read_dir(process.join("task"))? {
        let status = std::fs::read_to_string(thread?.path().join("status"))?;
        let line = status.lines().find_map(|line| line.strip_prefix("voluntary_ctxt_switches:"));
        sum +=
            line.and_then(|count| count.trim().parse::<u64>().ok()).context("no voluntary_ctxt_switches")?;
    }
    Ok(sum)
}

/// A pair of links made for this and removed after it; its names are those of this process.
struct Pair {
    name: String,
}

impl Pair {
    fn make() -> Result<Self> {
        let pair = Self { name: format!("mnb{}a", std::process::id()) };
        let peer = format!("mnb{}b", std::process::id());
        ip(&["link", "add", &pair.name, "type", "veth", "peer", "name", &peer])?;
        ip(&["link", "set", &peer, "up"])?;
        Ok(pair)
    }
}

impl Drop for Pair {
    fn drop(&mut self) {
        let _ = ip(&["link", "delete", &self.name]);
    }
}

fn ip(arguments: &[&str]) -> Result<()> {
    program::must(Command::new("ip").args(arguments))
}

/// From the start of `ip link set` to the event at a client; `ip` itself is told beside it.
fn latency(address: SocketAddr, changes: usize) -> Result<()> {
    let pair = Pair::make().context("a pair of links to change needs root and veth")?;
    let mut events = Connection::open(address, PATIENCE)?;
    events.stream("/v1/events")?;
    let (sender, arrived) = mpsc::channel();
    let name = pair.name.clone();
    std::thread::spawn(move || {
        while let Ok(chunk) = events.stream_chunk() {
            if chunk.contains(&name) && sender.send(Instant::now()).is_err() {
                return;
            }
        }
    });
    // What making the links caused.
    while arrived.recv_timeout(Duration::from_millis(500)).is_ok() {}
    let (mut times, mut commands) = (Vec::new(), Vec::new());
    for change in 0..changes {
        let start = Instant::now();
        ip(&["link", "set", &pair.name, if change % 2 == 0 { "up" } else { "down" }])?;
        commands.push(start.elapsed());
        let first = arrived.recv_timeout(PATIENCE).context("a change that no event told")?;
        times.push(first.saturating_duration_since(start));
        while arrived.recv_timeout(Duration::from_millis(100)).is_ok() {}
    }
    output::line(&format!(
        "events    {} median, {} 95th percentile from the start of `ip link set` (which takes {} itself), {changes} changes",
        milliseconds(median(&times)),
        milliseconds(percentile(&times, 95)),
        milliseconds(median(&commands)),
    ));
    Ok(())
}
