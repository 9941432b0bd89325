//! Addresses for somebody who brings no namespace: old executables over the agent's legacy routes.

use std::hash::{Hash, Hasher};
use std::sync::Arc;

use cni::Error;
use cni::error::code;
use ipam::{Reservation, Wish};
use ipnet::IpNet;
use store::{Batch, Table};

use crate::engine::{Engine, Event, kernel_error, now};
use crate::network::Network;
use crate::record::{Attachment, Key, Leased, Phase, Pod, Tool};

/// An address on a master.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lease {
    /// Name of the master.
    pub master: String,
    /// The address, with the prefix length of the interface's block.
    pub address: IpNet,
}

impl Engine {
    /// Gives one IPv4 address on each master that the network has a block on; what the key has already is given
    /// again. A master without a block, or whose block is full, has none in the answer (CONTRACTS §5.7).
    ///
    /// # Errors
    /// When the agent has no such network, or what is given cannot be written down.
    pub fn lease(&self, key: &Key, pod: Option<Pod>, masters: &[String]) -> Result<Vec<Lease>, Error> {
        let _one = self.one_for(key)?;
        self.store()?;
        let networks = (self.parts.networks)();
        let network = networks.networks.get(&key.network).ok_or_else(|| {
            Error::new(code::INVALID_CONFIG, format!("this agent has no network `{}`", key.network))
        })?;
        let mut book = self.book();
        book.know(&networks);
        self.wake(&mut book);
        let old = book.attachments.get(key).cloned();
        let mut attachment = match &old {
            Some(old) if old.tool != Tool::Api => {
                let words = format!("{key} was made by a CNI executable");
                return Err(Error::new(code::INVALID_CONFIG, words));
            }
            Some(old) => (**old).clone(),
            None => blank(key, pod, book.new_group(), &self.parts.boot),
        };
        let mut batch = Batch::new();
        let mut reserved: Vec<Reservation> = Vec::new();
        let mut given: Vec<Lease> = Vec::new();
        for master in masters {
            if given.iter().any(|lease| lease.master == *master) {
                continue;
            }
            let Some(block) = block(network, master) else { continue };
            let held = attachment.addresses.iter().find(|(_, lease)| lease.block == Some(block.pod));
            if let Some((_, lease)) = held {
                given.push(Lease { master: master.clone(), address: lease.address });
                continue;
            }
            let index = attachment.addresses.iter().map(|(index, _)| index + 1).max().unwrap_or(0);
            let found = match book.reserve(block.pod, key, index, Wish::Any, now()) {
                Ok(found) => found,
                Err(error) => {
                    tracing::warn!(%key, master, %error, "no address for an old executable");
                    continue;
                }
            };
            let address = IpNet::new(found.change.address, block.interface.prefix_len());
            let Ok(address) = address else { continue };
            attachment.addresses.push((index, Leased { address, block: Some(block.pod), gateway: None }));
            given.push(Lease { master: master.clone(), address });
            drop(batch.address(&found.change));
            reserved.push(found);
        }
        if reserved.is_empty() {
            return Ok(given);
        }
        attachment.digest = digest(&attachment);
        batch.put(Table::Attachments, &key.to_string(), &attachment).map_err(|error| kernel_error(&error))?;
        let attachment = Arc::new(attachment);
        book.put(Arc::clone(&attachment));
        drop(book);
        if let Err(error) = self.commit(batch) {
            let mut book = self.book();
            match old {
                Some(old) => book.put(old),
                None => book.remove(key),
            }
            for reservation in &reserved {
                book.addresses.cancel(reservation);
            }
            return Err(error);
        }
        (self.parts.tell)(Event::Attached(attachment));
        Ok(given)
    }

    /// Takes back what [`lease`](Self::lease) gave, and says what that was; nothing is fine.
    ///
    /// # Errors
    /// When another call for the key does not end, or a CNI executable made it.
    pub fn give_back(&self, key: &Key) -> Result<Vec<Lease>, Error> {
        let _one = self.one_for(key)?;
        let Some(known) = self.attachment(key) else { return Ok(Vec::new()) };
        if !matches!(known.tool, Tool::Api | Tool::Adopted) {
            return Err(Error::new(code::INVALID_CONFIG, format!("{key} was made by a CNI executable")));
        }
        let networks = (self.parts.networks)();
        let network = networks.networks.get(&key.network);
        let master = |block: Option<IpNet>| {
            let of = |interface: &&crate::network::NetworkInterface| {
                interface.blocks.iter().any(|one| Some(one.pod) == block)
            };
            let found = network.and_then(|network| network.interfaces.iter().find(of));
            found.map_or_else(String::new, |interface| interface.master.clone())
        };
        let freed = known
            .addresses
            .iter()
            .map(|(_, lease)| Lease { master: master(lease.block), address: lease.address })
            .collect();
        self.finish_detach((*known).clone());
        Ok(freed)
    }
}

/// The IPv4 block of a master: the old answer has room for one address each.
fn block<'a>(network: &'a Network, master: &str) -> Option<&'a crate::network::Block> {
    network.interface(master)?.blocks.iter().find(|block| block.pod.addr().is_ipv4())
}

fn digest(attachment: &Attachment) -> u64 {
    let mut hasher = std::hash::DefaultHasher::new();
    for (index, lease) in &attachment.addresses {
        (index, lease.address).hash(&mut hasher);
    }
    hasher.finish()
}

fn blank(key: &Key, pod: Option<Pod>, group: u32, boot: &str) -> Attachment {
    Attachment {
        // There is nothing to wire: it is whole once it is written down. Nobody told us a namespace that could be
        // seen dead.
        phase: Phase::Attached,
        pod,
        ..Attachment::new(key.clone(), Tool::Api, group, boot)
    }
}
