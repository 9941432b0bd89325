//! The networks as they are now: written by who plans them, read by every attach.

use std::sync::{Arc, PoisonError, RwLock};

use attach::network::Networks;
use openapi::NetworkReport;

/// The newest networks, and what is wrong with them. Clones are the same place.
#[derive(Debug, Clone, Default)]
pub(crate) struct Current(Arc<RwLock<Newest>>);

#[derive(Debug, Default)]
struct Newest {
    networks: Arc<Networks>,
    reports: Arc<Vec<NetworkReport>>,
}

impl Current {
    /// The newest.
    pub(crate) fn get(&self) -> Arc<Networks> {
        Arc::clone(&self.0.read().unwrap_or_else(PoisonError::into_inner).networks)
    }

    /// Replaces them.
    pub(crate) fn set(&self, networks: Networks) {
        self.0.write().unwrap_or_else(PoisonError::into_inner).networks = Arc::new(networks);
    }

    /// What is wrong with them, or with the files that they come from.
    pub(crate) fn reports(&self) -> Arc<Vec<NetworkReport>> {
        Arc::clone(&self.0.read().unwrap_or_else(PoisonError::into_inner).reports)
    }

    /// Replaces what is wrong.
    pub(crate) fn set_reports(&self, reports: Vec<NetworkReport>) {
        self.0.write().unwrap_or_else(PoisonError::into_inner).reports = Arc::new(reports);
    }
}
