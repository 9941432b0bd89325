//! The open redb file, opened anew after a failure.
//!
//! Once a read or a write of the file has failed, redb refuses everything. The handle is then closed, and whoever
//! comes next opens the file again: a disk that was full for a while costs no restart.

use std::io;
use std::ops::Bound;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard};

use redb::backends::FileBackend;
use redb::{
    BackendError, Database, DatabaseError, ReadTransaction, ReadableDatabase, StorageError, WriteTransaction,
};

use crate::error::is_no_room;

/// Most that redb keeps of the file in memory, bytes. The kernel keeps the rest.
const CACHE: usize = 256 * 1024;

#[derive(Debug)]
pub(crate) struct Handle {
    source: Source,
    /// Absent after a failure.
    open: RwLock<Option<Database>>,
    syncs: Arc<AtomicU64>,
}

/// Where the bytes are.
#[derive(Debug, Clone)]
pub(crate) enum Source {
    File(PathBuf),
    #[cfg(feature = "lossy")]
    Lossy(crate::lossy::Disk),
}

/// What a database is opened for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Purpose {
    /// The first time: a file that is not there is made, one that is there is checked from end to end. redb trusts
    /// what it closed itself, and panics later when the disk has changed it.
    Begin,
    /// After a failure: a file that is not there has been lost.
    Again,
}

impl Source {
    /// The file, for messages.
    pub(crate) fn file(&self) -> &Path {
        match self {
            Self::File(file) => file,
            #[cfg(feature = "lossy")]
            Self::Lossy(_) => Path::new("lossy"),
        }
    }
}

impl Handle {
    /// Opens the file, which is made when it is not there.
    pub(crate) fn open(source: Source) -> Result<Self, DatabaseError> {
        let syncs = Arc::new(AtomicU64::new(0));
        let database = match open(&source, &syncs, Purpose::Begin) {
            // Checking writes; without it the file can still be read.
            Err(DatabaseError::Storage(StorageError::Io(error))) if is_no_room(&error) => {
                open(&source, &syncs, Purpose::Again)?
            }
            opened => opened?,
        };
        Ok(Self { source, open: RwLock::new(Some(database)), syncs })
    }

    /// The file, for messages.
    pub(crate) fn file(&self) -> &Path {
        self.source.file()
    }

    /// Syncs that succeeded since the handle was made.
    pub(crate) fn syncs(&self) -> u64 {
        self.syncs.load(Ordering::Relaxed)
    }

    /// Reads one state of the file.
    pub(crate) fn read<T>(
        &self,
        read: impl FnOnce(&ReadTransaction) -> Result<T, redb::Error>,
    ) -> Result<T, redb::Error> {
        let open = self.opened()?;
        let transaction = database(&open)?.begin_read()?;
        read(&transaction)
    }

    /// Writes: all of `change`, durable on return, or an error. After an error the handle is to be closed, and the
    /// change may turn out to be there when the file is opened again.
    pub(crate) fn write(
        &self,
        change: impl FnOnce(&WriteTransaction) -> Result<(), redb::Error>,
    ) -> Result<(), redb::Error> {
        let write = || -> Result<(), redb::Error> {
            let open = self.opened()?;
            // Durable on return is redb's default.
            let transaction = database(&open)?.begin_write()?;
            change(&transaction)?;
            Ok(transaction.commit()?)
        };
        // A file that is damaged in the right place makes redb panic; nobody may wait for ever because of it.
        catch_unwind(AssertUnwindSafe(write))
            .unwrap_or_else(|_| Err(redb::Error::Corrupted("it cannot be written".to_owned())))
    }

    /// Closes the file; the next read or write opens it again.
    pub(crate) fn close(&self) {
        let open = self.open.write().unwrap_or_else(PoisonError::into_inner).take();
        // Closing writes, and redb panics where what it meets there is damaged.
        let _ = catch_unwind(AssertUnwindSafe(|| drop(open)));
    }

    /// The database, opened anew when it is closed.
    fn opened(&self) -> Result<RwLockReadGuard<'_, Option<Database>>, redb::Error> {
        let open = self.open.read().unwrap_or_else(PoisonError::into_inner);
        if open.is_some() {
            return Ok(open);
        }
        drop(open);
        let mut closed = self.open.write().unwrap_or_else(PoisonError::into_inner);
        if closed.is_none() {
            *closed = Some(open_again(&self.source, &self.syncs)?);
        }
        drop(closed);
        Ok(self.open.read().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Drop for Handle {
    fn drop(&mut self) {
        self.close();
    }
}

fn database(open: &Option<Database>) -> Result<&Database, redb::Error> {
    // Another caller's failure may have closed it since.
    open.as_ref().ok_or(redb::Error::DatabaseClosed)
}

fn open_again(source: &Source, syncs: &Arc<AtomicU64>) -> Result<Database, redb::Error> {
    catch_unwind(AssertUnwindSafe(|| open(source, syncs, Purpose::Again)))
        .unwrap_or_else(|_| Err(DatabaseError::Storage(StorageError::Corrupted("it is damaged".to_owned()))))
        .map_err(redb::Error::from)
}

fn open(source: &Source, syncs: &Arc<AtomicU64>, purpose: Purpose) -> Result<Database, DatabaseError> {
    let mut builder = Database::builder();
    builder.set_cache_size(CACHE).set_check_integrity_on_open(purpose == Purpose::Begin);
    match source {
        Source::File(file) => {
            let mut options = std::fs::OpenOptions::new();
            options.read(true).write(true).create(purpose == Purpose::Begin).truncate(false);
            let inner = FileBackend::new(options.open(file)?)?;
            builder.create_with_backend(Counted { inner, syncs: Arc::clone(syncs) })
        }
        #[cfg(feature = "lossy")]
        Source::Lossy(disk) => {
            builder.create_with_backend(Counted { inner: disk.clone(), syncs: Arc::clone(syncs) })
        }
    }
}

/// A file whose syncs are counted.
#[derive(Debug)]
struct Counted<B> {
    inner: B,
    syncs: Arc<AtomicU64>,
}

impl<B: redb::StorageBackend> redb::StorageBackend for Counted<B> {
    fn len(&self) -> Result<u64, io::Error> {
        self.inner.len()
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> Result<(), io::Error> {
        self.inner.read(offset, out)
    }

    fn set_len(&self, len: u64) -> Result<(), io::Error> {
        self.inner.set_len(len)
    }

    fn sync_data(&self) -> Result<(), io::Error> {
        self.inner.sync_data()?;
        self.syncs.fetch_add(1, Ordering::Relaxed);
        Ok(())
    }

    fn write(&self, offset: u64, data: &[u8]) -> Result<(), io::Error> {
        self.inner.write(offset, data)
    }

    fn close(&self) -> Result<(), io::Error> {
        self.inner.close()
    }

    fn try_lock_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<bool, BackendError> {
        self.inner.try_lock_range(start, end)
    }

    fn try_lock_shared_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<bool, BackendError> {
        self.inner.try_lock_shared_range(start, end)
    }

    fn lock_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<(), BackendError> {
        self.inner.lock_range(start, end)
    }

    fn lock_shared_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<(), BackendError> {
        self.inner.lock_shared_range(start, end)
    }

    fn unlock_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<(), BackendError> {
        self.inner.unlock_range(start, end)
    }

    fn query_lock_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<bool, BackendError> {
        self.inner.query_lock_range(start, end)
    }
}
