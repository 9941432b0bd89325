//! The container runtime, asked as the kubelet asks it (CRI v1): which sandboxes it has, and where their network
//! namespaces are.

use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::kubelet_api::runtime_v1::runtime_service_client::RuntimeServiceClient;
use crate::kubelet_api::runtime_v1::{ListPodSandboxRequest, PodSandboxStatusRequest};
use crate::podresources::{KubeletError, connect, failed};

/// Where runtimes listen, unless somebody says otherwise: containerd and CRI-O.
const USUAL: [&str; 2] = ["/run/containerd/containerd.sock", "/run/crio/crio.sock"];

/// Largest answer, bytes, as Kubernetes' own clients allow.
const LARGEST: usize = 16 * 1024 * 1024;

/// The runtime of this node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct RuntimeService {
    /// Its socket; absent: wherever one of the usual ones is.
    pub(crate) socket: Option<PathBuf>,
}

/// A pod's sandbox.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Sandbox {
    /// Its id: `CNI_CONTAINERID` of its attachments.
    pub(crate) id: String,
    /// Namespace of the pod.
    pub(crate) namespace: String,
    /// Name of the pod.
    pub(crate) name: String,
    /// UID of the pod.
    pub(crate) uid: String,
    /// Whether it runs.
    pub(crate) ready: bool,
}

/// Why the runtime did not answer.
#[derive(Debug, thiserror::Error)]
pub(crate) enum RuntimeError {
    /// None is there.
    #[error("no container runtime listens at {}; name its socket with --runtime-endpoint", USUAL.join(" or "))]
    Nowhere,
    /// It cannot be reached, or refused.
    #[error(transparent)]
    Socket(#[from] KubeletError),
}

impl RuntimeService {
    /// All sandboxes, also those that have ended and are not removed.
    ///
    /// # Errors
    /// When the runtime cannot be asked; nobody knows then.
    pub(crate) async fn sandboxes(&self) -> Result<Vec<Sandbox>, RuntimeError> {
        let socket = self.socket()?;
        let mut client =
            RuntimeServiceClient::new(connect(&socket).await?).max_decoding_message_size(LARGEST);
        let answer = client.list_pod_sandbox(ListPodSandboxRequest {}).await;
        let answer = answer.map_err(|status| failed(&socket, "ListPodSandbox", status))?;
        let each = answer.into_inner().items.into_iter().map(|item| {
            let pod = item.metadata.unwrap_or_default();
            let ready = item.state == 0;
            Sandbox { id: item.id, namespace: pod.namespace, name: pod.name, uid: pod.uid, ready }
        });
        Ok(each.collect())
    }

    /// Where the network namespace of a sandbox is; absent when it has the host's, or the runtime does not tell.
    ///
    /// # Errors
    /// When the runtime cannot be asked, or has no such sandbox.
    pub(crate) async fn namespace(&self, id: &str) -> Result<Option<PathBuf>, RuntimeError> {
        let socket = self.socket()?;
        let mut client =
            RuntimeServiceClient::new(connect(&socket).await?).max_decoding_message_size(LARGEST);
        let request = PodSandboxStatusRequest { pod_sandbox_id: id.to_owned(), verbose: true };
        let answer = client.pod_sandbox_status(request).await;
        let answer = answer.map_err(|status| failed(&socket, "PodSandboxStatus", status))?;
        Ok(answer.into_inner().info.get("info").and_then(|text| network_namespace(text)))
    }

    fn socket(&self) -> Result<PathBuf, RuntimeError> {
        match &self.socket {
            Some(socket) => Ok(socket.clone()),
            None => USUAL
                .map(Path::new)
                .into_iter()
                .find(|path| path.exists())
                .map(Path::to_owned)
                .ok_or(RuntimeError::Nowhere),
        }
    }
}

/// The path in what containerd and CRI-O tell of a sandbox when they are asked to be verbose.
fn network_namespace(info: &str) -> Option<PathBuf> {
    let info: Value = serde_json::from_str(info).ok()?;
    let namespaces = info["runtimeSpec"]["linux"]["namespaces"].as_array()?;
    let network = namespaces.iter().find(|one| one["type"] == "network")?;
    network["path"].as_str().filter(|path| path.starts_with('/')).map(PathBuf::from)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_namespace_is_in_what_the_runtime_tells_of_its_sandbox() {
        let spec = |namespaces: &str| {
            format!(r#"{{"pid": 1, "runtimeSpec": {{"linux": {{"namespaces": {namespaces}}}}}}}"#)
        };
        let told = spec(r#"[{"type": "pid"}, {"type": "network", "path": "/var/run/netns/cni-1"}]"#);
        assert_eq!(network_namespace(&told), Some("/var/run/netns/cni-1".into()));
        assert_eq!(network_namespace(&spec(r#"[{"type": "network"}]"#)), None, "the host's");
        assert_eq!(network_namespace("{}"), None);
        assert_eq!(network_namespace("x"), None);
    }
}
