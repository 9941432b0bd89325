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
//!   agent.redb.<reason>-<n>          files set aside: never read, never deleted
//! ```
//! Keys and values are plain bytes; a record is a version byte and JSON ([`crate::record`]).

use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};

use redb::{
    Database, DatabaseError, ReadableDatabase, ReadableTable, StorageError, TableDefinition, TableError,
};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::identity::Identity;
use crate::record::{self, RecordError};

/// Version of the layout at the head of this file.
const FORMAT: u32 = 1;

/// Name of the database in the state folder.
const NAME: &str = "agent.redb";

/// Most that redb keeps of the file in memory, bytes. What we store is a few kilobytes.
const CACHE: usize = 256 * 1024;

const META: TableDefinition<'_, &[u8], &[u8]> = TableDefinition::new("meta");
const PROTECTED: TableDefinition<'_, &[u8], &[u8]> = TableDefinition::new("protected");

/// The open database.
#[derive(Debug)]
pub struct Store {
    database: Database,
    file: PathBuf,
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

impl Store {
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
        let store = Self { database, file: file.to_owned() };
        let read = catch_unwind(AssertUnwindSafe(|| store.meta()));
        let (format, machine, boot) = match read {
            Ok(Ok(meta)) => meta,
            Ok(Err(error)) => return Err(damaged(error.to_string())),
            Err(_) => return Err(damaged("its tables cannot be read".to_owned())),
        };
        match format {
            None => {}
            Some(FORMAT) => {}
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
        let transaction = self.database.begin_read()?;
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
        match transaction.open_table(PROTECTED) {
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
            Ok(())
        })
    }

    /// The remembered protected NICs, by id. A value that cannot be read is left out.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn protected<T: DeserializeOwned>(&self) -> Result<Vec<(String, T)>, StoreError> {
        let read = || -> Result<Vec<(String, T)>, redb::Error> {
            let table = self.database.begin_read()?.open_table(PROTECTED)?;
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
            let transaction = self.database.begin_write()?;
            change(&transaction)?;
            transaction.commit()?;
            Ok(())
        };
        write().map_err(|error| self.failed(action, error))
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
