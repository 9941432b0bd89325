//! The sweep: attachments whose namespace is dead and that nobody deletes (DESIGN §4).

use std::os::fd::AsFd;
use std::path::Path;
use std::sync::PoisonError;

use datapath::netns::{cookie_of, open_path};

use crate::delegated::NoConversation;
use crate::engine::Engine;
use crate::record::{Attachment, Key, Phase};

/// A sweep of more than this share at once stops: then it is more likely that we see badly.
const SHARE: usize = 5;

/// Up to this many may always go at once.
const ALWAYS: usize = 5;

/// What a sweep did.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Swept {
    /// Taken away.
    pub swept: Vec<Key>,
    /// Dead for the first time: they go when they still are at the next sweep.
    pub suspected: Vec<Key>,
    /// So many were dead at once that nothing was taken away.
    pub stopped: Option<usize>,
}

impl Engine {
    /// Takes away what was dead at the last sweep and still is. `listed` says whether the runtime still lists a
    /// sandbox; when it cannot be asked, do not sweep.
    pub fn sweep(&self, listed: impl Fn(&Key) -> bool) -> Swept {
        self.return_owed_vfs();
        let all = self.attachments();
        let live = |attachment: &&std::sync::Arc<Attachment>| {
            matches!(attachment.phase, Phase::Attached | Phase::Lost)
        };
        let dead: Vec<Key> = all
            .iter()
            .filter(live)
            .filter(|attachment| attachment.sweepable && is_dead(attachment) && !listed(&attachment.key))
            .map(|attachment| attachment.key.clone())
            .collect();
        if dead.len() > ALWAYS.max(all.len() / SHARE) {
            tracing::error!(
                dead = dead.len(),
                of = all.len(),
                "so many namespaces seem dead at once that nothing is swept; check that the agent sees them"
            );
            return Swept { stopped: Some(dead.len()), ..Swept::default() };
        }
        let before = {
            let mut suspects = self.suspects.lock().unwrap_or_else(PoisonError::into_inner);
            std::mem::replace(&mut *suspects, dead.clone())
        };
        let (again, first): (Vec<Key>, Vec<Key>) = dead.into_iter().partition(|key| before.contains(key));
        let mut swept = Swept { suspected: first, ..Swept::default() };
        for key in again {
            let Ok(_one) = self.one_for(&key) else { continue };
            let Some(known) = self.attachment(&key) else { continue };
            if is_dead(&known) {
                self.detach((*known).clone(), None, &mut NoConversation);
                tracing::info!(%key, "its namespace is dead and nobody deleted it: taken away");
                swept.swept.push(key);
            }
        }
        swept
    }
}

/// The path is gone, or another namespace is there.
fn is_dead(attachment: &Attachment) -> bool {
    let Ok(fd) = open_path(Path::new(&attachment.netns)) else { return true };
    match cookie_of(fd.as_fd()) {
        Ok(cookie) => Some(cookie) != attachment.cookie,
        // A plain file: what a dead bind mount leaves.
        Err(_) => true,
    }
}
