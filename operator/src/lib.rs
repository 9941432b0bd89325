//! The operator: a user writes one MultiNicNetwork, and everything else follows.
//!
//! ```text
//! API server ──watch──► Index ──plan (pure)──► writes ──Writer──► API server
//!                         ▲                                  │
//!                         └────── what a write returned ◄────┘
//! ```
//! One task owns the [`index::Index`]. Nothing but the writer changes anything in the cluster, and it does so only as
//! long as this process holds the Lease.
#![forbid(unsafe_code)]

pub mod announcement;
pub mod attachment;
pub mod blocks;
pub mod cli;
pub mod condition;
mod control;
pub mod former_group;
pub mod index;
mod lease;
mod metrics;
pub mod network;
mod run;
pub mod seen;
mod server;
pub mod sriov;
mod watch;
pub mod write;
mod writer;

pub use run::{RunError, run, sentence};
