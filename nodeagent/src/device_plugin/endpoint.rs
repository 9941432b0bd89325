//! The life of a pool's socket: bound when there is something to offer, registered with the kubelet, and again when
//! the kubelet has restarted.
//!
//! ```text
//! wait for devices and a kubelet ─► somebody else's? ─► bind, serve ─► register ─► until one is another, or gone ─┐
//!        ▲                            └ stay off, look again ┘                                                    │
//!        └────────────────────────────────────────────────────────────────────────────────────────────────────────┘
//! ```

use std::fs;
use std::io;
use std::os::unix::net::UnixStream as StdUnixStream;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use futures_util::stream::unfold;
use hwprobe::{Warning, WarningCode};
use openapi::{EventType, PoolState};
use tokio::net::UnixListener;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tonic::transport::Server;

use super::authority::Mended;
use super::service::{Served, Service};
use super::view::standing_changes;
use crate::agent::chain;
use crate::inventory::cache::CacheHandle;
use crate::kubelet_api::v1beta1::RegisterRequest;
use crate::kubelet_api::v1beta1::device_plugin_server::DevicePluginServer;
use crate::kubelet_api::v1beta1::registration_client::RegistrationClient;
use crate::kubelet_folder::{FileId, FolderWatch};
use crate::metrics::Registered;
use crate::podresources::{KubeletError, allocatable, connect};

/// Version of the API that we speak.
const VERSION: &str = "v1beta1";

/// How long after the agent's start registering waits for devices that pods have and that are not there, or not well,
/// yet.
const SETTLE: Duration = Duration::from_secs(30);

/// Between two tries of something that failed.
const AGAIN: Duration = Duration::from_secs(2);

/// Between two looks at a resource that somebody else serves.
const LOOK: Duration = Duration::from_secs(10);

/// How long the kubelet may take to watch the list after it was registered.
const WATCHED: Duration = Duration::from_secs(10);

/// A pool's way to the kubelet.
pub(crate) struct Endpoint {
    pub(crate) served: Arc<Served>,
    /// The kubelet's folder.
    pub(crate) kubelet: PathBuf,
    /// Its folder of device plugins.
    pub(crate) folder: FolderWatch,
    /// Raises the warning that somebody else serves the resource.
    pub(crate) cache: CacheHandle,
    /// How far it is, for whoever asks.
    pub(crate) standing: watch::Sender<Standing>,
}

/// How a pool stands with the kubelet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Standing {
    pub(crate) state: State,
    /// Since when it is in a state that is shown so.
    pub(crate) since: SystemTime,
    /// What kept it from being registered last, and when that was seen first.
    pub(crate) last_error: Option<(String, SystemTime)>,
}

impl Standing {
    /// A pool that has just begun.
    pub(crate) fn new(now: SystemTime) -> Self {
        Self { state: State::Waiting, since: now, last_error: None }
    }

    /// The same pool in another state.
    fn enter(&self, state: State, now: SystemTime) -> Self {
        let since = if state.shown() == self.state.shown() { self.since } else { now };
        let known = self.last_error.clone();
        let last_error = match &state {
            State::Waiting | State::Registered => known,
            State::Off { reason } | State::Failed { reason } => {
                known.filter(|(message, _)| message == reason).or_else(|| Some((reason.clone(), now)))
            }
        };
        Self { state, since, last_error }
    }
}

/// How far a pool is.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) enum State {
    /// There is no device, or no kubelet.
    #[default]
    Waiting,
    /// The kubelet watches it.
    Registered,
    /// Another device plugin serves the resource.
    Off {
        /// How that is known.
        reason: String,
    },
    /// It is tried again.
    Failed {
        /// Why.
        reason: String,
    },
}

impl State {
    /// The state as the API calls it.
    pub(crate) fn shown(&self) -> PoolState {
        match self {
            Self::Waiting => PoolState::Waiting,
            Self::Registered => PoolState::Registered,
            Self::Off { .. } => PoolState::Taken,
            Self::Failed { .. } => PoolState::Failed,
        }
    }
}

/// Why a round ended.
enum Ended {
    /// The kubelet is another one, or our socket is gone.
    Anew,
    Rival(String),
    Failed(String),
}

impl Endpoint {
    /// Lives for ever.
    pub(crate) async fn live(self) {
        let started = Instant::now();
        loop {
            let ended = self.round(started).await;
            let resource = self.served.resource.as_str();
            let pause = match ended {
                Ended::Anew => {
                    tracing::info!(resource, "the kubelet's folder has changed; registering again");
                    self.tell(State::Waiting);
                    Duration::ZERO
                }
                Ended::Rival(reason) => {
                    self.tell(State::Off { reason });
                    LOOK
                }
                Ended::Failed(reason) => {
                    self.tell(State::Failed { reason });
                    AGAIN
                }
            };
            tokio::time::sleep(pause).await;
        }
    }

    fn tell(&self, state: State) {
        let before = self.standing.borrow().clone();
        if before.state == state {
            return;
        }
        let now = before.enter(state, SystemTime::now());
        self.standing.send_replace(now.clone());
        let kind = match now.state {
            State::Waiting => EventType::PoolChanged,
            State::Registered => EventType::PoolRegistered,
            State::Off { .. } | State::Failed { .. } => EventType::PoolRefused,
        };
        self.served.publish(kind, standing_changes(&before, &now));
        let (before, state) = (before.state, now.state);
        let resource = self.served.resource.as_str();
        match &state {
            State::Waiting => {}
            State::Registered => tracing::info!(resource, "registered with the kubelet"),
            State::Off { reason } => {
                tracing::warn!(resource, reason, "another device plugin serves this resource; staying off");
                self.served.metrics.registered(resource, Registered::Off);
                let fix = "take it out of one of them, or name the pool differently";
                let text = format!("{resource} is served by another device plugin: {reason}");
                self.cache.raise_warning(Warning::new(WarningCode::ResourceTaken, None, text, fix), resource);
            }
            State::Failed { reason } => {
                tracing::warn!(resource, reason, "cannot register with the kubelet; trying again");
                self.served.metrics.registered(resource, Registered::Failed);
            }
        }
        if matches!(before, State::Off { .. }) && !matches!(state, State::Off { .. }) {
            self.cache.clear_warning(WarningCode::ResourceTaken, resource);
        }
    }

    async fn round(&self, started: Instant) -> Ended {
        let registry = self.kubelet.join("device-plugins/kubelet.sock");
        let mut folder = self.folder.clone();
        self.ready(started).await;
        let kubelet = loop {
            if let Some(kubelet) = FileId::at(&registry) {
                break kubelet;
            }
            folder.changed().await;
        };
        if let Some(reason) = self.rival().await {
            return Ended::Rival(reason);
        }
        let bound = match Bound::new(&self.socket(), &self.served) {
            Ok(bound) => bound,
            Err(error) => return Ended::Failed(format!("listen on {}: {error}", self.socket().display())),
        };
        let mut streams = bound.streams.subscribe();
        if let Err(error) = self.register(&registry).await {
            return Ended::Failed(chain(&error));
        }
        let watched = async { streams.wait_for(|count| *count > 0).await.is_ok() };
        if tokio::time::timeout(WATCHED, watched).await.is_err() {
            return Ended::Failed("the kubelet registered it, but does not ask for its devices".to_owned());
        }
        self.served.metrics.registered(&self.served.resource, Registered::Watched);
        self.tell(State::Registered);
        loop {
            tokio::select! {
                () = folder.changed() => {
                    if FileId::at(&registry) != Some(kubelet) || !bound.is_there() {
                        return Ended::Anew;
                    }
                }
                // The kubelet died, or dropped us for somebody else's registration; its folder may tell in a moment.
                () = none(&mut streams) => {
                    tokio::time::sleep(AGAIN).await;
                    if *bound.streams.borrow() == 0 {
                        return Ended::Anew;
                    }
                }
            }
        }
    }

    /// Waits for the first full list with a device, and a while for devices that pods already have.
    async fn ready(&self, started: Instant) {
        let mut list = self.served.list.subscribe();
        loop {
            let (some, whole) = match list.borrow_and_update().as_ref() {
                None => (false, false),
                Some(list) => {
                    // A kubelet that restarts refuses a pod whose device is missing or Unhealthy, for ever.
                    let lost = list.iter().any(|device| device.held && !device.healthy);
                    (!list.is_empty(), !lost)
                }
            };
            let left = SETTLE.saturating_sub(started.elapsed());
            if some && (whole || left.is_zero()) {
                return;
            }
            if some {
                // Time alone may decide.
                let _ = tokio::time::timeout(left, list.changed()).await;
            } else if list.changed().await.is_err() {
                // Nobody makes lists any more: the agent ends.
                std::future::pending::<()>().await;
            }
        }
    }

    /// Name of the socket in the kubelet's folder.
    fn name(&self) -> String {
        format!("{}.sock", self.served.resource.replace('/', "_"))
    }

    fn socket(&self) -> PathBuf {
        self.kubelet.join("device-plugins").join(self.name())
    }

    /// How it is known that another device plugin serves the resource.
    ///
    /// Nothing of the kubelet says who registered what. A plugin that names its socket after its resource, as ours and
    /// the SR-IOV network device plugin do, listens on our name; and from Kubernetes 1.21 on the kubelet tells which
    /// resources have devices: ours has none before we register, since a plugin that ended takes its devices along.
    async fn rival(&self) -> Option<String> {
        for folder in ["device-plugins", "plugins_registry"] {
            let socket = self.kubelet.join(folder).join(self.name());
            if StdUnixStream::connect(&socket).is_ok() {
                return Some(format!("it listens on {}", socket.display()));
            }
        }
        let socket = self.kubelet.join("pod-resources/kubelet.sock");
        for patience in [Duration::from_secs(1), Duration::from_secs(2), Duration::ZERO] {
            match allocatable(&socket, &self.served.resource).await {
                // The agent that was here before us may be forgotten in a moment.
                Ok(Some(ids)) if !ids.is_empty() => {
                    if patience.is_zero() {
                        return Some(format!("the kubelet has {} devices of it", ids.len()));
                    }
                    tokio::time::sleep(patience).await;
                }
                // A kubelet that does not tell is no reason not to work.
                _ => return None,
            }
        }
        None
    }

    async fn register(&self, registry: &Path) -> Result<(), KubeletError> {
        let mut client = RegistrationClient::new(connect(registry).await?);
        let request = RegisterRequest {
            version: VERSION.to_owned(),
            endpoint: self.name(),
            resource_name: self.served.resource.clone(),
            options: Some(Served::options()),
        };
        let answer = client.register(request).await;
        answer.map(drop).map_err(|status| KubeletError::Call {
            socket: registry.to_owned(),
            call: "Register",
            status: Box::new(status),
        })
    }
}

/// Waits until the kubelet watches no list.
async fn none(streams: &mut watch::Receiver<u32>) {
    // An error says that nobody can watch any more.
    drop(streams.wait_for(|count| *count == 0).await);
}

/// A bound socket with its server. Dropped, both are gone; a socket of somebody else at that path stays.
struct Bound {
    socket: PathBuf,
    file: Option<FileId>,
    stop: watch::Sender<bool>,
    streams: watch::Sender<u32>,
    server: JoinHandle<()>,
}

impl Bound {
    /// Binds and serves. Nobody listens there: what is there is left over.
    fn new(socket: &Path, served: &Arc<Served>) -> io::Result<Self> {
        match fs::remove_file(socket) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let listener = UnixListener::bind(socket)?;
        let file = FileId::at(socket);
        let (stop, stopping) = watch::channel(false);
        let streams = watch::Sender::new(0);
        let service =
            Service { served: Arc::clone(served), stop: stopping.clone(), streams: streams.clone() };
        let service = DevicePluginServer::new(service);
        let incoming = unfold(listener, |listener| async {
            let accepted = listener.accept().await.map(|(stream, _)| Mended::new(stream));
            Some((accepted, listener))
        });
        let mut ending = stopping;
        let resource = served.resource.clone();
        let server = tokio::spawn(async move {
            let end = async move { drop(ending.wait_for(|stop| *stop).await) };
            let serving = Server::builder().add_service(service);
            if let Err(error) = serving.serve_with_incoming_shutdown(incoming, end).await {
                tracing::error!(resource, error = chain(&error), "the pool is served no more");
            }
        });
        Ok(Self { socket: socket.to_owned(), file, stop, streams, server })
    }

    fn is_there(&self) -> bool {
        FileId::at(&self.socket) == self.file && !self.server.is_finished()
    }
}

impl Drop for Bound {
    fn drop(&mut self) {
        self.stop.send_replace(true);
        if self.file.is_some() && FileId::at(&self.socket) == self.file {
            let _ = fs::remove_file(&self.socket);
        }
    }
}
