//! The objects of one kind.

use std::collections::{BTreeMap, BTreeSet};

use super::Told;
use crate::seen::{Key, Seen, Version, Versioned};

/// The objects of one kind. A watch and the answers to our own writes fill it; what is older than what is there is
/// dropped, so that nothing that was just written is planned a second time (TRAPS O6).
#[derive(Debug, Clone)]
pub struct Table<T> {
    objects: BTreeMap<Key, Versioned<T>>,
    /// While a list goes on: what was there when it began and has not been listed.
    unlisted: Option<BTreeSet<Key>>,
    listed: bool,
    absent: bool,
}

impl<T> Default for Table<T> {
    fn default() -> Self {
        Self { objects: BTreeMap::new(), unlisted: None, listed: false, absent: false }
    }
}

impl<T: Seen> Table<T> {
    /// Takes in what a watch tells; the keys of what is other than before.
    pub fn take(&mut self, told: Told<T>) -> Vec<Key> {
        match told {
            Told::Begin => {
                self.unlisted = Some(self.objects.keys().cloned().collect());
                Vec::new()
            }
            Told::Listed(object) => {
                if let Some(unlisted) = &mut self.unlisted {
                    unlisted.remove(&object.object.meta().key);
                }
                self.put(object)
            }
            Told::End => {
                let first = !self.listed;
                (self.listed, self.absent) = (true, false);
                let gone = self.unlisted.take().unwrap_or_default();
                let mut changed: Vec<Key> =
                    gone.into_iter().filter(|key| self.objects.remove(key).is_some()).collect();
                if first {
                    changed.extend(self.objects.keys().cloned());
                }
                changed
            }
            Told::Changed(object) => self.put(object),
            Told::Gone(key, uid) => {
                // A successor of the same name may have been written in the meantime.
                let same = self.objects.get(&key).is_some_and(|known| known.object.meta().uid == uid);
                if !same {
                    return Vec::new();
                }
                self.objects.remove(&key);
                vec![key]
            }
            Told::NoSuchKind => {
                let news = !self.absent;
                (self.absent, self.unlisted) = (true, None);
                if news { self.objects.keys().cloned().collect() } else { Vec::new() }
            }
        }
    }

    fn put(&mut self, new: Versioned<T>) -> Vec<Key> {
        let key = new.object.meta().key.clone();
        match self.objects.get_mut(&key) {
            Some(known) if new.version.is_older_than(&known.version) => Vec::new(),
            Some(known) if known.object == new.object => {
                known.version = new.version;
                Vec::new()
            }
            Some(known) => {
                *known = new;
                vec![key]
            }
            None => {
                self.objects.insert(key.clone(), new);
                vec![key]
            }
        }
    }

    /// The object there.
    pub fn get(&self, key: &Key) -> Option<&T> {
        self.objects.get(key).map(|known| &known.object)
    }

    /// The version of the object there.
    pub fn version(&self, key: &Key) -> Option<&Version> {
        self.objects.get(key).map(|known| &known.version)
    }

    /// All objects, by key.
    pub fn iter(&self) -> impl Iterator<Item = &T> {
        self.objects.values().map(|known| &known.object)
    }

    /// How many objects there are.
    pub fn len(&self) -> usize {
        self.objects.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.objects.is_empty()
    }

    /// A list has been complete once.
    pub fn is_listed(&self) -> bool {
        self.listed
    }

    /// The server said last that it does not know the kind.
    pub fn is_absent(&self) -> bool {
        self.absent
    }
}
