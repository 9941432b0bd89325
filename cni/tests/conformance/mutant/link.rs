//! The toy's links, made and read with `ip`.

use std::fs::File;
use std::os::unix::fs::MetadataExt;
use std::process::Command;

use nix::sched::{CloneFlags, setns};
use serde_json::Value;

use super::{Refusal, refusal};

/// MTU of the toy's links, another than the wire's.
pub(super) const MTU: u32 = 1450;

/// A namespace that was opened; `None` when there is none (any more).
pub(super) fn open(path: &str) -> Option<File> {
    let file = File::open(path).ok()?;
    let kind = nix::sys::statfs::fstatfs(&file).ok()?.filesystem_type().0;
    // nsfs (linux/magic.h).
    (kind == 0x6e73_6673).then_some(file)
}

/// Whether it is this program's own.
pub(super) fn is_own(netns: &File) -> bool {
    let own = File::open("/proc/thread-self/ns/net").and_then(|file| file.metadata());
    match (own, netns.metadata()) {
        (Ok(own), Ok(its)) => own.ino() == its.ino(),
        _ => false,
    }
}

/// Runs something inside.
pub(super) fn inside<T>(netns: &File, work: impl FnOnce() -> Result<T, Refusal>) -> Result<T, Refusal> {
    let broken = |error: &dyn std::fmt::Display| refusal(8, format!("enter the namespace: {error}"));
    let home = File::open("/proc/thread-self/ns/net").map_err(|error| broken(&error))?;
    setns(netns, CloneFlags::CLONE_NEWNET).map_err(|error| broken(&error))?;
    let done = work();
    setns(&home, CloneFlags::CLONE_NEWNET).map_err(|error| broken(&error))?;
    done
}

/// Runs `ip`.
pub(super) fn ip(arguments: &str) -> Result<String, Refusal> {
    let output = Command::new("ip").args(arguments.split_whitespace()).output();
    let output = output.map_err(|error| refusal(999, format!("ip: {error}")))?;
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
    }
    let words = String::from_utf8_lossy(&output.stderr).trim().to_owned();
    Err(refusal(999, format!("ip {arguments}: {words}")))
}

/// What `ip -j` prints.
pub(super) fn ip_json(arguments: &str) -> Result<Vec<Value>, Refusal> {
    Ok(serde_json::from_str(&ip(&format!("-j {arguments}"))?).unwrap_or_default())
}

/// Whether a link is here.
pub(super) fn exists(name: &str) -> bool {
    ip(&format!("link show {name}")).is_ok()
}
