//! Serves the CNI executables over `cni.sock`: one thread accepts, one thread a call, straight-line blocking code
//! (DESIGN §4). No tokio in here.

use std::fs::{self, DirBuilder, Permissions};
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use attach::{Conversation, Engine, Gone};
use cni::Error;
use cni::error::code;
use cni::protocol::{Answer, Connection, DelegateCall, Outcome, Ran, accept, listen_at};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::eventfd::EventFd;

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

/// The server.
#[derive(Debug)]
pub(crate) struct CniServer {
    acceptor: Option<JoinHandle<()>>,
    stop: Arc<Stop>,
    running: Running,
}

#[derive(Debug)]
struct Stop {
    asked: AtomicBool,
    wake: EventFd,
}

impl CniServer {
    /// Binds the socket in `run_dir` and begins to serve. A socket that an earlier agent left is replaced.
    pub(crate) fn start(
        engine: Arc<Engine>,
        run_dir: &Path,
        poke: Poke,
        metrics: Arc<Metrics>,
    ) -> io::Result<Self> {
        let listener = bind(run_dir)?;
        let stop = Arc::new(Stop { asked: AtomicBool::new(false), wake: EventFd::new()? });
        let running = Running::new(CALLS);
        let (asked, counted) = (Arc::clone(&stop), running.clone());
        let acceptor = thread::Builder::new()
            .name("cni-accept".to_owned())
            .spawn(move || accept_all(&listener, &asked, &counted, &engine, &poke, &metrics))?;
        Ok(Self { acceptor: Some(acceptor), stop, running })
    }

    /// Accepts no more, waits for running calls, and leaves the socket's file: the next agent replaces it, and an
    /// executable that finds it dead tries again.
    pub(crate) fn stop(mut self) {
        self.stop.asked.store(true, Ordering::SeqCst);
        let _ = self.stop.wake.write(1);
        if let Some(acceptor) = self.acceptor.take() {
            drop(acceptor.join());
        }
        self.running.farewell();
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

fn accept_all(
    listener: &OwnedFd,
    stop: &Stop,
    running: &Running,
    engine: &Arc<Engine>,
    poke: &Poke,
    metrics: &Arc<Metrics>,
) {
    while !stop.asked.load(Ordering::SeqCst) {
        let mut ready = [
            PollFd::new(listener.as_fd(), PollFlags::POLLIN),
            PollFd::new(stop.wake.as_fd(), PollFlags::POLLIN),
        ];
        if poll(&mut ready, PollTimeout::NONE).is_err() || stop.asked.load(Ordering::SeqCst) {
            continue;
        }
        let connection = match accept(listener.as_fd()) {
            Ok(connection) => connection,
            Err(error) => {
                // Out of descriptors, most likely: calls that end give some back.
                tracing::warn!(%error, "accept a CNI call");
                thread::sleep(Duration::from_millis(20));
                continue;
            }
        };
        let place = running.take();
        let (engine, poke, metrics) = (Arc::clone(engine), poke.clone(), Arc::clone(metrics));
        let spawned = thread::Builder::new().name("cni-call".to_owned()).spawn(move || {
            let busy = place.is_none();
            let _place = place;
            serve(&engine, &connection, busy, &metrics);
            poke.poke();
        });
        if let Err(error) = spawned {
            tracing::error!(%error, "start a thread for a CNI call");
        }
    }
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
