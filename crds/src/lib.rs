//! The Kubernetes contract, as far as it is there: `MultiNicNetwork` and `DeviceClass`, their checks, and the NetConf
//! that a network becomes. Types and conversions only: whether a network fits a host is decided elsewhere.
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
mod device_class;
pub mod foreign;
mod multi_nic_network;
mod netconf;
mod object;
mod problem;
mod shape;
mod validate;

pub use addressing::{Addressing, Blocks, MULTI_NIC_IPAM};
pub use arguments::PluginType;
pub use device_class::{DeviceClass, DeviceClassSpec, DeviceIds};
pub use multi_nic_network::{
    AttachPolicy, MultiNicNetwork, NetworkSpec, PluginDns, PluginSpec, STRATEGIES, SubnetSpec,
};
pub use netconf::{NetConfSettings, netconf};
pub use object::{ApiVersion, KINDS, Metadata, Object, read};
pub use problem::{Problem, nearest};
