//! Tells in a pod's status what it got by its annotation, as Multus does (FOREIGN §2.4): after the answer, never in the
//! pod's path, and tried again until the server has it.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use attach::record::{Attachment, Pod};
use k8s_openapi::api::core::v1;
use kube::Client;
use kube::api::{Api, Patch, PatchParams};
use serde_json::json;

use super::access::words;
use crate::chained::{NETWORK_STATUS, Untold, of_pod};

/// Pause before a further try: it doubles up to the second.
const RETRY: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(30));

/// What is told of.
pub(crate) struct PodStatusParts {
    /// All attachments.
    pub(crate) attached: Box<dyn Fn() -> Vec<Arc<Attachment>> + Send + Sync>,
    /// Pods whose status is to be written.
    pub(crate) untold: Untold,
}

/// How a try went.
enum Told {
    Yes,
    /// There is nobody to tell it of.
    NoPod,
    NotNow(String),
}

/// Tells as long as the program runs. Begins with all pods that there are: what an earlier agent left untold is told now.
pub(super) async fn tell(client: Client, parts: PodStatusParts) {
    for one in (parts.attached)() {
        if let (Some(_), Some(pod)) = (&one.chain, &one.pod) {
            parts.untold.add(pod.clone());
        }
    }
    let mut pause = RETRY.0;
    let mut last = String::new();
    loop {
        let mut failed = None;
        for pod in parts.untold.take().await {
            let Some(text) = of_pod(&(parts.attached)(), &pod) else { continue };
            match patch(&client, &pod, &text).await {
                Told::Yes => {}
                Told::NoPod => tracing::debug!(?pod, "the pod is gone; nothing is told of it"),
                Told::NotNow(error) => {
                    failed = Some(error);
                    parts.untold.add(pod);
                }
            }
        }
        let Some(error) = failed else {
            (pause, last) = (RETRY.0, String::new());
            continue;
        };
        if error != last {
            tracing::warn!(error, "what pods got cannot be written into their status; tried again");
            last = error;
        }
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(RETRY.1);
    }
}

async fn patch(client: &Client, pod: &Pod, text: &str) -> Told {
    let pods: Api<v1::Pod> = Api::namespaced(client.clone(), &pod.namespace);
    let annotations = BTreeMap::from([(NETWORK_STATUS, text)]);
    let mut metadata = json!({"annotations": annotations});
    if !pod.uid.is_empty() {
        // Another pod of the name is refused as a conflict.
        metadata["uid"] = pod.uid.clone().into();
    }
    let change = json!({"metadata": metadata});
    match pods.patch_status(&pod.name, &PatchParams::default(), &Patch::Merge(&change)).await {
        Ok(_) => Told::Yes,
        Err(kube::Error::Api(status)) if matches!(status.code, 404 | 409) => Told::NoPod,
        Err(error) => Told::NotNow(words(&error)),
    }
}
