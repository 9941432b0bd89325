//! Notes of DELs that came while the agent was away (TRAPS P1, P7).
//!
//! ```text
//! <state folder>/pending-del/<network>-<container>-<ifname>.json    0600
//! ```

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Serialize};

use crate::file;

/// Folder of the notes inside the state folder.
pub const FOLDER: &str = "pending-del";

/// Bytes of a note at most.
const SIZE: u64 = 64 * 1024;

/// A DEL that the agent has not seen. It applies to attachments of the same boot and namespace only.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Note {
    /// Name of the network.
    pub network: String,
    /// `CNI_CONTAINERID`.
    pub container_id: String,
    /// `CNI_IFNAME`.
    pub ifname: String,
    /// Boot that it came in (`/proc/sys/kernel/random/boot_id`).
    pub boot: String,
    /// Cookie of the namespace (`SO_NETNS_COOKIE`), when there still was one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cookie: Option<u64>,
    /// When, seconds since 1970.
    pub time: u64,
    /// All DELs in the delegate file were run, so none of them is owed; false when there was no such file.
    #[serde(default)]
    pub delegates_done: bool,
}

impl Note {
    /// Writes it; on return it outlives a loss of power. An older one of the same key is replaced.
    ///
    /// # Errors
    /// When the folder cannot be written; then there is no note.
    pub fn write(&self, state_dir: &Path) -> io::Result<PathBuf> {
        let name = file_name(&self.network, &self.container_id, &self.ifname);
        file::write(&state_dir.join(FOLDER), &name, &serde_json::to_vec(self)?)
    }

    /// The note in a file; absent when it is none, as with one that is just being written.
    pub fn read(path: &Path) -> Option<Self> {
        if fs::metadata(path).ok()?.len() > SIZE {
            return None;
        }
        serde_json::from_slice(&fs::read(path).ok()?).ok()
    }

    /// All notes with their files, oldest first; what is no note is passed over.
    pub fn all(state_dir: &Path) -> Vec<(PathBuf, Self)> {
        let entries = fs::read_dir(state_dir.join(FOLDER)).into_iter().flatten().flatten();
        let mut notes: Vec<(PathBuf, Self)> = entries
            .filter(|entry| entry.file_name().to_str().is_some_and(file::is_name))
            .filter_map(|entry| Some((entry.path(), Self::read(&entry.path())?)))
            .collect();
        notes.sort_by_key(|(_, note)| note.time);
        notes
    }

    /// Removes the note of a key; none there is fine.
    pub fn remove(state_dir: &Path, network: &str, container_id: &str, ifname: &str) {
        drop(fs::remove_file(state_dir.join(FOLDER).join(file_name(network, container_id, ifname))));
    }
}

/// Name of the files of a key, [`file::name`].
pub fn file_name(network: &str, container_id: &str, ifname: &str) -> String {
    file::name(network, container_id, ifname)
}

/// Id of this boot; empty where `/proc` is not there.
pub fn boot_id() -> String {
    fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default().trim().to_owned()
}

/// Seconds since 1970.
pub fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn note(ifname: &str, time: u64) -> Note {
        Note {
            network: "n".to_owned(),
            container_id: "c".to_owned(),
            ifname: ifname.to_owned(),
            boot: boot_id(),
            cookie: Some(7),
            time,
            delegates_done: true,
        }
    }

    #[test]
    fn notes_read_back_oldest_first_and_other_files_are_passed_over() {
        let folder = tempfile::tempdir().unwrap();
        note("b", 2).write(folder.path()).unwrap();
        note("a", 1).write(folder.path()).unwrap();
        for name in ["odd.json", ".n-c-z.json.77", "n-c-z.txt"] {
            fs::write(folder.path().join(FOLDER).join(name), "{").unwrap();
        }

        let found: Vec<Note> = Note::all(folder.path()).into_iter().map(|(_, note)| note).collect();
        assert_eq!(found, [note("a", 1), note("b", 2)]);

        Note::remove(folder.path(), "n", "c", "a");
        assert_eq!(Note::all(folder.path()).len(), 1);
        assert_eq!(Note::all(Path::new("/nowhere")), []);
    }

    #[test]
    fn a_folder_that_cannot_be_written_is_an_error() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join(FOLDER), "").unwrap();

        assert!(note("i", 0).write(folder.path()).is_err());
    }

    proptest! {
        #[test]
        fn no_content_makes_reading_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let folder = tempfile::tempdir().unwrap();
            let path = folder.path().join("x.json");
            fs::write(&path, bytes).unwrap();
            prop_assert_eq!(Note::read(&path), None);
        }

        #[test]
        fn a_note_with_a_broken_byte_is_read_or_not_but_never_panics(at in 0usize..200, byte in any::<u8>()) {
            let folder = tempfile::tempdir().unwrap();
            let path = folder.path().join("x.json");
            let mut bytes = serde_json::to_vec(&note("i", 3)).unwrap();
            let at = at % bytes.len();
            bytes[at] = byte;
            fs::write(&path, bytes).unwrap();
            let _ = Note::read(&path);
        }
    }
}
