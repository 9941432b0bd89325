//! The database.
//!
//! ```text
//! <state folder>/
//!   agent.lock                       locked while an agent runs; holds its process id
//!   agent.redb                       the database:
//!     table "meta"                   "format" → u32 little-endian, version of this layout
//!                                    "machine" → machine id, "boot" → id of the boot that wrote last
//!     tables of crate::Table         text → record; one that is not there is empty
//!   agent.redb.<reason>-<n>          files set aside: never read, never deleted
//! ```
//! Keys and values are plain bytes; a record is a version byte and JSON (`record.rs`).
//!
//! A commit whose sync fails may or may not be on the disk. Its callers have been told that it failed, so what was
//! there before is kept in memory ([`Owed`]): reads answer from it, and the next commit writes it back.

use std::path::Path;
use std::sync::{Mutex, PoisonError, RwLock};

use redb::ReadTransaction;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::batch::{Batch, Table};
use crate::error::StoreError;
use crate::group::{Counts, Group};
use crate::handle::Handle;
use crate::identity::Identity;
use crate::opening::{self, Opening};
use crate::record;
use crate::rows::{self, Owed};

/// Name of the database in the state folder.
const NAME: &str = "agent.redb";

/// The open database. All calls block; share it in an `Arc`.
///
/// Dropping it writes what [`with_next`](Self::with_next) was given.
#[derive(Debug)]
pub struct Store {
    // Locks are taken in this order: the group's, writer, owed, the handle's.
    group: Group<StoreError>,
    /// Held while something is written, and while a handle that failed is closed.
    writer: Mutex<()>,
    owed: RwLock<Owed>,
    handle: Handle,
}

/// Records of a table.
#[derive(Debug)]
#[non_exhaustive]
pub struct All<T> {
    /// Records by key, ascending.
    pub records: Vec<(String, T)>,
    /// Keys whose record cannot be read, with the reason.
    pub unreadable: Vec<(String, StoreError)>,
}

impl Store {
    /// Opens the database of `folder`, which must exist. A damaged file and one of another machine are set
    /// aside under another name, and a new one is begun.
    ///
    /// # Errors
    /// When the file cannot be written, is open elsewhere, or was written by a newer agent.
    pub fn open(folder: &Path, identity: &Identity) -> Result<(Self, Opening), StoreError> {
        let (handle, opening) = opening::open(&folder.join(NAME), identity)?;
        Ok((Self::over(handle), opening))
    }

    /// Opens a database on a disk that loses what was not synced.
    ///
    /// # Errors
    /// As [`open`](Self::open), and when what is there is damaged.
    #[cfg(feature = "lossy")]
    pub fn open_on(disk: &crate::lossy::Disk) -> Result<Self, StoreError> {
        let identity = Identity { machine: "lossy".to_owned(), boot: "lossy".to_owned() };
        opening::open_lossy(disk, &identity).map(Self::over)
    }

    fn over(handle: Handle) -> Self {
        Self { group: Group::new(), writer: Mutex::new(()), owed: RwLock::default(), handle }
    }

    /// Writes a batch. On return it is on disk, with everything that [`with_next`](Self::with_next) was given
    /// before. Callers that come while the disk is busy share one commit, and each key is as the last of them left
    /// it.
    ///
    /// # Errors
    /// When the disk refuses: nothing of the batch is there, now or later. (A process that ends before the disk
    /// works again is the exception: then the batch may be there, whole.) Later calls work as soon as the disk does.
    pub fn commit(&self, batch: Batch) -> Result<(), StoreError> {
        self.group.commit(batch, |batches| self.write(batches)).map_err(StoreError::Group)
    }

    /// Writes a batch with the next commit, which nobody waits for; a crash before that loses it whole. Reads do
    /// not see it before. When that commit fails it goes with the one after.
    pub fn with_next(&self, batch: Batch) {
        self.group.queue(batch);
    }

    /// Commits what [`with_next`](Self::with_next) was given, and waits for a commit that is under way. `false`:
    /// there was nothing to commit.
    ///
    /// # Errors
    /// When the disk refuses; it stays queued.
    pub fn flush(&self) -> Result<bool, StoreError> {
        self.group.flush(|batches| self.write(batches)).map_err(StoreError::Group)
    }

    /// What the store has done since it was opened.
    pub fn counts(&self) -> Counts {
        Counts { syncs: self.handle.syncs(), ..self.group.counts() }
    }

    /// The record of a key, as the last commit left it.
    ///
    /// # Errors
    /// When the file or the record cannot be read.
    pub fn get<T: DeserializeOwned>(&self, table: Table, key: &str) -> Result<Option<T>, StoreError> {
        let bytes = self.read(|transaction, owed| rows::get(transaction, owed, table, key))?;
        bytes.map(|bytes| self.decode(table, key, &bytes)).transpose()
    }

    /// Every record of a table by key, as the last commit left it, and those that cannot be read.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn all<T: DeserializeOwned>(&self, table: Table) -> Result<All<T>, StoreError> {
        self.prefix(table, "")
    }

    /// As [`all`](Self::all), for the keys that begin with `prefix`.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn prefix<T: DeserializeOwned>(&self, table: Table, prefix: &str) -> Result<All<T>, StoreError> {
        self.read(|transaction, owed| {
            let mut all = All { records: Vec::new(), unreadable: Vec::new() };
            rows::each(transaction, owed, table, prefix, |key, bytes| {
                match self.decode(table, key, bytes) {
                    Ok(value) => all.records.push((key.to_owned(), value)),
                    Err(error) => all.unreadable.push((key.to_owned(), error)),
                }
            })?;
            Ok(all)
        })
    }

    /// The remembered protected NICs, by id. A value that cannot be read is left out: the protected set is computed
    /// anew, this is for times when it cannot be.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn protected<T: DeserializeOwned>(&self) -> Result<Vec<(String, T)>, StoreError> {
        Ok(self.all(Table::Protected)?.records)
    }

    /// Replaces the remembered protected NICs. On return they are on disk.
    ///
    /// # Errors
    /// When the file cannot be written; then the old ones stay.
    pub fn set_protected<T: Serialize>(&self, all: &[(String, T)]) -> Result<(), StoreError> {
        let mut batch = Batch::new();
        batch.clear(Table::Protected);
        for (nic, value) in all {
            batch.put(Table::Protected, nic, value)?;
        }
        self.commit(batch)
    }

    /// Writes a group; called by one caller at a time.
    fn write(&self, batches: &[&Batch]) -> Result<(), StoreError> {
        let _writer = self.writer.lock().unwrap_or_else(PoisonError::into_inner);
        let settled = self.owed.read().unwrap_or_else(PoisonError::into_inner).is_empty();
        // Readers see what is owed or what has been written back, never some of both.
        let mut owing = (!settled).then(|| self.owed.write().unwrap_or_else(PoisonError::into_inner));
        let mut before = Owed::default();
        let written = self.handle.write(|transaction| {
            if let Some(owed) = &owing {
                rows::restore(transaction, owed)?;
            }
            rows::apply(transaction, batches, &mut before)
        });
        match written {
            Ok(()) => {
                if let Some(owed) = &mut owing {
                    owed.clear();
                }
                Ok(())
            }
            Err(error) => {
                let mut owed =
                    owing.unwrap_or_else(|| self.owed.write().unwrap_or_else(PoisonError::into_inner));
                owed.add(before);
                drop(owed);
                self.handle.close();
                Err(self.failed("write", error))
            }
        }
    }

    /// Reads one state of the database, a second time in a file opened anew when the first one failed.
    fn read<T>(
        &self,
        read: impl Fn(&ReadTransaction, &Owed) -> Result<T, redb::Error>,
    ) -> Result<T, StoreError> {
        let once = || {
            let owed = self.owed.read().unwrap_or_else(PoisonError::into_inner);
            self.handle.read(|transaction| read(transaction, &owed))
        };
        let result = match once() {
            Err(redb::Error::Io(_) | redb::Error::PreviousIo | redb::Error::DatabaseClosed) => {
                // Not before a write that is under way has said what is owed.
                let writer = self.writer.lock().unwrap_or_else(PoisonError::into_inner);
                self.handle.close();
                drop(writer);
                once()
            }
            result => result,
        };
        result.map_err(|error| self.failed("read", error))
    }

    fn decode<T: DeserializeOwned>(&self, table: Table, key: &str, bytes: &[u8]) -> Result<T, StoreError> {
        record::decode(bytes).map_err(|source| StoreError::Unreadable {
            file: self.handle.file().to_owned(),
            table,
            key: key.to_owned(),
            source,
        })
    }

    fn failed(&self, action: &'static str, source: redb::Error) -> StoreError {
        StoreError::Storage { action, file: self.handle.file().to_owned(), source: Box::new(source) }
    }
}

impl Drop for Store {
    fn drop(&mut self) {
        // Nobody is left to be told; whoever must know calls `flush` before.
        let _ = self.flush();
    }
}

impl ipam::Ledger for Store {
    type Error = StoreError;

    fn commit(&self, changes: &[ipam::Change]) -> Result<(), StoreError> {
        let mut batch = Batch::new();
        for change in changes {
            batch.address(change)?;
        }
        Self::commit(self, batch)
    }

    /// # Errors
    /// Also when one record cannot be read: its address would be given away a second time.
    fn load(&self) -> Result<Vec<ipam::Change>, StoreError> {
        let all = self.all(Table::Addresses)?;
        match all.unreadable.into_iter().next() {
            Some((_, error)) => Err(error),
            None => Ok(all.records.into_iter().map(|(_, change)| change).collect()),
        }
    }
}
