//! The group that our kinds had before, `net.cogadvisor.io`: what users write there is mirrored into the current group,
//! and what is said of the mirror is said of the original. Pure.
//!
//! A mirror has no owner reference: when the former group's definitions are deleted, their objects vanish, and networks
//! must not vanish with them (TRAPS O4). Blocks are no mirror: the former CIDR of a mirrored network is what its first
//! blocks are planned from (`network::plan`), so nobody is moved.

use crds::{NetworkSpec, NetworkStatus};
use serde_json::Value;

use crate::condition::{Finding, Kind, Reason};
use crate::index::Index;
use crate::seen::{Key, Seen};
use crate::write::{Mirrored, Write};

/// What is to be done for objects of the former group; `now` is RFC 3339.
pub fn plan(index: &Index, now: &str) -> Vec<Write> {
    let former = &index.former;
    let mut writes = Vec::new();
    if former.networks.is_listed() {
        mirror(Mirrored::Network, &former.networks, &index.networks, &mut writes);
        for original in former.networks.iter().filter(|original| !original.meta.deleting) {
            writes.extend(status(index, original, now));
        }
    }
    if former.classes.is_listed() && index.classes.is_listed() {
        mirror(Mirrored::Class, &former.classes, &index.classes, &mut writes);
    }
    if former.settings.is_listed() && index.settings.is_listed() {
        mirror(Mirrored::Settings, &former.settings, &index.settings, &mut writes);
    }
    writes
}

/// Something that may be a mirror.
pub(crate) trait Mirror: Seen {
    /// Uid of its original; empty: it is none.
    fn mirrored_from(&self) -> &str;

    /// Whether its specification says the same as the original's.
    fn says(&self, spec: &Value) -> bool;
}

fn mirror<T: Mirror>(
    kind: Mirrored,
    originals: &crate::index::Table<crate::seen::Former>,
    mirrors: &crate::index::Table<T>,
    writes: &mut Vec<Write>,
) {
    for original in originals.iter().filter(|original| !original.meta.deleting) {
        let write = |update| Write::Mirror {
            kind,
            name: original.meta.key.name.clone(),
            from: original.meta.uid.clone(),
            spec: Box::new(original.spec.clone()),
            update,
        };
        match mirrors.get(&original.meta.key) {
            None => writes.push(write(false)),
            Some(mirror) if mirror.meta().deleting || mirror.mirrored_from().is_empty() => {}
            Some(mirror) if mirror.mirrored_from() == original.meta.uid && mirror.says(&original.spec) => {}
            Some(_) => writes.push(write(true)),
        }
    }
    for mirror in
        mirrors.iter().filter(|mirror| !mirror.mirrored_from().is_empty() && !mirror.meta().deleting)
    {
        let key = &mirror.meta().key;
        if originals.get(key).is_none_or(|original| original.meta.deleting) {
            writes.push(Write::DeleteMirror { kind, name: key.name.clone(), uid: mirror.meta().uid.clone() });
        }
    }
}

/// What is said of the mirror, or that there can be none.
fn status(index: &Index, original: &crate::seen::Former, now: &str) -> Option<Write> {
    let name = &original.meta.key.name;
    let mirror = index.networks.get(&Key::cluster(name))?;
    let said: NetworkStatus = serde_json::from_value(original.status.clone()).unwrap_or_default();
    let generation = original.meta.generation;
    let status = if mirror.mirrored_from.is_empty() {
        let message = format!(
            "there is a MultiNicNetwork {name} of the group {} that was not made from this one: delete this one",
            crds::GROUP
        );
        let finding = Finding::wrong(Kind::Ready, Reason::NameConflict, message);
        NetworkStatus {
            config_status: "Failed".to_owned(),
            message: finding.message.clone(),
            last_sync_time: if said.last_sync_time.is_empty() {
                now.to_owned()
            } else {
                said.last_sync_time.clone()
            },
            observed_generation: Some(generation),
            conditions: vec![finding.condition(generation, &said.conditions, now)],
            ..NetworkStatus::default()
        }
    } else if mirror.status == NetworkStatus::default() {
        return None;
    } else {
        let mut status = mirror.status.clone();
        status.observed_generation = Some(generation);
        status.conditions.iter_mut().for_each(|one| one.observed_generation = Some(generation));
        status
    };
    let status = Box::new(status);
    (*status != said).then(|| Write::FormerStatus { name: name.clone(), status })
}

impl Mirror for crate::seen::Network {
    fn mirrored_from(&self) -> &str {
        &self.mirrored_from
    }

    fn says(&self, spec: &Value) -> bool {
        serde_json::from_value::<NetworkSpec>(spec.clone()).is_ok_and(|spec| spec == self.spec)
    }
}

impl Mirror for crate::seen::Class {
    fn mirrored_from(&self) -> &str {
        &self.mirrored_from
    }

    fn says(&self, spec: &Value) -> bool {
        serde_json::from_value::<crds::DeviceClassSpec>(spec.clone()).is_ok_and(|spec| spec == self.spec)
    }
}

impl Mirror for crate::seen::Settings {
    fn mirrored_from(&self) -> &str {
        &self.mirrored_from
    }

    fn says(&self, spec: &Value) -> bool {
        serde_json::from_value::<crds::ConfigSpec>(spec.clone()).is_ok_and(|spec| spec == self.spec)
    }
}

#[cfg(test)]
mod tests;
