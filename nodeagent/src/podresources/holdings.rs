//! Which pods the kubelet gave which devices.

use std::collections::BTreeMap;

use cni::config::nic_of_device;
use hwprobe::{Held, HeldBy, Inventory, NicKind, NotSecondary, PodHolder, SriovZeroReason};

/// Every device that a pod has, by the device's id.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Holdings {
    devices: BTreeMap<String, Vec<PodHolder>>,
}

impl Holdings {
    /// Enters that a pod has a device.
    pub(crate) fn insert(&mut self, holder: PodHolder) {
        let holders = self.devices.entry(holder.device.clone()).or_default();
        if let Err(place) = holders.binary_search(&holder) {
            holders.insert(place, holder);
        }
    }

    /// Who has the device, under any resource.
    pub(crate) fn of(&self, device: &str) -> &[PodHolder] {
        self.devices.get(device).map_or(&[], Vec::as_slice)
    }

    /// Resource and id of each device that a pod has, ids in order.
    pub(crate) fn of_pod<'a>(
        &'a self,
        namespace: &'a str,
        pod: &'a str,
    ) -> impl Iterator<Item = (&'a str, &'a str)> {
        let its = move |holder: &&PodHolder| {
            holder.namespace.as_deref() == Some(namespace) && holder.pod.as_deref() == Some(pod)
        };
        let each = self.devices.iter();
        each.flat_map(move |(id, holders)| {
            holders.iter().filter(its).map(move |holder| (holder.resource.as_str(), id.as_str()))
        })
    }

    /// Ids of the devices that pods have of `resource`, in order.
    pub(crate) fn of_resource<'a>(&'a self, resource: &'a str) -> impl Iterator<Item = &'a str> {
        let has = move |holders: &[PodHolder]| holders.iter().any(|holder| holder.resource == resource);
        self.devices.iter().filter(move |(_, holders)| has(holders)).map(|(id, _)| id.as_str())
    }

    /// Whether no pod has a device.
    pub(crate) fn is_empty(&self) -> bool {
        self.devices.is_empty()
    }

    /// Writes into an inventory who has what. A VF that a pod has is held, whether its netdev has left already or not.
    pub(crate) fn show(&self, inventory: &mut Inventory) {
        let mut of_nic: BTreeMap<&str, Vec<PodHolder>> = BTreeMap::new();
        for (id, holders) in &self.devices {
            of_nic.entry(nic_of_device(id)).or_default().extend(holders.iter().cloned());
        }
        for nic in &mut inventory.nics {
            let pci = nic.pci_address().map(|address| address.to_string());
            let by_id = of_nic.get(nic.id.as_str()).or_else(|| of_nic.get(pci.as_deref()?));
            if let Some(holders) = by_id {
                nic.held_by.clone_from(holders);
                // Nobody else gets links on it; its pod names it by its address.
                if nic.kind == NicKind::VirtualFunction && nic.secondary.is_secondary {
                    nic.secondary.is_secondary = false;
                    nic.secondary.reasons.push(NotSecondary::Held);
                }
            }
            let Some(sriov) = &mut nic.sriov else { continue };
            for vf in &mut sriov.vfs {
                let pci = vf.pci.map(|address| address.to_string());
                let Some(holders) = pci.and_then(|pci| of_nic.get(pci.as_str())) else { continue };
                vf.held_by.clone_from(holders);
                if vf.held.is_none() {
                    vf.held = Some(Held::new(HeldBy::Pod));
                    let capacity = &mut sriov.capacity;
                    capacity.held = capacity.held.saturating_add(1);
                    capacity.free = capacity.free.saturating_sub(1);
                    if capacity.free == 0 && capacity.creatable == 0 {
                        capacity.reason = capacity.reason.or(Some(SriovZeroReason::AllHeld));
                    }
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Holdings;
    use crate::device_plugin::samples::{card, find, machine};
    use hwprobe::{HeldBy, PodHolder, SriovZeroReason};

    #[test]
    fn a_vf_that_a_pod_has_is_held_and_counted_and_no_other_pods_choice() {
        let mut whole = machine(vec![card(0x41, "a", 0, 1), card(0x81, "b", 0, 1)]);
        let mut holder = PodHolder::new("x/vfs".to_owned(), "0000:41:10.0".to_owned());
        holder.pod = Some("web".to_owned());
        let mut holdings = Holdings::default();
        holdings.insert(holder.clone());
        holdings.insert(holder.clone());
        let share = PodHolder::new("x/nics".to_owned(), "0000:81:00.0#3".to_owned());
        holdings.insert(share.clone());

        holdings.show(&mut whole);

        let vf = find(&mut whole, "0000:41:10.0");
        assert_eq!(vf.held_by, [holder]);
        assert!(!vf.secondary.is_secondary);
        let sriov = find(&mut whole, "0000:41:00.0").sriov.clone().unwrap();
        assert_eq!(sriov.vfs[0].held.as_ref().map(|held| held.by), Some(HeldBy::Pod));
        assert_eq!((sriov.capacity.held, sriov.capacity.free), (1, 0));
        assert_eq!(sriov.capacity.reason, Some(SriovZeroReason::AllHeld));
        let shared = find(&mut whole, "0000:81:00.0");
        assert_eq!(shared.held_by, [share]);
        assert!(shared.secondary.is_secondary, "a NIC that is shared goes on being shared");
    }
}
