//! GC: everything of a network that the runtime does not list is taken away.

use cni::Error;
use cni::config::Valid;
use cni::error::code;

use crate::delegated::Conversation;
use crate::engine::Engine;
use crate::record::Key;
use crate::request::Request;

impl Engine {
    /// Collects; goes on after an error and tells all of them.
    pub(crate) fn collect(
        &self,
        request: &Request,
        conversation: &mut dyn Conversation,
    ) -> Result<(), Error> {
        let valid = match &request.conf.valid {
            Valid::Absent => return Ok(()),
            Valid::Null => None,
            Valid::These(valid) => Some(valid),
        };
        let stale = self.attachments().into_iter().filter(|attachment| {
            // What an annotation asked for is another list's to collect.
            attachment.key.network == request.conf.name
                && attachment.tool == request.tool
                && attachment.chain.is_none()
        });
        let stale: Vec<Key> = stale
            .filter(|attachment| match valid {
                // A Go runtime without attachments writes null: only what is verifiably dead goes then.
                None => attachment.sweepable && self.namespace_of(attachment).is_none(),
                Some(valid) => !valid.iter().any(|(container_id, ifname)| {
                    let own = attachment.key.ifname.trim_end_matches(":ipam");
                    *container_id == attachment.key.container_id && ifname == own
                }),
            })
            .map(|attachment| attachment.key.clone())
            .collect();
        let mut errors = Vec::new();
        for key in stale {
            match self.one_for(&key) {
                Ok(_one) => {
                    if let Some(known) = self.attachment(&key) {
                        self.detach((*known).clone(), None, conversation);
                    }
                }
                Err(error) => errors.push(format!("{key}: {error}")),
            }
        }
        if errors.is_empty() { Ok(()) } else { Err(Error::new(code::INTERNAL, errors.join("; "))) }
    }
}
