//! Why the store cannot be used.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use crate::batch::{Table, ValueError};
use crate::opening::FORMAT;
use crate::record::RecordError;

/// Why the store cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StoreError {
    /// The file cannot be opened, made or renamed.
    #[error("open {}", file.display())]
    Open {
        /// The file.
        file: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// A newer agent wrote it.
    #[error("{} has format {found}, this agent knows {FORMAT}: run the newer agent, or move the file away", file.display())]
    Newer {
        /// The file.
        file: PathBuf,
        /// Its format.
        found: u32,
    },
    /// Another process has it open.
    #[error("{} is open in another process", file.display())]
    InUse {
        /// The file.
        file: PathBuf,
    },
    /// Reading or writing failed.
    #[error("{action} {}", file.display())]
    Storage {
        /// What was being done.
        action: &'static str,
        /// The file.
        file: PathBuf,
        /// Why.
        #[source]
        source: Box<redb::Error>,
    },
    /// The commit that took this batch along failed: the same error for all who waited for it.
    #[error(transparent)]
    Group(Arc<StoreError>),
    /// A record is there and cannot be read.
    #[error("read `{key}` of the table of {table} in {}", file.display())]
    Unreadable {
        /// The file.
        file: PathBuf,
        /// The table.
        table: Table,
        /// The key.
        key: String,
        /// Why.
        #[source]
        source: RecordError,
    },
    /// A value cannot be written.
    #[error(transparent)]
    Value(#[from] ValueError),
}

impl StoreError {
    /// The disk is full or read-only: what works without writing goes on, and writing works again later. The
    /// runtime is told to try again later (CNI code 11).
    pub fn is_no_room(&self) -> bool {
        match self {
            Self::Group(error) => error.is_no_room(),
            Self::Open { source, .. } => is_no_room(source),
            Self::Storage { source, .. } => match &**source {
                redb::Error::Io(error) => is_no_room(error),
                _ => false,
            },
            Self::Newer { .. } | Self::InUse { .. } | Self::Unreadable { .. } | Self::Value(_) => false,
        }
    }

    /// The disk does not do what it should (also full or read-only): the fault is not in what was asked for, and
    /// the same call may work later.
    pub fn is_of_the_disk(&self) -> bool {
        match self {
            Self::Group(error) => error.is_of_the_disk(),
            Self::Open { .. } | Self::Storage { .. } => true,
            Self::Newer { .. } | Self::InUse { .. } | Self::Unreadable { .. } | Self::Value(_) => false,
        }
    }
}

pub(crate) fn is_no_room(error: &io::Error) -> bool {
    use io::ErrorKind::{QuotaExceeded, ReadOnlyFilesystem, StorageFull};
    matches!(error.kind(), StorageFull | ReadOnlyFilesystem | QuotaExceeded)
}
