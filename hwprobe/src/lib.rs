//! What NICs this machine has: read-only inventory, classification, snapshots.

pub mod model;

pub use model::*;
