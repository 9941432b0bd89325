//! The kubelet's side: takes registrations, watches lists, says which pod has what.

use std::fs;
use std::os::unix::fs::FileTypeExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures_util::stream::unfold;
use tokio::net::UnixListener;
use tokio::runtime::Runtime;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::task::JoinHandle;
use tokio::time::timeout;
use tonic::transport::Server;
use tonic::transport::server::Router;
use tonic::transport::{Channel, Endpoint};
use tonic::{Request, Response, Status, Streaming};

use crate::harness::PATIENCE;
use crate::kubelet_api::v1;
use crate::kubelet_api::v1::pod_resources_lister_server::{PodResourcesLister, PodResourcesListerServer};
use crate::kubelet_api::v1beta1::device_plugin_client::DevicePluginClient;
use crate::kubelet_api::v1beta1::registration_server::{Registration, RegistrationServer};
use crate::kubelet_api::v1beta1::{Empty, ListAndWatchResponse, RegisterRequest};

/// A list of devices: id and whether it is healthy.
pub(crate) type List = Vec<(String, bool)>;

/// The kubelet, running or not.
pub(crate) struct Kubelet {
    runtime: Runtime,
    folder: PathBuf,
    servers: Vec<JoinHandle<()>>,
    registrations: UnboundedReceiver<RegisterRequest>,
    side: Side,
}

/// What its servers answer with.
#[derive(Debug, Clone)]
struct Side {
    registered: UnboundedSender<RegisterRequest>,
    /// Whether it refuses every registration.
    refuses: Arc<Mutex<bool>>,
    /// (pod, resource, device)
    pods: Arc<Mutex<Vec<[String; 3]>>>,
    /// What it can give.
    allocatable: Arc<Mutex<Vec<v1::ContainerDevices>>>,
}

/// One list that is watched.
pub(crate) struct Watching<'a> {
    runtime: &'a Runtime,
    lists: Streaming<ListAndWatchResponse>,
}

impl Kubelet {
    /// A kubelet that is not running.
    pub(crate) fn new(folder: PathBuf) -> Self {
        fs::create_dir_all(folder.join("device-plugins")).expect("the folder");
        fs::create_dir_all(folder.join("pod-resources")).expect("the folder");
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build();
        let (registered, registrations) = unbounded_channel();
        let side =
            Side { registered, refuses: Arc::default(), pods: Arc::default(), allocatable: Arc::default() };
        let runtime = runtime.expect("a runtime");
        Self { runtime, folder, servers: Vec::new(), registrations, side }
    }

    /// Starts it: as the real one it removes every socket in the folder first, and makes the folder if it is not there.
    pub(crate) fn start(&mut self) {
        let plugins = self.folder.join("device-plugins");
        fs::create_dir_all(&plugins).expect("the folder");
        for entry in fs::read_dir(&plugins).expect("the folder").flatten() {
            if entry.file_type().is_ok_and(|kind| kind.is_socket()) {
                fs::remove_file(entry.path()).expect("remove a socket");
            }
        }
        let lister = Server::builder().add_service(PodResourcesListerServer::new(self.side.clone()));
        self.serve(lister, &self.folder.join("pod-resources/kubelet.sock"));
        let registration = Server::builder().add_service(RegistrationServer::new(self.side.clone()));
        self.serve(registration, &plugins.join("kubelet.sock"));
    }

    /// Ends it. Its sockets stay, as after a crash.
    pub(crate) fn stop(&mut self) {
        for server in self.servers.drain(..) {
            server.abort();
            // Whoever starts the next one must find nobody listening.
            let _ = self.runtime.block_on(server);
        }
    }

    fn serve(&mut self, server: Router, socket: &Path) {
        let _ = fs::remove_file(socket);
        let _in_runtime = self.runtime.enter();
        let listener = UnixListener::bind(socket).expect("the kubelet's socket");
        let incoming = unfold(listener, |listener| async {
            let accepted = listener.accept().await.map(|(stream, _)| stream);
            Some((accepted, listener))
        });
        self.servers.push(self.runtime.spawn(async move {
            server.serve_with_incoming(incoming).await.expect("serve");
        }));
    }

    /// The folder of plugins.
    pub(crate) fn plugins(&self) -> PathBuf {
        self.folder.join("device-plugins")
    }

    /// A path in the kubelet's folder.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    /// From now on every registration is refused, or none.
    pub(crate) fn refuse(&self, refuses: bool) {
        *self.side.refuses.lock().expect("the switch") = refuses;
    }

    /// From now on these pods have these devices: (pod, resource, device).
    pub(crate) fn pods(&self, pods: &[[&str; 3]]) {
        *self.side.pods.lock().expect("the pods") = pods.iter().map(|one| one.map(str::to_owned)).collect();
    }

    /// From now on it can give these devices of a resource.
    pub(crate) fn allocatable(&self, resource: &str, devices: &[&str]) {
        let device_ids = devices.iter().map(|&device| device.to_owned()).collect();
        let one = v1::ContainerDevices { resource_name: resource.to_owned(), device_ids };
        *self.side.allocatable.lock().expect("the devices") = vec![one];
    }

    /// The next registration.
    pub(crate) fn registration(&mut self) -> RegisterRequest {
        let next = self.runtime.block_on(timeout_of(PATIENCE, self.registrations.recv()));
        next.expect("a registration").expect("a server")
    }

    /// The next registration, if it comes soon.
    pub(crate) fn registration_within(&mut self, most: Duration) -> Option<RegisterRequest> {
        self.runtime.block_on(timeout_of(most, self.registrations.recv()))?
    }

    /// A client of the plugin that registered with this endpoint.
    pub(crate) fn client(&self, endpoint: &str) -> DevicePluginClient<Channel> {
        let socket = self.plugins().join(endpoint);
        let endpoint = Endpoint::try_from(format!("unix://{}", socket.display())).expect("an address");
        let channel = self.runtime.block_on(endpoint.connect());
        DevicePluginClient::new(channel.unwrap_or_else(|error| panic!("{}: {error:?}", socket.display())))
    }

    /// Waits for a call.
    pub(crate) fn wait<T>(&self, call: impl Future<Output = T>) -> T {
        self.runtime.block_on(timeout_of(PATIENCE, call)).expect("an answer in time")
    }

    /// Watches the list of the plugin that registered with this endpoint.
    pub(crate) fn watch(&self, endpoint: &str) -> Watching<'_> {
        let mut client = self.client(endpoint);
        let lists = self.wait(client.list_and_watch(Empty {})).expect("a list").into_inner();
        Watching { runtime: &self.runtime, lists }
    }

    /// Waits until the agent registers, and watches its list.
    pub(crate) fn registered(&mut self) -> Watching<'_> {
        let request = self.registration();
        self.watch(&request.endpoint)
    }
}

impl Watching<'_> {
    /// The next list; `None` when the plugin ended the stream.
    pub(crate) fn whole(&mut self) -> Option<ListAndWatchResponse> {
        let next = self.runtime.block_on(timeout_of(PATIENCE, self.lists.message()));
        // A broken connection is an end, too.
        next.expect("a list in time").unwrap_or_default()
    }

    /// The next list.
    pub(crate) fn next(&mut self) -> List {
        let list = self.whole().expect("a list, and no end");
        list.devices.into_iter().map(|device| (device.id, device.health == "Healthy")).collect()
    }

    /// Reads on until a list is like this.
    pub(crate) fn wait_for(&mut self, wanted: &[(&str, bool)]) {
        let wanted: List = wanted.iter().map(|&(id, healthy)| (id.to_owned(), healthy)).collect();
        let mut seen = Vec::new();
        while seen.last() != Some(&wanted) {
            assert!(seen.len() < 20, "waited for {wanted:?}; there came {seen:?}");
            seen.push(self.next());
        }
    }
}

async fn timeout_of<T>(most: Duration, what: impl Future<Output = T>) -> Option<T> {
    timeout(most, what).await.ok()
}

#[tonic::async_trait]
impl Registration for Side {
    async fn register(&self, request: Request<RegisterRequest>) -> Result<Response<Empty>, Status> {
        let refuses = *self.refuses.lock().expect("the switch");
        self.registered.send(request.into_inner()).expect("a test that listens");
        if refuses { Err(Status::unavailable("not today")) } else { Ok(Response::new(Empty {})) }
    }
}

#[tonic::async_trait]
impl PodResourcesLister for Side {
    async fn list(
        &self,
        _: Request<v1::ListPodResourcesRequest>,
    ) -> Result<Response<v1::ListPodResourcesResponse>, Status> {
        let pods = self.pods.lock().expect("the pods").clone();
        let of = |[name, resource_name, device]: [String; 3]| {
            let devices = vec![v1::ContainerDevices { resource_name, device_ids: vec![device] }];
            let containers = vec![v1::ContainerResources { name: "main".to_owned(), devices }];
            v1::PodResources { name, namespace: "default".to_owned(), containers }
        };
        let pod_resources = pods.into_iter().map(of).collect();
        Ok(Response::new(v1::ListPodResourcesResponse { pod_resources }))
    }

    async fn get_allocatable_resources(
        &self,
        _: Request<v1::AllocatableResourcesRequest>,
    ) -> Result<Response<v1::AllocatableResourcesResponse>, Status> {
        let devices = self.allocatable.lock().expect("the devices").clone();
        Ok(Response::new(v1::AllocatableResourcesResponse { devices }))
    }
}
