//! What the agent remembers across restarts, or does without when the store cannot be used.

use std::sync::Arc;

use hwprobe::{NicId, Protection, RememberedProtection};
use openapi::StoreState;
use store::{Opening, Store};

use crate::agent::chain;
use crate::health::Health;

/// The agent's memory.
pub(crate) struct Memory {
    store: Option<Arc<Store>>,
    health: Arc<Health>,
}

impl Memory {
    /// A memory in `store`; `opening` says what was found there.
    pub(crate) fn in_store(store: Arc<Store>, opening: &Opening, health: Arc<Health>) -> Self {
        match opening {
            Opening::SetAside { aside, reason } => {
                let detail = format!("the old file lies at {}: {reason}", aside.display());
                tracing::warn!(aside = %aside.display(), reason, "set the old store aside and began a new one");
                health.set_store(StoreState::OpenedAnew, Some(detail));
            }
            _ => health.set_store(StoreState::Open, None),
        }
        Self { store: Some(store), health }
    }

    /// No memory, for a reason that `/readyz` shows.
    pub(crate) fn none(state: StoreState, detail: Option<String>, health: Arc<Health>) -> Self {
        health.set_store(state, detail);
        Self { store: None, health }
    }

    /// The protected NICs that were remembered last.
    pub(crate) fn remembered(&mut self) -> Vec<RememberedProtection> {
        match self.store.as_ref().map(|store| store.protected::<Protection>()) {
            None => Vec::new(),
            Some(Ok(all)) => {
                let one = |(nic, protection)| RememberedProtection { nic: NicId::new(nic), protection };
                all.into_iter().map(one).collect()
            }
            Some(Err(error)) => {
                self.failed(&error);
                Vec::new()
            }
        }
    }

    /// Remembers the protected NICs of now.
    pub(crate) fn remember(&mut self, all: &[RememberedProtection]) {
        let Some(store) = &self.store else { return };
        let pair = |one: &RememberedProtection| (one.nic.to_string(), one.protection.clone());
        let pairs: Vec<(String, Protection)> = all.iter().map(pair).collect();
        match store.set_protected(&pairs) {
            Ok(()) => tracing::debug!(nics = pairs.len(), "remembered the protected NICs"),
            Err(error) => self.failed(&error),
        }
    }

    fn failed(&self, error: &store::StoreError) {
        tracing::warn!(
            error = chain(error),
            "the store failed; what is learnt now is forgotten with the process"
        );
        self.health.set_store(StoreState::Unavailable, Some(chain(error)));
    }
}
