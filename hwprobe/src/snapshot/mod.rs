//! One file with all that a probe read of a machine; replaying it gives the same inventory.

mod mask;

use std::fs::File;
use std::io::{self, BufReader, BufWriter, Read, Write};
use std::path::Path;

use flate2::Compression;
use flate2::read::GzDecoder;
use flate2::write::GzEncoder;
use serde::{Deserialize, Serialize};

use crate::source::{FileTree, KernelAnswers};

/// Version of the format. A reader takes its own and all earlier ones.
pub const SNAPSHOT_VERSION: u32 = 1;

/// The largest snapshot that is read, bytes of JSON: a file from somewhere else must not fill the memory.
const SIZE_LIMIT: u64 = 256 * 1024 * 1024;

/// A recorded machine.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Snapshot {
    /// Version of the format.
    pub version: u32,
    /// Where it comes from, for people: recorded, or made by hand after which document.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub note: String,
    /// Files.
    pub tree: FileTree,
    /// Answers of the kernel.
    pub kernel: KernelAnswers,
}

/// Why a snapshot cannot be read or written.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SnapshotError {
    /// The file cannot be read or written.
    #[error("{action} the snapshot `{path}`")]
    Io {
        /// `read` or `write`.
        action: &'static str,
        /// The file.
        path: String,
        /// The system's error.
        #[source]
        source: io::Error,
    },
    /// The file is no snapshot.
    #[error("`{path}` is no snapshot")]
    Format {
        /// The file.
        path: String,
        /// What is wrong.
        #[source]
        source: serde_json::Error,
    },
    /// A newer program wrote it.
    #[error(
        "`{path}` has snapshot version {found}, this program knows up to {SNAPSHOT_VERSION}: use a newer hwprobe"
    )]
    Version {
        /// The file.
        path: String,
        /// Its version.
        found: u32,
    },
    /// The masked answers are none any more.
    #[error("mask the snapshot: what came out is no snapshot")]
    Mask(#[source] serde_json::Error),
}

impl Snapshot {
    /// A snapshot of these answers.
    pub fn new(tree: FileTree, kernel: KernelAnswers) -> Self {
        Self { version: SNAPSHOT_VERSION, note: String::new(), tree, kernel }
    }

    /// Reads a snapshot: JSON, as it is or gzip-compressed.
    pub fn load(path: &Path) -> Result<Self, SnapshotError> {
        let name = || path.display().to_string();
        let io = |source| SnapshotError::Io { action: "read", path: name(), source };
        let mut start = [0; 2];
        let mut file = File::open(path).map_err(io)?;
        let read = file.read(&mut start).map_err(io)?;
        let start = start.get(..read).unwrap_or_default();
        let rest = start.chain(file);
        let mut content = Vec::new();
        if start == [0x1f, 0x8b] {
            GzDecoder::new(rest).take(SIZE_LIMIT).read_to_end(&mut content).map_err(io)?;
        } else {
            BufReader::new(rest).take(SIZE_LIMIT).read_to_end(&mut content).map_err(io)?;
        }
        Self::parse(&content, &name())
    }

    /// Reads a snapshot from JSON; `name` is for errors.
    pub fn parse(content: &[u8], name: &str) -> Result<Self, SnapshotError> {
        #[derive(Deserialize)]
        struct Head {
            version: u32,
        }
        let format = |source| SnapshotError::Format { path: name.to_owned(), source };
        let head: Head = serde_json::from_slice(content).map_err(format)?;
        if head.version > SNAPSHOT_VERSION {
            return Err(SnapshotError::Version { path: name.to_owned(), found: head.version });
        }
        serde_json::from_slice(content).map_err(format)
    }

    /// Writes the snapshot; compressed unless the name ends in `.json`.
    pub fn save(&self, path: &Path) -> Result<(), SnapshotError> {
        let io = |source| SnapshotError::Io { action: "write", path: path.display().to_string(), source };
        let file = BufWriter::new(File::create(path).map_err(io)?);
        let mut json = serde_json::to_vec_pretty(self).map_err(|source| io(source.into()))?;
        json.push(b'\n');
        let mut file = file;
        let written = if path.extension().is_some_and(|end| end == "json") {
            file.write_all(&json).and_then(|()| file.flush())
        } else {
            let mut packer = GzEncoder::new(file, Compression::best());
            packer.write_all(&json).and_then(|()| packer.finish()?.flush())
        };
        written.map_err(io)
    }
}
