//! The container runtime's side of CRI, with the wire format that is generated for the agent: sandboxes that a test names.

use std::collections::HashMap;
use std::path::Path;
use std::sync::{Arc, Mutex};

use serde_json::json;
use tokio::net::UnixListener;
use tokio::runtime::Runtime;
use tonic::{Request, Response, Status};

use crate::kubelet_api::runtime_v1::runtime_service_server::{RuntimeService, RuntimeServiceServer};
use crate::kubelet_api::runtime_v1::{
    ListPodSandboxRequest, ListPodSandboxResponse, PodSandbox, PodSandboxMetadata, PodSandboxStatusRequest,
    PodSandboxStatusResponse,
};

/// A sandbox: id, pod, path of its network namespace.
pub(crate) type Sandboxes = Arc<Mutex<Vec<(&'static str, &'static str, String)>>>;

struct Side(Sandboxes);

#[tonic::async_trait]
impl RuntimeService for Side {
    async fn list_pod_sandbox(
        &self,
        _: Request<ListPodSandboxRequest>,
    ) -> Result<Response<ListPodSandboxResponse>, Status> {
        let all = self.0.lock().unwrap();
        let items = all.iter().map(|(id, pod, _)| PodSandbox {
            id: (*id).to_owned(),
            metadata: Some(PodSandboxMetadata {
                name: (*pod).to_owned(),
                uid: format!("uid-{pod}"),
                namespace: "default".to_owned(),
            }),
            state: 0,
        });
        Ok(Response::new(ListPodSandboxResponse { items: items.collect() }))
    }

    async fn pod_sandbox_status(
        &self,
        request: Request<PodSandboxStatusRequest>,
    ) -> Result<Response<PodSandboxStatusResponse>, Status> {
        let asked = request.into_inner();
        let all = self.0.lock().unwrap();
        let (_, _, path) = all
            .iter()
            .find(|(id, _, _)| *id == asked.pod_sandbox_id)
            .ok_or_else(|| Status::not_found("no such sandbox"))?;
        assert!(asked.verbose);
        let info = json!({"runtimeSpec": {"linux": {"namespaces": [{"type": "network", "path": path}]}}});
        Ok(Response::new(PodSandboxStatusResponse {
            info: HashMap::from([("info".to_owned(), info.to_string())]),
        }))
    }
}

/// Serves until the answer is dropped.
pub(crate) fn serve(socket: &Path, sandboxes: &Sandboxes) -> Runtime {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let listener = {
        let _inside = runtime.enter();
        UnixListener::bind(socket).unwrap()
    };
    let side = Side(Arc::clone(sandboxes));
    runtime.spawn(async move {
        let incoming = futures_util::stream::unfold(listener, |listener| async {
            let accepted = listener.accept().await.map(|(stream, _)| stream);
            Some((accepted, listener))
        });
        tonic::transport::Server::builder()
            .add_service(RuntimeServiceServer::new(side))
            .serve_with_incoming(incoming)
            .await
            .unwrap();
    });
    runtime
}
