//! What attaches: the engine, the socket of the CNI executables, and who keeps it all in order.

use std::sync::Arc;

use attach::{Annotated, Engine, GpusOf, Parts, SriovParts};
use store::{Identity, Store};

use crate::calls::Calls;
use crate::cli::Machine;
use crate::cni_server::CniServer;
use crate::config::Config;
use crate::current_networks::Current;
use crate::history::History;
use crate::inventory::published::Newest;
use crate::keeper::{Keeper, Sandboxes};
use crate::metrics::Metrics;

/// Seconds that an address rests after it was given back.
const QUARANTINE: u64 = 60;

/// What attaching works with.
pub(crate) struct AttachingParts {
    pub(crate) store: Option<Arc<Store>>,
    pub(crate) networks: Current,
    pub(crate) history: History,
    /// What a pod's annotation comes to.
    pub(crate) annotated: Annotated,
    /// The GPUs of a pod.
    pub(crate) gpus: GpusOf,
    pub(crate) sriov: SriovParts,
    pub(crate) sandboxes: Sandboxes,
}

/// The engine with those who call it.
#[derive(Debug)]
pub(crate) struct Attaching {
    calls: Calls,
    server: CniServer,
    keeper: Keeper,
}

impl Attaching {
    /// Repairs what a crash left and serves the CNI executables. An agent that shows another machine attaches
    /// nothing; one that cannot begin says so in the log and serves the rest.
    pub(crate) fn start(config: &Config, newest: &Newest, parts: AttachingParts) -> Option<Self> {
        let AttachingParts { store, networks, history, annotated, gpus, sriov, sandboxes } = parts;
        if config.machine != Machine::Live {
            return None;
        }
        let metrics = Arc::clone(&history.metrics);
        let newest = newest.clone();
        let processors = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
        let parts = Parts {
            store,
            state_dir: config.state_dir.clone(),
            procfs: config.procfs.clone(),
            boot: Identity::of_this_machine().boot,
            quarantine: QUARANTINE,
            inventory: Box::new(move || {
                let published = newest.borrow().clone()?;
                Some(published.inventory())
            }),
            networks: Box::new(move || networks.get()),
            annotated,
            gpus,
            tell: Box::new(move |event| history.take(event)),
            permits: u32::try_from(processors * 2).unwrap_or(u32::MAX),
            sriov,
        };
        match Self::begin(config, parts, metrics, sandboxes) {
            Ok(attaching) => Some(attaching),
            Err(error) => {
                tracing::error!(error, "no pod can be attached");
                None
            }
        }
    }

    fn begin(
        config: &Config,
        parts: Parts,
        metrics: Arc<Metrics>,
        sandboxes: Sandboxes,
    ) -> Result<Self, String> {
        let engine = Arc::new(Engine::open(parts).map_err(|error| error.to_string())?);
        // On a thread of its own: it enters namespaces, and a thread that cannot come back ends.
        let repairing = Arc::clone(&engine);
        drop(std::thread::spawn(move || repairing.recover()).join());
        let words = |error: std::io::Error| error.to_string();
        let keeper = Keeper::start(Arc::clone(&engine), &config.state_dir, sandboxes).map_err(words)?;
        let calls = Calls::new(Arc::clone(&engine), Arc::clone(&metrics), keeper.poke());
        let server = CniServer::start(engine, &config.run_dir, keeper.poke(), metrics).map_err(words)?;
        Ok(Self { calls, server, keeper })
    }

    /// Tells the engine of each new inventory: a NIC of an attachment may be gone.
    pub(crate) fn look_at_nics(&self, mut newest: Newest) -> impl Future<Output = ()> + Send + 'static {
        let calls = self.calls.clone();
        async move {
            while newest.changed().await.is_ok() {
                let published = newest.borrow_and_update().clone();
                if let Some(published) = published {
                    calls.engine().look_at(&published.inventory);
                }
            }
        }
    }

    /// Takes calls of the API.
    pub(crate) fn calls(&self) -> Calls {
        self.calls.clone()
    }

    /// Lets running calls end, then writes down what nobody waited for.
    pub(crate) fn stop(self) {
        self.server.stop();
        self.calls.stop();
        self.keeper.stop();
    }
}
