//! The toy's addresses: one file a network in `ipam.dataDir`, read and written under a lock.

use std::fs::{File, OpenOptions};
use std::path::{Path, PathBuf};
use std::time::Duration;

use nix::fcntl::{Flock, FlockArg};
use serde::{Deserialize, Serialize};

use super::{Refusal, Toy, refusal};

/// One held address.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Entry {
    /// The last byte of the address; 0: none any more.
    pub(super) host: u8,
    pub(super) container: String,
    pub(super) ifname: String,
    pub(super) netns: String,
}

/// The entries of a network while they are locked.
pub(super) struct Ledger {
    path: PathBuf,
    pub(super) entries: Vec<Entry>,
    _lock: Option<Flock<File>>,
}

impl Ledger {
    /// Opens and locks the file of a network.
    pub(super) fn open(toy: &Toy, folder: &Path, network: &str) -> Result<Self, Refusal> {
        let wrong = |error: &dyn std::fmt::Display| refusal(5, format!("{}: {error}", folder.display()));
        std::fs::create_dir_all(folder).map_err(|error| wrong(&error))?;
        let path = folder.join(format!("{network}.json"));
        let file = OpenOptions::new().create(true).append(true).open(folder.join("lock"));
        let file = file.map_err(|error| wrong(&error))?;
        let lock = if toy.has("no-lock") {
            None
        } else {
            Some(Flock::lock(file, FlockArg::LockExclusive).map_err(|(_, error)| wrong(&error))?)
        };
        let text = std::fs::read_to_string(&path).unwrap_or_else(|_| "[]".to_owned());
        let entries = serde_json::from_str(&text).map_err(|error| wrong(&error))?;
        if toy.has("no-lock") && !path.exists() {
            // Long enough that 16 at once all find nothing.
            std::thread::sleep(Duration::from_millis(250));
        }
        Ok(Self { path, entries, _lock: lock })
    }

    /// Takes the first free address, or a wanted one.
    pub(super) fn take(&mut self, size: u8, wanted: Option<u8>, mut entry: Entry) -> Result<u8, Refusal> {
        let taken = |host: &u8| self.entries.iter().any(|entry| entry.host == *host);
        let mut range = 10..10 + size;
        let host = match wanted {
            Some(host) => (!taken(&host)).then_some(host),
            None => range.find(|host| !taken(host)),
        };
        let host = host.ok_or_else(|| refusal(101, "no address is left"))?;
        entry.host = host;
        self.entries.push(entry);
        self.save()?;
        Ok(host)
    }

    /// Whether nothing is left.
    pub(super) fn is_full(&self, size: u8) -> bool {
        (10..10 + size).all(|host| self.entries.iter().any(|entry| entry.host == host))
    }

    /// Writes what is held.
    pub(super) fn save(&self) -> Result<(), Refusal> {
        let text = serde_json::to_string(&self.entries).unwrap_or_default();
        // Beside and over it: a reader without the lock (a flaw) must not see half a file.
        let beside = self.path.with_extension(format!("{}", std::process::id()));
        let written = std::fs::write(&beside, text).and_then(|()| std::fs::rename(&beside, &self.path));
        written.map_err(|error| refusal(5, format!("{}: {error}", self.path.display())))
    }
}
