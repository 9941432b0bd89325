//! CNI types, the socket protocol between executable and agent, and what both keep in files.
//!
//! Types and conversions, no policy. The executables `multi-nic` and `multi-nic-ipam` use this crate and system
//! calls, nothing else. Sections are those of the CNI specification 1.1.0.
//!
//! ```
//! use cni::{CniResult, NetConf, Version};
//!
//! let conf = NetConf::parse(
//!     r#"{"cniVersion": "0.4.0", "name": "blue", "plugin": {"type": "ipvlan", "mtu": 9000}, "masters": ["eth1"]}"#,
//! )?;
//! assert_eq!(conf.plugin()?.mtu, 9000);
//!
//! // Read in any version, written strictly in the one that was asked for.
//! let newest = serde_json::json!({"cniVersion": "1.1.0", "ips": [{"address": "10.0.0.1/24"}],
//!     "routes": [{"dst": "0.0.0.0/0", "mtu": 1400}]});
//! let old = CniResult::parse(&newest)?.emit(conf.version);
//! assert_eq!(old["ips"][0]["version"], "4");
//! assert!(old["routes"][0].get("mtu").is_none());
//!
//! let error = NetConf::parse(r#"{"cniVersion": "0.4.0", "name": "no good"}"#).unwrap_err();
//! assert_eq!((error.code, error.msg.as_str()), (7, "name: `no good` is not valid"));
//! # assert!(Version::ALL.contains(&conf.version));
//! # Ok::<(), cni::Error>(())
//! ```
#![deny(unsafe_code)]

pub mod caller;
pub mod chained;
pub mod config;
pub mod delegate;
pub mod delegate_file;
pub mod environment;
pub mod error;
pub mod file;
pub mod note;
pub mod plugin_run;
pub mod protocol;
pub mod result;
mod sys;
pub mod version;

pub use config::NetConf;
pub use environment::{Command, Environment};
pub use error::Error;
pub use result::CniResult;
pub use version::Version;

/// Folder of the agent's sockets, shared by everybody on the machine (TRAPS P13).
pub const RUN_DIR: &str = "/run/multi-nic";

/// Folder of what must outlive a restart.
pub const STATE_DIR: &str = "/var/lib/multi-nic";

/// Name of the socket in [`RUN_DIR`].
pub const SOCKET: &str = "cni.sock";
