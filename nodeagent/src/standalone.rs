//! Networks without a cluster: files of a folder become the networks of this host.
//!
//! ```text
//! folder ──read──► reading ──settle──► wanted ──number, write down──► records ──► Networks (for attach)
//!          (files)           (last good)        (inventory, store)
//! ```
//! A file that is wrong takes nothing down: what it defined before goes on until the file is right again. Numbers of
//! interfaces are written down before anybody sees them, so blocks never move when NICs come and go.

mod cni_config;
mod document;
mod folder;
mod planner;
mod report;
mod settle;
mod watcher;

pub use cni_config::{CniConfigError, cni_config};
pub(crate) use planner::PlannerParts;
pub(crate) use settle::folder_policies;
pub(crate) use watcher::{Standalone, StandaloneParts};
