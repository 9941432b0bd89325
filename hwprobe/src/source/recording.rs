//! Keeps all that a probe reads, so that a snapshot can answer the same questions.

use std::sync::Mutex;

use super::files::Files;
use super::memory::{FileTree, resolve};
use super::shares::locked;
use crate::model::Failure;

/// Files that are read through to `inner` and kept.
pub(crate) struct RecordingFiles<F> {
    inner: F,
    tree: Mutex<FileTree>,
}

impl<F: Files> RecordingFiles<F> {
    /// Records what is read of `inner`.
    pub(crate) fn new(inner: F) -> Self {
        Self { inner, tree: Mutex::new(FileTree::default()) }
    }

    /// What was read so far.
    pub(crate) fn tree(&self) -> FileTree {
        locked(&self.tree).clone()
    }

    /// Where the path leads; each link on the way is kept.
    fn place(&self, path: &str, follow_last: bool) -> Option<String> {
        resolve(path, follow_last, |place| {
            let target = self.inner.read_link(place).ok().flatten()?;
            locked(&self.tree).links.insert(place.to_owned(), target.clone());
            Some(target)
        })
    }

    fn keep<T>(
        &self,
        place: Option<String>,
        answer: &Result<T, Failure>,
        keep: impl FnOnce(&mut FileTree, String, &T),
    ) {
        let Some(place) = place else { return };
        let mut tree = locked(&self.tree);
        match answer {
            Ok(answer) => keep(&mut tree, place, answer),
            Err(failure) => {
                tree.unreadable.insert(place, failure.error.clone());
            }
        }
    }
}

impl<F: Files> Files for RecordingFiles<F> {
    fn read(&self, path: &str) -> Result<Option<Vec<u8>>, Failure> {
        let answer = self.inner.read(path);
        self.keep(self.place(path, true), &answer, |tree, place, content| {
            if let Some(content) = content {
                tree.insert(place, content);
            }
        });
        answer
    }

    fn read_link(&self, path: &str) -> Result<Option<String>, Failure> {
        let answer = self.inner.read_link(path);
        self.keep(self.place(path, false), &answer, |tree, place, target| {
            if let Some(target) = target {
                tree.links.insert(place, target.clone());
            }
        });
        answer
    }

    fn list(&self, path: &str) -> Result<Vec<String>, Failure> {
        let answer = self.inner.list(path);
        self.keep(self.place(path, true), &answer, |tree, place, names| {
            if !names.is_empty() {
                tree.folders.insert(place, names.clone());
            }
        });
        answer
    }

    fn inode(&self, path: &str) -> Option<u64> {
        let inode = self.inner.inode(path);
        if let (Some(inode), Some(place)) = (inode, self.place(path, true)) {
            locked(&self.tree).inodes.insert(place, inode);
        }
        inode
    }
}
