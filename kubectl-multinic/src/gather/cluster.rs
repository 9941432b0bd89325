//! What is in the cluster, as facts.

use std::collections::BTreeMap;
use std::path::PathBuf;

use anyhow::{Context, anyhow};
use kube::Client;
use kube::config::{KubeConfigOptions, Kubeconfig};

use super::{begun, objects};
use crate::facts::{Facts, NodeFacts, Unread};
use crate::way::words;

/// How the cluster is come to.
#[derive(Debug, Clone, Default)]
pub(crate) struct Access {
    /// The kubeconfig; absent: KUBECONFIG, `~/.kube/config`, or the account of a pod.
    pub(crate) kubeconfig: Option<PathBuf>,
    /// Its context; absent: the current one.
    pub(crate) context: Option<String>,
    /// Namespace of our operator and agents.
    pub(crate) system_namespace: String,
}

/// A cluster.
pub(crate) struct Cluster {
    pub(crate) client: Client,
    /// Namespace of its context.
    pub(crate) namespace: String,
    /// Namespace of our operator and agents.
    pub(crate) system_namespace: String,
}

impl Cluster {
    /// # Errors
    /// When the kubeconfig leads to none.
    pub(crate) async fn open(access: &Access) -> anyhow::Result<Self> {
        let options = KubeConfigOptions { context: access.context.clone(), ..KubeConfigOptions::default() };
        let config = match &access.kubeconfig {
            Some(file) => {
                let named = || format!("read the kubeconfig {}", file.display());
                let kubeconfig = Kubeconfig::read_from(file).with_context(named)?;
                kube::Config::from_custom_kubeconfig(kubeconfig, &options).await.with_context(named)?
            }
            None if access.context.is_some() => kube::Config::from_kubeconfig(&options).await?,
            None => kube::Config::infer().await.context(
                "find the cluster; give --kubeconfig, or --local to ask the agent of this machine alone",
            )?,
        };
        let namespace = config.default_namespace.clone();
        let client = Client::try_from(config).context("make a client")?;
        Ok(Self { client, namespace, system_namespace: access.system_namespace.clone() })
    }

    /// What is in it. What may not be read is noted; agents are not asked.
    ///
    /// # Errors
    /// When the API server does not answer.
    pub(crate) async fn facts(&self, wanted: Wanted) -> anyhow::Result<Facts> {
        let client = &self.client;
        client.apiserver_version().await.map_err(|error| anyhow!("ask the API server: {}", words(&error)))?;
        let mut notes = Notes::default();
        let mut facts = begun();
        facts.install = objects::install(client, &self.system_namespace, &mut notes).await;
        facts.networks = notes.list("MultiNicNetworks", objects::list(client).await);
        facts.cidrs = notes.list("CIDRs", objects::list(client).await);
        facts.pools = notes.list("IPPools", objects::list(client).await);
        let host_interfaces: Vec<crds::cluster::HostInterface> =
            notes.list("HostInterfaces", objects::list(client).await);
        if facts.install.knows_attachment_definitions {
            let all = notes.list("NetworkAttachmentDefinitions", objects::list(client).await);
            facts.attachment_definitions = all.into_iter().filter(objects::is_ours).collect();
        }
        facts.namespaces = notes.list("namespaces", objects::namespaces(client).await);
        let mut nodes: BTreeMap<String, NodeFacts> = BTreeMap::new();
        for node in notes.list("nodes", objects::nodes(client).await) {
            nodes.insert(node.name.clone(), node);
        }
        for object in host_interfaces {
            let name = object.metadata.name.clone().unwrap_or_default();
            let node =
                nodes.entry(name.clone()).or_insert_with(|| NodeFacts { name, ..NodeFacts::default() });
            node.host_interface = Some(object);
        }
        let agents = objects::programs(client, &self.system_namespace, "app=multi-nicd").await;
        for (name, program) in notes.list("pods of the agents", agents) {
            if let Some(node) = nodes.get_mut(&name) {
                node.program = Some(program);
            }
        }
        facts.nodes = nodes.into_values().collect();
        if wanted == Wanted::Pods {
            facts.pods = notes.list("pods", objects::pods(client).await);
            facts.events = notes.list("events", objects::events(client).await);
        }
        facts.unread = notes.unread;
        Ok(facts)
    }
}

/// How much is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Wanted {
    /// What our parts wrote, and nodes.
    Objects,
    /// Also every pod that asks for networks, and events.
    Pods,
}

/// What could not be read.
#[derive(Default)]
pub(super) struct Notes {
    unread: Vec<Unread>,
}

impl Notes {
    /// What was read; nothing, and a note, when it could not be.
    pub(super) fn list<T>(&mut self, what: &str, read: Result<Vec<T>, kube::Error>) -> Vec<T> {
        read.unwrap_or_else(|error| {
            self.unread.push(Unread { what: what.to_owned(), why: words(&error) });
            Vec::new()
        })
    }
}
