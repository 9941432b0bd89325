//! The open redb file, opened anew after a failure.
//!
//! Once a read or a write of the file has failed, redb refuses everything. The handle is then closed, and whoever
//! comes next opens the file again: a disk that was full for a while costs no restart. As long as it is full or
//! read-only, reads come from a copy in memory.

use std::io;
use std::ops::Bound;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard};

use redb::backends::{FileBackend, InMemoryBackend};
use redb::{
    BackendError, Builder, Database, DatabaseError, ReadTransaction, ReadableDatabase, StorageBackend,
    StorageError, WriteTransaction,
};

use crate::error::is_no_room;

/// Most that redb keeps of the file in memory, bytes. The kernel keeps the rest.
const CACHE: usize = 256 * 1024;

#[derive(Debug)]
pub(crate) struct Handle {
    source: Source,
    open: RwLock<Open>,
    syncs: Arc<AtomicU64>,
}

/// Where the bytes are.
#[derive(Debug, Clone)]
pub(crate) enum Source {
    File(PathBuf),
    #[cfg(feature = "lossy")]
    Lossy(crate::lossy::Disk),
}

#[derive(Debug)]
enum Open {
    Writable(Database),
    /// redb writes when it opens, so what lies on a disk that is full or read-only is read from a copy in memory.
    Copy(Database),
    /// After a failure.
    Closed,
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

/// What comes next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Next {
    Read,
    Write,
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

    fn bytes(&self) -> Result<Vec<u8>, io::Error> {
        match self {
            Self::File(file) => std::fs::read(file),
            #[cfg(feature = "lossy")]
            Self::Lossy(disk) => Ok(disk.bytes()),
        }
    }
}

impl Handle {
    /// Opens the file, which is made when it is not there.
    pub(crate) fn open(source: Source) -> Result<Self, DatabaseError> {
        let syncs = Arc::new(AtomicU64::new(0));
        let open = open_for(Next::Read, &source, &syncs, Purpose::Begin)?;
        Ok(Self { source, open: RwLock::new(open), syncs })
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
        let open = self.opened(Next::Read)?;
        let transaction = open.database()?.begin_read()?;
        read(&transaction)
    }

    /// Writes: all of `change`, durable on return, or an error. After an error the handle is to be closed, and the
    /// change may turn out to be there when the file is opened again.
    pub(crate) fn write(
        &self,
        change: impl FnOnce(&WriteTransaction) -> Result<(), redb::Error>,
    ) -> Result<(), redb::Error> {
        let write = || -> Result<(), redb::Error> {
            let open = self.opened(Next::Write)?;
            // Durable on return is redb's default.
            let transaction = open.database()?.begin_write()?;
            change(&transaction)?;
            Ok(transaction.commit()?)
        };
        // A file that is damaged in the right place makes redb panic; nobody may wait for ever because of it.
        catch_unwind(AssertUnwindSafe(write))
            .unwrap_or_else(|_| Err(redb::Error::Corrupted("it cannot be written".to_owned())))
    }

    /// Closes the file; the next read or write opens it again. A copy stays: it does not fail.
    pub(crate) fn close(&self) {
        let mut open = self.open.write().unwrap_or_else(PoisonError::into_inner);
        if matches!(*open, Open::Writable(_)) {
            let closing = std::mem::replace(&mut *open, Open::Closed);
            // Closing writes, and redb panics where what it meets there is damaged.
            let _ = catch_unwind(AssertUnwindSafe(|| drop(closing)));
        }
    }

    /// The database, opened anew when what is open does not serve.
    fn opened(&self, next: Next) -> Result<RwLockReadGuard<'_, Open>, redb::Error> {
        let open = self.open.read().unwrap_or_else(PoisonError::into_inner);
        if open.serves(next) {
            return Ok(open);
        }
        drop(open);
        let mut open = self.open.write().unwrap_or_else(PoisonError::into_inner);
        if !open.serves(next) {
            let again =
                catch_unwind(AssertUnwindSafe(|| open_for(next, &self.source, &self.syncs, Purpose::Again)));
            *open =
                again.unwrap_or_else(|_| Err(StorageError::Corrupted("it is damaged".to_owned()).into()))?;
        }
        drop(open);
        Ok(self.open.read().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Drop for Handle {
    fn drop(&mut self) {
        self.close();
    }
}

impl Open {
    fn serves(&self, next: Next) -> bool {
        match self {
            Self::Writable(_) => true,
            Self::Copy(_) => next == Next::Read,
            Self::Closed => false,
        }
    }

    fn database(&self) -> Result<&Database, redb::Error> {
        match self {
            Self::Writable(database) | Self::Copy(database) => Ok(database),
            // By another caller's failure, since it was opened.
            Self::Closed => Err(redb::Error::DatabaseClosed),
        }
    }
}

fn open_for(
    next: Next,
    source: &Source,
    syncs: &Arc<AtomicU64>,
    purpose: Purpose,
) -> Result<Open, DatabaseError> {
    match open_writable(source, syncs, purpose) {
        Ok(database) => Ok(Open::Writable(database)),
        Err(DatabaseError::Storage(StorageError::Io(error))) if next == Next::Read && is_no_room(&error) => {
            match source.bytes() {
                Ok(bytes) if !bytes.is_empty() => Ok(Open::Copy(open_copy(&bytes, purpose)?)),
                _ => Err(StorageError::Io(error).into()),
            }
        }
        Err(error) => Err(error),
    }
}

fn open_writable(
    source: &Source,
    syncs: &Arc<AtomicU64>,
    purpose: Purpose,
) -> Result<Database, DatabaseError> {
    let syncs = Arc::clone(syncs);
    match source {
        Source::File(file) => {
            let mut options = std::fs::OpenOptions::new();
            options.read(true).write(true).create(purpose == Purpose::Begin).truncate(false);
            let inner = FileBackend::new(options.open(file).map_err(StorageError::from)?)?;
            builder(purpose).create_with_backend(Counted { inner, syncs })
        }
        #[cfg(feature = "lossy")]
        Source::Lossy(disk) => builder(purpose).create_with_backend(Counted { inner: disk.clone(), syncs }),
    }
}

fn open_copy(bytes: &[u8], purpose: Purpose) -> Result<Database, DatabaseError> {
    let copy = InMemoryBackend::new();
    let filled = copy.set_len(bytes.len() as u64).and_then(|()| copy.write(0, bytes));
    filled.map_err(StorageError::from)?;
    builder(purpose).create_with_backend(copy)
}

fn builder(purpose: Purpose) -> Builder {
    let mut builder = Database::builder();
    builder.set_cache_size(CACHE).set_check_integrity_on_open(purpose == Purpose::Begin);
    builder
}

/// A file whose syncs are counted.
#[derive(Debug)]
struct Counted<B> {
    inner: B,
    syncs: Arc<AtomicU64>,
}

impl<B: StorageBackend> StorageBackend for Counted<B> {
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
