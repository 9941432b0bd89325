//! Pods that another program gave their addresses: the predecessor, or an agent whose store is lost (TRAPS C7). Nothing of
//! them is changed; their addresses are held until the runtime deletes them or no longer has them.

use std::net::IpAddr;
use std::sync::Arc;

use cni::Error;
use ipam::Wish;
use ipnet::IpNet;
use store::{Batch, Table};

use crate::engine::{Engine, Event, kernel_error, now};
use crate::record::{Attachment, Key, Leased, Phase, Pod, Tool};

/// `ifname` of what a pod holds on interfaces that nobody saw.
pub const UNKNOWN_INTERFACE: &str = "legacy";

/// What a pod was found with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    /// What it is to be known by. The container id and interface of the runtime where they are known.
    pub key: Key,
    /// The pod.
    pub pod: Pod,
    /// Its addresses.
    pub addresses: Vec<IpAddr>,
}

/// What became of it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Adopted {
    /// Addresses that are held now.
    pub held: usize,
    /// Addresses that are in no block of this node, or that somebody else has.
    pub left: Vec<String>,
}

impl Engine {
    /// Holds the addresses of pods that were found. What is held already is passed over.
    ///
    /// # Errors
    /// When it cannot be written down; nothing is held then.
    pub fn adopt(&self, found: &[Found]) -> Result<Adopted, Error> {
        self.store()?;
        let networks = (self.parts.networks)();
        let mut adopted = Adopted::default();
        let mut batch = Batch::new();
        let mut reserved = Vec::new();
        let mut made = Vec::new();
        let mut book = self.book();
        book.know(&networks);
        self.wake(&mut book);
        for one in found.iter().filter(|one| !one.addresses.is_empty()) {
            if book.attachments.contains_key(&one.key) {
                continue;
            }
            let network = networks.networks.get(&one.key.network);
            let mut attachment = Attachment {
                phase: Phase::Attached,
                pod: Some(one.pod.clone()),
                ..Attachment::new(one.key.clone(), Tool::Adopted, book.new_group(), &self.parts.boot)
            };
            for address in &one.addresses {
                let index = u16::try_from(attachment.addresses.len()).unwrap_or(u16::MAX);
                let block = network.and_then(|network| network.block_of(*address));
                let got = block.map(|block| {
                    let reservation =
                        book.reserve(block.pod, &one.key, index, Wish::Exactly(*address), now());
                    (block, reservation)
                });
                match got {
                    Some((block, Ok(reservation))) => {
                        let length = block.interface.prefix_len();
                        let address = IpNet::new(*address, length).unwrap_or_else(|_| IpNet::from(*address));
                        let leased = Leased { address, block: Some(block.pod), gateway: None };
                        attachment.addresses.push((index, leased));
                        batch.address(&reservation.change).map_err(|error| kernel_error(&error))?;
                        reserved.push(reservation);
                    }
                    Some((_, Err(error))) => {
                        let holder = holder_of(&book.attachments, *address);
                        if holder != Some(&one.pod) {
                            adopted.left.push(format!("{address} of {}: {error}", one.key));
                        }
                    }
                    None => adopted.left.push(format!("{address} of {}: in no block of this node", one.key)),
                }
            }
            if !attachment.addresses.is_empty() {
                adopted.held += attachment.addresses.len();
                batch
                    .put(Table::Attachments, &one.key.to_string(), &attachment)
                    .map_err(|error| kernel_error(&error))?;
                let attachment = Arc::new(attachment);
                book.put(Arc::clone(&attachment));
                made.push(attachment);
            }
        }
        drop(book);
        if made.is_empty() {
            return Ok(adopted);
        }
        if let Err(error) = self.commit(batch) {
            let mut book = self.book();
            for attachment in &made {
                book.remove(&attachment.key);
            }
            for reservation in &reserved {
                book.addresses.cancel(reservation);
            }
            return Err(error);
        }
        for attachment in made {
            (self.parts.tell)(Event::Attached(attachment));
        }
        Ok(adopted)
    }

    /// Those that were adopted and still hold addresses.
    pub fn adopted(&self) -> Vec<Arc<Attachment>> {
        let mut all = self.attachments();
        all.retain(|one| one.tool == Tool::Adopted);
        all
    }

    /// Gives back what an adopted pod held, once it is gone.
    pub fn let_go(&self, key: &Key) {
        let Ok(_one) = self.one_for(key) else { return };
        if let Some(known) = self.attachment(key).filter(|known| known.tool == Tool::Adopted) {
            self.finish_detach((*known).clone());
        }
    }

    /// The adopted attachments that a DEL of this key and pod is about, where nobody knew the runtime's names.
    pub(crate) fn adopted_for(&self, key: &Key, pod: Option<&Pod>) -> Vec<Key> {
        let Some(pod) = pod else { return Vec::new() };
        // One that is known by a container is that container's alone: the pod may have another by now.
        let keys = [unknown_container(pod), key.container_id.clone()].map(|container_id| Key {
            network: key.network.clone(),
            container_id,
            ifname: UNKNOWN_INTERFACE.to_owned(),
        });
        let its = |one: &Attachment| {
            let same = |its: &Pod| its.name == pod.name && its.namespace == pod.namespace;
            one.tool == Tool::Adopted && one.pod.as_ref().is_some_and(same)
        };
        let book = self.book();
        keys.into_iter().filter(|key| book.attachments.get(key).is_some_and(|one| its(one))).collect()
    }
}

/// The container id of a pod whose container nobody knows.
pub fn unknown_container(pod: &Pod) -> String {
    format!("legacy-{}.{}", pod.namespace, pod.name)
}

fn holder_of(
    attachments: &std::collections::BTreeMap<Key, Arc<Attachment>>,
    address: IpAddr,
) -> Option<&Pod> {
    let has = |one: &&Arc<Attachment>| one.leases().any(|(_, lease)| lease.address.addr() == address);
    attachments.values().find(has)?.pod.as_ref()
}
