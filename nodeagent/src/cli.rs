//! The command line.

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::{Parser, Subcommand};

use crate::config::{LogFormat, LogLevel, ReprobeInterval};

/// The node agent of Multi-NIC: knows this machine's NICs and tells over a REST API.
#[derive(Debug, Parser)]
#[command(name = "multi-nicd", version, max_term_width = 100)]
pub struct Cli {
    /// Runs without a cluster: networks are files of the configuration folder. One of --standalone, --cluster and
    /// --kubeconfig is required.
    #[arg(long, conflicts_with_all = ["cluster", "kubeconfig"])]
    pub standalone: bool,
    /// Runs in a cluster, with the account of its pod (KUBERNETES_SERVICE_HOST and _PORT name the server).
    #[arg(long, conflicts_with = "kubeconfig")]
    pub cluster: bool,
    /// Runs in the cluster that FILE leads to.
    #[arg(long, value_name = "FILE")]
    pub kubeconfig: Option<PathBuf>,
    /// Name of this node in the cluster. Default: the environment's K8S_NODENAME, else the host name.
    #[arg(long, value_name = "NAME")]
    pub node_name: Option<String>,
    /// Folder of the configuration: `agent.yaml`, and networks in files beside it.
    #[arg(long, value_name = "DIR", default_value = "/etc/multi-nic", global = true)]
    pub config: PathBuf,
    /// TCP address to offer the API on (instead of `listen` in agent.yaml); may be given several times.
    #[arg(long, value_name = "ADDRESS:PORT")]
    pub listen: Vec<SocketAddr>,
    /// Offers the API on the Unix socket only.
    #[arg(long, conflicts_with = "listen")]
    pub no_tcp: bool,
    /// Further name that the Host header of a request may have; may be given several times.
    #[arg(long, value_name = "HOST[:PORT]", value_parser = host)]
    pub allowed_host: Vec<String>,
    /// For clusters without Multus: keeps 00-multi-nic.conflist in DIR (/etc/cni/net.d), a copy of the cluster network's
    /// list with multi-nic behind its plugins, so that pods get the networks of their annotation.
    #[arg(long, value_name = "DIR", conflicts_with = "standalone")]
    pub chain: Option<PathBuf>,
    /// Socket of the container runtime, which is asked which pods it still has. Default: that of containerd or CRI-O, where
    /// it is usually.
    #[arg(long, value_name = "SOCKET")]
    pub runtime_endpoint: Option<PathBuf>,
    /// Begins to serve pods on this node although the predecessor's daemon still does (it answers on port 11000).
    #[arg(long)]
    pub take_over: bool,
    /// Also offers the routes of the old Go daemon (/select, /allocate and so on) on loopback, for old executables on
    /// this node. They ask for no credentials.
    #[arg(long)]
    pub legacy_api: bool,
    /// Folder of the durable memory.
    #[arg(long, value_name = "DIR", default_value = "/var/lib/multi-nic")]
    pub state_dir: PathBuf,
    /// Folder of the Unix socket `api.sock`.
    #[arg(long, value_name = "DIR", default_value = "/run/multi-nic", global = true)]
    pub run_dir: PathBuf,
    /// Keeps the CNI executables in DIR, where the runtime starts plugins from; they stay when the agent ends.
    #[arg(long, value_name = "DIR")]
    pub install_plugins: Option<PathBuf>,
    /// Folder that has the executables to install. Default: the one that has multi-nicd.
    #[arg(long, value_name = "DIR", requires = "install_plugins")]
    pub plugins_from: Option<PathBuf>,
    /// The host's /proc, with settings of the kernel that may be written. In a container the own one is read-only.
    #[arg(long, value_name = "DIR", default_value = "/proc")]
    pub procfs: PathBuf,
    /// Seconds between two full readings of the machine, or `off`.
    #[arg(long, value_name = "SECONDS|off", value_parser = interval)]
    pub reprobe_interval: Option<ReprobeInterval>,
    /// Least grave level that is logged.
    #[arg(long, value_name = "LEVEL", value_parser = level)]
    pub log_level: Option<LogLevel>,
    /// Form of the log.
    #[arg(long, value_name = "FORMAT", value_enum)]
    pub log_format: Option<LogFormat>,
    /// Shows the machine whose /sys and /proc are captured below DIR, not this one.
    #[arg(long, value_name = "DIR", conflicts_with = "replay")]
    pub root: Option<PathBuf>,
    /// Shows the machine that `hwprobe snapshot` recorded in FILE, not this one.
    #[arg(long, value_name = "FILE")]
    pub replay: Option<PathBuf>,
    /// Prints the default agent.yaml and ends.
    #[arg(long)]
    pub print_default: bool,
    /// What to do instead of serving.
    #[command(subcommand)]
    pub command: Option<Command>,
}

/// What to do instead of serving.
#[derive(Debug, Clone, PartialEq, Eq, Subcommand)]
pub enum Command {
    /// Prints the OpenAPI document of the REST API.
    Openapi,
    /// Prints the CNI configuration list of a network, to drop into /etc/cni/net.d as NETWORK.conflist.
    CniConfig {
        /// Name of a MultiNicNetwork that a file of the configuration folder defines.
        network: String,
    },
    /// Asks the agent of this machine over its socket in --run-dir; ends with 1 when the answer is no. For whatever
    /// supervises it and cannot come to its port.
    Probe {
        /// What to ask.
        what: Question,
    },
    /// Asks the agent of this machine over its socket in --run-dir and prints the body of its answer; ends with 1, and the
    /// agent's problem document on standard error, when it refuses. For tools that come to a node but not to its port:
    /// kubectl-multinic does so with `exec`.
    Request {
        /// `GET`, `POST` or `DELETE`.
        method: String,
        /// Path and query, like `/v1/nics?class=high`.
        path: String,
        /// Body, JSON. Default: none.
        body: Option<String>,
    },
    /// Prints a recording of this machine that `hwprobe --replay` opens. MAC addresses, serial numbers, addresses and names
    /// in it are made up.
    Snapshot,
    /// Takes away what the agent left on this node for its next start: the list of --chain, routes and rules, the folders
    /// of --state-dir and --run-dir, the executables in --install-plugins. Refuses while the agent runs or a pod holds
    /// something.
    Uninstall,
    /// Does nothing until a signal comes: what a pod of a DaemonSet does that is done.
    Wait,
    /// Prints what the policies of the configuration folder want of this machine's PFs, and what would be done. Changes
    /// nothing. What was given over the API is not known to it: see /v1/sriov/pfs.
    SriovPlan,
}

/// What `multi-nicd probe` asks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Question {
    /// Whether it lives (`/livez`).
    Live,
    /// Whether it serves (`/readyz`).
    Ready,
}

/// Which machine the agent shows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Machine {
    /// The one it runs on.
    Live,
    /// A captured tree of /sys and /proc.
    Tree(PathBuf),
    /// A recording of `hwprobe snapshot`.
    Recording(PathBuf),
}

impl Cli {
    /// Which machine to show.
    pub fn machine(&self) -> Machine {
        match (&self.root, &self.replay) {
            (Some(root), _) => Machine::Tree(root.clone()),
            (None, Some(file)) => Machine::Recording(file.clone()),
            (None, None) => Machine::Live,
        }
    }
}

fn host(text: &str) -> Result<String, String> {
    if crate::rest::is_host(text) {
        Ok(text.to_lowercase())
    } else {
        Err("want HOST or HOST:PORT".to_owned())
    }
}

fn interval(text: &str) -> Result<ReprobeInterval, String> {
    ReprobeInterval::parse(text).ok_or_else(|| format!("want {}", ReprobeInterval::ALLOWED))
}

fn level(text: &str) -> Result<LogLevel, String> {
    let found = LogLevel::ALL.iter().find(|(name, _)| *name == text);
    found.map(|(_, level)| *level).ok_or_else(|| "want error, warn, info, debug or trace".to_owned())
}
