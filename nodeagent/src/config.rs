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

/// Name of the configuration file inside the configuration folder.
pub(crate) const FILE: &str = "agent.yaml";

/// Everything that the agent was told, each value final.
#[derive(Debug, Clone)]
pub struct Config {
    /// The settings: file first, flags over it.
    pub settings: Settings,
    /// Which machine to show.
    pub machine: Machine,
    /// Folder of the configuration; networks of standalone mode are files in it.
    pub config_dir: PathBuf,
    /// Whether the old daemon's routes are offered.
    pub legacy_api: bool,
    /// Folder of the durable memory.
    pub state_dir: PathBuf,
    /// Folder of the Unix socket.
    pub run_dir: PathBuf,
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
            config_dir: cli.config.clone(),
            legacy_api: cli.legacy_api,
            machine: cli.machine(),
            state_dir: cli.state_dir.clone(),
            run_dir: cli.run_dir.clone(),
        })
    }
}

#[cfg(test)]
mod tests;
