//! The agent's configuration: flags and `agent.yaml`, resolved and validated.

mod default_file;
mod device_plugin;
mod reading;
mod settings;
mod sriov;

pub use default_file::default_file;
pub use device_plugin::{DevicePlugin, DevicePool, DeviceUse, LinkType, PoolKind, Ranged, Selector};
pub use reading::ConfigError;
#[cfg(test)]
pub(crate) use reading::parse;
pub(crate) use reading::read;
pub use settings::{DeviceClass, Limits, LogFormat, LogLevel, PciId, ReprobeInterval, Settings};
pub use sriov::PfPolicySettings;
pub(crate) use sriov::policies as pf_policies;

use std::path::PathBuf;

use crate::cli::{Cli, Machine};
use crate::cluster::{Access, ClusterMode};
use crate::plugins::PluginFolders;

/// Name of this node, as the predecessor's DaemonSet hands it in.
const NODE_NAME: &str = "K8S_NODENAME";

/// Name of the configuration file inside the configuration folder.
pub(crate) const FILE: &str = "agent.yaml";

/// Everything that the agent was told, each value final.
#[derive(Debug, Clone)]
pub struct Config {
    /// The settings: file first, flags over it.
    pub settings: Settings,
    /// Which machine to show.
    pub machine: Machine,
    /// The cluster that the agent is in; absent in standalone mode.
    pub cluster: Option<ClusterMode>,
    /// Folder of the configuration; networks of standalone mode are files in it.
    pub config_dir: PathBuf,
    /// Whether the old daemon's routes are offered.
    pub legacy_api: bool,
    /// Folder of the durable memory.
    pub state_dir: PathBuf,
    /// Folder of the Unix socket.
    pub run_dir: PathBuf,
    /// The host's `/proc`.
    pub procfs: PathBuf,
    /// Where the CNI executables are kept; absent when that is somebody else's work.
    pub plugins: Option<PluginFolders>,
    /// Socket of the container runtime; absent: one of the usual ones.
    pub runtime_endpoint: Option<PathBuf>,
    /// Whether pods are served beside the predecessor's daemon.
    pub take_over: bool,
    /// Folder of CNI lists in which the agent stands behind the cluster network's plugins; absent: in none.
    pub chain: Option<PathBuf>,
}

impl Config {
    /// Reads the file and lays the flags over it.
    ///
    /// # Errors
    /// When the file cannot be used.
    pub fn resolve(cli: &Cli) -> Result<Self, ConfigError> {
        let mut settings = read(&cli.config.join(FILE))?;
        if !cli.listen.is_empty() {
            settings.listen.clone_from(&cli.listen);
        }
        if cli.no_tcp {
            settings.listen.clear();
        }
        settings.allowed_hosts.extend(cli.allowed_host.iter().map(|host| host.to_lowercase()));
        if let Some(interval) = cli.reprobe_interval {
            settings.reprobe_interval = interval;
        }
        if let Some(format) = cli.log_format {
            settings.log_format = format;
        }
        if let Some(level) = cli.log_level {
            settings.log_level = level;
        }
        Ok(Self {
            settings,
            cluster: cluster(cli),
            config_dir: cli.config.clone(),
            legacy_api: cli.legacy_api,
            machine: cli.machine(),
            state_dir: cli.state_dir.clone(),
            run_dir: cli.run_dir.clone(),
            procfs: cli.procfs.clone(),
            plugins: plugins(cli),
            chain: cli.chain.clone(),
            runtime_endpoint: cli.runtime_endpoint.clone(),
            take_over: cli.take_over,
        })
    }
}

/// Where the flags want the CNI executables.
fn plugins(cli: &Cli) -> Option<PluginFolders> {
    let into = cli.install_plugins.clone()?;
    let own = || Some(std::env::current_exe().ok()?.parent()?.to_owned());
    let from = cli.plugins_from.clone().or_else(own).unwrap_or_default();
    Some(PluginFolders { into, from })
}

/// The cluster that the flags name.
fn cluster(cli: &Cli) -> Option<ClusterMode> {
    let access = match &cli.kubeconfig {
        Some(file) => Access::Kubeconfig(file.clone()),
        None if cli.cluster => Access::InCluster,
        None => return None,
    };
    let name =
        cli.node_name.clone().or_else(|| std::env::var(NODE_NAME).ok()).filter(|name| !name.is_empty());
    // The kubelet's default, too: the host name in lower case.
    let host = || nix::unistd::gethostname().unwrap_or_default().to_string_lossy().to_lowercase();
    Some(ClusterMode { access, node: name.unwrap_or_else(host) })
}

#[cfg(test)]
mod tests;
