//! The way to the API server: a kubeconfig, or the account that the cluster gives a pod.

use std::path::PathBuf;
use std::time::Duration;

use kube::Client;
use kube::config::{InClusterError, KubeConfigOptions, Kubeconfig, KubeconfigError};

/// How soon another try is made to read what leads to the API server.
const RETRY: Duration = Duration::from_secs(10);

/// How the agent comes to the API server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Access {
    /// By the account of its pod: the files below `/var/run/secrets/kubernetes.io/serviceaccount`, and the server that
    /// `KUBERNETES_SERVICE_HOST` and `KUBERNETES_SERVICE_PORT` name.
    InCluster,
    /// By a kubeconfig file.
    Kubeconfig(PathBuf),
}

/// Why there is no way to the API server.
#[derive(Debug, thiserror::Error)]
enum AccessError {
    #[error("read the kubeconfig {}", file.display())]
    Kubeconfig {
        file: PathBuf,
        #[source]
        source: Box<KubeconfigError>,
    },
    #[error("read the account of this pod; outside of a pod give --kubeconfig")]
    Account(#[source] InClusterError),
    #[error("make a client")]
    Client(#[source] Box<kube::Error>),
}

/// What went wrong, once: the server's own word where it has answered, else all that stands behind.
pub(super) fn words(error: &(dyn std::error::Error + 'static)) -> String {
    let mut causes = std::iter::successors(Some(error), |error| error.source());
    let answer = causes.find_map(|cause| match cause.downcast_ref::<kube::Error>() {
        Some(kube::Error::Api(status)) => Some(status),
        _ => None,
    });
    match answer {
        Some(status) => format!("the server says {}: {}", status.code, status.message),
        None => datapath::sentence(error),
    }
}

/// A client, as soon as there can be one. Whether the server answers is not asked.
pub(super) async fn client(access: &Access) -> Client {
    let mut told = String::new();
    loop {
        match open(access).await {
            Ok(client) => return client,
            Err(error) => {
                let error = words(&error);
                if error != told {
                    tracing::error!(error, "the cluster cannot be reached; what is remembered of it counts");
                    told = error;
                }
                tokio::time::sleep(RETRY).await;
            }
        }
    }
}

async fn open(access: &Access) -> Result<Client, AccessError> {
    let config = match access {
        Access::InCluster => kube::Config::incluster_env().map_err(AccessError::Account)?,
        Access::Kubeconfig(file) => {
            let wrong = |source| AccessError::Kubeconfig { file: file.clone(), source: Box::new(source) };
            let kubeconfig = Kubeconfig::read_from(file).map_err(wrong)?;
            let of_file = kubeconfig.clusters.iter().filter_map(|one| one.cluster.as_ref());
            let names_proxy = of_file.into_iter().any(|cluster| cluster.proxy_url.is_some());
            let options = KubeConfigOptions::default();
            let mut config =
                kube::Config::from_custom_kubeconfig(kubeconfig, &options).await.map_err(wrong)?;
            if !names_proxy {
                // Else it would be what HTTPS_PROXY says: nothing comes from the environment unasked.
                config.proxy_url = None;
            }
            config
        }
    };
    Client::try_from(config).map_err(|error| AccessError::Client(Box::new(error)))
}
