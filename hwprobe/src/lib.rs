//! What NICs this machine has: read-only inventory, classification, snapshots.
//!
//! [`Probe`] reads a machine — the running one, a captured `/sys` tree or a recorded [`Snapshot`] — and gives
//! an [`Inventory`]. [`Watcher`] tells when to read again. Without the feature `probe` only the [`model`] is
//! left, for programs that just talk about inventories.
#![forbid(unsafe_code)]

pub mod model;

#[cfg(feature = "probe")]
mod derive;
#[cfg(feature = "probe")]
mod difference;
#[cfg(feature = "probe")]
pub mod pci_names;
#[cfg(feature = "probe")]
mod probe;
#[cfg(feature = "probe")]
mod read;
#[cfg(feature = "probe")]
mod scan;
#[cfg(feature = "probe")]
mod settings;
#[cfg(feature = "probe")]
mod snapshot;
#[cfg(feature = "probe")]
mod source;
#[cfg(feature = "probe")]
mod watch;

#[cfg(feature = "probe")]
pub use self::{
    derive::relation,
    difference::{Difference, DifferenceKind, FieldChange, differences},
    probe::{Probe, ProbeError, protections},
    scan::is_named,
    settings::{ProbeSettings, RememberedProtection},
    snapshot::{SNAPSHOT_VERSION, Snapshot, SnapshotError},
    source::{
        Answer, DevlinkAnswers, DevlinkDevice, FileTree, ForeignNamespace, KernelAnswers, Origin, VfioHolder,
    },
    watch::{Change, WatchError, Watcher},
};
pub use model::*;
