//! After a start: every record is compared with the kernel, and kept or taken back.

use std::sync::Arc;

use store::{Batch, Table};

use crate::delegated::NoConversation;
use crate::engine::Engine;
use crate::record::{Attachment, Phase, Tool};

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
            match attachment.phase {
                Phase::Attached | Phase::Lost => found.kept += 1,
                Phase::Attaching if self.is_whole(&attachment) => {
                    found.completed += 1;
                    self.complete(attachment);
                }
                Phase::Attaching | Phase::Detaching => {
                    found.rolled_back += 1;
                    found.owed += usize::from(!attachment.delegates.is_empty());
                    if let Err(error) = self.detach(attachment, None, &mut NoConversation) {
                        tracing::warn!(%error, "repair");
                    }
                }
            }
        }
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

    /// Whether everything of an interrupted attach is in the kernel.
    fn is_whole(&self, attachment: &Attachment) -> bool {
        let ours = attachment.tool == Tool::Ipam || !attachment.links.is_empty();
        // A plugin that makes links may have been interrupted: only its own DEL is safe.
        let delegated = attachment.delegates.iter().any(|delegate| delegate.result.is_none());
        // What a moved device was is known only after the move.
        let moved = attachment
            .links
            .iter()
            .any(|link| link.link == crate::select::LinkUse::Whole && link.original.is_none());
        if !ours || delegated || moved {
            return false;
        }
        self.namespace_of(attachment).is_some_and(|mut pod| self.compare(attachment, &mut pod).is_ok())
    }

    fn complete(&self, mut attachment: Attachment) {
        attachment.phase = Phase::Attached;
        let mut batch = Batch::new();
        drop(batch.put(Table::Attachments, &attachment.key.to_string(), &attachment));
        self.book().put(Arc::new(attachment));
        self.with_next(batch);
    }

    /// The kernel knows nothing of an earlier boot; plugins' files may.
    fn forget_boot(&self, mut attachment: Attachment) {
        attachment.phase = Phase::Detaching;
        self.finish_detach(attachment);
    }
}
