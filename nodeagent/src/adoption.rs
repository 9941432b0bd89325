//! Pods that were there before this agent's store: the predecessor's, or those of an agent whose state is lost (TRAPS C7).
//!
//! ```text
//! IPPool objects of this node ─┐
//! sandboxes of the runtime ────┼─found (pure)──► Engine::adopt ──► held until their DEL, or until the runtime has them no more
//! addresses in their namespaces┘
//! ```
//! It happens once for a state folder, before anything is attached: their addresses are not given twice. Nothing in the
//! pods is touched.

mod found;
mod namespaces;

use std::sync::Arc;
use std::time::Duration;

use attach::Adopted;
use attach::network::Networks;
use crds::IpPoolSpec;
use kube::Client;
use kube::api::{Api, ListParams};
use store::{Batch, Store, Table};
use tokio::sync::watch;

use self::found::{InPod, found};
use crate::agent::chain;
use crate::calls::Calls;
use crate::current_networks::Current;
use crate::health::Health;
use crate::inventory::cache::CacheHandle;
use crate::predecessor;
use crate::runtime_service::{RuntimeError, RuntimeService};

/// Key of the note that it has happened.
const DONE: &str = "adoption";

/// How soon another try is made.
const RETRY: Duration = Duration::from_secs(5);

/// Whether it has happened. Clones see the same.
pub(crate) type Done = watch::Receiver<bool>;

/// What is needed to adopt.
pub(crate) struct AdoptionParts {
    /// Name of this node.
    pub(crate) node: String,
    pub(crate) store: Option<Arc<Store>>,
    pub(crate) networks: Current,
    pub(crate) runtime: RuntimeService,
    /// Whether the predecessor's daemon may go on giving addresses meanwhile.
    pub(crate) beside_predecessor: bool,
    pub(crate) cache: CacheHandle,
    pub(crate) health: Arc<Health>,
    /// Who does it; absent: nothing is attached at all.
    pub(crate) calls: Option<Calls>,
}

/// Why it has not happened yet.
#[derive(Debug, thiserror::Error)]
enum AdoptionError {
    #[error("list the IPPool objects of this node")]
    Pools(#[source] Box<kube::Error>),
    #[error("ask the container runtime which pods it has")]
    Runtime(#[from] RuntimeError),
    #[error("hold their addresses")]
    Hold(#[source] cni::Error),
    #[error("write down that it is done")]
    Note(#[source] Box<dyn std::error::Error + Send + Sync>),
}

/// Whether this state folder has been through it.
pub(crate) fn is_done(store: Option<&Store>) -> bool {
    let noted =
        |store: &Store| store.prefix::<bool>(Table::Cluster, DONE).is_ok_and(|all| !all.records.is_empty());
    store.is_some_and(noted)
}

/// Adopts, as soon as API server and runtime answer. On return `done` says so.
///
/// `complete`: all networks and blocks of this node are known; what is outside of them belongs to nobody here.
pub(crate) async fn adopt(
    client: Client,
    parts: AdoptionParts,
    done: watch::Sender<bool>,
    mut complete: watch::Receiver<bool>,
) {
    if *done.borrow() {
        return;
    }
    let Some(calls) = &parts.calls else { return };
    if complete.wait_for(|complete| *complete).await.is_err() {
        return;
    }
    // It would give further ones that nobody here knows of.
    predecessor::wait_for_its_end(parts.beside_predecessor, &parts.cache, &parts.health).await;
    let mut told = String::new();
    loop {
        match once(&client, &parts, calls).await {
            Ok(adopted) => {
                for left in &adopted.left {
                    tracing::warn!("not held for a pod that was there before: {left}");
                }
                tracing::info!(addresses = adopted.held, "pods that were there before keep their addresses");
                done.send_replace(true);
                return;
            }
            Err(error) => {
                let error = chain(&error);
                if error != told {
                    tracing::warn!(
                        error,
                        "which pods were there before is not known yet, so none gets an address of ours"
                    );
                    told = error;
                }
                tokio::time::sleep(RETRY).await;
            }
        }
    }
}

async fn once(client: &Client, parts: &AdoptionParts, calls: &Calls) -> Result<Adopted, AdoptionError> {
    let pools = pools(client, &parts.node).await?;
    let networks = parts.networks.get();
    let pods = match pods(&parts.runtime).await {
        Ok(pods) => pods,
        // What the pools say is held all the same, until somebody deletes it.
        Err(RuntimeError::Nowhere) => Vec::new(),
        Err(error) => return Err(error.into()),
    };
    let found = found(&pools, &pods, &networks);
    let held = calls.run("adopt", move |engine| engine.adopt(&found)).await.map_err(AdoptionError::Hold)?;
    if let Some(store) = &parts.store {
        let mut batch = Batch::new();
        batch.put(Table::Cluster, DONE, &true).map_err(|error| AdoptionError::Note(Box::new(error)))?;
        store.commit(batch).map_err(|error| AdoptionError::Note(Box::new(error)))?;
    }
    Ok(held)
}

async fn pools(client: &Client, node: &str) -> Result<Vec<IpPoolSpec>, AdoptionError> {
    let objects: Api<crds::cluster::IpPool> = Api::all(client.clone());
    // The predecessor did not always set the label.
    let all = objects.list(&ListParams::default()).await;
    let all = all.map_err(|error| AdoptionError::Pools(Box::new(error)))?;
    Ok(all.into_iter().map(|one| one.spec).filter(|spec| spec.host_name == node).collect())
}

/// The pods that run, with the addresses in their namespaces.
async fn pods(runtime: &RuntimeService) -> Result<Vec<InPod>, RuntimeError> {
    let mut pods = Vec::new();
    for sandbox in runtime.sandboxes().await?.into_iter().filter(|sandbox| sandbox.ready) {
        let namespace = runtime.namespace(&sandbox.id).await.unwrap_or_else(|error| {
            tracing::warn!(error = chain(&error), id = sandbox.id, "a sandbox is not looked into");
            None
        });
        let links = match namespace {
            Some(path) => namespaces::links(path).await,
            None => Vec::new(),
        };
        pods.push(InPod { sandbox, links });
    }
    Ok(pods)
}

/// Refuses what would give addresses before it is known which are taken.
pub(crate) fn hold_back(networks: &mut Networks) {
    for network in networks.networks.values_mut() {
        if network.refused.is_none() && network.interfaces.iter().any(|one| !one.blocks.is_empty()) {
            let words = "which addresses pods had before this agent is not known yet: it waits for the API server and the container runtime; try again";
            Arc::make_mut(network).refused = Some(words.to_owned());
        }
    }
}
