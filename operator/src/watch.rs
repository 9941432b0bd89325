//! What happens in the cluster, as the index wants it: one watch a kind.
//!
//! Objects come as untyped JSON and are read one by one: an object that cannot be read is told of in the log and does not
//! hide the others. Nothing is kept here but what [`seen`](crate::seen) has.

use std::collections::HashSet;

use crds::NETWORK_LABEL;
use futures_util::{StreamExt, pin_mut};
use kube::api::{Api, ApiResource, DynamicObject};
use kube::runtime::{WatchStreamExt, watcher};
use kube::{Client, Resource};
use serde::de::DeserializeOwned;
use serde_json::Value;
use tokio::sync::mpsc;

use crate::index::{News, Told};
use crate::metrics::Metrics;
use crate::seen::{
    Attachment, Blocks, Class, Former, FunctionNetwork, Host, Key, Meta, Namespace, Network, Node, NodeState,
    NvidiaPolicy, Policy, Seen, Settings, Version, Versioned,
};
use crate::write::FIELD_MANAGER;

/// Group of the SR-IOV operator's kinds.
pub(crate) const SRIOV_GROUP: &str = "sriovnetwork.openshift.io";

/// Annotation of a network that was made from one of the former group.
pub(crate) const MIRRORED_FROM: &str = "multinic.fms.io/mirrored-from";

/// Starts all watches. They end when nobody listens any more. Without the SR-IOV operator's namespace its kinds count as
/// unknown to the server, which is not asked: an account without rights to them would be refused, not told so.
pub(crate) fn start(
    client: &Client,
    news: &mpsc::Sender<News>,
    metrics: &Metrics,
    sriov_namespace: Option<&str>,
) {
    let ours = |kind, plural| resource(crds::GROUP, "v1", kind, plural);
    let core = |kind, plural| resource("", "v1", kind, plural);
    follow(client, news, metrics, ours("MultiNicNetwork", "multinicnetworks"), network, News::Network);
    follow(client, news, metrics, ours("HostInterface", "hostinterfaces"), host, News::Host);
    follow(client, news, metrics, ours("CIDR", "cidrs"), blocks, News::Blocks);
    follow(client, news, metrics, ours("DeviceClass", "deviceclasses"), class, News::Class);
    follow(client, news, metrics, ours("Config", "configs"), settings, News::Settings);
    follow(client, news, metrics, core("Node", "nodes"), node, News::Node);
    follow(client, news, metrics, core("Namespace", "namespaces"), namespace, News::Namespace);
    follow(client, news, metrics, attachment_resource(), attachment, News::Attachment);
    let former = |kind, plural| resource(crds::FORMER_GROUP, "v1", kind, plural);
    follow(
        client,
        news,
        metrics,
        former("MultiNicNetwork", "multinicnetworks"),
        former_object,
        News::FormerNetwork,
    );
    follow(client, news, metrics, former("DeviceClass", "deviceclasses"), former_object, News::FormerClass);
    follow(client, news, metrics, former("Config", "configs"), former_object, News::FormerSettings);
    follow(client, news, metrics, former("CIDR", "cidrs"), blocks, News::FormerBlocks);
    let nvidia = resource("mellanox.com", "v1alpha1", "NicClusterPolicy", "nicclusterpolicies");
    follow(client, news, metrics, nvidia, nvidia_policy, News::NvidiaPolicy);
    let Some(sriov_namespace) = sriov_namespace else {
        let news = news.clone();
        tokio::spawn(async move {
            for absent in [
                News::Policy(Told::NoSuchKind),
                News::FunctionNetwork(Told::NoSuchKind),
                News::NodeState(Told::NoSuchKind),
            ] {
                // Nobody listens any more: the operator ends.
                let _ = news.send(absent).await;
            }
        });
        return;
    };
    let within = |kind, plural| Place {
        resource: resource(SRIOV_GROUP, "v1", kind, plural),
        namespace: Some(sriov_namespace.to_owned()),
    };
    follow(
        client,
        news,
        metrics,
        within("SriovNetworkNodePolicy", "sriovnetworknodepolicies"),
        policy,
        News::Policy,
    );
    follow(
        client,
        news,
        metrics,
        within("SriovNetwork", "sriovnetworks"),
        function_network,
        News::FunctionNetwork,
    );
    follow(
        client,
        news,
        metrics,
        within("SriovNetworkNodeState", "sriovnetworknodestates"),
        node_state,
        News::NodeState,
    );
}

/// A kind of the server.
pub(crate) fn resource(group: &str, version: &str, kind: &str, plural: &str) -> ApiResource {
    let api_version = if group.is_empty() { version.to_owned() } else { format!("{group}/{version}") };
    ApiResource {
        group: group.to_owned(),
        version: version.to_owned(),
        api_version,
        kind: kind.to_owned(),
        plural: plural.to_owned(),
    }
}

/// NetworkAttachmentDefinition.
pub(crate) fn attachment_resource() -> ApiResource {
    resource("k8s.cni.cncf.io", "v1", "NetworkAttachmentDefinition", "network-attachment-definitions")
}

/// What is watched.
struct Place {
    resource: ApiResource,
    /// Only there.
    namespace: Option<String>,
}

impl From<ApiResource> for Place {
    fn from(resource: ApiResource) -> Self {
        Self { resource, namespace: None }
    }
}

/// How an object is read.
pub(crate) type Read<T> = fn(&DynamicObject) -> Result<T, serde_json::Error>;

fn follow<T: Seen + Send + Sync + 'static>(
    client: &Client,
    news: &mpsc::Sender<News>,
    metrics: &Metrics,
    place: impl Into<Place>,
    read: Read<T>,
    wrap: fn(Told<T>) -> News,
) {
    let Place { resource, namespace } = place.into();
    let api: Api<DynamicObject> = match &namespace {
        Some(namespace) => Api::namespaced_with(client.clone(), namespace, &resource),
        None => Api::all_with(client.clone(), &resource),
    };
    let (news, kind, restarts) = (news.clone(), resource.kind.clone(), metrics.watch_errors(&resource.kind));
    tokio::spawn(async move {
        // The beginning of a list is told before the server is asked, and would end the pauses between tries like a success.
        let answers = watcher(api, watcher::Config::default())
            .filter(|event| std::future::ready(!matches!(event, Ok(watcher::Event::Init))));
        let stream = answers.default_backoff();
        pin_mut!(stream);
        // What cannot be read is told of once, not with every new list.
        let mut unreadable = HashSet::new();
        let mut listing = false;
        loop {
            let event = stream.next().await;
            let of_list = matches!(event, Some(Ok(watcher::Event::InitApply(_) | watcher::Event::InitDone)));
            if of_list && !listing && news.send(wrap(Told::Begin)).await.is_err() {
                return;
            }
            listing = of_list && !matches!(event, Some(Ok(watcher::Event::InitDone)));
            let told = match event {
                None => return,
                Some(Err(error)) => {
                    if is_unknown_kind(&error) {
                        Told::NoSuchKind
                    } else {
                        restarts.inc();
                        tracing::warn!(%kind, %error, "a watch begins anew");
                        continue;
                    }
                }
                Some(Ok(watcher::Event::Init)) => continue,
                Some(Ok(watcher::Event::InitDone)) => Told::End,
                Some(Ok(watcher::Event::InitApply(object) | watcher::Event::Apply(object))) => {
                    match seen(&object, read) {
                        Ok(object) if of_list => Told::Listed(object),
                        Ok(object) => Told::Changed(object),
                        Err(error) => {
                            complain(&mut unreadable, &kind, &object, &error);
                            continue;
                        }
                    }
                }
                Some(Ok(watcher::Event::Delete(object))) => {
                    let meta = meta(&object);
                    Told::Gone(meta.key, meta.uid)
                }
            };
            if news.send(wrap(told)).await.is_err() {
                return;
            }
        }
    });
}

fn complain(told: &mut HashSet<String>, kind: &str, object: &DynamicObject, error: &serde_json::Error) {
    let key = meta(object).key.to_string();
    if told.insert(key.clone()) {
        tracing::warn!(kind, object = key, %error, "an object cannot be read; it counts as absent");
    }
}

/// The server has no such kind (any more).
fn is_unknown_kind(error: &watcher::Error) -> bool {
    matches!(
        error,
        watcher::Error::InitialListFailed(kube::Error::Api(status))
            | watcher::Error::WatchStartFailed(kube::Error::Api(status)) if status.code == 404
    )
}

/// What the writer gets back, and what a watch tells.
pub(crate) fn seen<T>(object: &DynamicObject, read: Read<T>) -> Result<Versioned<T>, serde_json::Error> {
    let version = Version(object.metadata.resource_version.clone().unwrap_or_default());
    Ok(Versioned { version, object: read(object)? })
}

fn meta(object: &DynamicObject) -> Meta {
    let of = object.meta();
    Meta {
        key: Key {
            namespace: of.namespace.clone().unwrap_or_default(),
            name: of.name.clone().unwrap_or_default(),
        },
        uid: of.uid.clone().unwrap_or_default(),
        generation: of.generation.unwrap_or_default(),
        created: of.creation_timestamp.as_ref().map(|time| time.0.to_string()).unwrap_or_default(),
        labels: of.labels.clone().unwrap_or_default(),
        finalizers: of.finalizers.clone().unwrap_or_default(),
        deleting: of.deletion_timestamp.is_some(),
    }
}

/// Without labels, which mean nothing here: keeping them would make their change one of ours.
fn unlabelled(object: &DynamicObject) -> Meta {
    Meta { labels: std::collections::BTreeMap::new(), ..meta(object) }
}

fn mirrored_from(object: &DynamicObject) -> String {
    let annotations = object.metadata.annotations.as_ref();
    annotations.and_then(|all| all.get(MIRRORED_FROM)).cloned().unwrap_or_default()
}

pub(crate) fn former_object(object: &DynamicObject) -> Result<Former, serde_json::Error> {
    let of = |name: &str| object.data.get(name).cloned().unwrap_or_default();
    Ok(Former { meta: unlabelled(object), spec: of("spec"), status: of("status") })
}

fn part<T: DeserializeOwned>(object: &DynamicObject, name: &str) -> Result<T, serde_json::Error> {
    serde_json::from_value(
        object.data.get(name).cloned().unwrap_or_else(|| Value::Object(serde_json::Map::new())),
    )
}

pub(crate) fn network(object: &DynamicObject) -> Result<Network, serde_json::Error> {
    // A status of the predecessor that cannot be read is written anew.
    let status = part(object, "status").unwrap_or_default();
    Ok(Network {
        meta: unlabelled(object),
        spec: part(object, "spec")?,
        status,
        mirrored_from: mirrored_from(object),
    })
}

pub(crate) fn host(object: &DynamicObject) -> Result<Host, serde_json::Error> {
    let mut meta = meta(object);
    meta.labels.retain(|label, _| label == crds::UNMANAGED_LABEL);
    let status: crds::HostInterfaceStatus = part(object, "status").unwrap_or_default();
    Ok(Host { meta, spec: part(object, "spec")?, routes: status.routes, sriov_plan: status.sriov_plan })
}

pub(crate) fn blocks(object: &DynamicObject) -> Result<Blocks, serde_json::Error> {
    Ok(Blocks { meta: unlabelled(object), spec: part(object, "spec")? })
}

pub(crate) fn class(object: &DynamicObject) -> Result<Class, serde_json::Error> {
    Ok(Class { meta: unlabelled(object), spec: part(object, "spec")?, mirrored_from: mirrored_from(object) })
}

pub(crate) fn settings(object: &DynamicObject) -> Result<Settings, serde_json::Error> {
    Ok(Settings {
        meta: unlabelled(object),
        spec: part(object, "spec")?,
        mirrored_from: mirrored_from(object),
    })
}

pub(crate) fn attachment(object: &DynamicObject) -> Result<Attachment, serde_json::Error> {
    let mut meta = meta(object);
    meta.labels.retain(|label, _| label == crate::attachment::GENERATED_LABEL);
    let annotations = object.metadata.annotations.as_ref();
    let resource_name = annotations.and_then(|all| all.get(crds::foreign::RESOURCE_NAME_ANNOTATION));
    let owners = object.metadata.owner_references.iter().flatten();
    let owner = owners.filter(|owner| owner.kind == "MultiNicNetwork").map(|owner| owner.uid.clone()).next();
    let config = object.data.get("spec").and_then(|spec| spec.get("config")).and_then(Value::as_str);
    Ok(Attachment {
        config: config.unwrap_or_default().to_owned(),
        resource_name: resource_name.cloned().unwrap_or_default(),
        owner: owner.unwrap_or_default(),
        config_by: config_by(object),
        meta,
    })
}

/// Who owns `spec.config` beside us; we, when nobody else does.
fn config_by(object: &DynamicObject) -> String {
    let mut found = String::new();
    for entry in object.metadata.managed_fields.iter().flatten() {
        let owns = entry
            .fields_v1
            .as_ref()
            .is_some_and(|fields| fields.0.get("f:spec").and_then(|spec| spec.get("f:config")).is_some());
        let manager = entry.manager.clone().unwrap_or_default();
        if owns && (found.is_empty() || manager != FIELD_MANAGER) {
            found = manager;
        }
    }
    found
}

fn node(object: &DynamicObject) -> Result<Node, serde_json::Error> {
    let texts = |value: Option<&Value>| -> Vec<String> {
        let all = value.and_then(Value::as_array).into_iter().flatten();
        all.filter_map(|one| one.as_str().map(str::to_owned)).collect()
    };
    let mut meta = meta(object);
    let labels = std::mem::take(&mut meta.labels);
    // Kubelets write their status every few seconds; nothing else of a Node's metadata means anything here.
    meta.generation = 0;
    meta.finalizers.clear();
    let addresses =
        object.data.get("status").and_then(|status| status.get("addresses")).and_then(Value::as_array);
    let is_address =
        |one: &&Value| matches!(one.get("type").and_then(Value::as_str), Some("InternalIP" | "ExternalIP"));
    let addresses = addresses.into_iter().flatten().filter(is_address);
    let spec = object.data.get("spec");
    let mut pod_ranges = texts(spec.and_then(|spec| spec.get("podCIDRs")));
    if pod_ranges.is_empty() {
        let single = spec.and_then(|spec| spec.get("podCIDR")).and_then(Value::as_str);
        pod_ranges.extend(single.filter(|one| !one.is_empty()).map(str::to_owned));
    }
    Ok(Node {
        meta,
        labels,
        addresses: addresses
            .filter_map(|one| one.get("address").and_then(Value::as_str).map(str::to_owned))
            .collect(),
        pod_ranges,
    })
}

pub(crate) fn policy(object: &DynamicObject) -> Result<Policy, serde_json::Error> {
    Ok(Policy { meta: sriov_meta(object), spec: part(object, "spec")? })
}

pub(crate) fn function_network(object: &DynamicObject) -> Result<FunctionNetwork, serde_json::Error> {
    Ok(FunctionNetwork { meta: sriov_meta(object), spec: part(object, "spec")? })
}

/// Our mark alone; the finalizers are that operator's business.
fn sriov_meta(object: &DynamicObject) -> Meta {
    let mut meta = meta(object);
    meta.labels
        .retain(|label, _| [crate::attachment::GENERATED_LABEL, NETWORK_LABEL].contains(&label.as_str()));
    meta.finalizers.clear();
    meta
}

fn node_state(object: &DynamicObject) -> Result<NodeState, serde_json::Error> {
    Ok(NodeState { meta: unlabelled(object), status: part(object, "status")? })
}

fn nvidia_policy(object: &DynamicObject) -> Result<NvidiaPolicy, serde_json::Error> {
    Ok(NvidiaPolicy { meta: unlabelled(object), spec: part(object, "spec")? })
}

fn namespace(object: &DynamicObject) -> Result<Namespace, serde_json::Error> {
    let meta = unlabelled(object);
    let phase = object.data.get("status").and_then(|status| status.get("phase")).and_then(Value::as_str);
    let active = phase == Some("Active") && !meta.deleting;
    Ok(Namespace { meta, active })
}
