//! Notes of DELs that came while the agent was away (TRAPS P1, P7).

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Serialize};

/// Folder of the notes inside the state folder.
pub const FOLDER: &str = "pending-del";

/// A DEL that the agent has not seen.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Note {
    /// Name of the network.
    pub network: String,
    /// `CNI_CONTAINERID`.
    pub container_id: String,
    /// `CNI_IFNAME`.
    pub ifname: String,
    /// Boot that it came in.
    pub boot: String,
    /// Cookie of the namespace, when there still was one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cookie: Option<u64>,
    /// When, seconds since 1970.
    pub time: u64,
    /// Delegates' DELs were run from their file, so none is owed.
    #[serde(default)]
    pub delegates_done: bool,
}

/// Name of a file for a key: the parts hold no slash, and their lengths tell them apart.
pub fn file_name(network: &str, container_id: &str, ifname: &str) -> String {
    format!("{network}-{container_id}-{ifname}.json")
}

/// Id of this boot.
pub fn boot_id() -> String {
    fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default().trim().to_owned()
}

/// Seconds since 1970.
pub fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs()
}

impl Note {
    /// Writes it; on return it outlives a loss of power.
    ///
    /// # Errors
    /// When the folder cannot be written; then there is no note.
    pub fn write(&self, state_dir: &Path) -> io::Result<PathBuf> {
        let folder = state_dir.join(FOLDER);
        fs::create_dir_all(&folder)?;
        let name = file_name(&self.network, &self.container_id, &self.ifname);
        write_durably(&folder, &name, &serde_json::to_vec(self)?)
    }

    /// All notes with their files, oldest first; what is no note is passed over.
    pub fn all(state_dir: &Path) -> Vec<(PathBuf, Self)> {
        let entries = fs::read_dir(state_dir.join(FOLDER)).into_iter().flatten().flatten();
        let files = entries
            .map(|entry| entry.path())
            .filter(|path| path.extension().is_some_and(|end| end == "json"));
        let mut notes: Vec<(PathBuf, Self)> = files
            .filter_map(|path| {
                let note = serde_json::from_slice(&fs::read(&path).ok()?).ok()?;
                Some((path, note))
            })
            .collect();
        notes.sort_by_key(|(_, note)| note.time);
        notes
    }
}

/// Writes a file beside its place, syncs it, and puts it there; readable by its owner alone.
pub(crate) fn write_durably(folder: &Path, name: &str, bytes: &[u8]) -> io::Result<PathBuf> {
    let aside = folder.join(format!(".{name}.{}", std::process::id()));
    let place = folder.join(name);
    let write = || {
        let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&aside)?;
        file.write_all(bytes)?;
        file.sync_all()?;
        fs::rename(&aside, &place)?;
        File::open(folder)?.sync_all()
    };
    if let Err(error) = write() {
        drop(fs::remove_file(&aside));
        return Err(error);
    }
    Ok(place)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn a_note_reads_back_and_is_for_its_owner_alone() {
        let folder = tempfile::tempdir().unwrap();
        let note = |ifname: &str, time| Note {
            network: "n".to_owned(),
            container_id: "c".to_owned(),
            ifname: ifname.to_owned(),
            boot: boot_id(),
            cookie: Some(7),
            time,
            delegates_done: true,
        };
        let path = note("b", 2).write(folder.path()).unwrap();
        note("a", 1).write(folder.path()).unwrap();
        fs::write(folder.path().join(FOLDER).join("odd.json"), "{").unwrap();

        let found: Vec<Note> = Note::all(folder.path()).into_iter().map(|(_, note)| note).collect();

        assert_eq!(found, [note("a", 1), note("b", 2)]);
        assert_eq!(fs::metadata(path).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(fs::read_dir(folder.path().join(FOLDER)).unwrap().count(), 3, "nothing lies aside");
    }

    #[test]
    fn a_folder_that_cannot_be_written_is_an_error() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join(FOLDER), "").unwrap();
        let note = Note {
            network: "n".to_owned(),
            container_id: "c".to_owned(),
            ifname: "i".to_owned(),
            boot: String::new(),
            cookie: None,
            time: 0,
            delegates_done: false,
        };

        assert!(note.write(folder.path()).is_err());
    }
}
