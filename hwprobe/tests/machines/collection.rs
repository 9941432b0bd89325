//! The machines of this folder: one folder each, with what the probe reads and what it must find.
//!
//! `machine.json` (or `.json.gz`) is a snapshot; `tree.json` is a captured `/sys` that is written to disk and read
//! as `--root` does. `expected.json` is the inventory, read through by a person. `remembered.json`, where it
//! exists, is the protection that an earlier probe found.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use hwprobe::{FileTree, Inventory, Probe, ProbeSettings, Snapshot};

/// One machine of the collection.
pub(crate) struct Machine {
    /// Name of its folder.
    pub(crate) name: String,
    folder: PathBuf,
}

/// All machines, by name.
pub(crate) fn machines() -> Vec<Machine> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/machines");
    let mut found: Vec<Machine> = fs::read_dir(root)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|folder| folder.is_dir())
        .map(|folder| Machine { name: folder.file_name().unwrap().to_string_lossy().into_owned(), folder })
        .collect();
    found.sort_by(|a, b| a.name.cmp(&b.name));
    found
}

#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct CapturedTree {
    note: String,
    tree: FileTree,
}

impl Machine {
    /// The file that a person checked.
    pub(crate) fn expected_file(&self) -> PathBuf {
        self.folder.join("expected.json")
    }

    /// The settings that go with the machine.
    pub(crate) fn settings(&self) -> ProbeSettings {
        let mut settings = ProbeSettings::default();
        let remembered = self.folder.join("remembered.json");
        if remembered.exists() {
            settings.remembered = serde_json::from_slice(&fs::read(remembered).unwrap()).unwrap();
        }
        settings
    }

    /// Whether it is a captured tree, not a snapshot.
    pub(crate) fn is_tree(&self) -> bool {
        self.folder.join("tree.json").exists()
    }

    /// Where the machine comes from, for people.
    pub(crate) fn note(&self) -> String {
        if self.is_tree() { self.captured().note } else { self.snapshot().note }
    }

    fn captured(&self) -> CapturedTree {
        serde_json::from_slice(&fs::read(self.folder.join("tree.json")).unwrap()).unwrap()
    }

    /// All that the probe reads of it. A tree is written to disk and recorded.
    pub(crate) fn snapshot(&self) -> Snapshot {
        if self.is_tree() {
            let dir = self.written_tree();
            return Probe::record(Some(dir.path()), &self.settings()).unwrap();
        }
        let plain = self.folder.join("machine.json");
        let path = if plain.exists() { plain } else { self.folder.join("machine.json.gz") };
        Snapshot::load(&path).unwrap_or_else(|error| panic!("{}: {error:?}", self.name))
    }

    /// The captured tree as files and links on disk.
    pub(crate) fn written_tree(&self) -> tempfile::TempDir {
        let dir = tempfile::tempdir().unwrap();
        write(&self.captured().tree, dir.path());
        dir
    }

    /// What the probe finds.
    pub(crate) fn inventory(&self) -> Inventory {
        if self.is_tree() {
            let dir = self.written_tree();
            return Probe::tree(dir.path(), self.settings()).unwrap().inventory();
        }
        Probe::of_snapshot(self.snapshot(), self.settings()).inventory()
    }
}

/// Writes a tree below `root`. Unreadable files are left out: root reads everything.
pub(crate) fn write(tree: &FileTree, root: &Path) {
    let place = |path: &str| {
        let place = root.join(path);
        fs::create_dir_all(place.parent().unwrap()).unwrap();
        place
    };
    for (path, content) in &tree.files {
        fs::write(place(path), content).unwrap();
    }
    for (path, hex) in &tree.binary {
        let bytes: Vec<u8> =
            (0..hex.len() / 2).map(|at| u8::from_str_radix(&hex[2 * at..2 * at + 2], 16).unwrap()).collect();
        fs::write(place(path), bytes).unwrap();
    }
    for (path, names) in &tree.folders {
        for name in names {
            let child = place(&format!("{path}/{name}"));
            if fs::symlink_metadata(&child).is_err() && !tree.links.contains_key(&format!("{path}/{name}")) {
                fs::create_dir_all(child).unwrap();
            }
        }
    }
    for (path, target) in &tree.links {
        symlink(target, place(path)).unwrap();
    }
}

/// The inventory as the collection keeps it.
pub(crate) fn text(inventory: &Inventory) -> String {
    let mut text = serde_json::to_string_pretty(inventory).unwrap();
    text.push('\n');
    text
}
