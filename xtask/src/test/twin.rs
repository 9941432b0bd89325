//! The second machine of a group whose tests need two on one wire.

use std::fs::File;
use std::net::TcpListener;
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use serde_json::Value;

use super::suites::{Reuse, Suite};
use crate::output;
use crate::workspace::{Workspace, text};

/// A machine that runs, with the other end of the wire waiting for the first machine.
pub(crate) struct Twin {
    machine: Child,
    port: u16,
    printed: PathBuf,
}

impl Twin {
    /// Starts `machine` (`lab/vm-run` with the group's options) and returns when its end of the wire waits.
    ///
    /// It runs the same test executable as the first machine, with `LAB_MACHINE=b`.
    pub(crate) fn start(
        workspace: &Workspace,
        mut machine: Command,
        suites: &[&Suite],
        reuse: &Reuse,
    ) -> Result<Self> {
        let [suite] = suites else {
            bail!("a group of two machines has one test file: they meet in its tests");
        };
        let port = TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
        let printed = workspace.target.join("lab/second-machine.txt");
        // QEMU takes no second connection, so that ends of the wire cannot be tried out.
        machine.args(["--link", &format!("0=listen:{port}"), "--env", "LAB_MACHINE=b"]);
        machine.arg("--share").arg(&workspace.root).arg("--");
        // The cached view of this host's files: the shared folder has no cache.
        machine.arg(format!("/run/host{}", reuse.executable(&suite.id)?.display()));
        machine.args(["--ignored", "--test-threads", "1", "--nocapture"]);
        let file = File::create(&printed)?;
        machine.stdin(std::process::Stdio::null()).stdout(file.try_clone()?).stderr(file);
        let mut twin = Self { machine: machine.spawn().context("lab/vm-run")?, port, printed };
        let end = Instant::now() + Duration::from_secs(120);
        while !listens(&std::fs::read_to_string("/proc/net/tcp")?, port) {
            if twin.machine.try_wait()?.is_some() || Instant::now() > end {
                bail!("the second machine does not start: {}", twin.said());
            }
            thread::sleep(Duration::from_millis(100));
        }
        Ok(twin)
    }

    /// What the first machine needs to be on the same wire.
    pub(crate) fn join(&self, machine: &mut Command) {
        machine.args(["--link", &format!("0=connect:{}", self.port), "--env", "LAB_MACHINE=a"]);
    }

    /// Waits for the end; a test that failed there is a failure here.
    pub(crate) fn finish(mut self, first: ExitStatus) -> Result<Option<String>> {
        if !first.success() {
            // It would wait for a machine that is no more.
            self.stop();
        }
        let status = self.machine.wait()?;
        if status.success() {
            return Ok(None);
        }
        self.said().lines().for_each(|line| output::line(&format!("second machine: {line}")));
        Ok(Some(format!("the second machine's tests: {status}")))
    }

    fn said(&self) -> String {
        std::fs::read_to_string(&self.printed).unwrap_or_default()
    }

    fn stop(&self) {
        // SIGTERM: `vm-run` ends the command, the machine and its own folder.
        let _ = Command::new("kill").arg(self.machine.id().to_string()).status();
    }
}

impl Drop for Twin {
    fn drop(&mut self) {
        if matches!(self.machine.try_wait(), Ok(None)) {
            self.stop();
            let _ = self.machine.wait();
        }
    }
}

/// Whether `/proc/net/tcp` has a listener at a port of the loopback.
fn listens(sockets: &str, port: u16) -> bool {
    let address = format!("0100007F:{port:04X}");
    sockets.lines().map(|line| line.split_whitespace().collect::<Vec<_>>()).any(|words| {
        // 0A is TCP_LISTEN of `include/net/tcp_states.h`.
        words.get(1) == Some(&address.as_str()) && words.get(3) == Some(&"0A")
    })
}

impl Reuse {
    /// Where an executable is.
    fn executable(&self, id: &str) -> Result<PathBuf> {
        let list: Value = serde_json::from_slice(&std::fs::read(&self.binaries)?)?;
        let path = text(&list["rust-binaries"][id]["binary-path"]);
        if path.is_empty() { bail!("cargo nextest lists no executable {id}") } else { Ok(path.into()) }
    }
}

#[cfg(test)]
mod tests {
    use super::listens;

    #[test]
    fn only_a_listener_at_that_port_counts() {
        let sockets = "  sl  local_address rem_address   st tx_queue\n   \
            0: 0100007F:4268 00000000:0000 0A 00000000:00000000\n   \
            1: 0100007F:4269 0100007F:9999 01 00000000:00000000\n";

        assert!(listens(sockets, 0x4268));
        assert!(!listens(sockets, 0x4269), "a connection");
        assert!(!listens(sockets, 0x4270));
    }
}
