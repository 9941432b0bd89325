//! Calls of the engine that come over the API: each on a thread of its own, since it enters namespaces and a thread
//! that cannot come back ends; a tokio worker must not.

use std::fmt;
use std::os::fd::OwnedFd;
use std::path::Path;
use std::sync::Arc;
use std::thread;
use std::time::Instant;

use attach::{Engine, NoConversation};
use cni::error::code;
use cni::protocol::Call;
use cni::{Command, Error};
use nix::fcntl::{OFlag, open};
use nix::sys::stat::Mode;
use tokio::sync::oneshot;

use crate::keeper::Poke;
use crate::metrics::Metrics;
use crate::running::Running;

/// Calls at once; one more is told to try again.
const MOST: u32 = 64;

/// Hands calls to the engine.
#[derive(Clone)]
pub(crate) struct Calls {
    engine: Arc<Engine>,
    running: Running,
    metrics: Arc<Metrics>,
    poke: Poke,
}

impl fmt::Debug for Calls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Calls").field("running", &self.running).finish_non_exhaustive()
    }
}

impl Calls {
    pub(crate) fn new(engine: Arc<Engine>, metrics: Arc<Metrics>, poke: Poke) -> Self {
        Self { engine, running: Running::new(MOST), metrics, poke }
    }

    /// The engine.
    pub(crate) fn engine(&self) -> &Engine {
        &self.engine
    }

    /// Serves a call. It goes on to its end also when nobody waits for the answer any more.
    ///
    /// # Errors
    /// The engine's, and code 11 when too many are running.
    pub(crate) async fn serve(&self, call: Call, netns: Option<OwnedFd>) -> Result<Option<String>, Error> {
        let metrics = Arc::clone(&self.metrics);
        let command = call.environment.command;
        // Said before anything is begun: what a plugin was begun for is owed to it until somebody runs it.
        if command == Command::Add
            && let Some(plugin) = Engine::plugin_needed(&call)?
        {
            return Err(no_plugins(&plugin));
        }
        self.run("api-call", move |engine| {
            let begun = Instant::now();
            let answer = engine.serve(&call, netns, &mut NoConversation);
            metrics.called(command, begun.elapsed());
            // Nobody here runs plugins.
            engine.paid(&answer.debts, &[]);
            answer.result
        })
        .await
    }

    /// Works with the engine on a thread of its own.
    ///
    /// # Errors
    /// What the work says, and code 11 when too many are running.
    pub(crate) async fn run<T: Send + 'static>(
        &self,
        name: &str,
        work: impl FnOnce(&Engine) -> Result<T, Error> + Send + 'static,
    ) -> Result<T, Error> {
        let place = self.running.take().ok_or_else(|| {
            Error::new(code::TRY_AGAIN, format!("{MOST} calls of the API are being served; try again"))
        })?;
        let (tell, told) = oneshot::channel();
        let (engine, poke) = (Arc::clone(&self.engine), self.poke.clone());
        let begun = thread::Builder::new().name(name.to_owned()).spawn(move || {
            let _place = place;
            let result = work(&engine);
            poke.poke();
            // Whoever asked may have gone.
            drop(tell.send(result));
        });
        begun.map_err(|error| Error::new(code::TRY_AGAIN, format!("start a thread: {error}")))?;
        told.await
            .unwrap_or_else(|_| Err(Error::new(code::INTERNAL, "the call's thread ended; the log says why")))
    }

    /// Waits for running calls, for a while.
    pub(crate) fn stop(&self) {
        self.running.farewell();
    }
}

fn no_plugins(plugin: &str) -> Error {
    Error::new(code::UNSUPPORTED_FIELD, format!("plugin `{plugin}` cannot be run for a call over the API"))
        .with_details("attach with the executable multi-nic, which runs plugins where the runtime lives")
}

/// Opens a namespace by its path, as the executables do.
///
/// # Errors
/// Code 8 with the path.
pub(crate) fn open_netns(path: &str) -> Result<OwnedFd, Error> {
    let flags = OFlag::O_RDONLY | OFlag::O_CLOEXEC | OFlag::O_NONBLOCK;
    open(Path::new(path), flags, Mode::empty())
        .map_err(|error| Error::new(code::INVALID_NAMESPACE, format!("netns: open {path}: {error}")))
}
