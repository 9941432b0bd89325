//! The plugin under test.

use std::any::Any;
use std::path::PathBuf;

use serde_json::Value;

/// What a plugin is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Makes interfaces.
    Main,
    /// Gives addresses to others.
    Ipam,
}

/// Which pool of addresses a configuration names. They are networks of different names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pool {
    /// Room for 64 attachments and more.
    Wide,
    /// Room for exactly [`Subject::narrow_size`] attachments.
    Narrow,
}

/// A change of a configuration.
pub type Change = fn(&mut Value);

/// A plugin under test: how it is called and what can be asked of it.
pub struct Subject {
    /// How the table calls it.
    pub name: String,
    /// What it is for.
    pub kind: Kind,
    /// The executable.
    pub program: PathBuf,
    /// Arguments of the executable; runtimes give none.
    pub arguments: Vec<String>,
    /// Variables beside `CNI_*`.
    pub environment: Vec<(String, String)>,
    /// `CNI_PATH`.
    pub path: String,
    /// The configuration for a case (its number), without `cniVersion`. A case that gets a pool of its own hears
    /// nothing of what an earlier one left behind.
    pub config: Box<dyn Fn(Pool, usize) -> Value + Send + Sync>,
    /// How many attachments the narrow pool has room for.
    pub narrow_size: usize,
    /// Name of the first link for a `CNI_IFNAME`.
    pub link_name: fn(&str) -> String,
    /// Changes a configuration so that ADD fails after it has an address; absent when nothing does.
    pub fault: Option<Change>,
    /// Whether `runtimeConfig.mac` is understood.
    pub takes_mac: bool,
    /// An address with prefix length for `runtimeConfig.ips` in the wide pool; absent when not understood.
    pub takes_ip: Option<String>,
    /// Whether the addresses of `prevResult` are those that its own links get, and the result tells its own links
    /// alone. Our predecessor does that, and we keep it (CONTRACTS §4.2); §1.4 has `prevResult` printed back.
    pub uses_prev_result: bool,
    /// What must live as long as the subject, like its agent.
    pub keep: Option<Box<dyn Any + Send + Sync>>,
}
