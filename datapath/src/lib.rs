//! Every change to the kernel's links, addresses, routes, rules and namespaces.
//!
//! [`wire()`] makes all links of a pod's attachment in two sends and takes everything back when a part of it fails;
//! [`unwire()`] is its opposite. Who gets which NIC is decided elsewhere.
#![deny(unsafe_code)]

pub mod announce;
mod error;
mod frame;
pub mod host_routes;
pub mod masters;
pub mod netns;
pub mod observe;
mod pod_link;
mod precheck;
mod setup;
mod sysctl;
pub mod traits;
mod unwire;
mod wire;

pub use error::{DatapathError, sentence};
pub use pod_link::{MadeLink, MultipathRoute, PodLink, PodRoute, PolicyTable, Source, Taken};
pub use unwire::{Leftover, restore, unwire};
pub use wire::{Made, give_addresses, wire};

/// Routing protocol number that marks every route and rule of ours (`RTPROT_*` beyond the kernel's own).
pub const PROTOCOL: u8 = 0x4d;

/// Routing tables of pod links: this number plus the link's index.
pub const TABLE_BASE: u32 = 0x4d4e_0000;

/// Rules of pod links: this priority plus the link's position.
pub const RULE_PRIORITY: u32 = 20_000;

/// Metric of the routes to the prefixes of pod links: this number plus the link's position.
pub const METRIC_BASE: u32 = 100;
