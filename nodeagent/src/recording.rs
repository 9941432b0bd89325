//! `multi-nicd snapshot`: this machine as `hwprobe snapshot --mask` records it, for support bundles.
//!
//! The image of the agent has no `hwprobe`, and whoever may run something beside the agent sees the same machine.

use std::path::Path;

use hwprobe::{Probe, ProbeError};

use crate::config::{ConfigError, FILE};

/// Why there is no snapshot.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SnapshotError {
    /// The configuration cannot be used.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The machine cannot be read.
    #[error("read the machine")]
    Probe(#[from] ProbeError),
    /// What was read cannot be masked; it is not printed.
    #[error(transparent)]
    Mask(#[from] hwprobe::SnapshotError),
    /// What was read is not to be written as JSON.
    #[error("write the snapshot")]
    Json(#[from] serde_json::Error),
}

/// A masked recording of this machine, as JSON, read as `agent.yaml` of the folder `config` wants it.
///
/// # Errors
/// When the configuration or the machine cannot be read.
pub fn snapshot(config: &Path) -> Result<String, SnapshotError> {
    let settings = crate::config::read(&config.join(FILE))?;
    let recorded = Probe::record(None, &settings.probe())?.masked()?;
    Ok(serde_json::to_string(&recorded)?)
}
