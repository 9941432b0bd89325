//! What is held, in memory: attachments, addresses, uses of NICs. The store has the same; this is what decides.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;

use ipam::{Allocator, Change, Owner, Reservation, Wish};
use ipnet::IpNet;

use crate::network::Networks;
use crate::record::{Attachment, Key, Leased};
use crate::select::{Promise, usage_id};
use crate::usage::Usage;

/// First group number of ours, so that a person who looks at `ip link` sees whose they are.
const FIRST_GROUP: u32 = 1_000_000;

/// Groups before the numbers begin again; each also gives room for the indices of its links.
const GROUPS: u32 = 1 << 20;

/// Links of one attachment at most.
pub(crate) const MOST_LINKS: u32 = 256;

/// Holders of a full block that an error names.
const MOST_HOLDERS: usize = 16;

/// The book.
#[derive(Debug)]
pub(crate) struct Book {
    pub(crate) attachments: BTreeMap<Key, Arc<Attachment>>,
    pub(crate) addresses: Allocator,
    pub(crate) usage: Usage,
    next_group: u32,
    networks: Arc<Networks>,
}

impl Book {
    pub(crate) fn new(quarantine: u64) -> Self {
        Self {
            attachments: BTreeMap::new(),
            addresses: Allocator::new(quarantine),
            usage: Usage::default(),
            next_group: 0,
            networks: Arc::default(),
        }
    }

    /// Takes in what the networks are now: their blocks and excludes.
    pub(crate) fn know(&mut self, networks: &Arc<Networks>) {
        if Arc::ptr_eq(networks, &self.networks) {
            return;
        }
        for (name, network) in &networks.networks {
            for block in network.interfaces.iter().flat_map(|interface| &interface.blocks) {
                self.addresses.set_block(name, block.pod, &block.excludes);
            }
        }
        let networks_now = Arc::clone(networks);
        self.addresses.retain_blocks(|name, pod| {
            let network = networks_now.networks.get(name);
            network.is_some_and(|network| {
                network
                    .interfaces
                    .iter()
                    .flat_map(|interface| &interface.blocks)
                    .any(|block| block.pod == pod)
            })
        });
        self.networks = Arc::clone(networks);
    }

    /// Enters an attachment, or what became of it.
    pub(crate) fn put(&mut self, attachment: Arc<Attachment>) {
        let old = self.attachments.insert(attachment.key.clone(), Arc::clone(&attachment));
        if let Some(old) = old {
            self.count(&old, false);
        }
        self.count(&attachment, true);
    }

    /// Strikes an attachment out.
    pub(crate) fn remove(&mut self, key: &Key) {
        if let Some(old) = self.attachments.remove(key) {
            self.count(&old, false);
        }
    }

    fn count(&mut self, attachment: &Attachment, more: bool) {
        for link in &attachment.links {
            let id = usage_id(&link.nic, link.vlan.as_ref().map(|vlan| vlan.id));
            if more {
                self.usage.add(&id, &attachment.key.network, &link.link);
            } else {
                self.usage.remove(&id, &attachment.key.network, &link.link);
            }
            match &link.promise {
                Some(Promise { nic, speed }) if more => self.usage.promise(nic, *speed),
                Some(Promise { nic, speed }) => self.usage.release(nic, *speed),
                None => {}
            }
        }
    }

    /// A group number that no attachment has. The indices of its links are it and those after it.
    pub(crate) fn new_group(&mut self) -> u32 {
        loop {
            let group = FIRST_GROUP + (self.next_group % GROUPS) * MOST_LINKS;
            self.next_group = self.next_group.wrapping_add(1);
            if !self.attachments.values().any(|attachment| attachment.group == group) {
                return group;
            }
        }
    }

    /// Marks an address as held; nothing is written down yet.
    pub(crate) fn reserve(
        &mut self,
        block: IpNet,
        key: &Key,
        index: u16,
        wish: Wish,
        now: u64,
    ) -> Result<Reservation, ipam::ReserveError> {
        self.addresses.reserve(block, &owner(key, index), wish, now)
    }

    /// Who holds addresses of a block, for a person: pods by their names, else by their containers.
    pub(crate) fn holders(&self, network: &str, block: IpNet) -> String {
        let held = self.attachments.values().filter(|one| one.key.network == network).flat_map(|one| {
            let leases = one.leases().filter(|(_, lease)| lease.block == Some(block));
            leases.map(move |(_, lease)| {
                let key = &one.key;
                let holder = match &one.pod {
                    Some(pod) if !pod.name.is_empty() => format!("{}/{}", pod.namespace, pod.name),
                    _ => key.container_id.clone(),
                };
                format!("{} by {holder} {}", lease.address.addr(), key.ifname)
            })
        });
        let mut held: Vec<String> = held.collect();
        let all = held.len();
        held.truncate(MOST_HOLDERS);
        let more =
            if all > MOST_HOLDERS { format!(", and {} more", all - MOST_HOLDERS) } else { String::new() };
        if all == 0 { "nobody who is attached".to_owned() } else { held.join(", ") + &more }
    }

    /// Takes the addresses of an attachment back, and says what is to be written down.
    pub(crate) fn release(&mut self, attachment: &Attachment, now: u64) -> Vec<Change> {
        let mut changes = Vec::new();
        for (index, lease) in attachment.leases() {
            let Some(block) = lease.block else { continue };
            let owner = owner(&attachment.key, index);
            let change = self.addresses.released(block, lease.address.addr(), &owner, now);
            if let Some(change) = change.filter(|change| self.addresses.release(change)) {
                changes.push(change);
            }
        }
        changes
    }
}

fn owner(key: &Key, index: u16) -> Owner {
    Owner {
        network: key.network.clone(),
        container_id: key.container_id.clone(),
        ifname: key.ifname.clone(),
        index,
    }
}

/// Addresses that an attachment had, by block, so that the same key may have them again.
pub(crate) fn sticky(attachment: &Attachment) -> Vec<(IpNet, IpAddr)> {
    let of = |(_, lease): (u16, &Leased)| Some((lease.block?, lease.address.addr()));
    attachment.leases().filter_map(of).collect()
}
