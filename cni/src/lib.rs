//! CNI types, the socket protocol between executable and agent, and what both keep in files.
//!
//! Types and conversions, no policy. The executables `multi-nic` and `multi-nic-ipam` use this crate and system
//! calls, nothing else. Sections are those of the CNI specification 1.1.0.
#![deny(unsafe_code)]

pub mod caller;
pub mod config;
pub mod delegate;
pub mod delegate_file;
pub mod environment;
pub mod error;
mod file;
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
