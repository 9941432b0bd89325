//! NICs that die under an attachment (TRAPS P16, H3).

use std::sync::Arc;

use hwprobe::{Generation, Inventory};

use crate::engine::{Engine, Event};
use crate::record::{Phase, PodLink};
use crate::select::LinkUse;

impl Engine {
    /// Marks attachments a NIC of which is gone or is another one by now. They keep their addresses until the
    /// runtime deletes them. To be called with each new inventory; does not enter any namespace.
    pub fn look_at(&self, inventory: &Inventory) {
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

fn is_gone(link: &PodLink, inventory: &Inventory) -> bool {
    let Some(nic) = inventory.nics.iter().find(|nic| nic.id == link.nic) else { return true };
    let Generation { ifindex, device, .. } = nic.generation;
    let other_device = matches!((device, link.generation.device), (Some(now), Some(then)) if now != then);
    // A device that was moved has another index where it is.
    let moved = matches!(link.link, LinkUse::Whole | LinkUse::Vf);
    let other_index = !moved && ifindex.is_some() && ifindex != link.generation.ifindex;
    other_device || other_index
}
