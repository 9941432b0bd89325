//! A file tree in memory: what a snapshot holds, with the links resolved as a file system would.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::files::{Files, shown};
use crate::model::Failure;

/// How many links a path may lead over, like the kernel's own limit (`MAXSYMLINKS`).
const LINK_LIMIT: usize = 40;

/// Files, links and folders of a machine. Paths are relative to the root, like `sys/class/net/eth0`, and
/// lead over no link.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct FileTree {
    /// Text files.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub files: BTreeMap<String, String>,
    /// Files that are not text, in hexadecimal.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub binary: BTreeMap<String, String>,
    /// Symbolic links with their targets as written.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub links: BTreeMap<String, String>,
    /// Names in a folder beyond those that the other maps imply.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub folders: BTreeMap<String, Vec<String>>,
    /// Files and folders that could not be read, with the reason.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub unreadable: BTreeMap<String, String>,
    /// Numbers of device folders.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub inodes: BTreeMap<String, u64>,
}

impl FileTree {
    /// Where a path leads when the links on the way are followed; the last part's own link only with
    /// `follow_last`. `None` when it leaves the root or runs in a circle.
    pub fn resolve(&self, path: &str, follow_last: bool) -> Option<String> {
        resolve(path, follow_last, |place| self.links.get(place).cloned())
    }

    /// Keeps the content of a file, as text when it is text.
    pub fn insert(&mut self, path: String, content: &[u8]) {
        match std::str::from_utf8(content) {
            Ok(text) if !text.contains('\0') => {
                self.files.insert(path, text.to_owned());
            }
            _ => {
                let hex = content.iter().map(|byte| format!("{byte:02x}")).collect();
                self.binary.insert(path, hex);
            }
        }
    }

    fn failure(&self, place: &str, path: &str) -> Result<(), Failure> {
        match self.unreadable.get(place) {
            Some(error) => Err(Failure { source: shown(path), error: error.clone() }),
            None => Ok(()),
        }
    }
}

/// Follows links as a file system does, asking `link` for each place on the way.
pub(crate) fn resolve(
    path: &str,
    follow_last: bool,
    mut link: impl FnMut(&str) -> Option<String>,
) -> Option<String> {
    let mut todo: Vec<String> = path.rsplit('/').map(str::to_owned).collect();
    let mut place: Vec<String> = Vec::new();
    let mut followed = 0;
    while let Some(part) = todo.pop() {
        match part.as_str() {
            "" | "." => continue,
            ".." => {
                place.pop()?;
                continue;
            }
            _ => place.push(part),
        }
        if todo.is_empty() && !follow_last {
            break;
        }
        if let Some(target) = link(&place.join("/")) {
            followed += 1;
            if followed > LINK_LIMIT {
                return None;
            }
            if target.starts_with('/') {
                place.clear();
            } else {
                place.pop();
            }
            todo.extend(target.rsplit('/').map(str::to_owned));
        }
    }
    Some(place.join("/"))
}

impl Files for FileTree {
    fn read(&self, path: &str) -> Result<Option<Vec<u8>>, Failure> {
        let Some(place) = self.resolve(path, true) else { return Ok(None) };
        self.failure(&place, path)?;
        if let Some(text) = self.files.get(&place) {
            return Ok(Some(text.clone().into_bytes()));
        }
        let Some(hex) = self.binary.get(&place) else { return Ok(None) };
        let byte = |at: usize| hex.get(at..at + 2).and_then(|pair| u8::from_str_radix(pair, 16).ok());
        let content: Option<Vec<u8>> = (0..hex.len()).step_by(2).map(byte).collect();
        let wrong = || Failure { source: shown(path), error: "not hexadecimal in the snapshot".to_owned() };
        content.map(Some).ok_or_else(wrong)
    }

    fn read_link(&self, path: &str) -> Result<Option<String>, Failure> {
        let Some(place) = self.resolve(path, false) else { return Ok(None) };
        self.failure(&place, path)?;
        Ok(self.links.get(&place).cloned())
    }

    fn list(&self, path: &str) -> Result<Vec<String>, Failure> {
        let Some(place) = self.resolve(path, true) else { return Ok(Vec::new()) };
        self.failure(&place, path)?;
        let mut names: Vec<String> = self.folders.get(&place).cloned().unwrap_or_default();
        let below = format!("{place}/");
        children(&self.files, &below, &mut names);
        children(&self.binary, &below, &mut names);
        children(&self.links, &below, &mut names);
        children(&self.folders, &below, &mut names);
        children(&self.unreadable, &below, &mut names);
        names.sort_unstable();
        names.dedup();
        Ok(names)
    }

    fn inode(&self, path: &str) -> Option<u64> {
        self.inodes.get(&self.resolve(path, true)?).copied()
    }
}

/// The names directly below a folder that a map's keys imply.
fn children<T>(map: &BTreeMap<String, T>, below: &str, names: &mut Vec<String>) {
    let mut start = below.to_owned();
    // One look-up per child, however much lies below it.
    while let Some((key, _)) = map.range(start.clone()..).next() {
        let Some(rest) = key.strip_prefix(below) else { break };
        let name = rest.split('/').next().unwrap_or(rest);
        if !name.is_empty() {
            names.push(name.to_owned());
        }
        // '0' is the character behind '/': the first key that is neither the child nor below it. Keys
        // like `child-x` sort before `child/…`, so go on from the key itself when it has nothing below.
        start = if rest.len() == name.len() { format!("{key}\0") } else { format!("{below}{name}0") };
    }
}
