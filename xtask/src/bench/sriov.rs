//! `cargo xtask bench sriov`: VFs in a machine of the lab, beside the same steps done by hand with `ip` and sysfs.
//!
//! Needs the two igb PFs of the lab, so it always runs in a machine; what runs there is this program itself, as a
//! release build, since the times of a debug build say nothing.

mod give;
mod make;
mod update;

use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

use super::measure::{median, milliseconds};
use crate::workspace::Workspace;
use crate::{output, program};

/// The first igb PF of the lab.
const PF: &str = "0000:41:00.0";

/// How much is measured.
#[derive(Debug, Clone, Copy, clap::Args)]
pub(crate) struct Amount {
    /// Turns in which every contender gives a VF and takes it back, and makes 7 VFs.
    #[arg(long, default_value_t = 15)]
    turns: usize,
}

/// Starts a machine of the lab and measures there.
pub(super) fn in_machine(workspace: &Workspace, amount: Amount) -> Result<()> {
    program::must(workspace.lab("packages").arg("vm"))?;
    output::line("building xtask for release (the first time takes minutes)");
    program::must(workspace.cargo().args(["build", "--quiet", "--release", "-p", "xtask"]))?;
    let myself = workspace.target.join("release/xtask");
    let mut machine = workspace.lab("vm-run");
    machine.args(["--nic", "igb:0:0", "--nic", "igb:1:1", "--mem", "1536", "--timeout", "1800"]);
    machine.arg("--share").arg(&workspace.root).arg("--");
    // The host's root as the machine sees it: with a page cache, as a disk would have.
    machine.arg(format!("/run/host{}", myself.display()));
    machine.args(["bench", "sriov", "--here", "--turns", &amount.turns.to_string()]);
    output::line("in a machine of the lab (an emulated CPU: compare its times with one another only)");
    program::must(&mut machine)
}

/// Measures on this machine, which is one of the lab's.
pub(super) fn here(amount: Amount) -> Result<()> {
    if !Path::new("/run/vm").is_dir() {
        bail!("this changes VFs, so it runs in a machine of the lab only: leave --here out");
    }
    make::measure(amount.turns.div_ceil(2))?;
    give::measure(amount.turns)?;
    update::measure(amount.turns)
}

/// A file of a function.
fn device(pci: &str, file: &str) -> String {
    format!("/sys/bus/pci/devices/{pci}/{file}")
}

/// Writes to a file of a function, as a shell's `echo` does.
fn write(pci: &str, file: &str, text: &str) -> Result<()> {
    let path = device(pci, file);
    let mut open = std::fs::OpenOptions::new().write(true).open(&path).with_context(|| path.clone())?;
    std::io::Write::write_all(&mut open, text.as_bytes()).with_context(|| format!("write {text} to {path}"))
}

/// Name of the netdev of a function; none while it has none here.
fn netdev(pci: &str) -> Option<String> {
    let mut names = std::fs::read_dir(device(pci, "net")).ok()?;
    names.next()?.ok()?.file_name().into_string().ok()
}

/// Address of VF `index` of the PF, once it is there.
fn vf(index: u16) -> Option<String> {
    let target = std::fs::read_link(device(PF, &format!("virtfn{index}"))).ok()?;
    Some(target.file_name()?.to_str()?.to_owned())
}

/// Looks until there is something, as a script would; 30 s.
fn wait<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> Result<T> {
    let begun = Instant::now();
    loop {
        if let Some(found) = look() {
            return Ok(found);
        }
        if begun.elapsed() > Duration::from_secs(30) {
            bail!("{what} within 30 s");
        }
        std::thread::sleep(Duration::from_millis(1));
    }
}

/// One start of `ip`.
fn ip(words: &str) -> Result<()> {
    program::must(Command::new("ip").args(words.split_whitespace()))
}

/// Medians, the first one being what the others are compared with.
fn compare(title: &str, rows: &[(&str, Vec<Duration>)]) {
    output::line(title);
    let first = rows.first().map(|(_, times)| median(times)).unwrap_or_default();
    for (name, times) in rows {
        let middle = median(times);
        output::line(&format!(
            "  {name:<34} {:>11}   slowest {:>11}   × {:.2}",
            milliseconds(middle),
            milliseconds(times.iter().max().copied().unwrap_or_default()),
            middle.as_secs_f64() / first.as_secs_f64(),
        ));
    }
}
