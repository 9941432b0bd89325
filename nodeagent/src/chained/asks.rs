//! Who answers the engine what an annotation comes to: from memory, as far as that goes.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use attach::record::Pod;
use attach::{Asking, Wanted};
use cni::Error;
use cni::chained::NETWORKS;
use cni::error::code;
use hwprobe::PciAddress;
use k8s_openapi::api::core::v1;
use kube::api::Api;
use kube::{Client, ResourceExt};
use tokio::runtime::Handle;
use tokio::sync::Notify;
use tokio::time::timeout;

use super::gpus;
use super::offer::wanted;
use crate::agent::chain;
use crate::current_networks::Current;
use crate::podresources::{self, Holdings};

/// How long the API server may take to tell a pod's annotations, where the runtime does not.
const PATIENCE: Duration = Duration::from_secs(5);

/// How soon it is asked again.
const AGAIN: Duration = Duration::from_millis(500);

/// Answers for annotations. Clones are the same one.
#[derive(Debug, Clone)]
pub(crate) struct Asks(Arc<Parts>);

#[derive(Debug)]
struct Parts {
    networks: Current,
    /// The kubelet's folder.
    kubelet: PathBuf,
    /// `/proc`, for what NVIDIA's driver tells of GPUs.
    procfs: PathBuf,
    runtime: OnceLock<Handle>,
    client: OnceLock<ClientOf>,
}

struct ClientOf(Client);

impl std::fmt::Debug for ClientOf {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Client")
    }
}

impl Asks {
    /// One that answers from these networks.
    pub(crate) fn new(networks: Current, kubelet: PathBuf, procfs: PathBuf) -> Self {
        Self(Arc::new(Parts { networks, kubelet, procfs, runtime: OnceLock::new(), client: OnceLock::new() }))
    }

    /// From now on the kubelet can be asked.
    pub(crate) fn run_in(&self, runtime: Handle) {
        drop(self.0.runtime.set(runtime));
    }

    /// From now on the API server can be asked.
    pub(crate) fn ask_at(&self, client: Client) {
        drop(self.0.client.set(ClientOf(client)));
    }

    /// What the annotation comes to. May wait for the kubelet, and for the API server where the runtime hands no
    /// annotations over; so never call it on a thread of tokio.
    ///
    /// # Errors
    /// Code 7 when the annotation asks for what there is not, 11 when nobody says what it asks for.
    pub(crate) fn answer(&self, asking: &Asking<'_>) -> Result<Vec<Wanted>, Error> {
        let annotation = match asking.annotation {
            Some(text) => Some(text.to_owned()),
            None => self.annotation_of(asking.pod)?,
        };
        let Some(annotation) = annotation.filter(|text| !text.trim().is_empty()) else {
            return Ok(Vec::new());
        };
        let offers = self.0.networks.offers();
        wanted(asking, &annotation, &offers, &mut || self.held())
    }

    /// The GPUs that the kubelet gave a pod, in order of their addresses; none when nobody says.
    pub(crate) fn gpus(&self, pod: &Pod) -> Vec<PciAddress> {
        match self.held() {
            Ok(held) => gpus::of_pod(&held, pod, &self.0.procfs),
            Err(error) => {
                tracing::warn!(%error, "the pod's GPUs are not known; its NICs are chosen without them");
                Vec::new()
            }
        }
    }

    fn held(&self) -> Result<Holdings, Error> {
        let held = self.runtime()?.block_on(podresources::ask(&self.0.kubelet));
        held.map_err(|error| later("the kubelet does not say which devices the pod has", error))
    }

    fn annotation_of(&self, pod: &Pod) -> Result<Option<String>, Error> {
        let nobody = "the runtime hands no annotations over, and the API server does not answer";
        let Some(ClientOf(client)) = self.0.client.get() else {
            return Err(later(nobody, "there is no way to it yet".to_owned()));
        };
        let pods: Api<v1::Pod> = Api::namespaced(client.clone(), &pod.namespace);
        let mut last = String::new();
        let asked = async {
            loop {
                match pods.get_metadata_opt(&pod.name).await {
                    Ok(Some(found)) if pod.uid.is_empty() || found.uid().as_deref() == Some(&pod.uid) => {
                        return found.annotations().get(NETWORKS).cloned();
                    }
                    // Another one has its name by now, or it is gone: nothing is wanted for this one.
                    Ok(_) => return None,
                    Err(error) => last = chain(&error),
                }
                tokio::time::sleep(AGAIN).await;
            }
        };
        let answer = self.runtime()?.block_on(async { timeout(PATIENCE, asked).await });
        answer.map_err(|_| later(nobody, last))
    }

    fn runtime(&self) -> Result<&Handle, Error> {
        self.0.runtime.get().ok_or_else(|| later("the agent is starting", String::new()))
    }
}

fn later(words: &str, details: String) -> Error {
    Error::new(code::TRY_AGAIN, words).with_details(details)
}

/// Pods whose status does not yet tell what they got. Clones are the same list.
#[derive(Debug, Clone, Default)]
pub(crate) struct Untold(Arc<List>);

#[derive(Debug, Default)]
struct List {
    pods: Mutex<BTreeSet<Pod>>,
    more: Notify,
}

impl Untold {
    /// This pod's status is to be written.
    pub(crate) fn add(&self, pod: Pod) {
        self.pods().insert(pod);
        self.0.more.notify_one();
    }

    /// All there are, as soon as there is one.
    pub(crate) async fn take(&self) -> BTreeSet<Pod> {
        loop {
            let pods = std::mem::take(&mut *self.pods());
            if !pods.is_empty() {
                return pods;
            }
            self.0.more.notified().await;
        }
    }

    fn pods(&self) -> MutexGuard<'_, BTreeSet<Pod>> {
        self.0.pods.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
