//! What differs between two inventories, as events without a number.

use std::collections::BTreeMap;

use hwprobe::{Inventory, NicId, PciAddress, Warning};
use openapi::{EventType, FieldChange};
use serde::Serialize;
use serde_json::Value;

/// An event before it has an id and a time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Difference {
    pub(crate) kind: EventType,
    pub(crate) nic: Option<NicId>,
    pub(crate) name: Option<String>,
    pub(crate) gpu: Option<PciAddress>,
    pub(crate) changes: Vec<FieldChange>,
    pub(crate) warning: Option<Warning>,
}

impl Difference {
    fn new(kind: EventType) -> Self {
        Self { kind, nic: None, name: None, gpu: None, changes: Vec::new(), warning: None }
    }
}

/// Everything that is different in `new`: NICs that went, came and changed, then GPUs, then warnings.
/// `old` is `None` for the first inventory of a run.
pub(crate) fn differences(old: Option<&Inventory>, new: &Inventory) -> Vec<Difference> {
    let mut found = Vec::new();
    let old_nics = old.map_or(&[][..], |inventory| &inventory.nics);
    compare(
        old_nics,
        &new.nics,
        |nic| nic.id.clone(),
        [EventType::NicRemoved, EventType::NicAdded, EventType::NicChanged],
        |kind, nic, changes| {
            let (id, name) = (Some(nic.id.clone()), nic.name.clone());
            found.push(Difference { nic: id, name, changes, ..Difference::new(kind) });
        },
    );
    let old_gpus = old.map_or(&[][..], |inventory| &inventory.gpus);
    compare(
        old_gpus,
        &new.gpus,
        |gpu| gpu.pci,
        [EventType::GpuRemoved, EventType::GpuAdded, EventType::GpuChanged],
        |kind, gpu, changes| {
            found.push(Difference { gpu: Some(gpu.pci), changes, ..Difference::new(kind) });
        },
    );
    let old_warnings = old.map_or(&[][..], |inventory| &inventory.warnings);
    let mut warn = |kind, warning: &Warning| {
        let (nic, warning) = (warning.nic.clone(), Some(warning.clone()));
        found.push(Difference { nic, warning, ..Difference::new(kind) });
    };
    for gone in old_warnings.iter().filter(|warning| !new.warnings.contains(warning)) {
        warn(EventType::WarningCleared, gone);
    }
    for fresh in new.warnings.iter().filter(|warning| !old_warnings.contains(warning)) {
        warn(EventType::WarningRaised, fresh);
    }
    found
}

/// Reports what went, came and changed between two lists of things with a key.
fn compare<T: PartialEq + Serialize, K: Ord>(
    old: &[T],
    new: &[T],
    key: impl Fn(&T) -> K,
    [removed, added, changed]: [EventType; 3],
    mut report: impl FnMut(EventType, &T, Vec<FieldChange>),
) {
    let before: BTreeMap<K, &T> = old.iter().map(|one| (key(one), one)).collect();
    let after: BTreeMap<K, &T> = new.iter().map(|one| (key(one), one)).collect();
    for (key, one) in &before {
        if !after.contains_key(key) {
            report(removed, one, Vec::new());
        }
    }
    for (key, one) in &after {
        match before.get(key) {
            None => report(added, one, Vec::new()),
            Some(old) if old != one => report(changed, one, field_changes(*old, *one)),
            Some(_) => {}
        }
    }
}

/// The members that differ, each with its JSON pointer (RFC 6901).
fn field_changes<T: Serialize>(old: &T, new: &T) -> Vec<FieldChange> {
    let value = |one: &T| serde_json::to_value(one).unwrap_or(Value::Null);
    let mut changes = Vec::new();
    walk(&mut changes, String::new(), Some(&value(old)), Some(&value(new)));
    changes
}

fn walk(changes: &mut Vec<FieldChange>, path: String, old: Option<&Value>, new: Option<&Value>) {
    match (old, new) {
        (old, new) if old == new => {}
        (Some(Value::Object(before)), Some(Value::Object(after))) => {
            let added = after.keys().filter(|key| !before.contains_key(*key));
            for key in before.keys().chain(added) {
                let pointer = format!("{path}/{}", key.replace('~', "~0").replace('/', "~1"));
                walk(changes, pointer, before.get(key), after.get(key));
            }
        }
        // Lists of objects (VFs, RDMA ports) keep their order; lists of words are replaced whole.
        (Some(Value::Array(before)), Some(Value::Array(after)))
            if before.len() == after.len() && before.iter().chain(after).all(Value::is_object) =>
        {
            for (index, (before, after)) in before.iter().zip(after).enumerate() {
                walk(changes, format!("{path}/{index}"), Some(before), Some(after));
            }
        }
        (from, to) => changes.push(FieldChange { path, from: from.cloned(), to: to.cloned() }),
    }
}

#[cfg(test)]
mod tests {
    use super::differences;
    use hwprobe::{Nic, NicId, NicKind, OperState};
    use openapi::{EventType, example_inventory};
    use serde_json::json;

    #[test]
    fn same_inventory_has_no_differences() {
        let inventory = example_inventory().unwrap();

        assert_eq!(differences(Some(&inventory), &inventory.clone()), []);
    }

    #[test]
    fn each_changed_member_is_told_with_both_values() {
        let old = example_inventory().unwrap();
        let mut new = old.clone();
        let link = new.nics[1].link.as_mut().unwrap();
        link.oper_state = OperState::Down;
        link.speed_mbps = None;
        new.nics[1].alt_names.push("rail/0".to_owned());
        new.nics[1].sriov.as_mut().unwrap().vfs[0].vlan = Some(7);

        let found = differences(Some(&old), &new);

        let [only] = found.as_slice() else { panic!("{found:?}") };
        assert_eq!((only.kind, only.nic.as_ref().unwrap().as_str()), (EventType::NicChanged, "0000:3b:00.0"));
        assert_eq!(
            serde_json::to_value(&only.changes).unwrap(),
            json!([
                { "path": "/altNames", "from": ["enp59s0f0np0"], "to": ["enp59s0f0np0", "rail/0"] },
                { "path": "/link/operState", "from": "up", "to": "down" },
                { "path": "/link/speedMbps", "from": 400000 },
                { "path": "/sriov/vfs/0/vlan", "from": 120, "to": 7 },
            ])
        );
    }

    #[test]
    fn what_went_is_told_before_what_came() {
        let old = example_inventory().unwrap();
        let mut new = old.clone();
        new.nics.remove(0);
        new.nics.push(Nic::new(NicId::new("dummy0"), NicKind::Dummy));
        new.gpus.clear();
        new.warnings.remove(0);

        let kinds: Vec<EventType> = differences(Some(&old), &new).iter().map(|one| one.kind).collect();

        use EventType::{GpuRemoved, NicAdded, NicRemoved, WarningCleared};
        assert_eq!(kinds, [NicRemoved, NicAdded, GpuRemoved, WarningCleared]);
    }

    #[test]
    fn everything_is_new_at_the_start() {
        let inventory = example_inventory().unwrap();

        let found = differences(None, &inventory);

        let wanted = inventory.nics.len() + inventory.gpus.len() + inventory.warnings.len();
        assert_eq!(found.len(), wanted);
    }
}
