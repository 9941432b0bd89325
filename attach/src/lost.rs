//! NICs that die under an attachment (TRAPS P16, H3), or become too narrow for it (P15).

use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError};

use hwprobe::{Generation, Inventory};

use crate::engine::{Engine, Event};
use crate::record::{Phase, PodLink};
use crate::select::LinkUse;

impl Engine {
    /// Marks attachments a NIC of which is gone or is another one by now. They keep their addresses until the
    /// runtime deletes them. To be called with each new inventory; does not enter any namespace.
    pub fn look_at(&self, inventory: &Inventory) {
        self.look_at_mtus(inventory);
        for attachment in self.attachments() {
            if attachment.phase != Phase::Attached {
                continue;
            }
            let gone = attachment.links.iter().find(|link| is_gone(link, inventory));
            let Some(gone) = gone else { continue };
            tracing::warn!(key = %attachment.key, nic = %gone.nic, link = gone.name, "a NIC of it is gone");
            let mut lost = (*attachment).clone();
            lost.phase = Phase::Lost;
            let lost = Arc::new(lost);
            let mut book = self.book();
            // A DEL may have been quicker.
            let still = book.attachments.get(&lost.key).is_some_and(|now| Arc::ptr_eq(now, &attachment));
            if !still {
                continue;
            }
            self.enter(&mut book, &lost);
            drop(book);
            (self.parts.tell)(Event::Lost(lost));
        }
    }
}

impl Engine {
    /// Tells of NICs that have a lesser MTU than links above them were given: the kernel lowers the links with their
    /// master, and what the runtime was answered is no longer true. Each is told once, and again when it changes.
    fn look_at_mtus(&self, inventory: &Inventory) {
        let mut narrow = BTreeMap::new();
        let mut news = Vec::new();
        let told = self.narrow.lock().unwrap_or_else(PoisonError::into_inner).clone();
        for attachment in self.attachments().into_iter().filter(|one| one.phase == Phase::Attached) {
            for link in &attachment.links {
                let Some(mtu) = less(link, inventory) else { continue };
                let place = (attachment.key.clone(), link.index);
                if told.get(&place) != Some(&mtu) {
                    tracing::warn!(key = %attachment.key, nic = %link.nic, link = link.name, mtu, was = link.mtu,
                        "the NIC has a lesser MTU than the link was given; raise it again, or attach the pod anew");
                    let attachment = Arc::clone(&attachment);
                    news.push(Event::Narrowed { attachment, link: link.index, mtu });
                }
                narrow.insert(place, mtu);
            }
        }
        *self.narrow.lock().unwrap_or_else(PoisonError::into_inner) = narrow;
        news.into_iter().for_each(|event| (self.parts.tell)(event));
    }
}

/// MTU of the NIC below a link, where it is less than the link's own. A device that went to the pod is its own NIC.
fn less(link: &PodLink, inventory: &Inventory) -> Option<u32> {
    if matches!(link.link, LinkUse::Whole | LinkUse::Vf) {
        return None;
    }
    let nic = inventory.nics.iter().find(|nic| nic.id == link.nic)?;
    nic.link.as_ref().map(|facts| facts.mtu).filter(|mtu| *mtu > 0 && *mtu < link.mtu)
}

fn is_gone(link: &PodLink, inventory: &Inventory) -> bool {
    let Some(nic) = inventory.nics.iter().find(|nic| nic.id == link.nic) else { return true };
    let Generation { ifindex, device, .. } = nic.generation;
    let other_device = matches!((device, link.generation.device), (Some(now), Some(then)) if now != then);
    // A device that was moved has another index where it is.
    let moved = matches!(link.link, LinkUse::Whole | LinkUse::Vf);
    let other_index = !moved && ifindex.is_some() && ifindex != link.generation.ifindex;
    other_device || other_index
}
