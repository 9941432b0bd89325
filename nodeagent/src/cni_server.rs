//! Serves the CNI executables over `cni.sock`: a thread takes a caller and serves it in straight-line blocking
//! code (DESIGN §4). No tokio in here.

use std::fs::{self, DirBuilder, Permissions};
use std::io;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use attach::{Conversation, Engine, Gone};
use cni::Error;
use cni::error::code;
use cni::protocol::{Answer, Connection, DelegateCall, Outcome, Ran, accept, listen_at};
use nix::errno::Errno;
use nix::sys::socket::{Shutdown, shutdown};

use crate::keeper::Poke;
use crate::metrics::Metrics;
use crate::peer::is_root;
use crate::running::Running;

/// Calls at once; one more is told to try again.
const CALLS: u32 = 1024;

/// How long an executable may take to say what it wants, or to take the answer.
const PATIENCE: Duration = Duration::from_secs(30);

/// How long plugins may take together.
const PLUGINS: Duration = Duration::from_secs(300);

/// Threads that wait for the next caller; more of them end when they have served.
const WAITING: usize = 8;

/// The server.
#[derive(Debug)]
pub(crate) struct CniServer {
    listener: Arc<OwnedFd>,
    running: Running,
    threads: Running,
}

/// What each thread works with.
struct Service {
    listener: Arc<OwnedFd>,
    engine: Arc<Engine>,
    poke: Poke,
    metrics: Arc<Metrics>,
    running: Running,
    /// All threads, waiting ones too.
    threads: Running,
    waiting: AtomicUsize,
}

impl CniServer {
    /// Binds the socket in `run_dir` and begins to serve. A socket that an earlier agent left is replaced.
    pub(crate) fn start(
        engine: Arc<Engine>,
        run_dir: &Path,
        poke: Poke,
        metrics: Arc<Metrics>,
    ) -> io::Result<Self> {
        let listener = Arc::new(bind(run_dir)?);
        let (running, threads) = (Running::new(CALLS), Running::new(u32::MAX));
        let server =
            Self { listener: Arc::clone(&listener), running: running.clone(), threads: threads.clone() };
        let waiting = AtomicUsize::new(0);
        let service = Arc::new(Service { listener, engine, poke, metrics, running, threads, waiting });
        wait_in_thread(&service)?;
        Ok(server)
    }

    /// Accepts no more, waits for running calls, and leaves the socket's file: the next agent replaces it, and an
    /// executable that finds it dead tries again.
    pub(crate) fn stop(self) {
        // Every thread that waits in accept(2) is woken, and whoever waits later is turned away.
        let _ = shutdown(self.listener.as_raw_fd(), Shutdown::Both);
        self.running.farewell();
        self.threads.farewell();
    }
}

fn bind(run_dir: &Path) -> io::Result<OwnedFd> {
    if !run_dir.is_dir() {
        DirBuilder::new().recursive(true).mode(0o700).create(run_dir)?;
    }
    let path = run_dir.join(cni::SOCKET);
    let aside = run_dir.join(format!(".{}.{}", cni::SOCKET, std::process::id()));
    match fs::remove_file(&aside) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let listener = listen_at(&aside)?;
    fs::set_permissions(&aside, Permissions::from_mode(0o600))?;
    fs::rename(&aside, &path)?;
    Ok(listener)
}

/// Starts a thread that waits for a caller, serves it, and waits for the next.
fn wait_in_thread(service: &Arc<Service>) -> io::Result<()> {
    let (service, place) = (Arc::clone(service), service.threads.take());
    service.waiting.fetch_add(1, Ordering::SeqCst);
    let waits = Arc::clone(&service);
    let spawned = thread::Builder::new().name("cni-call".to_owned()).spawn(move || {
        let _place = place;
        while serve_next(&waits) {}
    });
    if spawned.is_err() {
        service.waiting.fetch_sub(1, Ordering::SeqCst);
    }
    spawned.map(drop)
}

/// Serves one caller; `false` when this thread is to end. Whoever takes a caller serves it: the caller is spared the
/// start of a thread, and while anybody is served somebody else waits.
fn serve_next(service: &Arc<Service>) -> bool {
    let accepted = accept(service.listener.as_fd());
    let connection = match accepted {
        Ok(connection) => connection,
        Err(error) if error.raw_os_error() == Some(Errno::EINVAL as i32) => return false,
        Err(error) => {
            // Out of descriptors, most likely: calls that end give some back.
            tracing::warn!(%error, "accept a CNI call");
            thread::sleep(Duration::from_millis(20));
            return true;
        }
    };
    if service.waiting.fetch_sub(1, Ordering::SeqCst) == 1
        && let Err(error) = wait_in_thread(service)
    {
        tracing::error!(%error, "start a thread for CNI calls: the next ones wait for this one's end");
    }
    let place = service.running.take();
    serve(&service.engine, &connection, place.is_none(), &service.metrics);
    drop((connection, place));
    service.poke.poke();
    let others = service.waiting.fetch_add(1, Ordering::SeqCst);
    if others >= WAITING {
        service.waiting.fetch_sub(1, Ordering::SeqCst);
    }
    others < WAITING
}

fn serve(engine: &Engine, connection: &Connection, busy: bool, metrics: &Metrics) {
    if let Err(error) = converse(engine, connection, busy, metrics) {
        tracing::debug!(%error, "a CNI call ended early");
    }
}

fn converse(engine: &Engine, connection: &Connection, busy: bool, metrics: &Metrics) -> io::Result<()> {
    connection.set_deadline(PATIENCE)?;
    let refuse = |error: Error| connection.send(&Answer::Failed { error, debts: Vec::new() }, None);
    let peer = connection.peer()?;
    if !is_root(peer.uid, Some(peer.pid)) {
        tracing::warn!(uid = peer.uid, pid = peer.pid, "a CNI call that root did not make is refused");
        return refuse(Error::new(code::BAD_ENVIRONMENT, "only root may attach and detach"));
    }
    let (call, netns) = match connection.receive_call()? {
        Ok(call) => call,
        Err(error) => return refuse(error),
    };
    if busy {
        let words = format!("{CALLS} calls are being served; try again");
        return refuse(Error::new(code::TRY_AGAIN, words));
    }
    let mut conversation = Caller { connection };
    let begun = Instant::now();
    let answer = engine.serve(&call, netns, &mut conversation);
    metrics.called(call.environment.command, begun.elapsed());
    let debts = answer.debts.clone();
    let message = match answer.result {
        Ok(output) => Answer::Done { output, debts: answer.debts },
        Err(error) => {
            tracing::info!(
                command = call.environment.command.as_str(),
                container = call.environment.container_id,
                ifname = call.environment.ifname,
                code = error.code,
                "{error}"
            );
            Answer::Failed { error, debts: answer.debts }
        }
    };
    let sent = connection.send(&message, None);
    if debts.is_empty() {
        return sent;
    }
    match sent.and_then(|()| connection.receive::<Ran>()) {
        Ok((ran, _)) => engine.paid(&debts, &ran.outcomes),
        Err(_) => engine.unheard(&debts),
    }
    Ok(())
}

/// The executable at the other end, which runs plugins.
struct Caller<'a> {
    connection: &'a Connection,
}

impl Conversation for Caller<'_> {
    fn run(&mut self, calls: Vec<DelegateCall>) -> Result<Vec<Outcome>, Gone> {
        let plugin = calls.first().map(|call| call.plugin.clone()).unwrap_or_default();
        let gone =
            |error: io::Error| Gone { plugin: plugin.clone(), why: error.to_string(), in_the_middle: true };
        self.connection.send(&Answer::Run(calls), None).map_err(gone)?;
        self.connection.set_deadline(PLUGINS).map_err(gone)?;
        let ran = self.connection.receive::<Ran>().map_err(gone);
        self.connection.set_deadline(PATIENCE).map_err(gone)?;
        Ok(ran?.0.outcomes)
    }
}
