//! What the driver reads of the cluster.

use std::path::Path;

use anyhow::Context;
use crds::cluster::{Cidr, HostInterface, MultiNicNetwork, NetworkAttachmentDefinition};
use crds::foreign::RESOURCE_NAME_ANNOTATION;
use k8s_openapi::api::core::v1::{Node, Pod};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::OwnerReference;
use kube::api::ListParams;
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::{Api, Client, Config, ResourceExt};

use crate::networks::Seen;

/// A client, and the namespace that the driver itself is in.
///
/// # Errors
/// When nothing says how to reach the cluster.
pub(crate) async fn client(kubeconfig: Option<&Path>) -> anyhow::Result<(Client, String)> {
    let config = match kubeconfig {
        Some(file) => {
            let file = Kubeconfig::read_from(file).context("read --kubeconfig")?;
            Config::from_custom_kubeconfig(file, &KubeConfigOptions::default()).await?
        }
        None => Config::infer().await.context(
            "nothing says how to reach the cluster: give --kubeconfig, set KUBECONFIG, or run in a pod with an account",
        )?,
    };
    let namespace = config.default_namespace.clone();
    Ok((Client::try_from(config)?, namespace))
}

/// Networks, blocks, NICs and nodes.
///
/// # Errors
/// When the API server refuses or cannot be reached.
pub(crate) async fn read(client: &Client) -> anyhow::Result<Seen> {
    let all = ListParams::default();
    let networks: Api<MultiNicNetwork> = Api::all(client.clone());
    let cidrs: Api<Cidr> = Api::all(client.clone());
    let hosts: Api<HostInterface> = Api::all(client.clone());
    let nodes: Api<Node> = Api::all(client.clone());
    Ok(Seen {
        networks: networks.list(&all).await.context("list multinicnetworks")?.items,
        cidrs: cidrs.list(&all).await.context("list cidrs")?.items,
        host_interfaces: hosts.list(&all).await.context("list hostinterfaces")?.items,
        nodes: nodes.list(&all).await.context("list nodes")?.iter().map(ResourceExt::name_any).collect(),
    })
}

/// The extended resource that pods on a network have to ask for, as its attachment definition says. Absent: none, also
/// where attachment definitions are not known.
pub(crate) async fn resource(client: &Client, namespace: &str, network: &str) -> Option<String> {
    let definitions: Api<NetworkAttachmentDefinition> = Api::namespaced(client.clone(), namespace);
    let definition = definitions.get(network).await.ok()?;
    definition.annotations().get(RESOURCE_NAME_ANNOTATION).cloned()
}

/// What the driver's own pod tells.
#[derive(Debug, Clone, Default)]
pub(crate) struct OwnPod {
    /// Its image.
    pub(crate) image: Option<String>,
    /// Its Job: pods of the run go when it goes, whatever happens to the driver.
    pub(crate) owner: Option<OwnerReference>,
}

/// The driver's own pod.
///
/// # Errors
/// When it cannot be read.
pub(crate) async fn own_pod(client: &Client, namespace: &str, name: &str) -> anyhow::Result<OwnPod> {
    let pods: Api<Pod> = Api::namespaced(client.clone(), namespace);
    let pod = pods.get(name).await.with_context(|| format!("get the driver's own pod {namespace}/{name}"))?;
    let owner = pod.owner_references().iter().find(|owner| owner.controller == Some(true)).cloned();
    let owner = owner.map(|owner| OwnerReference { controller: None, block_owner_deletion: None, ..owner });
    let image = pod.spec.and_then(|spec| spec.containers.into_iter().next()?.image);
    Ok(OwnPod { image, owner })
}
