//! What the handlers share.

use std::path::PathBuf;
use std::sync::Arc;

use attach::record::Attachment;
use openapi::{Agent, ProblemCode};
use tokio::sync::{Semaphore, watch};

use super::problem::Refusal;
use crate::calls::Calls;
use crate::config::Settings;
use crate::current_networks::Current;
use crate::device_plugin::Pools;
use crate::health::Health;
use crate::inventory::events::SharedLog;
use crate::inventory::published::{Newest, Published};
use crate::metrics::Metrics;
use crate::sriov::{PfHandle, View, shown_only};

/// What the handlers share. Cheap to clone.
#[derive(Clone)]
pub(crate) struct RestState(pub(crate) Arc<Shared>);

/// The inside of [`RestState`].
pub(crate) struct Shared {
    pub(crate) settings: Settings,
    pub(crate) agent: Agent,
    pub(crate) newest: Newest,
    pub(crate) events: SharedLog,
    pub(crate) health: Arc<Health>,
    pub(crate) metrics: Arc<Metrics>,
    /// One permit an event stream.
    pub(crate) streams: Arc<Semaphore>,
    /// True when the agent ends.
    pub(crate) closing: watch::Receiver<bool>,
    /// The networks of this node.
    pub(crate) networks: Current,
    /// Takes calls to the engine; absent when nothing can be attached.
    pub(crate) calls: Option<Calls>,
    /// Keeps PFs; absent when nothing is done to them.
    pub(crate) pfs: Option<PfHandle>,
    /// The pools that the kubelet is offered.
    pub(crate) pools: Pools,
    /// Folder of the configuration, where networks have their files.
    pub(crate) config_dir: PathBuf,
    /// Whether the old daemon's routes are offered.
    pub(crate) legacy_api: bool,
}

impl std::ops::Deref for RestState {
    type Target = Shared;

    fn deref(&self) -> &Shared {
        &self.0
    }
}

impl Shared {
    /// Every attachment, by key.
    pub(crate) fn attachments(&self) -> Vec<Arc<Attachment>> {
        self.calls.as_ref().map_or_else(Vec::new, |calls| calls.engine().attachments())
    }

    /// All PFs as they stand.
    pub(crate) async fn pf_view(&self) -> Result<Arc<View>, Refusal> {
        match &self.pfs {
            Some(pfs) => Ok(pfs.fresh_view().await),
            None => {
                let published = self.published()?;
                Ok(Arc::new(shown_only(published.generation, &published.inventory)))
            }
        }
    }

    /// The newest generation.
    pub(crate) fn published(&self) -> Result<Arc<Published>, Refusal> {
        let newest = self.newest.borrow().clone();
        newest.ok_or_else(|| {
            Refusal::new(ProblemCode::NotReady, "the machine has not been read yet; try again in a moment")
        })
    }
}
