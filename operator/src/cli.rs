//! The command line.

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::Parser;

/// The operator of Multi-NIC: turns MultiNicNetworks into attachment definitions, address blocks and SR-IOV objects.
#[derive(Debug, Clone, Parser)]
#[command(name = "multi-nic-operator", version, max_term_width = 100)]
pub struct Cli {
    /// File that tells how to reach the cluster. Without one: KUBECONFIG, else the account of the pod.
    #[arg(long, value_name = "FILE")]
    pub kubeconfig: Option<PathBuf>,
    /// Namespace of the operator: its Lease is there.
    #[arg(
        long,
        value_name = "NAMESPACE",
        env = "OPERATOR_NAMESPACE",
        default_value = "multi-nic-cni-operator"
    )]
    pub namespace: String,
    /// Name in the Lease, which no other replica may have. Without one: the host's name and the process number.
    #[arg(long, value_name = "NAME", env = "POD_NAME")]
    pub identity: Option<String>,
    /// Seconds that the Lease is good for without being renewed.
    #[arg(long, value_name = "SECONDS", default_value_t = 30, value_parser = clap::value_parser!(u16).range(3..=600))]
    pub lease_seconds: u16,
    /// Namespace of the SR-IOV operator, where its policies and networks are.
    #[arg(long, value_name = "NAMESPACE", default_value = "openshift-sriov-network-operator")]
    pub sriov_namespace: String,
    /// There is no SR-IOV operator, and none is looked for: virtual functions are the agents' own. Its kinds are not watched,
    /// and no right to them is needed.
    #[arg(long, conflicts_with_all = ["sriov_namespace", "sriov_resource_prefix"])]
    pub without_sriov_operator: bool,
    /// There is no Multus: agents read what pods ask for themselves, and it is no fault that the cluster does not know
    /// attachment definitions.
    #[arg(long)]
    pub without_multus: bool,
    /// Prefix of the SR-IOV operator's resources.
    #[arg(long, value_name = "PREFIX", default_value = "openshift.io")]
    pub sriov_resource_prefix: String,
    /// TCP address of /healthz and /readyz.
    #[arg(long, value_name = "ADDRESS:PORT", default_value = "0.0.0.0:8081")]
    pub health_probe_bind_address: SocketAddr,
    /// TCP address of /metrics, in the clear: loopback, or behind a proxy that authorises. Without one there are none.
    #[arg(long, value_name = "ADDRESS:PORT")]
    pub metrics_bind_address: Option<SocketAddr>,
    /// Least grave level that is logged: error, warn, info, debug or trace.
    #[arg(long, value_name = "LEVEL", default_value = "info")]
    pub log_level: tracing::level_filters::LevelFilter,
    /// Logs lines for people, not JSON.
    #[arg(long)]
    pub log_text: bool,
}
