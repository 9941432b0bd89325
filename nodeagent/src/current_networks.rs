//! The networks as they are now: written by who plans them, read by every attach.

use std::sync::{Arc, PoisonError, RwLock};

use attach::network::Networks;

/// The newest networks. Clones are the same place.
#[derive(Debug, Clone, Default)]
pub(crate) struct Current(Arc<RwLock<Arc<Networks>>>);

impl Current {
    /// The newest.
    pub(crate) fn get(&self) -> Arc<Networks> {
        Arc::clone(&self.0.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Replaces them.
    pub(crate) fn set(&self, networks: Networks) {
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(networks);
    }
}
