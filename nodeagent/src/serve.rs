//! The servers: TCP and the Unix socket, each with its own limits.

mod connection;
mod gate;
mod guarded_io;
mod unix_socket;

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use hwprobe::{Warning, WarningCode};
use openapi::{ListenerState, ProblemCode};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::{Semaphore, mpsc, watch};

use crate::config::Limits;
use crate::health::Health;
use crate::inventory::cache::CacheHandle;
use crate::metrics::Metrics;
use crate::peer::is_elsewhere;
use crate::rest::Entrance;
use gate::{Gate, Pass};
use unix_socket::UnixSocket;

/// Connections that wait in the kernel for being accepted. The kernel caps it at `net.core.somaxconn`.
const BACKLOG: u32 = 4096;

/// Refused connections whose last words are still under way.
const LINGERING: usize = 512;

/// Bytes that may lie unread in the kernel for one client.
const SEND_BUFFER: usize = 256 * 1024;

/// First and longest wait before a port that could not be opened is tried again.
const RETRY: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(30));

/// What every listener needs.
#[derive(Clone)]
pub(crate) struct Server {
    pub(crate) router: axum::Router,
    pub(crate) limits: Limits,
    pub(crate) health: Arc<Health>,
    pub(crate) metrics: Arc<Metrics>,
    pub(crate) cache: CacheHandle,
    pub(crate) closing: watch::Receiver<bool>,
    /// Dropped by the last connection: whoever holds the other end knows when all have ended.
    pub(crate) alive: mpsc::Sender<()>,
}

impl Server {
    /// Offers the API at each TCP address. A port that is taken does not stop the agent: it becomes a warning and
    /// is tried again. Returns when the first try of each is over.
    pub(crate) async fn listen_tcp(&self, addresses: &[SocketAddr]) {
        let gate = Gate::new(self.limits.connections, self.limits.connections_per_peer);
        let lingering = Arc::new(Semaphore::new(LINGERING));
        for address in addresses.iter().copied() {
            let (server, gate, lingering) = (self.clone(), Arc::clone(&gate), Arc::clone(&lingering));
            match bind(address) {
                Ok(listener) => {
                    server.opened(address, &listener);
                    tokio::spawn(server.accept_tcp(listener, gate, lingering));
                }
                Err(error) => {
                    server.not_opened(address, &error);
                    tokio::spawn(async move {
                        if let Some(listener) = server.retry(address).await {
                            server.accept_tcp(listener, gate, lingering).await;
                        }
                    });
                }
            }
        }
    }

    fn opened(&self, address: SocketAddr, listener: &TcpListener) {
        // Port 0 asks for any; what matters is which it became.
        let bound = listener.local_addr().unwrap_or(address);
        tracing::info!(addr = %bound, "the API is open");
        self.health.set_listener(&bound.to_string(), ListenerState::Open, None);
        self.cache.clear_warning(WarningCode::RestPortBusy, &bound.to_string());
    }

    fn not_opened(&self, address: SocketAddr, error: &std::io::Error) {
        let busy = error.kind() == std::io::ErrorKind::AddrInUse;
        let state = if busy { ListenerState::Busy } else { ListenerState::Failed };
        tracing::warn!(addr = %address, %error, "the API cannot be opened here; trying again");
        self.health.set_listener(&address.to_string(), state, Some(error.to_string()));
        let message = format!("{address} cannot be opened: {error}");
        let fix =
            "stop whoever has the port, or set `listen`; the agent goes on trying, and the Unix socket works";
        self.cache
            .raise_warning(Warning::new(WarningCode::RestPortBusy, None, message, fix), &address.to_string());
    }

    /// Tries again until the port opens; `None` when the agent ends.
    async fn retry(&self, address: SocketAddr) -> Option<TcpListener> {
        let mut closing = self.closing.clone();
        let (mut pause, longest) = RETRY;
        loop {
            tokio::select! {
                () = tokio::time::sleep(pause) => {}
                _ = closing.wait_for(|closing| *closing) => return None,
            }
            if let Ok(listener) = bind(address) {
                self.opened(address, &listener);
                return Some(listener);
            }
            pause = (pause * 2).min(longest);
        }
    }

    async fn accept_tcp(self, listener: TcpListener, gate: Arc<Gate>, lingering: Arc<Semaphore>) {
        let mut closing = self.closing.clone();
        loop {
            let accepted = tokio::select! {
                accepted = listener.accept() => accepted,
                _ = closing.wait_for(|closing| *closing) => return,
            };
            match accepted {
                Ok((stream, peer)) => match gate.enter(Some(peer.ip())) {
                    Some(pass) => self.serve_tcp(stream, pass),
                    None => self.turn_away(stream, &lingering),
                },
                Err(error) => breathe(&error).await,
            }
        }
    }

    fn serve_tcp(&self, stream: TcpStream, pass: Pass) {
        let Ok(local) = stream.local_addr() else { return };
        if let Err(error) = stream.set_nodelay(true) {
            tracing::debug!(%error, "set TCP_NODELAY");
        }
        self.spawn(stream, Entrance::Tcp(local), pass);
    }

    fn spawn<S>(&self, stream: S, entrance: Entrance, pass: Pass)
    where
        S: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin + Send + 'static,
    {
        let Self { router, limits, metrics, closing, alive, .. } = self.clone();
        tokio::spawn(async move {
            metrics.connections.inc();
            connection::serve(stream, entrance, router, limits, closing).await;
            metrics.connections.dec();
            drop((pass, alive));
        });
    }

    /// Says that there are too many connections, as far as there is room for even that.
    fn turn_away(&self, mut stream: TcpStream, lingering: &Arc<Semaphore>) {
        self.metrics.connections_refused.inc();
        let detail =
            "as many connections are open as the agent takes; close some or raise `limits.connections`";
        let answer = guarded_io::refusal(ProblemCode::TooManyConnections, detail);
        match Arc::clone(lingering).try_acquire_owned() {
            Ok(permit) => {
                tokio::spawn(async move {
                    connection::say_and_linger(&mut stream, &answer).await;
                    drop(permit);
                });
            }
            // A fresh socket has room for these bytes; whether they outlive the reset is luck.
            Err(_) => drop(stream.try_write(&answer)),
        }
    }

    /// Offers the API on the Unix socket of `run_dir`, to root and to the agent's own user.
    pub(crate) async fn listen_unix(&self, run_dir: &Path) {
        let path = unix_socket::path(run_dir).display().to_string();
        let server = self.clone();
        match UnixSocket::bind(run_dir) {
            Ok(socket) => {
                tracing::info!(socket = path, "the API is open");
                self.health.set_listener(&path, ListenerState::Open, None);
                tokio::spawn(server.accept_unix(socket));
            }
            Err(error) => {
                tracing::warn!(socket = path, %error, "the API cannot be opened here; trying again");
                self.health.set_listener(&path, ListenerState::Failed, Some(error.to_string()));
                let run_dir = run_dir.to_owned();
                tokio::spawn(async move {
                    let mut closing = server.closing.clone();
                    let (mut pause, longest) = RETRY;
                    loop {
                        tokio::select! {
                            () = tokio::time::sleep(pause) => {}
                            _ = closing.wait_for(|closing| *closing) => return,
                        }
                        if let Ok(socket) = UnixSocket::bind(&run_dir) {
                            server.health.set_listener(&path, ListenerState::Open, None);
                            return server.accept_unix(socket).await;
                        }
                        pause = (pause * 2).min(longest);
                    }
                });
            }
        }
    }

    async fn accept_unix(self, socket: UnixSocket) {
        let gate = Gate::new(self.limits.connections, self.limits.connections);
        let own = nix::unistd::geteuid().as_raw();
        let mut closing = self.closing.clone();
        loop {
            let accepted = tokio::select! {
                accepted = socket.listener.accept() => accepted,
                _ = closing.wait_for(|closing| *closing) => return,
            };
            let mut stream = match accepted {
                Ok((stream, _)) => stream,
                Err(error) => {
                    breathe(&error).await;
                    continue;
                }
            };
            let found = stream.peer_cred().map(|peer| (peer.uid(), peer.pid())).ok();
            let peer = found.filter(|(uid, pid)| (*uid == 0 || *uid == own) && !is_elsewhere(*pid));
            let Some((peer, _)) = peer else {
                tracing::warn!(peer = ?found, "refused a peer of the Unix socket");
                let answer = guarded_io::refusal(ProblemCode::ForbiddenPeer, "only root may use this socket");
                tokio::spawn(async move { connection::say_and_linger(&mut stream, &answer).await });
                continue;
            };
            match gate.enter(None) {
                Some(pass) => self.spawn(stream, Entrance::Unix(peer), pass),
                None => {
                    self.metrics.connections_refused.inc();
                    let detail = "as many connections are open as the agent takes";
                    let answer = guarded_io::refusal(ProblemCode::TooManyConnections, detail);
                    drop(stream.try_write(&answer));
                }
            }
        }
    }
}

fn bind(address: SocketAddr) -> std::io::Result<TcpListener> {
    let socket = if address.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
    socket.set_reuseaddr(true)?;
    // Accepted sockets inherit it. Without, the kernel keeps megabytes for each client that does not read.
    socket.set_send_buffer_size(SEND_BUFFER as u32)?;
    socket.bind(address)?;
    socket.listen(BACKLOG)
}

/// After an accept that failed: nothing for a client that left meanwhile, a pause when descriptors ran out.
async fn breathe(error: &std::io::Error) {
    if error.kind() != std::io::ErrorKind::ConnectionAborted {
        tracing::warn!(%error, "accept a connection");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}
