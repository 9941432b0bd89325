//! What differs between two inventories: NICs and warnings that came, went or changed.

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::Value;

use crate::model::{Inventory, Nic, NicId, Warning};

/// One difference.
#[derive(Debug, Clone, PartialEq)]
pub enum Difference {
    /// A NIC that was not there before.
    NicAdded(Box<Nic>),
    /// A NIC that is gone.
    NicRemoved(Box<Nic>),
    /// A NIC with other facts than before.
    NicChanged {
        /// The NIC as it is now.
        nic: Box<Nic>,
        /// Which facts.
        changes: Vec<FieldChange>,
    },
    /// A warning that was not there before.
    WarningRaised(Warning),
    /// A warning whose cause is gone.
    WarningCleared(Warning),
    /// Facts of the node or its GPUs.
    NodeChanged(Vec<FieldChange>),
}

/// One fact that changed.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct FieldChange {
    /// JSON pointer (RFC 6901) to the fact, like `/link/carrier`.
    pub path: String,
    /// What it was; null = not known or not there.
    pub from: Value,
    /// What it is.
    pub to: Value,
}

/// All differences, in the order: removed, added, changed, node, warnings.
pub fn differences(before: &Inventory, after: &Inventory) -> Vec<Difference> {
    let old: BTreeMap<&NicId, &Nic> = before.nics.iter().map(|nic| (&nic.id, nic)).collect();
    let new: BTreeMap<&NicId, &Nic> = after.nics.iter().map(|nic| (&nic.id, nic)).collect();
    let mut found = Vec::new();
    found.extend(
        before
            .nics
            .iter()
            .filter(|nic| !new.contains_key(&nic.id))
            .map(|nic| Difference::NicRemoved(nic.clone().into())),
    );
    found.extend(
        after
            .nics
            .iter()
            .filter(|nic| !old.contains_key(&nic.id))
            .map(|nic| Difference::NicAdded(nic.clone().into())),
    );
    for nic in &after.nics {
        if let Some(before) = old.get(&nic.id).filter(|before| **before != nic) {
            found.push(Difference::NicChanged {
                nic: nic.clone().into(),
                changes: field_changes(*before, nic),
            });
        }
    }
    if (&before.node, &before.gpus) != (&after.node, &after.gpus) {
        let mut changes = field_changes(&before.node, &after.node);
        changes.extend(field_changes(&before.gpus, &after.gpus).into_iter().map(|mut change| {
            change.path.insert_str(0, "/gpus");
            change
        }));
        found.push(Difference::NodeChanged(changes));
    }
    let missing = |from: &[Warning], to: &[Warning]| {
        from.iter().filter(|one| !to.contains(one)).cloned().collect::<Vec<_>>()
    };
    found.extend(missing(&before.warnings, &after.warnings).into_iter().map(Difference::WarningCleared));
    found.extend(missing(&after.warnings, &before.warnings).into_iter().map(Difference::WarningRaised));
    found
}

/// The leaves in which two values of one type differ. Lists are compared as wholes.
pub fn field_changes<T: Serialize>(from: &T, to: &T) -> Vec<FieldChange> {
    let mut found = Vec::new();
    // The model has no maps with other keys than text, so this cannot fail.
    if let (Ok(from), Ok(to)) = (serde_json::to_value(from), serde_json::to_value(to)) {
        walk(&mut String::new(), &from, &to, &mut found);
    }
    found
}

fn walk(path: &mut String, from: &Value, to: &Value, found: &mut Vec<FieldChange>) {
    match (from, to) {
        (from, to) if from == to => {}
        (Value::Object(old), Value::Object(new)) => {
            let keys = old.keys().chain(new.keys().filter(|key| !old.contains_key(*key)));
            for key in keys {
                let length = path.len();
                path.push('/');
                path.push_str(&key.replace('~', "~0").replace('/', "~1"));
                let get = |map: &serde_json::Map<String, Value>| map.get(key).cloned().unwrap_or_default();
                walk(path, &get(old), &get(new), found);
                path.truncate(length);
            }
        }
        _ => found.push(FieldChange { path: path.clone(), from: from.clone(), to: to.clone() }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{LinkFacts, NicKind, Node};

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
        nic
    }

    #[test]
    fn each_nic_is_added_removed_or_changed_with_the_facts() {
        let before = inventory(vec![nic("a", 1500), nic("b", 1500), nic("c", 1500)]);
        let after = inventory(vec![nic("b", 1500), nic("c", 9000), nic("d", 1500)]);

        let found = differences(&before, &after);

        let change = FieldChange { path: "/link/mtu".to_owned(), from: 1500.into(), to: 9000.into() };
        assert!(matches!(&found[0], Difference::NicRemoved(nic) if nic.id.as_str() == "a"));
        assert!(matches!(&found[1], Difference::NicAdded(nic) if nic.id.as_str() == "d"));
        assert!(matches!(&found[2], Difference::NicChanged { changes, .. } if *changes == [change]));
        assert_eq!(found.len(), 3);
        assert_eq!(differences(&after, &after), []);
    }
}
