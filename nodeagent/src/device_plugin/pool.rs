//! A pool: which devices it has, and which of them are offered. Pure: inventory, holders and time come in, a list
//! comes out.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Instant;

use cni::config::nic_of_device;
use hwprobe::{Inventory, Nic, NicId};

use super::fault::{Fault, fault};
use super::health::{Health, Look, Patience};
use super::selector::{Classes, is_selected, pf_of};
use crate::config::{DevicePool, PoolKind};
use crate::podresources::Holdings;

/// Longest id that the kubelet takes, bytes.
const LONGEST_ID: usize = 63;

/// One device as the kubelet is told of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Device {
    /// PCI address of a VF; `NIC#NUMBER` of a share of a NIC.
    pub(crate) id: String,
    /// Whether it is offered.
    pub(crate) healthy: bool,
    /// NUMA node, where the kubelet may know it.
    pub(crate) numa: Option<u16>,
    /// The port that it is on: its PF, or the NIC itself.
    pub(crate) port: String,
    /// Whether a pod has it.
    pub(crate) held: bool,
    /// What is wrong with it now, whether that has lasted long enough or not.
    pub(crate) fault: Option<Fault>,
}

/// The devices of a pool, by id.
pub(crate) type List = Arc<Vec<Device>>;

/// What the agent knows at one moment.
#[derive(Debug, Clone, Copy)]
pub(crate) struct View<'a> {
    pub(crate) inventory: &'a Inventory,
    /// What the kubelet has given to pods.
    pub(crate) holdings: &'a Holdings,
    /// NICs that attachments of the store use.
    pub(crate) attached: &'a BTreeSet<NicId>,
    /// Devices that were given out a moment ago, which `holdings` may not show yet.
    pub(crate) granted: &'a BTreeSet<String>,
}

/// A pool with what it remembers.
#[derive(Debug)]
pub(crate) struct Pool {
    config: Arc<DevicePool>,
    resource: Arc<str>,
    patience: Patience,
    members: BTreeMap<String, Member>,
    /// Failures of the inventory that were there before anything was missing: they explain nothing.
    usual: Option<BTreeSet<String>>,
}

#[derive(Debug)]
struct Member {
    device: Device,
    health: Health,
}

impl Pool {
    /// An empty pool.
    pub(crate) fn new(config: Arc<DevicePool>, resource: &str, patience: Patience) -> Self {
        Self { config, resource: resource.into(), patience, members: BTreeMap::new(), usual: None }
    }

    /// Takes in what is known now. `claimed` are the NICs of earlier pools; those of this one are added.
    pub(crate) fn see(
        &mut self,
        view: &View<'_>,
        classes: &Classes,
        claimed: &mut BTreeSet<NicId>,
        now: Instant,
    ) {
        let doubtful = self.is_doubtful(view.inventory);
        let resource = Arc::clone(&self.resource);
        let given: BTreeSet<&str> =
            view.holdings.of_resource(&resource).chain(view.granted.iter().map(String::as_str)).collect();
        let mut seen = BTreeSet::new();
        for nic in &view.inventory.nics {
            let pf = pf_of(view.inventory, nic);
            let selected = is_selected(&self.config, classes, nic, pf) && !claimed.contains(&nic.id);
            // A VF is one device; an attachment to a NIC does not say which share it is.
            let attached = self.config.kind == PoolKind::Vf && view.attached.contains(&nic.id);
            for id in self.ids(nic) {
                let known = self.members.contains_key(&id);
                let held = given.contains(id.as_str()) || (known && attached);
                // What a pod has stays, and what could not be read whole: its pod, or its next reading, decides.
                let unread = known && !nic.failures.is_empty();
                if !(selected || held || unread) {
                    continue;
                }
                claimed.insert(nic.id.clone());
                let found = if selected {
                    fault(&self.config, nic, pf, held, view.holdings.of(&id), &resource)
                } else {
                    Some(Fault::NotSelected)
                };
                let place =
                    (pf.and_then(|pf| pf.numa_node).or(nic.numa_node), pf.unwrap_or(nic).id.to_string());
                self.enter(&id, found, held, Some(place), now);
                seen.insert(id);
            }
        }
        self.members.retain(|id, _| seen.contains(id) || doubtful || given.contains(id.as_str()));
        let known = self.members.keys().map(String::as_str).chain(given.iter().copied());
        let absent: BTreeSet<String> = known.filter(|id| !seen.contains(*id)).map(str::to_owned).collect();
        for id in absent {
            let found = if doubtful { Fault::Unread } else { Fault::Gone };
            self.enter(&id, Some(found), given.contains(id.as_str()), None, now);
        }
    }

    /// The devices, by id.
    pub(crate) fn list(&self) -> Vec<Device> {
        let device =
            |member: &Member| Device { healthy: member.health.is_healthy(), ..member.device.clone() };
        self.members.values().map(device).collect()
    }

    /// When a device's health changes if nothing else does.
    pub(crate) fn due(&self) -> Option<Instant> {
        self.members.values().filter_map(|member| member.health.due(self.patience)).min()
    }

    /// Ids of the devices that a NIC is in this pool.
    fn ids(&self, nic: &Nic) -> Vec<String> {
        let name = nic.pci_address().map_or_else(|| nic.id.to_string(), |address| address.to_string());
        let mut ids = match self.config.kind {
            PoolKind::Vf => vec![name],
            PoolKind::Nic { count } => (0..count).map(|number| format!("{}#{number}", nic.id)).collect(),
        };
        ids.retain(|id| id.len() <= LONGEST_ID);
        ids
    }

    /// Enters a device as it is now; its place, NUMA node and port, stays when it is not told.
    fn enter(
        &mut self,
        id: &str,
        found: Option<Fault>,
        held: bool,
        place: Option<(Option<u16>, String)>,
        now: Instant,
    ) {
        let look = match &found {
            None => Look::Well,
            Some(Fault::Unread) => Look::Unknown,
            Some(Fault::Gone) => Look::Gone,
            Some(_) => Look::Wrong,
        };
        let patience = self.patience;
        let member = self.members.entry(id.to_owned());
        let member =
            member.and_modify(|member| member.health.see(look, now, patience)).or_insert_with(|| {
                let device = Device {
                    id: id.to_owned(),
                    healthy: false,
                    numa: None,
                    port: nic_of_device(id).to_owned(),
                    held,
                    fault: None,
                };
                Member { device, health: Health::first(look) }
            });
        if let Some((numa, port)) = place {
            (member.device.numa, member.device.port) = (numa.filter(|_| !self.config.exclude_topology), port);
        }
        (member.device.held, member.device.fault) = (held, found);
    }

    /// Whether something could not be read that could be read before: then nothing is concluded from what is missing.
    fn is_doubtful(&mut self, inventory: &Inventory) -> bool {
        let now: BTreeSet<String> = inventory.failures.iter().map(|failure| failure.source.clone()).collect();
        let usual = self.usual.get_or_insert_with(|| now.clone());
        usual.retain(|source| now.contains(source));
        now.iter().any(|source| !usual.contains(source))
    }
}

#[cfg(test)]
mod tests;
