//! The agent as a child of this command: all it writes is below the target folder.

use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

use anyhow::{Context, Result};

use super::Programs;
use crate::workspace::Workspace;

/// The longest path that a Unix socket may have, its ending zero left out (`sun_path`, unix(7)).
const SOCKET_PATH: usize = 107;

/// A started agent.
pub(crate) struct Agent {
    /// Its process.
    pub(crate) child: Child,
    /// What it logs.
    pub(crate) log: PathBuf,
    /// Holds the socket when the target folder's path is too long for one; gone with the agent.
    _socket: Option<SocketFolder>,
}

struct SocketFolder(PathBuf);

impl Drop for SocketFolder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

impl Agent {
    /// Starts it on a port of loopback, with a memory of its own that lasts until the next start.
    pub(crate) fn start(
        workspace: &Workspace,
        programs: &Programs,
        name: &str,
        port: u16,
        pinned: &[&str],
    ) -> Result<Self> {
        let folder = workspace.target.join(name);
        let state = folder.join("state");
        if state.exists() {
            std::fs::remove_dir_all(&state)?;
        }
        std::fs::create_dir_all(&state).with_context(|| format!("create {}", state.display()))?;
        let (run, socket) = if folder.join("api.sock").as_os_str().len() <= SOCKET_PATH {
            (folder.clone(), None)
        } else {
            let short = std::env::temp_dir().join(format!("multi-nic-{}", std::process::id()));
            std::fs::create_dir_all(&short)?;
            (short.clone(), Some(SocketFolder(short)))
        };
        let log = folder.join("agent.log");
        let file = std::fs::File::create(&log)?;

        // The agent ends with this command, however that ends. It gets no Ctrl-C of its own: its group is another.
        let mut agent = Command::new("setpriv");
        agent.args(["--pdeathsig", "TERM"]).args(pinned).arg(&programs.multi_nicd);
        agent.arg("--standalone").args(["--listen", &format!("127.0.0.1:{port}")]);
        agent.arg("--config").arg(folder.join("config"));
        agent.arg("--state-dir").arg(&state).arg("--run-dir").arg(run);
        agent.stdin(Stdio::null()).stdout(file.try_clone()?).stderr(file).process_group(0);
        let child = agent.spawn().context("start multi-nicd")?;
        Ok(Self { child, log, _socket: socket })
    }
}
