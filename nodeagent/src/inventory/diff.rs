//! What differs between two inventories, as events without a number.

use hwprobe::{DifferenceKind, Inventory, NicId, PciAddress, Warning};
use openapi::{EventType, FieldChange};

/// An event before it has an id and a time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Difference {
    pub(crate) kind: EventType,
    pub(crate) nic: Option<NicId>,
    pub(crate) name: Option<String>,
    pub(crate) gpu: Option<PciAddress>,
    /// The pool, by its resource.
    pub(crate) pool: Option<String>,
    pub(crate) changes: Vec<FieldChange>,
    pub(crate) warning: Option<Warning>,
}

impl Difference {
    pub(crate) fn new(kind: EventType) -> Self {
        Self { kind, nic: None, name: None, gpu: None, pool: None, changes: Vec::new(), warning: None }
    }
}

/// Everything that is different in `new`: NICs that went, came and changed, then GPUs, the node, warnings.
/// `old` is `None` for the first inventory of a run.
pub(crate) fn differences(old: Option<&Inventory>, new: &Inventory) -> Vec<Difference> {
    hwprobe::differences(old, new).into_iter().map(as_event).collect()
}

fn as_event(difference: hwprobe::Difference) -> Difference {
    use hwprobe::Difference as Found;
    let of = |kind, [added, removed, changed]: [EventType; 3]| match kind {
        DifferenceKind::Added => added,
        DifferenceKind::Removed => removed,
        DifferenceKind::Changed => changed,
    };
    match difference {
        Found::Nic { kind, nic, changes } => {
            let kind = of(kind, [EventType::NicAdded, EventType::NicRemoved, EventType::NicChanged]);
            let (id, name, changes) = (Some(nic.id), nic.name, wire(changes));
            Difference { nic: id, name, changes, ..Difference::new(kind) }
        }
        Found::Gpu { kind, gpu, changes } => {
            let kind = of(kind, [EventType::GpuAdded, EventType::GpuRemoved, EventType::GpuChanged]);
            Difference { gpu: Some(gpu.pci), changes: wire(changes), ..Difference::new(kind) }
        }
        Found::Node { changes } => {
            Difference { changes: wire(changes), ..Difference::new(EventType::NodeChanged) }
        }
        Found::WarningRaised(warning) => of_warning(EventType::WarningRaised, warning),
        Found::WarningCleared(warning) => of_warning(EventType::WarningCleared, warning),
    }
}

fn of_warning(kind: EventType, warning: Warning) -> Difference {
    Difference { nic: warning.nic.clone(), warning: Some(warning), ..Difference::new(kind) }
}

fn wire(changes: Vec<hwprobe::FieldChange>) -> Vec<FieldChange> {
    let one =
        |change: hwprobe::FieldChange| FieldChange { path: change.path, from: change.from, to: change.to };
    changes.into_iter().map(one).collect()
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
