//! One call of a CNI executable, as a runtime makes it.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

use super::place::Pod;

/// An executable and what it is given.
#[derive(Debug, Clone)]
pub(super) struct Caller {
    /// The executable.
    pub(super) program: PathBuf,
    /// File with the configuration, which becomes standard input.
    pub(super) config: PathBuf,
    /// `CNI_IFNAME`.
    pub(super) ifname: String,
    /// `CNI_PATH`.
    pub(super) path: PathBuf,
    /// Further variables.
    pub(super) environment: Vec<(&'static str, PathBuf)>,
}

impl Caller {
    /// Time from the start of the process to its end, and what it printed. Nothing of it is a shell's or a runtime's.
    fn call(&self, verb: &str, container: &str, pod: &Pod) -> Result<(Duration, Vec<u8>)> {
        let mut command = Command::new(&self.program);
        command.env_clear().env("CNI_COMMAND", verb).env("CNI_CONTAINERID", container);
        command.env("CNI_NETNS", &pod.path).env("CNI_IFNAME", &self.ifname).env("CNI_PATH", &self.path);
        command.envs(self.environment.iter().map(|(name, value)| (name, value)));
        let config = File::open(&self.config).with_context(|| self.config.display().to_string())?;
        command.stdin(config).stdout(Stdio::piped()).stderr(Stdio::piped());
        let start = Instant::now();
        // Without anything to do between fork and exec this is posix_spawn.
        let out = command.output().with_context(|| self.program.display().to_string())?;
        let took = start.elapsed();
        if !out.status.success() {
            let printed = |bytes: &[u8]| String::from_utf8_lossy(bytes).trim().to_owned();
            let name = self.program.display();
            bail!(
                "{name} {verb} {container}: {} {} {}",
                out.status,
                printed(&out.stdout),
                printed(&out.stderr)
            );
        }
        Ok((took, out.stdout))
    }
}

/// Attaches one pod by all callers, one after the other.
pub(super) fn add(callers: &[Caller], container: &str, pod: &Pod) -> Result<Duration> {
    callers.iter().map(|caller| Ok(caller.call("ADD", container, pod)?.0)).sum()
}

/// Attaches one pod by the only caller and returns what it printed.
pub(super) fn answer(callers: &[Caller], container: &str, pod: &Pod) -> Result<serde_json::Value> {
    let caller = callers.first().context("nobody to call")?;
    Ok(serde_json::from_slice(&caller.call("ADD", container, pod)?.1)?)
}

/// Detaches it, backwards.
pub(super) fn del(callers: &[Caller], container: &str, pod: &Pod) -> Result<Duration> {
    callers.iter().rev().map(|caller| Ok(caller.call("DEL", container, pod)?.0)).sum()
}

/// Links of a pod beside loopback: what an attach must have made before its time means anything.
pub(super) fn links(pod: &Path) -> Result<usize> {
    let mut show = Command::new("nsenter");
    show.arg(format!("--net={}", pod.display())).args(["ip", "-j", "-4", "address"]);
    let links: serde_json::Value = serde_json::from_slice(&crate::program::stdout(&mut show)?)?;
    let with_address = links.as_array().context("ip prints no list")?.iter();
    Ok(with_address
        .filter(|link| {
            link["ifname"] != "lo" && link["addr_info"].as_array().is_some_and(|all| !all.is_empty())
        })
        .count())
}
