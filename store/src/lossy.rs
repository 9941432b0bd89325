//! A disk for tests: keeps apart what was written and what was synced, and can crash, fill up, break at a chosen moment
//! or take its time.

use std::io;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

/// The disk. Clones are the same disk.
#[derive(Debug, Clone, Default)]
pub struct Disk {
    shared: Arc<Shared>,
}

#[derive(Debug, Default)]
struct Shared {
    state: Mutex<State>,
    /// A held sync may have been let go.
    let_go: Condvar,
}

#[derive(Debug, Default)]
struct State {
    /// What a reader sees.
    written: Vec<u8>,
    /// What is there after a crash, whatever happens.
    synced: Vec<u8>,
    /// Writes since the last sync, in order.
    unsynced: Vec<Write>,
    syncs: u64,
    /// From when on, in operations (writes, changes of length, syncs), and how it refuses.
    trouble: Option<(u64, io::ErrorKind)>,
    operations: u64,
    hold: Hold,
}

/// Syncs that are made to wait.
#[derive(Debug, Default)]
struct Hold {
    on: bool,
    waiting: usize,
    passes: usize,
}

#[derive(Debug, Clone)]
enum Write {
    Bytes { offset: usize, bytes: Vec<u8> },
    Length(usize),
}

impl Disk {
    /// An empty disk.
    pub fn new() -> Self {
        Self::default()
    }

    /// How often it was synced.
    pub fn syncs(&self) -> u64 {
        self.lock().syncs
    }

    /// How often something was asked of it that changes it: writes, changes of length and syncs, refused ones
    /// included.
    pub fn operations(&self) -> u64 {
        self.lock().operations
    }

    /// Refuses every write and sync from now on with this error; `None`: works again.
    pub fn set_trouble(&self, trouble: Option<io::ErrorKind>) {
        let mut state = self.lock();
        state.trouble = trouble.map(|kind| (state.operations, kind));
    }

    /// Does so many more operations, then refuses as [`set_trouble`](Self::set_trouble) says. A refused sync may have
    /// brought a part of the writes to safety: [`crashed`](Self::crashed) decides which.
    pub fn set_trouble_after(&self, operations: u64, kind: io::ErrorKind) {
        let mut state = self.lock();
        state.trouble = Some((state.operations + operations, kind));
    }

    /// Makes every sync wait until [`let_one_go`](Self::let_one_go) or [`let_all_go`](Self::let_all_go).
    pub fn hold_syncs(&self) {
        self.lock().hold.on = true;
    }

    /// How many syncs wait.
    pub fn held_syncs(&self) -> usize {
        let state = self.lock();
        state.hold.waiting - state.hold.passes.min(state.hold.waiting)
    }

    /// Lets one sync that waits go, or the next one that comes.
    pub fn let_one_go(&self) {
        self.lock().hold.passes += 1;
        self.shared.let_go.notify_all();
    }

    /// Lets all syncs go, those to come, too.
    pub fn let_all_go(&self) {
        self.lock().hold.on = false;
        self.shared.let_go.notify_all();
    }

    /// The disk as it is after the power went: of the writes since the last sync each is there, or not, or half, as
    /// `luck` says for one after the other (0 lost, 1 there, 2 torn; missing: lost).
    pub fn crashed(&self, luck: &[u8]) -> Self {
        let state = self.lock();
        let mut bytes = state.synced.clone();
        for (number, write) in state.unsynced.iter().enumerate() {
            match (write, luck.get(number).copied().unwrap_or(0) % 3) {
                (_, 0) => {}
                (Write::Length(length), _) => bytes.resize(*length, 0),
                (Write::Bytes { offset, bytes: new }, luck) => {
                    let kept = if luck == 1 { new.len() } else { new.len() / 2 };
                    put(&mut bytes, *offset, new.get(..kept).unwrap_or_default());
                }
            }
        }
        let state = State { written: bytes.clone(), synced: bytes, ..State::default() };
        Self { shared: Arc::new(Shared { state: Mutex::new(state), let_go: Condvar::new() }) }
    }

    /// All of it, as a reader sees it.
    pub(crate) fn bytes(&self) -> Vec<u8> {
        self.lock().written.clone()
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.shared.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// One operation more, which may be refused.
    fn operate(&self) -> Result<MutexGuard<'_, State>, io::Error> {
        let mut state = self.lock();
        let number = state.operations;
        state.operations += 1;
        match state.trouble {
            Some((from, kind)) if number >= from => Err(kind.into()),
            _ => Ok(state),
        }
    }
}

/// Writes at a place; the file grows where it ends before.
fn put(all: &mut Vec<u8>, offset: usize, bytes: &[u8]) {
    let end = offset + bytes.len();
    if all.len() < end {
        all.resize(end, 0);
    }
    if let Some(place) = all.get_mut(offset..end) {
        place.copy_from_slice(bytes);
    }
}

fn position(offset: u64) -> usize {
    usize::try_from(offset).unwrap_or(usize::MAX)
}

impl redb::StorageBackend for Disk {
    fn len(&self) -> Result<u64, io::Error> {
        Ok(self.lock().written.len() as u64)
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> Result<(), io::Error> {
        let state = self.lock();
        let start = position(offset);
        let found = start.checked_add(out.len()).and_then(|end| state.written.get(start..end));
        let found = found.ok_or_else(|| io::Error::from(io::ErrorKind::UnexpectedEof))?;
        out.copy_from_slice(found);
        Ok(())
    }

    fn set_len(&self, len: u64) -> Result<(), io::Error> {
        let mut state = self.operate()?;
        state.written.resize(position(len), 0);
        state.unsynced.push(Write::Length(position(len)));
        Ok(())
    }

    fn sync_data(&self) -> Result<(), io::Error> {
        let mut state = self.lock();
        if state.hold.on {
            state.hold.waiting += 1;
            while state.hold.on && state.hold.passes == 0 {
                state = self.shared.let_go.wait(state).unwrap_or_else(PoisonError::into_inner);
            }
            state.hold.waiting -= 1;
            state.hold.passes = state.hold.passes.saturating_sub(1);
        }
        drop(state);
        let mut state = self.operate()?;
        state.synced = state.written.clone();
        state.unsynced.clear();
        state.syncs += 1;
        Ok(())
    }

    fn write(&self, offset: u64, data: &[u8]) -> Result<(), io::Error> {
        let mut state = self.operate()?;
        put(&mut state.written, position(offset), data);
        state.unsynced.push(Write::Bytes { offset: position(offset), bytes: data.to_vec() });
        Ok(())
    }
}
