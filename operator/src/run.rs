//! Puts the parts together, waits for the end.

use k8s_openapi::api::coordination::v1::Lease;
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::{Api, Client, Config};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::{mpsc, watch};

use crate::cli::Cli;
use crate::control::Control;
use crate::lease::{Candidate, Election, release};
use crate::metrics::Metrics;
use crate::sriov::SriovSettings;
use crate::writer::Writer;
use crate::{server, watch as watches};

/// News that wait to be taken in.
const NEWS: usize = 1024;

/// Why the operator ends.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RunError {
    /// It is not told how to reach the cluster.
    #[error("read how to reach the cluster")]
    Kubeconfig(#[from] kube::config::KubeconfigError),
    /// It is not told how to reach the cluster.
    #[error("neither --kubeconfig, nor KUBECONFIG, nor the account of a pod says how to reach the cluster")]
    Infer(#[from] kube::config::InferConfigError),
    /// The client cannot be made.
    #[error("make a client of the API server")]
    Client(#[from] kube::Error),
    /// No runtime, or no listener.
    #[error("start")]
    Start(#[from] std::io::Error),
    /// Another operator may lead.
    #[error("the Lease was lost: another operator may lead")]
    LeaseLost,
    /// The owner of the index has ended.
    #[error("the planning task has ended")]
    ControlEnded,
}

/// Runs the operator until SIGTERM or SIGINT.
///
/// # Errors
/// When it cannot begin, and when it has led and no longer does.
pub fn run(cli: &Cli) -> Result<(), RunError> {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    runtime.block_on(serve(cli))
}

async fn serve(cli: &Cli) -> Result<(), RunError> {
    let mut config = match &cli.kubeconfig {
        Some(file) => {
            let file = Kubeconfig::read_from(file)?;
            Config::from_custom_kubeconfig(file, &KubeConfigOptions::default()).await?
        }
        None => Config::infer().await?,
    };
    config.default_namespace.clone_from(&cli.namespace);
    let client = Client::try_from(config)?;
    let metrics = Metrics::new();

    let complete = watch::Sender::new(false);
    server::probes(cli.health_probe_bind_address, complete.subscribe()).await?;
    if let Some(address) = cli.metrics_bind_address {
        server::metrics(address, metrics.clone()).await?;
    }
    let leases: Api<Lease> = Api::namespaced(client.clone(), &cli.namespace);
    let identity = cli.identity.clone().unwrap_or_else(own_name);
    let candidate = Candidate { identity: identity.clone(), seconds: cli.lease_seconds };
    let election = Election::new(leases.clone(), candidate, metrics.clone());
    let (hold, leading) = (election.hold(), election.leading());
    let (news, coming) = mpsc::channel(NEWS);
    let sriov_namespace = (!cli.without_sriov_operator).then_some(cli.sriov_namespace.as_str());
    watches::start(&client, &news, &metrics, sriov_namespace);
    let writer = Writer::new(client.clone(), metrics.clone(), hold, &identity);
    let sriov = SriovSettings {
        namespace: cli.sriov_namespace.clone(),
        resource_prefix: cli.sriov_resource_prefix.clone(),
        ..SriovSettings::default()
    };
    let control = Control::new(writer, metrics, complete, sriov, cli.without_multus);

    let mut term = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    tokio::select! {
        _ = election.run() => return Err(RunError::LeaseLost),
        () = control.run(coming, leading) => return Err(RunError::ControlEnded),
        _ = term.recv() => {}
        _ = interrupt.recv() => {}
    }
    tracing::info!("the operator ends");
    release(&leases, &identity).await;
    Ok(())
}

/// The host's name and the number of the process.
fn own_name() -> String {
    let host = nix::unistd::gethostname().unwrap_or_default();
    format!("{}_{}", host.to_string_lossy(), std::process::id())
}

/// An error with its causes, for logs and conditions.
pub fn sentence(error: &dyn std::error::Error) -> String {
    let causes = std::iter::successors(Some(error), |error| error.source());
    causes.map(ToString::to_string).collect::<Vec<_>>().join(": ")
}
