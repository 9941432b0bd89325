//! The database file.
//!
//! ```text
//! <state folder>/
//!   agent.lock                       locked while an agent runs; holds its process id
//!   agent.redb                       the database:
//!     table "meta"                   "format" → u32 little-endian, version of this layout
//!                                    "machine" → machine id, "boot" → id of the boot that wrote last
//!     table "protected"              NIC id → record: why the NIC is protected (remembered for times when
//!                                    the protected set cannot be computed)
//!     tables of crate::Table         text → record
//!   agent.redb.<reason>-<n>          files set aside: never read, never deleted
//! ```
//! Keys and values are plain bytes; a record is a version byte and JSON ([`crate::record`]).

use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard};

use redb::{
    Database, DatabaseError, ReadableDatabase, ReadableTable, StorageError, TableDefinition, TableError,
};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::batch::{Batch, Table};
use crate::group::{Counts, Group};
use crate::identity::Identity;
use crate::record::{self, RecordError};

/// Version of the layout at the head of this file.
const FORMAT: u32 = 2;

/// The first layout: what it has is as it is today, the tables of attachments are missing. An agent of that time
/// must not open a file that has some, as it would not know what it holds.
const FORMAT_WITHOUT_ATTACHMENTS: u32 = 1;

/// Name of the database in the state folder.
const NAME: &str = "agent.redb";

/// Most that redb keeps of the file in memory, bytes. What we store is a few kilobytes.
const CACHE: usize = 256 * 1024;

const META: TableDefinition<'_, &[u8], &[u8]> = TableDefinition::new("meta");
const PROTECTED: TableDefinition<'_, &[u8], &[u8]> = TableDefinition::new("protected");

/// The open database.
#[derive(Debug)]
pub struct Store {
    /// Absent after a write that failed: redb refuses everything from then on, so the file is opened anew.
    database: RwLock<Option<Database>>,
    file: PathBuf,
    group: Group<StoreError>,
    #[cfg(feature = "lossy")]
    backend: Option<crate::lossy::Disk>,
}

/// A table.
#[derive(Debug)]
#[non_exhaustive]
pub struct All<T> {
    /// Records by key, ascending.
    pub records: Vec<(String, T)>,
    /// Keys whose record cannot be read, with the reason.
    pub unreadable: Vec<(String, StoreError)>,
}

/// What was found when the database was opened.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Opening {
    /// There was none.
    Created,
    /// It was there and is in use.
    Found {
        /// The machine has been started again since it was last written.
        rebooted: bool,
    },
    /// What was there is of no use here and lies at `aside`; a new one is in use.
    SetAside {
        /// Where the old file is now.
        aside: PathBuf,
        /// Why.
        reason: String,
    },
}

/// Why the database cannot be used.
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
    /// The commit that took this batch along failed.
    #[error(transparent)]
    Group(Arc<StoreError>),
    /// A value cannot be written.
    #[error("write a value to {}", file.display())]
    Value {
        /// The file.
        file: PathBuf,
        /// Why.
        #[source]
        source: serde_json::Error,
    },
}

/// Why a file is not taken.
enum Unfit {
    /// It is damaged or of another machine: set it aside.
    Aside { word: &'static str, reason: String },
    /// It is to be left alone.
    Refuse(StoreError),
}

impl StoreError {
    /// The disk is full or read-only: what works without writing goes on, and writing works again later.
    pub fn is_no_room(&self) -> bool {
        match self {
            Self::Group(error) => error.is_no_room(),
            Self::Open { source, .. } => is_no_room(source),
            Self::Storage { source, .. } => match &**source {
                redb::Error::Io(error) => is_no_room(error),
                _ => false,
            },
            _ => false,
        }
    }
}

fn is_no_room(error: &io::Error) -> bool {
    use io::ErrorKind::{QuotaExceeded, ReadOnlyFilesystem, StorageFull};
    matches!(error.kind(), StorageFull | ReadOnlyFilesystem | QuotaExceeded)
}

impl ipam::Ledger for Store {
    type Error = StoreError;

    fn commit(&self, changes: &[ipam::Change]) -> Result<(), StoreError> {
        let mut batch = Batch::new();
        for change in changes {
            batch
                .address(change)
                .map_err(|error| self.failed("write", io::Error::other(error.to_string()).into()))?;
        }
        Self::commit(self, batch)
    }

    fn load(&self) -> Result<Vec<ipam::Change>, StoreError> {
        Ok(self.all(Table::Addresses)?.records.into_iter().map(|(_, change)| change).collect())
    }
}

impl Store {
    /// Opens a database on a disk that loses what was not synced.
    ///
    /// # Errors
    /// As [`open`](Self::open).
    #[cfg(feature = "lossy")]
    pub fn open_on(disk: &crate::lossy::Disk) -> Result<Self, StoreError> {
        let file = PathBuf::from("lossy");
        let failed = |error: redb::Error| StoreError::Storage {
            action: "open",
            file: file.clone(),
            source: Box::new(error),
        };
        let mut builder = Database::builder();
        builder.set_cache_size(CACHE);
        let database = builder.create_with_backend(disk.clone()).map_err(|error| failed(error.into()))?;
        let mut store = Self::over(database, file.clone());
        store.backend = Some(disk.clone());
        store.sign(&Identity { machine: "lossy".to_owned(), boot: "lossy".to_owned() })?;
        Ok(store)
    }

    /// Opens the database of `folder`, which must exist. A damaged file and one of another machine are set
    /// aside under another name, and a new one is begun.
    ///
    /// # Errors
    /// When the file cannot be written, is open elsewhere, or was written by a newer agent.
    pub fn open(folder: &Path, identity: &Identity) -> Result<(Self, Opening), StoreError> {
        let file = folder.join(NAME);
        let existed = file.try_exists().map_err(|source| StoreError::Open { file: file.clone(), source })?;
        let open_error = |source| StoreError::Open { file: file.clone(), source };
        match Self::begin(&file, identity) {
            Ok((store, rebooted)) if existed => Ok((store, Opening::Found { rebooted })),
            Ok((store, _)) => Ok((store, Opening::Created)),
            Err(Unfit::Refuse(error)) => Err(error),
            Err(Unfit::Aside { word, reason }) => {
                let aside = free_name(&file, word);
                std::fs::rename(&file, &aside).map_err(open_error)?;
                match Self::begin(&file, identity) {
                    Ok((store, _)) => Ok((store, Opening::SetAside { aside, reason })),
                    Err(Unfit::Refuse(error)) => Err(error),
                    Err(Unfit::Aside { reason, .. }) => Err(open_error(io::Error::other(reason))),
                }
            }
        }
    }

    fn over(database: Database, file: PathBuf) -> Self {
        Self {
            database: RwLock::new(Some(database)),
            file,
            group: Group::new(),
            #[cfg(feature = "lossy")]
            backend: None,
        }
    }

    /// Opens the file and checks whose it is; `true` = another boot wrote last.
    fn begin(file: &Path, identity: &Identity) -> Result<(Self, bool), Unfit> {
        let damaged =
            |reason: String| Unfit::Aside { word: "damaged", reason: format!("it is damaged: {reason}") };
        // A file that is damaged in the right place makes redb panic instead of answering.
        let opened =
            catch_unwind(AssertUnwindSafe(|| Database::builder().set_cache_size(CACHE).create(file)));
        let database = match opened {
            Err(_) => return Err(damaged("it cannot even be opened".to_owned())),
            Ok(Ok(database)) => database,
            Ok(Err(DatabaseError::DatabaseAlreadyOpen)) => {
                return Err(Unfit::Refuse(StoreError::InUse { file: file.to_owned() }));
            }
            Ok(Err(DatabaseError::Storage(StorageError::Io(error))))
                if !matches!(error.kind(), io::ErrorKind::InvalidData | io::ErrorKind::UnexpectedEof) =>
            {
                return Err(Unfit::Refuse(StoreError::Open { file: file.to_owned(), source: error }));
            }
            Ok(Err(error)) => return Err(damaged(error.to_string())),
        };
        let store = Self::over(database, file.to_owned());
        let read = catch_unwind(AssertUnwindSafe(|| store.meta()));
        let (format, machine, boot) = match read {
            Ok(Ok(meta)) => meta,
            Ok(Err(error)) => return Err(damaged(error.to_string())),
            Err(_) => return Err(damaged("its tables cannot be read".to_owned())),
        };
        match format {
            None => {}
            Some(FORMAT | FORMAT_WITHOUT_ATTACHMENTS) => {}
            Some(found) if found > FORMAT => {
                return Err(Unfit::Refuse(StoreError::Newer { file: file.to_owned(), found }));
            }
            Some(other) => return Err(damaged(format!("format {other} has never been"))),
        }
        if let Some(machine) = machine.filter(|machine| !machine.is_empty() && *machine != identity.machine) {
            let reason =
                format!("it belongs to another machine ({machine}; this one is {})", identity.machine);
            return Err(Unfit::Aside { word: "foreign", reason });
        }
        let rebooted = boot.is_some_and(|boot| boot != identity.boot);
        store.sign(identity).map_err(Unfit::Refuse)?;
        Ok((store, rebooted))
    }

    /// Reads whose file it is, and every value once, so that damage is found now and not in the middle of work.
    #[expect(clippy::type_complexity, reason = "three facts of one table, read in one place")]
    fn meta(&self) -> Result<(Option<u32>, Option<String>, Option<String>), redb::Error> {
        let transaction = self.begin_read()?;
        let meta = match transaction.open_table(META) {
            Ok(meta) => meta,
            Err(TableError::TableDoesNotExist(_)) => return Ok((None, None, None)),
            Err(error) => return Err(error.into()),
        };
        let text = |key: &str| -> Result<Option<String>, redb::Error> {
            let value = meta.get(key.as_bytes())?;
            Ok(value.map(|value| String::from_utf8_lossy(value.value()).into_owned()))
        };
        let format = meta.get("format".as_bytes())?;
        // A format of another length is none of ours.
        let format = format.map(|value| value.value().try_into().map_or(0, u32::from_le_bytes));
        for definition in std::iter::once(PROTECTED).chain(Table::ALL.map(Table::definition)) {
            match transaction.open_table(definition) {
                Ok(table) => {
                    for entry in table.iter()? {
                        let (key, value) = entry?;
                        // Bounds are looked at only now.
                        let _ = (key.value(), value.value());
                    }
                }
                Err(TableError::TableDoesNotExist(_)) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Ok((format, text("machine")?, text("boot")?))
    }

    /// Writes down whose file it is.
    fn sign(&self, identity: &Identity) -> Result<(), StoreError> {
        self.write("sign", |transaction| {
            let mut meta = transaction.open_table(META)?;
            meta.insert("format".as_bytes(), &FORMAT.to_le_bytes()[..])?;
            meta.insert("machine".as_bytes(), identity.machine.as_bytes())?;
            meta.insert("boot".as_bytes(), identity.boot.as_bytes())?;
            transaction.open_table(PROTECTED)?;
            for table in Table::ALL {
                transaction.open_table(table.definition())?;
            }
            Ok(())
        })
    }

    /// Writes a batch. On return it is on disk, with everything that [`with_next`](Self::with_next) was given
    /// before. Callers that come while the disk is busy share one commit.
    ///
    /// # Errors
    /// When the disk refuses; then nothing of the batch is there.
    pub fn commit(&self, batch: Batch) -> Result<(), StoreError> {
        self.group.commit(batch, |batches| self.write_batches(batches)).map_err(StoreError::Group)
    }

    /// Writes a batch with the next commit, which nobody waits for; a crash before that loses it whole. Reads do
    /// not see it before.
    pub fn with_next(&self, batch: Batch) {
        self.group.queue(batch);
    }

    /// Commits what [`with_next`](Self::with_next) was given. `false`: there was nothing.
    ///
    /// # Errors
    /// When the disk refuses; it stays queued.
    pub fn flush(&self) -> Result<bool, StoreError> {
        self.group.flush(|batches| self.write_batches(batches)).map_err(StoreError::Group)
    }

    /// What the store has done since it was opened.
    pub fn counts(&self) -> Counts {
        self.group.counts()
    }

    fn write_batches(&self, batches: &[Batch]) -> Result<(), StoreError> {
        if batches.iter().all(Batch::is_empty) {
            return Ok(());
        }
        self.write("write", |transaction| {
            for table in Table::ALL {
                let of_table =
                    || batches.iter().flat_map(|batch| &batch.writes).filter(|write| write.0 == table);
                if of_table().next().is_none() {
                    continue;
                }
                let mut open = transaction.open_table(table.definition())?;
                for (_, key, value) in of_table() {
                    match value {
                        Some(value) => drop(open.insert(key.as_bytes(), value.as_slice())?),
                        None => drop(open.remove(key.as_bytes())?),
                    }
                }
            }
            Ok(())
        })
    }

    /// The record of a key, as the last commit left it.
    ///
    /// # Errors
    /// When the file or the record cannot be read.
    pub fn get<T: DeserializeOwned>(&self, table: Table, key: &str) -> Result<Option<T>, StoreError> {
        let read = || -> Result<Option<Vec<u8>>, redb::Error> {
            let open = self.begin_read()?.open_table(table.definition())?;
            Ok(open.get(key.as_bytes())?.map(|value| value.value().to_vec()))
        };
        let Some(bytes) = read().map_err(|error| self.failed("read", error))? else { return Ok(None) };
        record::decode(&bytes).map(Some).map_err(|error| self.unreadable(table, key, &error))
    }

    /// Every record of a table by key, as the last commit left it, and those that cannot be read.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn all<T: DeserializeOwned>(&self, table: Table) -> Result<All<T>, StoreError> {
        let read = || -> Result<All<T>, redb::Error> {
            let open = self.begin_read()?.open_table(table.definition())?;
            let mut all = All { records: Vec::new(), unreadable: Vec::new() };
            for entry in open.iter()? {
                let (key, value) = entry?;
                let key = String::from_utf8_lossy(key.value()).into_owned();
                match record::decode(value.value()) {
                    Ok(value) => all.records.push((key, value)),
                    Err(error) => all.unreadable.push((key.clone(), self.unreadable(table, &key, &error))),
                }
            }
            Ok(all)
        };
        read().map_err(|error| self.failed("read", error))
    }

    fn unreadable(&self, table: Table, key: &str, error: &RecordError) -> StoreError {
        let source = io::Error::new(io::ErrorKind::InvalidData, format!("{table:?} {key}: {error}"));
        self.failed("read", source.into())
    }

    /// The remembered protected NICs, by id. A value that cannot be read is left out.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn protected<T: DeserializeOwned>(&self) -> Result<Vec<(String, T)>, StoreError> {
        let read = || -> Result<Vec<(String, T)>, redb::Error> {
            let table = self.begin_read()?.open_table(PROTECTED)?;
            let mut all = Vec::new();
            for entry in table.iter()? {
                let (key, value) = entry?;
                if let Ok(value) = record::decode(value.value()) {
                    all.push((String::from_utf8_lossy(key.value()).into_owned(), value));
                }
            }
            Ok(all)
        };
        read().map_err(|error| self.failed("read", error))
    }

    /// Replaces the remembered protected NICs. On return they are on disk.
    ///
    /// # Errors
    /// When the file cannot be written; then the old ones stay.
    pub fn set_protected<T: Serialize>(&self, all: &[(String, T)]) -> Result<(), StoreError> {
        let mut records = Vec::new();
        for (nic, value) in all {
            let bytes = record::encode(value).map_err(|error| match error {
                RecordError::Json(source) => StoreError::Value { file: self.file.clone(), source },
                // Only reading can find those.
                RecordError::Empty | RecordError::Newer(_) => {
                    self.failed("write", io::Error::other(error.to_string()).into())
                }
            })?;
            records.push((nic, bytes));
        }
        self.write("write", |transaction| {
            let mut table = transaction.open_table(PROTECTED)?;
            table.retain(|_, _| false)?;
            for (nic, bytes) in &records {
                table.insert(nic.as_bytes(), bytes.as_slice())?;
            }
            Ok(())
        })
    }

    fn write(
        &self,
        action: &'static str,
        change: impl FnOnce(&redb::WriteTransaction) -> Result<(), redb::Error>,
    ) -> Result<(), StoreError> {
        let write = || -> Result<(), redb::Error> {
            let open = self.opened()?;
            let transaction = open.as_ref().ok_or(redb::Error::PreviousIo)?.begin_write()?;
            change(&transaction)?;
            transaction.commit()?;
            Ok(())
        };
        write().map_err(|error| {
            // Whatever it was, what is in memory may not be what is on the disk.
            *self.database.write().unwrap_or_else(PoisonError::into_inner) = None;
            self.failed(action, error)
        })
    }

    fn begin_read(&self) -> Result<redb::ReadTransaction, redb::Error> {
        let open = self.opened()?;
        Ok(open.as_ref().ok_or(redb::Error::PreviousIo)?.begin_read()?)
    }

    /// The database, opened anew after a failure.
    fn opened(&self) -> Result<RwLockReadGuard<'_, Option<Database>>, redb::Error> {
        let open = self.database.read().unwrap_or_else(PoisonError::into_inner);
        if open.is_some() {
            return Ok(open);
        }
        drop(open);
        let mut closed = self.database.write().unwrap_or_else(PoisonError::into_inner);
        if closed.is_none() {
            *closed = Some(self.reopen()?);
        }
        drop(closed);
        Ok(self.database.read().unwrap_or_else(PoisonError::into_inner))
    }

    fn reopen(&self) -> Result<Database, redb::Error> {
        let mut builder = Database::builder();
        builder.set_cache_size(CACHE);
        #[cfg(feature = "lossy")]
        if let Some(disk) = &self.backend {
            return Ok(builder.create_with_backend(disk.clone())?);
        }
        Ok(builder.create(&self.file)?)
    }

    fn failed(&self, action: &'static str, source: redb::Error) -> StoreError {
        StoreError::Storage { action, file: self.file.clone(), source: Box::new(source) }
    }
}

/// The first name beside `file` that nothing has yet.
fn free_name(file: &Path, word: &str) -> PathBuf {
    let named = |number: u32| {
        let mut name = file.as_os_str().to_owned();
        name.push(format!(".{word}-{number}"));
        PathBuf::from(name)
    };
    (1..).map(named).find(|name| !name.exists()).unwrap_or_else(|| named(0))
}

#[cfg(test)]
mod tests;
