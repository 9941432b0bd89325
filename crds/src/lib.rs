//! The Kubernetes contract: our six kinds, their checks, the NetConf that a network becomes, and the kinds of others that
//! we read or write. Types and conversions only: whether a network fits a host is decided elsewhere.
//!
//! With the feature `cluster` the kinds are also objects of kube ([`cluster`]) and have their definitions
//! ([`definitions`]); without it nothing here names kube, and files are read by [`read`].
//!
//! ```
//! let object = serde_json::json!({
//!     "apiVersion": "multinic.fms.io/v1", "kind": "MultiNicNetwork", "metadata": {"name": "rails"},
//!     "spec": {
//!         "subnet": "192.168.0.0/16", "multiNICIPAM": true,
//!         "ipam": r#"{"type": "multi-nic-ipam", "hostBlock": 6, "interfaceBlock": 2}"#,
//!         "plugin": {"cniVersion": "1.0.0", "type": "ipvlan", "args": {"mode": "l2"}},
//!     },
//! });
//! let Ok(crds::Object::MultiNicNetwork(network)) = crds::read(&object) else { return Err("refused".into()) };
//! assert_eq!(network.validate(), []);
//! let conf = crds::netconf(&network, &crds::NetConfSettings::default())?;
//! assert_eq!(conf["plugin"]["mode"], "l2");
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
#![forbid(unsafe_code)]
#![deny(missing_docs)]

mod addressing;
mod arguments;
mod cidr;
#[cfg(feature = "cluster")]
pub mod cluster;
mod condition;
mod config;
#[cfg(feature = "cluster")]
mod definition;
mod device_class;
pub mod foreign;
mod host_interface;
mod ip_pool;
mod mtu;
mod multi_nic_network;
mod netconf;
mod network_status;
mod object;
mod problem;
mod rules;
mod shape;
mod sriov_plan;
mod validate;

pub use addressing::{Addressing, Blocks, MULTI_NIC_IPAM};
pub use arguments::PluginType;
pub use cidr::{CidrConfig, CidrEntry, CidrHost, CidrSpec, NETWORK_LABEL};
pub use condition::{Condition, EmptyStatus};
pub use config::{ConfigSpec, DaemonSpec, HostPathMount};
#[cfg(feature = "cluster")]
pub use definition::{Definition, FORMER_GROUP, GROUP, definitions};
pub use device_class::{DeviceClass, DeviceClassSpec, DeviceIds};
pub use host_interface::{
    HostInterfaceSpec, HostInterfaceStatus, Interface, InterfaceStat, RouteReport, SUSPENDED, SriovCapacity,
    UNMANAGED_LABEL,
};
pub use ip_pool::{Allocation, IpPoolSpec, pool_name};
pub use mtu::Mtu;
pub use multi_nic_network::{
    AttachPolicy, MultiNicNetwork, NetworkSpec, PluginDns, PluginSpec, STRATEGIES, SubnetSpec, bandwidth_mbps,
};
pub use netconf::{NetConfSettings, netconf};
pub use network_status::{ComputeResult, Discovery, NetworkStatus};
pub use object::{ApiVersion, KINDS, Metadata, Object, read};
pub use problem::{Problem, nearest};
pub use sriov_plan::{SriovPlan, SriovPlanNics, SriovPlanPolicy};
