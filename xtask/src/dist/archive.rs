//! Tar archives that are the same for the same content: sorted, of one time, of nobody (POSIX.1-1988 `ustar`).

use std::collections::BTreeMap;

use anyhow::{Result, bail};

/// Bytes of a header, and what contents are filled up to.
const BLOCK: usize = 512;

/// Files by path.
#[derive(Debug, Clone, Default)]
pub(super) struct Tree {
    entries: BTreeMap<String, Entry>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Entry {
    Folder,
    File { mode: u32, bytes: Vec<u8> },
    Link { target: String },
}

impl Tree {
    /// Adds a file, and the folders above it.
    pub(super) fn file(&mut self, path: &str, mode: u32, bytes: Vec<u8>) {
        self.add(path, Entry::File { mode, bytes });
    }

    /// Adds a symbolic link, and the folders above it.
    pub(super) fn link(&mut self, path: &str, target: &str) {
        self.add(path, Entry::Link { target: target.to_owned() });
    }

    /// Adds a folder, and those above it.
    pub(super) fn folder(&mut self, path: &str) {
        self.add(path, Entry::Folder);
    }

    fn add(&mut self, path: &str, entry: Entry) {
        let path = path.trim_start_matches('/');
        for (end, _) in path.match_indices('/') {
            self.entries.entry(path[..end].to_owned()).or_insert(Entry::Folder);
        }
        self.entries.insert(path.to_owned(), entry);
    }

    /// The archive; every entry is of `time`, seconds since 1970.
    ///
    /// # Errors
    /// When a path or a link's target has no room in a header.
    pub(super) fn archive(&self, time: u64) -> Result<Vec<u8>> {
        let mut archive = Vec::new();
        // A folder comes before what is in it: its path is the beginning of theirs.
        for (path, entry) in &self.entries {
            archive.extend(header(path, entry, time)?);
            if let Entry::File { bytes, .. } = entry {
                archive.extend(bytes);
                archive.resize(archive.len().next_multiple_of(BLOCK), 0);
            }
        }
        archive.resize(archive.len() + 2 * BLOCK, 0);
        Ok(archive)
    }
}

fn header(path: &str, entry: &Entry, time: u64) -> Result<[u8; BLOCK]> {
    let (kind, mode, size, target) = match entry {
        Entry::Folder => (b'5', 0o755, 0, ""),
        Entry::File { mode, bytes } => (b'0', *mode, bytes.len(), ""),
        Entry::Link { target } => (b'2', 0o777, 0, target.as_str()),
    };
    let path = if *entry == Entry::Folder { format!("{path}/") } else { path.to_owned() };
    if path.len() > 100 || target.len() > 100 {
        bail!("{path} has no room in a tar header");
    }
    let mut header = [0; BLOCK];
    let mut put = |at: usize, text: &[u8]| header[at..at + text.len()].copy_from_slice(text);
    put(0, path.as_bytes());
    put(100, format!("{mode:07o}").as_bytes());
    // Owner and group: root.
    put(108, b"0000000");
    put(116, b"0000000");
    put(124, format!("{size:011o}").as_bytes());
    put(136, format!("{time:011o}").as_bytes());
    // The sum counts its own field as blanks.
    put(148, b"        ");
    put(156, &[kind]);
    put(157, target.as_bytes());
    put(257, b"ustar\x0000");
    let sum: u32 = header.iter().copied().map(u32::from).sum();
    header[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
    Ok(header)
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::*;

    #[test]
    fn tar_reads_what_was_put_in_and_it_is_the_same_in_any_order() {
        let mut tree = Tree::default();
        tree.file("/bin/program", 0o755, vec![7; 1000]);
        tree.link("var/run/netns", "/run/netns");
        tree.folder("tmp");
        tree.file("bin-of-others", 0o644, Vec::new());
        let mut other = Tree::default();
        other.file("bin-of-others", 0o644, Vec::new());
        other.folder("tmp");
        other.link("var/run/netns", "/run/netns");
        other.file("bin/program", 0o755, vec![7; 1000]);

        let archive = tree.archive(86_400).unwrap();

        assert_eq!(archive, other.archive(86_400).unwrap());
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("a.tar");
        std::fs::write(&file, archive).unwrap();
        let list =
            Command::new("tar").arg("-tvf").arg(&file).args(["--numeric-owner", "--utc"]).output().unwrap();
        assert!(list.status.success(), "{}", String::from_utf8_lossy(&list.stderr));
        let list = String::from_utf8(list.stdout).unwrap();
        let lines: Vec<String> =
            list.lines().map(|line| line.split_whitespace().collect::<Vec<_>>().join(" ")).collect();
        assert_eq!(
            lines,
            [
                "drwxr-xr-x 0/0 0 1970-01-02 00:00 bin/",
                "-rw-r--r-- 0/0 0 1970-01-02 00:00 bin-of-others",
                "-rwxr-xr-x 0/0 1000 1970-01-02 00:00 bin/program",
                "drwxr-xr-x 0/0 0 1970-01-02 00:00 tmp/",
                "drwxr-xr-x 0/0 0 1970-01-02 00:00 var/",
                "drwxr-xr-x 0/0 0 1970-01-02 00:00 var/run/",
                "lrwxrwxrwx 0/0 0 1970-01-02 00:00 var/run/netns -> /run/netns",
            ]
        );
    }

    #[test]
    fn a_path_without_room_is_an_error() {
        let mut tree = Tree::default();
        tree.file(&"long/".repeat(30), 0o644, Vec::new());

        assert!(tree.archive(0).is_err());
    }
}
