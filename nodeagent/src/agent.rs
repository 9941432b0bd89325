//! The agent: puts its parts together, waits for the end, takes them apart.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use attach::SriovParts;
use hwprobe::{Warning, WarningCode};
use openapi::StoreState;
use store::{Identity, Lock, LockError, Store, StoreError};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::{Semaphore, mpsc, watch};

use crate::abilities::{self, Places};
use crate::adoption::{self, AdoptionParts};
use crate::attaching::{Attaching, AttachingParts};
use crate::chained::{self, Asks, Untold};
use crate::cli::Machine;
use crate::clock::rfc3339;
use crate::cluster::{Cluster, ClusterMode, KeeperParts, PodParts, PodStatusParts, PoolParts};
use crate::config::{Config, pf_policies};
use crate::current_networks::Current;
use crate::device_plugin::{self, PluginParts, Pools};
use crate::health::Health;
use crate::history::History;
use crate::inventory::cache::{Cache, CacheError, CacheHandle, CacheParts};
use crate::inventory::events::EventLog;
use crate::inventory::published::Newest;
use crate::keeper::Sandboxes;
use crate::memory::Memory;
use crate::metrics::Metrics;
use crate::rest::{RestState, Shared, router};
use crate::routes::{RouteParts, Routes};
use crate::runtime_service::RuntimeService;
use crate::serve::Server;
use crate::sriov::{PfParts, PfTask};
use crate::standalone::{PlannerParts, Standalone, StandaloneParts};
use crate::{logging, plugins, predecessor, systemd};

/// How long open connections may take to end.
const FAREWELL: Duration = Duration::from_millis(1200);

/// How long another agent on the same state folder may take to end (TRAPS P13).
const LOCK_PATIENCE: Duration = Duration::from_secs(30);

/// Where `ip` has the names of routing tables.
pub(crate) const IPROUTE2: &str = "/etc/iproute2";

/// Why the agent cannot run.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AgentError {
    /// Another agent has the state folder.
    #[error(transparent)]
    Lock(#[from] LockError),
    /// The store must not be touched.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The machine cannot be read.
    #[error(transparent)]
    Cache(#[from] CacheError),
    /// No runtime, or no signals.
    #[error("start the servers")]
    Runtime(#[source] std::io::Error),
}

/// Runs the agent until SIGTERM or SIGINT.
///
/// # Errors
/// When it cannot begin. Once begun, it goes on with what works.
pub fn run(config: Config) -> Result<(), AgentError> {
    logging::start(config.settings.log_format, config.settings.log_level);
    raise_descriptor_limit();
    if config.machine == Machine::Live {
        // Only the folders that are ours by name: any other one may be shared.
        for folder in [&config.state_dir, &config.run_dir] {
            if [cni::STATE_DIR, cni::RUN_DIR].iter().any(|own| folder == Path::new(own)) {
                close_to_others(folder);
            }
        }
    }
    let health = Arc::new(Health::new());
    let Remembered { _lock, store, memory } = remember(&config, &health)?;
    let started = SystemTime::now();
    let log = Arc::new(EventLog::new(epoch(started)));
    let metrics = Arc::new(Metrics::new());
    let newest = watch::Sender::new(None);
    let settings = &config.settings;
    let mut probe = settings.probe();
    if let Some(mode) = &config.cluster {
        // Without the API server the node is lost to its cluster, whether or not somebody wrote it down (TRAPS H1).
        probe.api_servers.extend(mode.access.server_addresses());
        probe.api_servers.sort();
        probe.api_servers.dedup();
    }
    let cache = Cache::start(CacheParts {
        machine: config.machine.clone(),
        settings: probe,
        reprobe: settings.reprobe_interval.duration(),
        memory,
        log: Arc::clone(&log),
        newest: newest.clone(),
        health: Arc::clone(&health),
        metrics: Arc::clone(&metrics),
    })?;
    let networks = Current::default();
    // Before anything is attached: the engine begins with the networks that are there then.
    // They stay when the agent ends; only their keeper ends with it.
    let routes = (config.cluster.is_some() && config.machine == Machine::Live).then(|| {
        let metrics = Arc::clone(&metrics);
        Routes::start(RouteParts { store: store.clone(), names: IPROUTE2.into(), metrics })
            .inspect_err(|error| tracing::error!(%error, "nothing is done about routes to other hosts"))
    });
    let routes = routes.and_then(Result::ok);
    let adopted = watch::Sender::new(adoption::is_done(store.as_deref()));
    let runtime_service = RuntimeService { socket: config.runtime_endpoint.clone() };
    let cluster_is_there = config.cluster.is_some();
    let cluster = config.cluster.clone().map(|ClusterMode { access, node }| {
        let parts = KeeperParts {
            node,
            classes: settings.attach_classes(),
            store: store.clone(),
            networks: networks.clone(),
            routes: routes.as_ref().map(|(routes, _)| routes.clone()),
            adopted: adopted.subscribe(),
            complete: watch::Sender::new(false),
        };
        Cluster::start(access, parts, &newest.subscribe())
    });
    let standalone =
        cluster.is_none().then(|| standalone(&config, store.clone(), &networks, newest.subscribe()));
    let standalone = standalone.flatten();
    let untold = Untold::default();
    let asks = Asks::new(networks.clone(), settings.device_plugin.kubelet_dir.clone(), config.procfs.clone());
    let history = History::new(Arc::clone(&log), Arc::clone(&metrics), newest.subscribe(), untold.clone());
    let functions = SriovParts::default();
    let sysfs = functions.roots.sys.clone();
    let (answers, gpus) = (asks.clone(), asks.clone());
    let sandboxes = if cluster_is_there || config.runtime_endpoint.is_some() {
        Sandboxes::of(runtime_service.clone())
    } else {
        Sandboxes::Unlisted
    };
    let parts = AttachingParts {
        store: store.clone(),
        networks: networks.clone(),
        history,
        annotated: Box::new(move |asking| answers.answer(asking)),
        gpus: Box::new(move |pod| gpus.gpus(pod)),
        sriov: functions.clone(),
        sandboxes,
    };
    let attaching = Attaching::start(&config, &newest.subscribe(), parts);
    if let Some(wanted) = settings.rdma_mode.filter(|_| config.machine == Machine::Live) {
        set_rdma_mode(&functions.roots, wanted, &cache.handle);
    }
    // After what attaching repairs: a VF that a crash left half given is no drift.
    let pfs = (config.machine == Machine::Live)
        .then(|| {
            let (configured, reports) = pf_policies(&settings.sriov);
            PfTask::start(PfParts {
                configured,
                reports,
                networks: networks.clone(),
                newest: newest.subscribe(),
                store: store.clone(),
                calls: attaching.as_ref().map(Attaching::calls),
                roots: functions.roots,
                locks: functions.locks,
                works: functions.works,
                log: Arc::clone(&log),
                metrics: Arc::clone(&metrics),
            })
            .inspect_err(|error| tracing::error!(%error, "nothing is done to PFs"))
            .ok()
        })
        .flatten();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .thread_stack_size(1024 * 1024)
        .thread_name("rest")
        .enable_all()
        .build()
        .map_err(AgentError::Runtime)?;
    asks.run_in(runtime.handle().clone());
    if let Some(cluster) = cluster {
        let attached = || {
            let calls = attaching.as_ref().map(Attaching::calls);
            Box::new(move || calls.as_ref().map_or_else(Vec::new, |calls| calls.engine().attachments()))
        };
        let pools = PoolParts { attached: attached(), events: log.subscribe().1, networks: networks.clone() };
        let adoption = AdoptionParts {
            node: cluster.node().to_owned(),
            store: store.clone(),
            networks: networks.clone(),
            runtime: runtime_service.clone(),
            beside_predecessor: config.take_over,
            cache: cache.handle.clone(),
            health: Arc::clone(&health),
            calls: attaching.as_ref().map(Attaching::calls),
        };
        let adoption = (adoption, adopted.clone());
        let pods = PodParts {
            adoption,
            asks: asks.clone(),
            status: PodStatusParts { attached: attached(), untold },
        };
        runtime.spawn(cluster.follow(newest.subscribe(), pools, pods));
    }
    if let Some(standalone) = &standalone {
        runtime.spawn(standalone.follow(newest.subscribe()));
    }
    if let Some(attaching) = &attaching {
        runtime.spawn(attaching.look_at_nics(newest.subscribe()));
    }
    // A container gives what its manifest says, and the node's own rules may take of it.
    if attaching.is_some() && config.cluster.is_some() {
        let places = Places {
            procfs: config.procfs.clone(),
            sysfs,
            state_dir: config.state_dir.clone(),
            run_dir: config.run_dir.clone(),
        };
        abilities::look(places, cache.handle.clone());
    }
    if attaching.is_some() {
        let adopted = cluster_is_there.then(|| adopted.subscribe());
        runtime.spawn(stand_in_for_runtimes(
            config.clone(),
            adopted,
            cache.handle.clone(),
            Arc::clone(&health),
        ));
    }
    if let Some(pfs) = &pfs {
        runtime.spawn(pfs.follow(newest.subscribe(), &networks));
    }
    let mut pools = Pools::default();
    if config.machine == Machine::Live {
        let calls = attaching.as_ref().map(Attaching::calls);
        let _in_runtime = runtime.enter();
        pools = device_plugin::start(PluginParts {
            settings,
            newest: newest.subscribe(),
            cache: cache.handle.clone(),
            metrics: Arc::clone(&metrics),
            log: Arc::clone(&log),
            pfs_settled: pfs.as_ref().map(PfTask::settled),
            attached: Box::new(move || {
                let all = calls.as_ref().map_or_else(Vec::new, |calls| calls.engine().attachments());
                all.iter().flat_map(|one| one.links.iter().map(|link| link.nic.clone())).collect()
            }),
        });
    }
    let (close, closing) = watch::channel(false);
    let shared = Shared {
        settings: settings.clone(),
        agent: openapi::Agent {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            epoch: log.epoch().to_owned(),
            standalone: config.cluster.is_none(),
            started: rfc3339(started),
        },
        newest: newest.subscribe(),
        events: log,
        health: Arc::clone(&health),
        metrics: Arc::clone(&metrics),
        streams: Arc::new(Semaphore::new(settings.limits.event_streams as usize)),
        closing: closing.clone(),
        networks: networks.clone(),
        calls: attaching.as_ref().map(Attaching::calls),
        pfs: pfs.as_ref().map(PfTask::handle),
        pools,
        config_dir: config.config_dir.clone(),
        legacy_api: config.legacy_api,
    };
    let (alive, ended) = mpsc::channel(1);
    let server = Server {
        router: router(RestState(Arc::new(shared))),
        limits: settings.limits.clone(),
        health,
        metrics,
        cache: cache.handle.clone(),
        closing,
        alive,
    };
    let served = runtime.block_on(serve(&config, server, close, ended));
    // Connections that did not end in time are cut off here.
    runtime.shutdown_timeout(Duration::from_millis(200));
    if let Some(pfs) = pfs {
        pfs.stop();
    }
    if let Some(attaching) = attaching {
        attaching.stop();
    }
    drop(standalone);
    drop(routes);
    cache.stop();
    tracing::info!("ended");
    served.map_err(AgentError::Runtime)
}

/// Lets runtimes find us, in this order: their executables, then our place in the cluster network's list.
async fn stand_in_for_runtimes(
    config: Config,
    adopted: Option<adoption::Done>,
    cache: CacheHandle,
    health: Arc<Health>,
) {
    if config.plugins.is_none() && config.chain.is_none() {
        return;
    }
    if let Some(mut adopted) = adopted
        && adopted.wait_for(|done| *done).await.is_err()
    {
        return;
    }
    predecessor::wait_for_its_end(config.take_over, &cache, &health).await;
    let installed = watch::Sender::new(config.plugins.is_none());
    if let Some(folders) = config.plugins {
        tokio::spawn(plugins::keep(folders, cache, installed.clone()));
    }
    let Some(folder) = config.chain else { return };
    if installed.subscribe().wait_for(|installed| *installed).await.is_ok()
        && let Err(error) = chained::keep_list(folder).await
    {
        tracing::error!(%error, "changes of the cluster network's list are not noticed");
    }
}

/// Networks from files.
fn standalone(
    config: &Config,
    store: Option<Arc<Store>>,
    networks: &Current,
    newest: Newest,
) -> Option<Standalone> {
    let planner = PlannerParts {
        folder: config.config_dir.clone(),
        classes: config.settings.attach_classes(),
        store,
        networks: networks.clone(),
    };
    Standalone::start(StandaloneParts { planner, newest })
        .inspect_err(|error| tracing::error!(%error, "changes of networks are not noticed"))
        .ok()
}

/// Makes the mode of RDMA devices what is wanted, as far as the kernel does it now; the agent goes on without, and warns.
fn set_rdma_mode(roots: &sriov::Roots, wanted: sriov::rdma::RdmaMode, cache: &CacheHandle) {
    match sriov::rdma::make_mode(roots, wanted) {
        Ok(true) => tracing::info!(mode = %wanted, "the mode of RDMA devices was set"),
        Ok(false) => {}
        Err(error) => {
            let error = sriov::SriovError::from(error).sentence();
            tracing::warn!(error, "the mode of RDMA devices is another");
            let message = format!("`rdmaMode: {wanted}` was not set: {error}");
            let fix = "do what it says, or take `rdmaMode` out of agent.yaml; it is tried at the agent's next start";
            let warning = Warning::new(WarningCode::RdmaModeOther, None, message, fix);
            cache.raise_warning(warning, "rdmaMode");
        }
    }
}

/// Opens the listeners, waits for the signal, and lets everything end.
async fn serve(
    config: &Config,
    server: Server,
    close: watch::Sender<bool>,
    mut ended: mpsc::Receiver<()>,
) -> std::io::Result<()> {
    // Before anybody is told that we are ready: a signal right after that must not kill.
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    server.listen_unix(&config.run_dir).await;
    server.listen_tcp(&config.settings.listen).await;
    drop(server);
    systemd::notify("READY=1\nSTATUS=serving the inventory");
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
    tracing::info!("ending");
    systemd::notify("STOPPING=1");
    close.send_replace(true);
    if tokio::time::timeout(FAREWELL, ended.recv()).await.is_err() {
        tracing::info!("some clients did not leave; cutting them off");
    }
    Ok(())
}

/// What is kept over restarts.
struct Remembered {
    _lock: Option<Lock>,
    store: Option<Arc<Store>>,
    memory: Memory,
}

/// Takes the state folder and opens the store. A folder that cannot be written costs the memory, not the agent.
fn remember(config: &Config, health: &Arc<Health>) -> Result<Remembered, AgentError> {
    let health = Arc::clone(health);
    if config.machine != Machine::Live {
        let memory = Memory::none(StoreState::NotUsed, None, health);
        return Ok(Remembered { _lock: None, store: None, memory });
    }
    let without = |error: &(dyn std::error::Error + 'static), health| {
        tracing::warn!(
            error = chain(error),
            "there is no store; what is learnt now is forgotten with the process"
        );
        Memory::none(StoreState::Unavailable, Some(chain(error)), health)
    };
    let taken = Lock::acquire(&config.state_dir);
    let taken = match &taken {
        Err(held @ LockError::Held { .. }) => {
            tracing::info!(seconds = LOCK_PATIENCE.as_secs(), "{held}: waiting for its end");
            Lock::acquire_within(&config.state_dir, LOCK_PATIENCE)
        }
        _ => taken,
    };
    let lock = match taken {
        Ok(lock) => lock,
        Err(held @ LockError::Held { .. }) => return Err(held.into()),
        Err(unusable) => {
            return Ok(Remembered { _lock: None, store: None, memory: without(&unusable, health) });
        }
    };
    match Store::open(&config.state_dir, &Identity::of_this_machine()) {
        Ok((store, opening)) => {
            let store = Arc::new(store);
            let memory = Memory::in_store(Arc::clone(&store), &opening, health);
            Ok(Remembered { _lock: Some(lock), store: Some(store), memory })
        }
        Err(refused @ (StoreError::Newer { .. } | StoreError::InUse { .. })) => Err(refused.into()),
        Err(unusable) => {
            Ok(Remembered { _lock: Some(lock), store: None, memory: without(&unusable, health) })
        }
    }
}

/// Names this run: the time it started, in hexadecimal microseconds.
fn epoch(started: SystemTime) -> String {
    format!("{:x}", started.duration_since(UNIX_EPOCH).unwrap_or_default().as_micros())
}

/// Thousands of connections need as many descriptors: takes what the hard limit allows.
fn raise_descriptor_limit() {
    use nix::sys::resource::{Resource, getrlimit, setrlimit};
    let raised = getrlimit(Resource::RLIMIT_NOFILE).and_then(|(soft, hard)| {
        if soft < hard { setrlimit(Resource::RLIMIT_NOFILE, hard, hard) } else { Ok(()) }
    });
    if let Err(error) = raised {
        tracing::warn!(%error, "raise the limit of open files");
    }
}

/// Takes a folder's access from everybody but root: a kubelet that makes it for a pod leaves it open (TRAPS P13).
fn close_to_others(folder: &Path) {
    let Ok(found) = fs::metadata(folder) else { return };
    if found.is_dir() && found.permissions().mode() & 0o077 != 0 {
        match fs::set_permissions(folder, Permissions::from_mode(0o700)) {
            Ok(()) => tracing::info!(folder = %folder.display(), "closed to others"),
            Err(error) => tracing::warn!(%error, folder = %folder.display(), "it stays open to others"),
        }
    }
}

/// An error with everything behind it, on one line.
pub(crate) fn chain(error: &(dyn std::error::Error + 'static)) -> String {
    let causes = std::iter::successors(Some(error), |error| error.source());
    causes.map(ToString::to_string).collect::<Vec<_>>().join(": ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_that_somebody_left_open_is_closed() {
        let root = tempfile::tempdir().unwrap();
        let folder = root.path().join("state");
        fs::create_dir(&folder).unwrap();
        fs::set_permissions(&folder, Permissions::from_mode(0o755)).unwrap();

        close_to_others(&folder);
        close_to_others(&root.path().join("away"));

        assert_eq!(fs::metadata(&folder).unwrap().permissions().mode() & 0o777, 0o700);
    }
}
