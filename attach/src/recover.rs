//! After a start: every record is compared with the kernel, and kept or taken back.

use std::sync::Arc;

use cni::{NetConf, Version};
use datapath::observe;

use crate::delegated::NoConversation;
use crate::engine::{Engine, hw_addr};
use crate::links;
use crate::record::{Attachment, Phase, PodLink};
use crate::select::LinkUse;

/// What a start found.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Recovered {
    /// Attachments that are as they should be.
    pub kept: usize,
    /// Attachments that a crash interrupted and that are whole: kept.
    pub completed: usize,
    /// Attachments that a crash interrupted: taken back.
    pub rolled_back: usize,
    /// Attachments of an earlier boot: their addresses rest.
    pub of_earlier_boot: usize,
    /// Of those taken back: owed to plugins.
    pub owed: usize,
}

impl Engine {
    /// Repairs what a crash or a restart of the machine left (DESIGN §4.5, TRAPS P5). To be called before the first
    /// call is served.
    pub fn recover(&self) -> Recovered {
        let mut found = Recovered::default();
        for attachment in self.attachments() {
            let attachment = (*attachment).clone();
            if attachment.boot != self.parts.boot {
                found.of_earlier_boot += 1;
                found.owed += usize::from(!attachment.delegates.is_empty());
                self.forget_boot(attachment);
                continue;
            }
            // A DEL that was answered may not be on the disk yet; nobody asks for it again.
            let is_undone = attachment.phase == Phase::Attached && self.is_undone(&attachment);
            if matches!(attachment.phase, Phase::Attached | Phase::Lost) && !is_undone {
                found.kept += 1;
                continue;
            }
            let whole = if attachment.phase == Phase::Attaching { self.whole(&attachment) } else { None };
            if let Some(whole) = whole {
                found.completed += 1;
                self.complete(whole);
                continue;
            }
            found.rolled_back += 1;
            found.owed += usize::from(!attachment.delegates.is_empty());
            self.detach(attachment, None, &mut NoConversation);
        }
        self.debts_are_handed();
        if found != Recovered::default() {
            tracing::info!(
                kept = found.kept,
                completed = found.completed,
                rolled_back = found.rolled_back,
                of_earlier_boot = found.of_earlier_boot,
                owed = found.owed,
                "attachments after the start"
            );
        }
        found
    }

    /// An interrupted attach of which everything is in the kernel, with what only the kernel knows of it.
    fn whole(&self, attachment: &Attachment) -> Option<Attachment> {
        // A plugin that makes links may have been interrupted: only its own DEL is safe.
        let delegated = attachment.delegates.iter().any(|delegate| delegate.result.is_none());
        let ours = attachment.links.iter().all(|link| link.link != LinkUse::Delegated);
        if attachment.links.is_empty() || delegated || !ours {
            return None;
        }
        let mut pod = self.namespace_of(attachment)?;
        self.compare(attachment, &mut pod).ok()?;
        let there = observe::pod(&mut pod).ok()?;
        let mut whole = attachment.clone();
        for link in whole.links.iter_mut().filter(|link| link.is_ours()) {
            let now = there.links.iter().find(|now| now.index == link.ifindex)?;
            link.mac = now.address.as_ref().and_then(hw_addr);
            link.mtu = now.mtu.unwrap_or(link.mtu);
        }
        let conf = NetConf::parse(&whole.config).ok()?;
        whole.result = Some(links::result(&whole, &conf).emit(Version::V1_1_0));
        Some(whole)
    }

    /// Whether the namespace lives and has none of the attachment's links.
    fn is_undone(&self, attachment: &Attachment) -> bool {
        if attachment.links.is_empty() || attachment.links.iter().any(|link| link.link == LinkUse::Delegated)
        {
            return false;
        }
        let Some(mut pod) = self.namespace_of(attachment) else { return false };
        observe::pod(&mut pod).is_ok_and(|there| {
            let absent = |link: &PodLink| there.links.iter().all(|now| now.index != link.ifindex);
            attachment.links.iter().all(|link| self.is_back_from_vfio(link).unwrap_or_else(|| absent(link)))
        })
    }

    fn complete(&self, mut attachment: Attachment) {
        attachment.phase = Phase::Attached;
        self.enter(&mut self.book(), &Arc::new(attachment));
    }

    /// The kernel knows nothing of an earlier boot; plugins' files may.
    fn forget_boot(&self, mut attachment: Attachment) {
        attachment.phase = Phase::Detaching;
        self.leave_allocations(&mut attachment);
        self.finish_detach(attachment);
    }
}
