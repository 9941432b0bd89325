//! The networks as they are now, and the policies for PFs from the same place: written by who plans them, read by every
//! attach and by who keeps PFs.

use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard};

use attach::network::Networks;
use openapi::NetworkReport;
use tokio::sync::watch;

use crate::chained::Offers;
use crate::sriov::NodePolicy;

/// The newest networks, and what is wrong with them. Clones are the same place.
#[derive(Debug, Clone, Default)]
pub(crate) struct Current(Arc<Place>);

#[derive(Debug, Default)]
struct Place {
    newest: RwLock<Newest>,
    /// Counts what was written.
    changes: watch::Sender<u64>,
}

#[derive(Debug, Default)]
struct Newest {
    networks: Arc<Networks>,
    reports: Arc<Vec<NetworkReport>>,
    policies: Arc<Vec<NodePolicy>>,
    offers: Arc<Offers>,
}

impl Current {
    /// The newest.
    pub(crate) fn get(&self) -> Arc<Networks> {
        Arc::clone(&self.read().networks)
    }

    /// Replaces them.
    pub(crate) fn set(&self, networks: Networks) {
        self.write(|newest| newest.networks = Arc::new(networks));
    }

    /// What is wrong with them, or with the files that they come from.
    pub(crate) fn reports(&self) -> Arc<Vec<NetworkReport>> {
        Arc::clone(&self.read().reports)
    }

    /// Replaces what is wrong.
    pub(crate) fn set_reports(&self, reports: Vec<NetworkReport>) {
        self.write(|newest| newest.reports = Arc::new(reports));
    }

    /// The policies for PFs.
    pub(crate) fn policies(&self) -> Arc<Vec<NodePolicy>> {
        Arc::clone(&self.read().policies)
    }

    /// Replaces the policies when they are others.
    pub(crate) fn set_policies(&self, policies: Vec<NodePolicy>) {
        if *self.policies() != policies {
            self.write(|newest| newest.policies = Arc::new(policies));
        }
    }

    /// What pods may ask for by annotation.
    pub(crate) fn offers(&self) -> Arc<Offers> {
        Arc::clone(&self.read().offers)
    }

    /// Replaces it when it is another.
    pub(crate) fn set_offers(&self, offers: Offers) {
        if *self.offers() != offers {
            self.write(|newest| newest.offers = Arc::new(offers));
        }
    }

    /// Tells when something was replaced.
    pub(crate) fn changes(&self) -> watch::Receiver<u64> {
        self.0.changes.subscribe()
    }

    fn read(&self) -> RwLockReadGuard<'_, Newest> {
        self.0.newest.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self, change: impl FnOnce(&mut Newest)) {
        change(&mut self.0.newest.write().unwrap_or_else(PoisonError::into_inner));
        self.0.changes.send_modify(|changes| *changes += 1);
    }
}
