//! A disk for tests: keeps apart what was written and what was synced, and can crash, fill up or become read-only.

use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// The disk. Clones are the same disk.
#[derive(Debug, Clone, Default)]
pub struct Disk {
    state: Arc<Mutex<State>>,
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
    trouble: Option<io::ErrorKind>,
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

    /// Refuses every write and sync from now on with this error; `None`: works again.
    pub fn set_trouble(&self, trouble: Option<io::ErrorKind>) {
        self.lock().trouble = trouble;
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
        Self { state: Arc::new(Mutex::new(state)) }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn working(&self) -> Result<MutexGuard<'_, State>, io::Error> {
        let state = self.lock();
        match state.trouble {
            Some(kind) => Err(kind.into()),
            None => Ok(state),
        }
    }
}

/// Writes where there is room; what was cut off by an earlier loss of length is lost, too.
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
        let mut state = self.working()?;
        state.written.resize(position(len), 0);
        state.unsynced.push(Write::Length(position(len)));
        Ok(())
    }

    fn sync_data(&self) -> Result<(), io::Error> {
        let mut state = self.working()?;
        state.synced = state.written.clone();
        state.unsynced.clear();
        state.syncs += 1;
        Ok(())
    }

    fn write(&self, offset: u64, data: &[u8]) -> Result<(), io::Error> {
        let mut state = self.working()?;
        put(&mut state.written, position(offset), data);
        state.unsynced.push(Write::Bytes { offset: position(offset), bytes: data.to_vec() });
        Ok(())
    }
}
