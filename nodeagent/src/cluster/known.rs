//! What the cluster said last: kept in memory and in the store, so that pods are served without it (TRAPS C9).
//!
//! What is gone is not believed at once: objects also vanish with their definition, and that is no wish that they be
//! gone (TRAPS O4). It leaves after a while, and only when the server still knows the kind.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use crds::{DeviceClassSpec, NetworkSpec, Problem, SriovPlan};
use serde::Serialize;
use store::{Batch, Store, StoreError, Table, ValueError};

use super::slice::Slice;
use crate::agent::chain;

/// How long something must be gone until it counts. A definition that is deleted takes its objects with it some
/// moments before the server forgets the kind.
pub(super) const GRACE: Duration = Duration::from_secs(5);

/// How soon it is asked again whether the kind is there.
pub(super) const AGAIN: Duration = Duration::from_secs(30);

/// Key of the name that this node had.
const NODE: &str = "node";

/// A kind that is watched.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Kind {
    Network,
    Slice,
    Class,
    /// What is wanted of this node's PFs, by network: parts of its HostInterface, not objects.
    Plan,
}

impl Kind {
    pub(super) const ALL: [Self; 4] = [Self::Network, Self::Slice, Self::Class, Self::Plan];

    /// What networks are made of.
    pub(super) const OF_NETWORKS: [Self; 3] = [Self::Network, Self::Slice, Self::Class];

    fn prefix(self) -> &'static str {
        match self {
            Self::Network => "network/",
            Self::Slice => "slice/",
            Self::Class => "class/",
            Self::Plan => "plan/",
        }
    }
}

/// An object with its content.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Object {
    Network(Box<NetworkSpec>),
    Slice(Box<Slice>),
    Class(DeviceClassSpec),
    Plan(Box<SriovPlan>),
}

/// What a watch says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Said {
    /// A list begins.
    Listing,
    /// An object is there; its name.
    There(String, Object),
    /// An object is there and not right: what is known of it stays. Its name, empty when it has none.
    Wrong(String, Vec<Problem>),
    /// The list is complete.
    Listed,
    /// An object was deleted; its name.
    Gone(String),
}

/// Everything that is known.
#[derive(Debug, Default)]
pub(super) struct Known {
    pub(super) networks: BTreeMap<String, NetworkSpec>,
    pub(super) slices: BTreeMap<String, Slice>,
    pub(super) classes: BTreeMap<String, DeviceClassSpec>,
    /// What is wanted of this node's PFs, by network.
    pub(super) plans: BTreeMap<String, SriovPlan>,
    /// What is wrong with the newest plans, by network.
    pub(super) wrong_plans: BTreeMap<String, Vec<Problem>>,
    /// Names of a list that has begun.
    listing: BTreeMap<Kind, BTreeSet<String>>,
    /// Kinds that have been listed whole since the start.
    complete: BTreeSet<Kind>,
    /// Since when something has been gone.
    leaving: BTreeMap<(Kind, String), Instant>,
    /// What is not in the store as it is here.
    unsaved: BTreeSet<(Kind, String)>,
}

impl Known {
    /// What is remembered under this node's name.
    pub(super) fn remembered(store: Option<&Store>, node: &str) -> Self {
        let mut known = Self::default();
        let Some(store) = store else { return known };
        let same =
            store.get::<String>(Table::Cluster, NODE).is_ok_and(|name| name.is_none_or(|name| name == node));
        if !same {
            tracing::warn!(
                node,
                "this node had another name; what was remembered under that one is forgotten"
            );
            for kind in Kind::ALL {
                let all = store.prefix::<serde_json::Value>(Table::Cluster, kind.prefix());
                let names = all.into_iter().flat_map(|all| all.records);
                known.unsaved.extend(names.map(|(key, _)| (kind, key.replacen(kind.prefix(), "", 1))));
            }
            return known;
        }
        known.networks = read(store, Kind::Network);
        known.slices = read(store, Kind::Slice);
        known.classes = read(store, Kind::Class);
        known.plans = read(store, Kind::Plan);
        known
    }

    /// Everything that networks are made of has been listed since the start: what is not known is not there.
    pub(super) fn is_complete(&self) -> bool {
        Kind::OF_NETWORKS.iter().all(|kind| self.complete.contains(kind))
    }

    /// Takes in what a watch says; whether something is other than before.
    pub(super) fn take(&mut self, kind: Kind, said: Said, now: Instant) -> bool {
        match said {
            Said::Listing => {
                self.listing.insert(kind, BTreeSet::new());
                false
            }
            Said::There(name, object) => {
                self.note(kind, &name);
                let right = kind == Kind::Plan && self.wrong_plans.remove(&name).is_some();
                self.put(name, object) | right
            }
            Said::Wrong(name, problems) => {
                self.note(kind, &name);
                kind == Kind::Plan && insert(&mut self.wrong_plans, &name, problems)
            }
            Said::Listed => {
                let listed = self.listing.remove(&kind).unwrap_or_default();
                for name in self.names(kind).into_iter().filter(|name| !listed.contains(name)) {
                    self.leaving.entry((kind, name)).or_insert(now);
                }
                let wrong = self.wrong_plans.len();
                if kind == Kind::Plan {
                    self.wrong_plans.retain(|name, _| listed.contains(name));
                }
                // That all is known now may be what others wait for.
                self.complete.insert(kind) | (wrong != self.wrong_plans.len())
            }
            Said::Gone(name) => {
                self.leaving.entry((kind, name)).or_insert(now);
                false
            }
        }
    }

    /// Something of this name is there.
    fn note(&mut self, kind: Kind, name: &str) {
        self.leaving.remove(&(kind, name.to_owned()));
        if let Some(names) = self.listing.get_mut(&kind) {
            names.insert(name.to_owned());
        }
    }

    /// When to look after what is leaving.
    pub(super) fn due(&self) -> Option<Instant> {
        self.leaving.values().min().map(|since| *since + GRACE)
    }

    /// Kinds of which something has been gone long enough.
    pub(super) fn kinds_due(&self, now: Instant) -> BTreeSet<Kind> {
        let due = self.leaving.iter().filter(|(_, since)| now >= **since + GRACE);
        due.map(|((kind, _), _)| *kind).collect()
    }

    /// The server knows the kind: what has been gone long enough is gone. Whether something was.
    pub(super) fn let_go(&mut self, kind: Kind, now: Instant) -> bool {
        let due = self.leaving.iter().filter(|((of, _), since)| *of == kind && now >= **since + GRACE);
        let names: Vec<String> = due.map(|((_, name), _)| name.clone()).collect();
        let mut changed = false;
        for name in names {
            let was = match kind {
                Kind::Network => self.networks.remove(&name).is_some(),
                Kind::Slice => self.slices.remove(&name).is_some(),
                Kind::Class => self.classes.remove(&name).is_some(),
                Kind::Plan => self.plans.remove(&name).is_some(),
            };
            if was {
                tracing::info!(?kind, name, "is gone from the cluster");
                changed = true;
                self.unsaved.insert((kind, name.clone()));
            }
            self.leaving.remove(&(kind, name));
        }
        changed
    }

    /// The server does not know the kind, or does not say: what is leaving stays.
    pub(super) fn keep(&mut self, kind: Kind, now: Instant) {
        for (_, since) in
            self.leaving.iter_mut().filter(|((of, _), since)| *of == kind && now >= **since + GRACE)
        {
            *since = now + AGAIN - GRACE;
        }
    }

    /// Writes down what is not yet.
    pub(super) fn save(&mut self, store: Option<&Store>, node: &str) {
        let Some(store) = store.filter(|_| !self.unsaved.is_empty()) else { return };
        let mut batch = Batch::new();
        let put = batch.put(Table::Cluster, NODE, &node);
        let all = self.unsaved.iter().map(|(kind, name)| self.write(&mut batch, *kind, name));
        if let Some(error) = std::iter::once(put).chain(all.collect::<Vec<_>>()).find_map(Result::err) {
            tracing::error!(error = chain(&error), "something of the cluster cannot be kept");
        }
        match store.commit(batch) {
            Ok(()) => self.unsaved.clear(),
            // Tried again with the next change; until then the memory has it.
            Err(error) => {
                tracing::error!(error = chain(&error), "what the cluster says cannot be written down")
            }
        }
    }

    fn write(&self, batch: &mut Batch, kind: Kind, name: &str) -> Result<(), ValueError> {
        fn put<T: Serialize>(batch: &mut Batch, key: &str, value: Option<&T>) -> Result<(), ValueError> {
            match value {
                Some(value) => batch.put(Table::Cluster, key, value),
                None => {
                    batch.delete(Table::Cluster, key);
                    Ok(())
                }
            }
        }
        let key = format!("{}{name}", kind.prefix());
        match kind {
            Kind::Network => put(batch, &key, self.networks.get(name)),
            Kind::Slice => put(batch, &key, self.slices.get(name)),
            Kind::Class => put(batch, &key, self.classes.get(name)),
            Kind::Plan => put(batch, &key, self.plans.get(name)),
        }
    }

    fn put(&mut self, name: String, object: Object) -> bool {
        let (kind, changed) = match object {
            Object::Network(spec) => (Kind::Network, insert(&mut self.networks, &name, *spec)),
            Object::Slice(slice) => (Kind::Slice, insert(&mut self.slices, &name, *slice)),
            Object::Class(spec) => (Kind::Class, insert(&mut self.classes, &name, spec)),
            Object::Plan(plan) => (Kind::Plan, insert(&mut self.plans, &name, *plan)),
        };
        if changed {
            self.unsaved.insert((kind, name));
        }
        changed
    }

    fn names(&self, kind: Kind) -> Vec<String> {
        match kind {
            Kind::Network => self.networks.keys().cloned().collect(),
            Kind::Slice => self.slices.keys().cloned().collect(),
            Kind::Class => self.classes.keys().cloned().collect(),
            Kind::Plan => self.plans.keys().cloned().collect(),
        }
    }
}

/// Whether the value is another one than before.
fn insert<T: PartialEq>(all: &mut BTreeMap<String, T>, name: &str, new: T) -> bool {
    if all.get(name) == Some(&new) {
        return false;
    }
    all.insert(name.to_owned(), new);
    true
}

fn read<T: serde::de::DeserializeOwned>(store: &Store, kind: Kind) -> BTreeMap<String, T> {
    let told = |error: StoreError| tracing::error!(error = chain(&error), "read what the cluster said");
    let Ok(all) = store.prefix::<T>(Table::Cluster, kind.prefix()).map_err(told) else {
        return BTreeMap::new();
    };
    for (key, error) in all.unreadable {
        tracing::error!(key, error = chain(&error), "it cannot be read; the cluster will say it again");
    }
    all.records.into_iter().map(|(key, value)| (key.replacen(kind.prefix(), "", 1), value)).collect()
}

#[cfg(test)]
mod tests;
