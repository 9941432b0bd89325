//! What differs between two inventories.

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::Value;

use crate::model::{Gpu, Inventory, Nic, Warning};

/// One difference.
#[derive(Debug, Clone, PartialEq)]
pub enum Difference {
    /// A NIC came, went, or has other facts.
    Nic {
        /// Which of them.
        kind: DifferenceKind,
        /// The NIC; as it was, when it went.
        nic: Box<Nic>,
        /// Which facts changed.
        changes: Vec<FieldChange>,
    },
    /// A GPU came, went, or has other facts.
    Gpu {
        /// Which of them.
        kind: DifferenceKind,
        /// The GPU; as it was, when it went.
        gpu: Box<Gpu>,
        /// Which facts changed.
        changes: Vec<FieldChange>,
    },
    /// Facts of the node changed.
    Node {
        /// Which facts.
        changes: Vec<FieldChange>,
    },
    /// A warning was not there before.
    WarningRaised(Warning),
    /// A warning's cause is gone.
    WarningCleared(Warning),
}

/// What happened to a thing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DifferenceKind {
    /// It was not there before.
    Added,
    /// It is gone.
    Removed,
    /// It has other facts.
    Changed,
}

/// One fact that changed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct FieldChange {
    /// JSON pointer (RFC 6901) to the fact, like `/link/carrier`.
    pub path: String,
    /// What it was; absent when it was not known or not there.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub from: Option<Value>,
    /// What it is; absent when it is not known or gone.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub to: Option<Value>,
}

/// All differences: NICs that went, came, changed; then GPUs; the node; warnings that cleared, then new ones.
/// Before the first inventory (`None`) there was nothing.
pub fn differences(before: Option<&Inventory>, after: &Inventory) -> Vec<Difference> {
    let mut found = Vec::new();
    let old = before.map_or(&[][..], |inventory| &inventory.nics);
    compare(
        old,
        &after.nics,
        |nic| nic.id.clone(),
        |kind, nic, changes| {
            found.push(Difference::Nic { kind, nic: Box::new(nic.clone()), changes });
        },
    );
    let old = before.map_or(&[][..], |inventory| &inventory.gpus);
    compare(
        old,
        &after.gpus,
        |gpu| gpu.pci,
        |kind, gpu, changes| {
            found.push(Difference::Gpu { kind, gpu: Box::new(gpu.clone()), changes });
        },
    );
    if let Some(before) = before.filter(|before| before.node != after.node) {
        found.push(Difference::Node { changes: field_changes(&before.node, &after.node) });
    }
    let old = before.map_or(&[][..], |inventory| &inventory.warnings);
    let cleared = old.iter().filter(|warning| !after.warnings.contains(warning));
    found.extend(cleared.cloned().map(Difference::WarningCleared));
    let raised = after.warnings.iter().filter(|warning| !old.contains(warning));
    found.extend(raised.cloned().map(Difference::WarningRaised));
    found
}

/// Reports what went, came and changed between two lists of things with a key.
fn compare<T: PartialEq + Serialize, K: Ord>(
    old: &[T],
    new: &[T],
    key: impl Fn(&T) -> K,
    mut report: impl FnMut(DifferenceKind, &T, Vec<FieldChange>),
) {
    let before: BTreeMap<K, &T> = old.iter().map(|one| (key(one), one)).collect();
    let after: BTreeMap<K, &T> = new.iter().map(|one| (key(one), one)).collect();
    for (_, gone) in before.iter().filter(|(key, _)| !after.contains_key(key)) {
        report(DifferenceKind::Removed, gone, Vec::new());
    }
    for (key, one) in &after {
        match before.get(key) {
            None => report(DifferenceKind::Added, one, Vec::new()),
            Some(old) if old != one => report(DifferenceKind::Changed, one, field_changes(*old, *one)),
            Some(_) => {}
        }
    }
}

/// The facts in which two values of one type differ.
fn field_changes<T: Serialize>(from: &T, to: &T) -> Vec<FieldChange> {
    // The model has no maps with other keys than text, so this cannot fail.
    let value = |one: &T| serde_json::to_value(one).unwrap_or_default();
    let mut found = Vec::new();
    walk(&mut String::new(), Some(&value(from)), Some(&value(to)), &mut found);
    found
}

fn walk(path: &mut String, from: Option<&Value>, to: Option<&Value>, found: &mut Vec<FieldChange>) {
    let mut below = |name: &str, from: Option<&Value>, to: Option<&Value>| {
        let length = path.len();
        path.push('/');
        path.push_str(&name.replace('~', "~0").replace('/', "~1"));
        walk(path, from, to, found);
        path.truncate(length);
    };
    match (from, to) {
        (from, to) if from == to => {}
        (Some(Value::Object(old)), Some(Value::Object(new))) => {
            let added = new.keys().filter(|key| !old.contains_key(*key));
            old.keys().chain(added).for_each(|key| below(key, old.get(key), new.get(key)));
        }
        // Lists of objects (VFs, RDMA ports) keep their order; lists of words are replaced whole.
        (Some(Value::Array(old)), Some(Value::Array(new)))
            if old.len() == new.len() && old.iter().chain(new).all(Value::is_object) =>
        {
            let pairs = old.iter().zip(new).enumerate();
            pairs.for_each(|(index, (old, new))| below(&index.to_string(), Some(old), Some(new)));
        }
        (from, to) => found.push(FieldChange { path: path.clone(), from: from.cloned(), to: to.cloned() }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{LinkFacts, NicId, NicKind, Node, Sriov, SriovCapacity, VfEntry};

    fn inventory(nics: Vec<Nic>) -> Inventory {
        Inventory {
            node: Node::default(),
            nics,
            gpus: Vec::new(),
            warnings: Vec::new(),
            failures: Vec::new(),
        }
    }

    fn nic(id: &str, mtu: u32) -> Nic {
        let mut nic = Nic::new(NicId::new(id), NicKind::Physical);
        nic.link = Some(LinkFacts::new(mtu, 1));
        let mut sriov = Sriov::new(SriovCapacity::default());
        sriov.vfs = vec![VfEntry::new(0), VfEntry::new(1)];
        nic.sriov = Some(sriov);
        nic
    }

    #[test]
    fn each_nic_is_removed_added_or_changed_with_the_facts() {
        let before = inventory(vec![nic("a", 1500), nic("b", 1500), nic("c", 1500)]);
        let mut after = inventory(vec![nic("b", 1500), nic("c", 9000), nic("d", 1500)]);
        after.nics[1].sriov.as_mut().unwrap().vfs[1].vlan = Some(7);

        let found = differences(Some(&before), &after);

        let told: Vec<(DifferenceKind, &str)> = found
            .iter()
            .map(|one| match one {
                Difference::Nic { kind, nic, .. } => (*kind, nic.id.as_str()),
                other => panic!("{other:?}"),
            })
            .collect();
        use DifferenceKind::{Added, Changed, Removed};
        assert_eq!(told, [(Removed, "a"), (Changed, "c"), (Added, "d")]);
        let Difference::Nic { changes, .. } = &found[1] else { panic!() };
        let change = |path: &str, from: Option<i32>, to: i32| FieldChange {
            path: path.to_owned(),
            from: from.map(Value::from),
            to: Some(to.into()),
        };
        assert_eq!(changes, &[change("/link/mtu", Some(1500), 9000), change("/sriov/vfs/1/vlan", None, 7)]);
        assert_eq!(differences(Some(&after), &after), []);
    }

    #[test]
    fn the_node_has_facts_too() {
        let before = inventory(Vec::new());
        let mut after = before.clone();
        after.node.hostname = Some("n1".to_owned());

        let found = differences(Some(&before), &after);

        assert!(
            matches!(&found[..], [Difference::Node { changes }] if changes[0].path == "/hostname"),
            "{found:?}"
        );
    }
}
