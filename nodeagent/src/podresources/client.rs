//! Asks the kubelet which pod has which device (`v1.PodResourcesLister`), over its Unix socket.

use std::path::{Path, PathBuf};
use std::time::Duration;

use hwprobe::PodHolder;
use tonic::Code;
use tonic::transport::{Channel, Endpoint};

use super::holdings::Holdings;
use crate::kubelet_api::v1::pod_resources_lister_client::PodResourcesListerClient;
use crate::kubelet_api::v1::{AllocatableResourcesRequest, ContainerDevices, ListPodResourcesRequest};

/// How long the kubelet may take to answer.
const DEADLINE: Duration = Duration::from_secs(5);

/// Largest answer, bytes, as Kubernetes' own clients allow.
const LARGEST: usize = 16 * 1024 * 1024;

/// Why the kubelet did not answer.
#[derive(Debug, thiserror::Error)]
pub(crate) enum KubeletError {
    /// Nobody listens.
    #[error("connect to {}", socket.display())]
    Connect {
        socket: PathBuf,
        #[source]
        source: tonic::transport::Error,
    },
    /// It refused, or said nothing in time.
    #[error("{call} at {}: {} ({:?})", socket.display(), status.message(), status.code())]
    Call { socket: PathBuf, call: &'static str, status: Box<tonic::Status> },
}

/// A connection to a Unix socket of the kubelet, or of a plugin.
pub(crate) async fn connect(socket: &Path) -> Result<Channel, KubeletError> {
    let fail = |source| KubeletError::Connect { socket: socket.to_owned(), source };
    let endpoint = Endpoint::try_from(format!("unix://{}", socket.display())).map_err(fail)?;
    endpoint.connect_timeout(DEADLINE).timeout(DEADLINE).connect().await.map_err(fail)
}

/// Every device of every pod.
///
/// # Errors
/// When the kubelet does not answer.
pub(crate) async fn list(socket: &Path) -> Result<Holdings, KubeletError> {
    let mut client = PodResourcesListerClient::new(connect(socket).await?).max_decoding_message_size(LARGEST);
    let answer =
        client.list(ListPodResourcesRequest {}).await.map_err(|status| failed(socket, "List", status))?;
    let mut holdings = Holdings::default();
    for pod in answer.into_inner().pod_resources {
        for container in pod.containers {
            for ContainerDevices { resource_name, device_ids } in container.devices {
                for id in device_ids {
                    let mut holder = PodHolder::new(resource_name.clone(), id);
                    (holder.namespace, holder.pod) = (Some(pod.namespace.clone()), Some(pod.name.clone()));
                    holder.container.clone_from(&container.name);
                    holdings.insert(holder);
                }
            }
        }
    }
    Ok(holdings)
}

/// Ids of the devices of `resource` that the kubelet can give; absent when it is too old to tell (before 1.21).
///
/// # Errors
/// When the kubelet does not answer.
pub(crate) async fn allocatable(socket: &Path, resource: &str) -> Result<Option<Vec<String>>, KubeletError> {
    let mut client = PodResourcesListerClient::new(connect(socket).await?).max_decoding_message_size(LARGEST);
    match client.get_allocatable_resources(AllocatableResourcesRequest {}).await {
        Ok(answer) => {
            let ours = answer.into_inner().devices.into_iter().filter(|one| one.resource_name == resource);
            Ok(Some(ours.flat_map(|one| one.device_ids).collect()))
        }
        // A newer one answers so when the feature is switched off.
        Err(status)
            if matches!(status.code(), Code::Unimplemented) || status.message().contains("disabled") =>
        {
            Ok(None)
        }
        Err(status) => Err(failed(socket, "GetAllocatableResources", status)),
    }
}

/// A call that the one at a socket refused.
pub(crate) fn failed(socket: &Path, call: &'static str, status: tonic::Status) -> KubeletError {
    KubeletError::Call { socket: socket.to_owned(), call, status: Box::new(status) }
}
