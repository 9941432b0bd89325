//! `multi-nic` as it ships, and an agent in standalone mode.

use std::fs;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::{Value, json};

use super::caller::Caller;
use super::place::{Place, host_net, master};
use super::{Contender, Kind, MANY};
use crate::program;

/// How long the agent may take to answer.
const PATIENCE: Duration = Duration::from_secs(60);

/// The running agent; it ends when this is dropped.
pub(super) struct Ours {
    agent: Child,
    contender: Contender,
}

impl Ours {
    /// Starts the agent.
    pub(super) fn start(programs: &Path, place: &Place, kind: Kind) -> Result<Self> {
        let (agent, plugin) = (programs.join("multi-nicd"), programs.join("multi-nic"));
        let (config, run) = (place.folder().join("config"), place.folder().join("run"));
        fs::create_dir_all(&config)?;
        // The masters are veth links, which are NICs only when the administrator says so.
        let names: Vec<String> = (0..MANY).map(master).collect();
        fs::write(config.join("agent.yaml"), json!({"included": names}).to_string())?;
        for (name, nics) in [("one", 1), ("many", MANY)] {
            fs::write(config.join(format!("{name}.yaml")), network(name, nics, kind).to_string())?;
        }
        let log = fs::File::create(place.folder().join("agent.log"))?;
        let mut command = Command::new(&agent);
        command.args(["--standalone", "--no-tcp", "--log-format", "text", "--config"]).arg(&config);
        command.arg("--run-dir").arg(&run).arg("--state-dir").arg(place.folder().join("state"));
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(log);
        let child = command.spawn().context("start multi-nicd")?;
        let nothing = Contender { name: "multi-nic", one: Vec::new(), many: Vec::new() };
        let mut ours = Self { agent: child, contender: nothing };
        ours.wait_ready(&run.join("cni.sock"), &place.folder().join("agent.log"))?;

        let caller = |name: &str| -> Result<Caller> {
            let list = program::stdout(
                Command::new(&agent).arg("--config").arg(&config).args(["cni-config", name]),
            )?;
            let file = place.folder().join(format!("ours-{name}.json"));
            fs::write(
                &file,
                plugin_config(&serde_json::from_slice(&list).context("cni-config")?)?.to_string(),
            )?;
            Ok(Caller {
                program: plugin.clone(),
                config: file,
                ifname: "eth0".to_owned(),
                path: PathBuf::from("/usr/lib/cni"),
                environment: vec![
                    ("MULTI_NIC_RUN_DIR", run.clone()),
                    ("MULTI_NIC_STATE_DIR", place.folder().join("state")),
                ],
            })
        };
        ours.contender =
            Contender { name: "multi-nic", one: vec![caller("one")?], many: vec![caller("many")?] };
        Ok(ours)
    }

    pub(super) fn contender(&self) -> &Contender {
        &self.contender
    }

    fn wait_ready(&mut self, socket: &Path, log: &Path) -> Result<()> {
        let end = Instant::now() + PATIENCE;
        // A SEQPACKET socket refuses a stream with another error than a socket that nobody listens on.
        let answers = || match UnixStream::connect(socket) {
            Ok(_) => true,
            Err(error) => error.raw_os_error() == Some(nix::libc::EPROTOTYPE),
        };
        while !answers() {
            if Instant::now() > end || self.agent.try_wait()?.is_some() {
                bail!("multi-nicd does not serve {}: see {}", socket.display(), log.display());
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        Ok(())
    }
}

impl Drop for Ours {
    fn drop(&mut self) {
        if let Ok(pid) = i32::try_from(self.agent.id()) {
            let _ = kill(Pid::from_raw(pid), Signal::SIGTERM);
        }
        let _ = self.agent.wait();
    }
}

/// A network of the first `nics` masters, each with the addresses of 4,096 pods.
fn network(name: &str, nics: usize, kind: Kind) -> Value {
    let masters: Vec<String> = (0..nics).map(|index| format!("10.{}.0.0/24", host_net(index))).collect();
    // Blocks: eight interfaces, then sixteen hosts.
    let subnet = if nics == 1 { "10.64.0.0/13" } else { "10.72.0.0/13" };
    json!({
        "apiVersion": "multinic.fms.io/v1", "kind": "MultiNicNetwork", "metadata": {"name": name},
        "spec": {
            "subnet": subnet, "multiNICIPAM": true, "masterNets": masters,
            "ipam": r#"{"type": "multi-nic-ipam", "hostBlock": 4, "interfaceBlock": 3}"#,
            "plugin": {"cniVersion": "1.0.0", "type": kind.name(), "args": {"mode": kind.mode()}},
            "attachPolicy": {"strategy": "none"}}})
}

/// What a runtime makes of a list: its only plugin, with the list's name and version.
fn plugin_config(list: &Value) -> Result<Value> {
    let mut plugin = list["plugins"].get(0).context("the list has no plugin")?.clone();
    for key in ["cniVersion", "name"] {
        plugin[key] = list[key].clone();
    }
    if let Some(plugin) = plugin.as_object_mut() {
        plugin.remove("capabilities");
    }
    Ok(plugin)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_plugin_gets_the_lists_name_and_version_and_no_capabilities() {
        let list = json!({"cniVersion": "1.0.0", "name": "net", "plugins": [
            {"type": "multi-nic", "capabilities": {"mac": true}, "unknown": 1}]});

        let wanted = json!({"type": "multi-nic", "unknown": 1, "cniVersion": "1.0.0", "name": "net"});
        assert_eq!(plugin_config(&list).unwrap(), wanted);
        assert!(plugin_config(&json!({"plugins": []})).is_err());
    }
}
