//! Host routes to the pods of other hosts (CONTRACTS §7): one thread keeps the kernel what is wanted.
//!
//! ```text
//! Wanted ─┐
//! notifications ─┴─► observe ──plan──► one batch
//! ```
//! Routes stay when the agent ends. What somebody takes away is put back when the kernel tells (TRAPS C5); nothing is
//! taken away before the whole cluster is known, so an agent that forgot everything takes down nothing.

mod keeper;
mod plan;
mod tables;
mod taken;

use std::collections::BTreeMap;
use std::io;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};

use datapath::host_routes::{apply, observe};
use ipnet::IpNet;
use netlink::{Family, Socket};
use nix::sys::eventfd::{EfdFlags, EventFd};
use store::Store;
use tokio::sync::watch;

use crate::metrics::Metrics;

/// What is wanted of all networks.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Wanted {
    /// The whole cluster is known: what is not wanted is to go.
    pub(crate) complete: bool,
    /// By name of the network.
    pub(crate) networks: BTreeMap<String, NetworkRoutes>,
}

/// What is wanted of one network.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct NetworkRoutes {
    /// Sources whose packets look for these routes: addresses of all its pods, one a family at most, or this host's blocks.
    pub(crate) sources: Vec<IpNet>,
    /// By destination, each destination once.
    pub(crate) routes: Vec<HostRoute>,
}

/// The way to a block of another host.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct HostRoute {
    pub(crate) destination: IpNet,
    pub(crate) gateway: IpAddr,
    /// Name of the link that leads there.
    pub(crate) link: Arc<str>,
}

/// How a network's routes are now.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct RouteState {
    /// Routes that are wanted.
    pub(crate) wanted: usize,
    /// Those of them that there are.
    pub(crate) present: usize,
    /// Why others are missing, or who takes them away; empty: nothing is the matter.
    pub(crate) message: String,
}

/// States by name of the network.
pub(crate) type RouteStates = watch::Receiver<BTreeMap<String, RouteState>>;

/// What keeping routes works with.
#[derive(Debug)]
pub(crate) struct RouteParts {
    /// Where the numbers of tables are kept; without one they are forgotten with the process.
    pub(crate) store: Option<Arc<Store>>,
    /// Folder of `rt_tables`.
    pub(crate) names: PathBuf,
    pub(crate) metrics: Arc<Metrics>,
}

/// Says what is wanted. Clones speak to the same thread.
#[derive(Debug, Clone)]
pub(crate) struct Routes(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    wake: EventFd,
    state: Mutex<State>,
    states: watch::Sender<BTreeMap<String, RouteState>>,
}

#[derive(Debug, Default)]
struct State {
    wanted: Arc<Wanted>,
    /// Another one than the thread has seen.
    new: bool,
    end: bool,
}

impl Routes {
    /// Starts the thread, in the network namespace of the caller. It does nothing before something is wanted.
    ///
    /// # Errors
    /// When there is no thread, descriptor or socket to be had.
    pub(crate) fn start(parts: RouteParts) -> io::Result<(Self, RouteThread)> {
        let wake = EventFd::from_flags(EfdFlags::EFD_NONBLOCK | EfdFlags::EFD_CLOEXEC)?;
        let routes =
            Self(Arc::new(Shared { wake, state: Mutex::default(), states: watch::Sender::default() }));
        let keeper = keeper::RouteKeeper::open(parts).map_err(io::Error::other)?;
        let mine = routes.clone();
        let thread = thread::Builder::new().name("routes".to_owned()).spawn(move || keeper.keep(&mine))?;
        Ok((routes.clone(), RouteThread { thread: Some(thread), routes }))
    }

    /// Replaces what is wanted.
    pub(crate) fn want(&self, wanted: Wanted) {
        let mut state = self.state();
        if *state.wanted != wanted {
            state.wanted = Arc::new(wanted);
            state.new = true;
            self.wake();
        }
    }

    /// How the routes of each network are, as found when they were looked at last.
    pub(crate) fn states(&self) -> RouteStates {
        self.0.states.subscribe()
    }

    fn state(&self) -> std::sync::MutexGuard<'_, State> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn wake(&self) {
        let _ = self.0.wake.write(1);
    }
}

/// The thread; ends when this is dropped, and leaves the routes.
#[derive(Debug)]
pub(crate) struct RouteThread {
    thread: Option<JoinHandle<()>>,
    routes: Routes,
}

impl Drop for RouteThread {
    fn drop(&mut self) {
        self.routes.state().end = true;
        self.routes.wake();
        if self.thread.take().is_some_and(|thread| thread.join().is_err()) {
            tracing::error!("the thread of the routes had failed");
        }
    }
}

/// Takes away every route and rule of ours, and the names of our tables; how many routes and rules that were. For a node
/// that no agent serves any more.
///
/// # Errors
/// The first thing that could not be done.
pub(crate) fn remove_all(store: Option<&Store>, names: &Path) -> Result<usize, String> {
    let places = match store {
        Some(store) => keeper::places(store).map_err(|error| datapath::sentence(&error))?,
        None => BTreeMap::new(),
    };
    let mut socket = Socket::open(Family::Route).map_err(|error| datapath::sentence(&error))?;
    let tables = places.values().map(|place| place.table).collect();
    let observed = observe(&mut socket, &tables).map_err(|error| datapath::sentence(&error))?;
    let steps = plan::plan(&observed, &[], true).steps;
    let failed = apply(&mut socket, &steps).into_iter().find_map(Result::err);
    tables::write_names(names, &BTreeMap::new());
    match failed {
        Some(error) => Err(datapath::sentence(&error)),
        None => Ok(steps.len()),
    }
}

#[cfg(test)]
mod tests;
