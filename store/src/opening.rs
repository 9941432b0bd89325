//! Opening: whose file it is, and what becomes of one that is of no use.

use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};

use redb::{DatabaseError, ReadTransaction, ReadableTable, StorageError, TableDefinition, TableError};

use crate::batch::Table;
use crate::error::StoreError;
use crate::handle::{Handle, Source};
use crate::identity::Identity;

/// Version of the layout at the head of `database.rs`.
pub(crate) const FORMAT: u32 = 2;

/// The first layout: what it has is as it is today, the tables of attachments are missing. An agent of that time
/// must not open a file that has some, as it would not know what it holds.
const FORMAT_WITHOUT_ATTACHMENTS: u32 = 1;

pub(crate) const META: TableDefinition<'_, &[u8], &[u8]> = TableDefinition::new("meta");

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

/// Why a file is not taken.
enum Unfit {
    /// It is damaged or of another machine: set it aside.
    Aside { word: &'static str, reason: String },
    /// It is to be left alone.
    Refuse(StoreError),
}

/// What a file says of itself.
#[derive(Default)]
struct Signature {
    format: Option<u32>,
    machine: Option<String>,
    boot: Option<String>,
}

/// Opens `file`. A damaged one and one of another machine are set aside under another name, and a new one is begun.
pub(crate) fn open(file: &Path, identity: &Identity) -> Result<(Handle, Opening), StoreError> {
    let open_error = |source| StoreError::Open { file: file.to_owned(), source };
    let existed = file.try_exists().map_err(open_error)?;
    match begin(Source::File(file.to_owned()), identity) {
        Ok((handle, rebooted)) if existed => Ok((handle, Opening::Found { rebooted })),
        Ok((handle, _)) => Ok((handle, Opening::Created)),
        Err(Unfit::Refuse(error)) => Err(error),
        Err(Unfit::Aside { word, reason }) => {
            let aside = free_name(file, word);
            std::fs::rename(file, &aside).map_err(open_error)?;
            match begin(Source::File(file.to_owned()), identity) {
                Ok((handle, _)) => Ok((handle, Opening::SetAside { aside, reason })),
                Err(Unfit::Refuse(error)) => Err(error),
                Err(Unfit::Aside { reason, .. }) => Err(open_error(io::Error::other(reason))),
            }
        }
    }
}

/// Opens what lies on a disk for tests; nothing is set aside there.
#[cfg(feature = "lossy")]
pub(crate) fn open_lossy(disk: &crate::lossy::Disk, identity: &Identity) -> Result<Handle, StoreError> {
    match begin(Source::Lossy(disk.clone()), identity) {
        Ok((handle, _)) => Ok(handle),
        Err(Unfit::Refuse(error)) => Err(error),
        Err(Unfit::Aside { reason, .. }) => {
            Err(StoreError::Open { file: PathBuf::from("lossy"), source: io::Error::other(reason) })
        }
    }
}

/// Opens the file and checks whose it is; `true` = another boot wrote last.
fn begin(source: Source, identity: &Identity) -> Result<(Handle, bool), Unfit> {
    let damaged =
        |reason: String| Unfit::Aside { word: "damaged", reason: format!("it is damaged: {reason}") };
    let file = source.file().to_owned();
    // A file that is damaged in the right place makes redb panic instead of answering.
    let opened = catch_unwind(AssertUnwindSafe(|| Handle::open(source)));
    let handle = match opened {
        Err(_) => return Err(damaged("it cannot even be opened".to_owned())),
        Ok(Ok(handle)) => handle,
        Ok(Err(DatabaseError::DatabaseAlreadyOpen)) => {
            return Err(Unfit::Refuse(StoreError::InUse { file }));
        }
        Ok(Err(DatabaseError::Storage(StorageError::Io(source))))
            if !matches!(source.kind(), io::ErrorKind::InvalidData | io::ErrorKind::UnexpectedEof) =>
        {
            return Err(Unfit::Refuse(StoreError::Open { file, source }));
        }
        Ok(Err(error)) => return Err(damaged(error.to_string())),
    };
    let read = catch_unwind(AssertUnwindSafe(|| handle.read(examine)));
    let found = match read {
        Ok(Ok(found)) => found,
        Ok(Err(error)) => return Err(damaged(error.to_string())),
        Err(_) => return Err(damaged("its tables cannot be read".to_owned())),
    };
    match found.format {
        None | Some(FORMAT | FORMAT_WITHOUT_ATTACHMENTS) => {}
        Some(found) if found > FORMAT => {
            return Err(Unfit::Refuse(StoreError::Newer { file, found }));
        }
        Some(other) => return Err(damaged(format!("format {other} has never been"))),
    }
    let (theirs, ours) = (found.machine.as_deref().unwrap_or_default(), identity.machine.as_str());
    // A machine that cannot tell its id keeps what it has.
    if !theirs.is_empty() && !ours.is_empty() && theirs != ours {
        let reason = format!("it belongs to another machine ({theirs}; this one is {ours})");
        return Err(Unfit::Aside { word: "foreign", reason });
    }
    let wanted = Signature {
        format: Some(FORMAT),
        machine: Some(if ours.is_empty() { theirs } else { ours }.to_owned()),
        boot: Some(identity.boot.clone()),
    };
    let rebooted = found.boot.as_deref().is_some_and(|boot| boot != identity.boot);
    sign(&handle, &found, &wanted).map_err(Unfit::Refuse)?;
    Ok((handle, rebooted))
}

/// Reads whose file it is, and every value once, so that damage is found now and not in the middle of work.
fn examine(transaction: &ReadTransaction) -> Result<Signature, redb::Error> {
    let meta = match transaction.open_table(META) {
        Ok(meta) => meta,
        Err(TableError::TableDoesNotExist(_)) => return Ok(Signature::default()),
        Err(error) => return Err(error.into()),
    };
    let text = |key: &str| -> Result<Option<String>, redb::Error> {
        let value = meta.get(key.as_bytes())?;
        Ok(value.map(|value| String::from_utf8_lossy(value.value()).into_owned()))
    };
    let format = meta.get("format".as_bytes())?;
    // A format of another length is none of ours.
    let format = format.map(|value| value.value().try_into().map_or(0, u32::from_le_bytes));
    for table in Table::ALL {
        match transaction.open_table(table.definition()) {
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
    Ok(Signature { format, machine: text("machine")?, boot: text("boot")? })
}

/// Writes down whose file it is, unless it says so already: an agent that is started again on a full disk can read.
fn sign(handle: &Handle, found: &Signature, wanted: &Signature) -> Result<(), StoreError> {
    if (found.format, &found.machine, &found.boot) == (wanted.format, &wanted.machine, &wanted.boot) {
        return Ok(());
    }
    let signed = handle.write(|transaction| {
        let mut meta = transaction.open_table(META)?;
        meta.insert("format".as_bytes(), &FORMAT.to_le_bytes()[..])?;
        for (key, text) in [("machine", &wanted.machine), ("boot", &wanted.boot)] {
            meta.insert(key.as_bytes(), text.as_deref().unwrap_or_default().as_bytes())?;
        }
        Ok(())
    });
    signed.map_err(|source| StoreError::Storage {
        action: "sign",
        file: handle.file().to_owned(),
        source: Box::new(source),
    })
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
