//! The node agent multi-nicd: configuration, inventory cache, REST API.
//!
//! One std thread reads the machine when the kernel says that something changed; tokio serves what it published.
//! Nothing here has a timer while nobody is connected, so an idle agent does nothing at all.
//!
//! ```no_run
//! use clap::Parser;
//! use nodeagent::{Cli, Config};
//!
//! let cli = Cli::parse_from(["multi-nicd", "--standalone"]);
//! nodeagent::run(Config::resolve(&cli)?)?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
#![forbid(unsafe_code)]

mod abilities;
mod adoption;
mod agent;
mod attaching;
mod calls;
mod chained;
mod cli;
mod clock;
mod cluster;
mod cni_server;
mod config;
mod current_networks;
mod device_plugin;
mod folder_events;
mod health;
mod history;
mod inventory;
mod keeper;
mod kubelet_api;
mod kubelet_folder;
mod logging;
mod memory;
mod metrics;
mod nearest;
mod page;
mod peer;
mod planning;
mod plugins;
mod podresources;
mod predecessor;
mod probing;
mod recording;
mod rest;
mod routes;
mod running;
mod runtime_service;
mod serve;
mod sriov;
mod standalone;
mod systemd;
mod uninstall;

pub use agent::{AgentError, run};
pub use cli::{Cli, Command, Machine, Question};
pub use cluster::{Access, ClusterMode};
pub use config::{
    Config, ConfigError, DeviceClass, DevicePlugin, DevicePool, DeviceUse, Limits, LinkType, LogFormat,
    LogLevel, PciId, PfPolicySettings, PoolKind, Ranged, ReprobeInterval, Selector, Settings, default_file,
};
pub use inventory::cache::CacheError;
pub use plugins::PluginFolders;
pub use probing::{ProbeError, probe, request, wait_for_signal};
pub use recording::{SnapshotError, snapshot};
pub use rest::openapi_document;
pub use sriov::{SriovPlanError, sriov_plan};
pub use standalone::{CniConfigError, cni_config};
pub use uninstall::{UninstallError, uninstall};
