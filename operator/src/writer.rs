//! The only place that changes anything in the cluster.

use std::sync::Arc;
use std::time::{Duration, Instant};

use crds::NETWORK_LABEL;
use k8s_openapi::api::core::v1::ObjectReference;
use kube::Client;
use kube::api::{
    Api, ApiResource, DeleteParams, DynamicObject, ListParams, Patch, PatchParams, PostParams, Preconditions,
};
use kube::core::Status;
use kube::runtime::events::{Event, EventType, Recorder, Reporter};
use serde_json::{Value, json};
use tokio::sync::Semaphore;

use crate::announcement::Announcement;
use crate::attachment::GENERATED_LABEL;
use crate::blocks::number;
use crate::index::{News, Told};
use crate::lease::Hold;
use crate::metrics::{Metrics, Verb};
use crate::network::is_former_finalizer;
use crate::run::sentence;
use crate::seen::Key;
use crate::watch::{self, MIRRORED_FROM, Read, SRIOV_GROUP, attachment_resource, resource, seen};
use crate::write::{FIELD_MANAGER, Finalized, Mirrored, SLICE_LABEL, SriovKind, Write};

/// Requests under way at a time.
const PARALLEL: usize = 16;

/// How long one request may take.
const PATIENCE: Duration = Duration::from_secs(30);

/// The writer.
#[derive(Clone)]
pub(crate) struct Writer {
    client: Client,
    metrics: Metrics,
    hold: Hold,
    permits: Arc<Semaphore>,
    recorder: Recorder,
}

/// Why a change was not made, and with it when to try again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Refusal {
    /// The object is not as it was when the change was planned.
    Changed(String),
    /// The server wants us to wait, for so long.
    Busy(Duration),
    /// The server cannot be reached, or is in trouble.
    Away(String),
    /// The server does not want it: rights, a webhook, the schema, a namespace that ends.
    Refused(String),
    /// This process no longer holds the Lease.
    NotLeading,
}

impl Refusal {
    /// For people.
    pub(crate) fn sentence(&self) -> String {
        match self {
            Self::Changed(why) => format!("somebody changed it at the same time: {why}"),
            Self::Busy(_) => "the API server is busy".to_owned(),
            Self::Away(why) => format!("the API server cannot be asked: {why}"),
            Self::Refused(why) => why.clone(),
            Self::NotLeading => "another operator leads".to_owned(),
        }
    }
}

impl Writer {
    pub(crate) fn new(client: Client, metrics: Metrics, hold: Hold, identity: &str) -> Self {
        let reporter = Reporter { controller: FIELD_MANAGER.to_owned(), instance: Some(identity.to_owned()) };
        let recorder = Recorder::new(client.clone(), reporter);
        Self { client, metrics, hold, permits: Arc::new(Semaphore::new(PARALLEL)), recorder }
    }

    /// Makes a change; what the object is then.
    pub(crate) async fn write(&self, write: &Write) -> Result<Option<News>, Refusal> {
        let Ok(_permit) = self.permits.acquire().await else { return Err(Refusal::NotLeading) };
        if !self.hold.is_held() {
            return Err(Refusal::NotLeading);
        }
        let (verb, kind, begun) = (verb(write), write.key().kind, Instant::now());
        let result = match tokio::time::timeout(PATIENCE, self.carry_out(write)).await {
            Ok(Ok(news)) => Ok(news),
            Ok(Err(error)) => Err(refusal(&error)),
            Err(_) => Err(Refusal::Away(format!("no answer within {} s", PATIENCE.as_secs()))),
        };
        self.metrics.request(verb, kind, result.is_ok(), begun.elapsed());
        if let Err(refusal) = &result {
            tracing::warn!(?verb, kind, object = %write.key().key, refusal = %refusal.sentence(), "a change was not made");
        } else {
            tracing::info!(?verb, kind, object = %write.key().key, "changed");
        }
        result
    }

    async fn carry_out(&self, write: &Write) -> Result<Option<News>, kube::Error> {
        match write {
            Write::Attachment { key, network, definition, force } => {
                let mut object = json!({
                    "apiVersion": "k8s.cni.cncf.io/v1", "kind": "NetworkAttachmentDefinition",
                    "metadata": {
                        "name": key.name, "namespace": key.namespace,
                        "labels": {GENERATED_LABEL: "true"},
                        "ownerReferences": [{
                            "apiVersion": format!("{}/v1", crds::GROUP), "kind": "MultiNicNetwork",
                            "name": network.key.name, "uid": network.uid,
                            "controller": true, "blockOwnerDeletion": true,
                        }],
                    },
                    "spec": {"config": definition.config},
                });
                if !definition.resource_name.is_empty() {
                    object["metadata"]["annotations"] =
                        json!({crds::foreign::RESOURCE_NAME_ANNOTATION: definition.resource_name});
                }
                let api = self.within(&attachment_resource(), key);
                let made = api.patch(&key.name, &apply(*force), &Patch::Apply(&object)).await?;
                Ok(changed(&made, watch::attachment, News::Attachment))
            }
            Write::DeleteAttachment { key, uid } => {
                let api = self.within(&attachment_resource(), key);
                Ok(delete(&api, &key.name, uid)
                    .await?
                    .then(|| News::Attachment(Told::Gone(key.clone(), uid.clone()))))
            }
            Write::CreateBlocks { name, spec } => {
                let mut object = DynamicObject::new(name, &cidr()).data(json!({"spec": spec}));
                object.metadata.labels = Some(block_labels(name, &spec.config.name).into());
                let made = self.all(&cidr()).create(&as_ours(), &object).await?;
                Ok(changed(&made, watch::blocks, News::Blocks))
            }
            Write::UpdateBlocks { name, version, spec } => {
                let labels: std::collections::BTreeMap<String, String> =
                    block_labels(name, &spec.config.name).into();
                let object = json!({
                    "apiVersion": format!("{}/v1", crds::GROUP), "kind": "CIDR",
                    "metadata": {"name": name, "resourceVersion": version.0, "labels": labels},
                    "spec": spec,
                });
                let made = self.all(&cidr()).patch(name, &apply(true), &Patch::Apply(&object)).await?;
                Ok(changed(&made, watch::blocks, News::Blocks))
            }
            Write::DeleteBlocks { name, uid, network: owner, network_gone } => {
                if *network_gone {
                    self.must_be_known(&network()).await?;
                }
                let gone = delete(&self.all(&cidr()), name, uid).await?;
                if *network_gone {
                    self.clear_pools(&format!("netname={owner}")).await?;
                }
                Ok(gone.then(|| News::Blocks(Told::Gone(Key::cluster(name), uid.clone()))))
            }
            Write::DeleteHost { name, uid } => {
                // The watch of Nodes may be behind that of HostInterfaces.
                let nodes = self.all(&resource("", "v1", "Node", "nodes"));
                if nodes.get_metadata_opt(name).await?.is_some() {
                    return Err(not_now(format!("Node {name} is there")));
                }
                let gone = delete(&self.all(&host()), name, uid).await?;
                self.clear_pools(&format!("hostname={name}")).await?;
                Ok(gone.then(|| News::Host(Told::Gone(Key::cluster(name), uid.clone()))))
            }
            Write::Finalizers { kind, name, version, keep } => {
                let resource = match kind {
                    Finalized::Network => network(),
                    Finalized::Blocks => cidr(),
                    Finalized::Host => host(),
                };
                let change = json!({"metadata": {"resourceVersion": version.0, "finalizers": keep}});
                self.all(&resource).patch(name, &merge(), &Patch::Merge(&change)).await?;
                // The watch tells whether it is gone.
                Ok(None)
            }
            Write::NetworkStatus { name, uid, news, status } => {
                let (resource, status) = (network(), json!(status));
                let made = say(&self.all(&resource), &resource, (name, Some(uid)), &status).await?;
                self.announce(name, uid, news).await;
                Ok(changed(&made, watch::network, News::Network))
            }
            Write::SriovObject { kind, key, network, spec } => {
                let resource = sriov(*kind);
                let object = json!({
                    "apiVersion": resource.api_version, "kind": resource.kind,
                    "metadata": {
                        "name": key.name, "namespace": key.namespace,
                        "labels": {GENERATED_LABEL: "true", NETWORK_LABEL: network},
                    },
                    "spec": spec,
                });
                let made = self
                    .within(&resource, key)
                    .patch(&key.name, &apply(true), &Patch::Apply(&object))
                    .await?;
                Ok(match kind {
                    SriovKind::Policy => changed(&made, watch::policy, News::Policy),
                    SriovKind::Network => changed(&made, watch::function_network, News::FunctionNetwork),
                })
            }
            Write::DeleteSriovObject { kind, key, uid, network_gone } => {
                if *network_gone {
                    self.must_be_known(&network()).await?;
                }
                let gone = delete(&self.within(&sriov(*kind), key), &key.name, uid).await?;
                Ok(gone.then(|| match kind {
                    SriovKind::Policy => News::Policy(Told::Gone(key.clone(), uid.clone())),
                    SriovKind::Network => News::FunctionNetwork(Told::Gone(key.clone(), uid.clone())),
                }))
            }
            Write::NodePlan { name, plans } => {
                // Merged, not applied: a server of 1.20 makes null of an applied list of keys that becomes empty, and then
                // refuses that.
                let plans = if plans.is_empty() { Value::Null } else { json!(plans) };
                let change = json!({"status": {"sriovPlan": plans}});
                let made = self.all(&host()).patch_status(name, &merge(), &Patch::Merge(&change)).await?;
                Ok(changed(&made, watch::host, News::Host))
            }
            Write::Mirror { kind, name, from, spec, update } => {
                self.mirror(*kind, name, from, spec, *update).await
            }
            Write::DeleteMirror { kind, name, uid } => {
                self.must_be_known(&mirrored(crds::FORMER_GROUP, *kind)).await?;
                delete(&self.all(&mirrored(crds::GROUP, *kind)), name, uid).await?;
                // The watch tells when it is gone.
                Ok(None)
            }
            Write::FormerStatus { name, status } => {
                let (resource, status) = (mirrored(crds::FORMER_GROUP, Mirrored::Network), json!(status));
                let made = say(&self.all(&resource), &resource, (name, None), &status).await?;
                Ok(changed(&made, watch::former_object, News::FormerNetwork))
            }
        }
    }

    async fn mirror(
        &self,
        kind: Mirrored,
        name: &str,
        from: &str,
        spec: &Value,
        update: bool,
    ) -> Result<Option<News>, kube::Error> {
        let resource = mirrored(crds::GROUP, kind);
        let object = json!({
            "apiVersion": resource.api_version, "kind": resource.kind,
            "metadata": {"name": name, "annotations": {MIRRORED_FROM: from}}, "spec": spec,
        });
        let api = self.all(&resource);
        let made = if update {
            api.patch(name, &apply(true), &Patch::Apply(&object)).await?
        } else {
            let object: DynamicObject = serde_json::from_value(object).map_err(kube::Error::SerdeError)?;
            api.create(&as_ours(), &object).await?
        };
        Ok(match kind {
            Mirrored::Network => changed(&made, watch::network, News::Network),
            Mirrored::Class => changed(&made, watch::class, News::Class),
            Mirrored::Settings => changed(&made, watch::settings, News::Settings),
        })
    }

    /// Deletes the IPPools with a label: agents only fill theirs.
    async fn clear_pools(&self, selector: &str) -> Result<(), kube::Error> {
        let api = self.all(&resource(crds::GROUP, "v1", "IPPool", "ippools"));
        let pools = api.list_metadata(&ListParams::default().labels(selector)).await?;
        for pool in pools {
            let (Some(name), Some(uid)) = (pool.metadata.name, pool.metadata.uid) else { continue };
            if pool.metadata.finalizers.is_some_and(|all| all.iter().any(|one| is_former_finalizer(one))) {
                let change = json!({"metadata": {"finalizers": Value::Null}});
                api.patch_metadata(&name, &merge(), &Patch::Merge(&change)).await?;
            }
            delete(&api, &name, &uid).await?;
        }
        Ok(())
    }

    /// Publishes Events; one that is lost is no loss.
    async fn announce(&self, name: &str, uid: &str, news: &[Announcement]) {
        let reference = ObjectReference {
            api_version: Some(format!("{}/v1", crds::GROUP)),
            kind: Some("MultiNicNetwork".to_owned()),
            name: Some(name.to_owned()),
            uid: Some(uid.to_owned()),
            ..ObjectReference::default()
        };
        for one in news {
            let event = Event {
                type_: if one.warning { EventType::Warning } else { EventType::Normal },
                reason: one.reason.clone(),
                note: Some(one.note.clone()).filter(|note| !note.is_empty()),
                action: one.action.clone(),
                secondary: None,
            };
            if let Err(error) = self.recorder.publish(&event, &reference).await {
                tracing::debug!(%error, network = name, reason = one.reason, "an Event was not published");
            }
        }
    }

    /// A kind is there and is not being deleted. Otherwise its objects vanish because their definition does, and what was
    /// made for them stays (TRAPS O4).
    async fn must_be_known(&self, of: &ApiResource) -> Result<(), kube::Error> {
        let definitions =
            resource("apiextensions.k8s.io", "v1", "CustomResourceDefinition", "customresourcedefinitions");
        let name = format!("{}.{}", of.plural, of.group);
        match self.all(&definitions).get_metadata_opt(&name).await? {
            Some(definition) if definition.metadata.deletion_timestamp.is_none() => Ok(()),
            _ => Err(not_now(format!(
                "the definition {name} is gone, which is no reason to take anything away"
            ))),
        }
    }

    fn all(&self, resource: &ApiResource) -> Api<DynamicObject> {
        Api::all_with(self.client.clone(), resource)
    }

    fn within(&self, resource: &ApiResource, key: &Key) -> Api<DynamicObject> {
        Api::namespaced_with(self.client.clone(), &key.namespace, resource)
    }
}

/// What is refused here and not by the server; it is tried again like a change that came too late.
fn not_now(why: String) -> kube::Error {
    kube::Error::Api(Box::new(Status::failure(&why, "Conflict").with_code(409)))
}

fn mirrored(group: &str, kind: Mirrored) -> ApiResource {
    resource(group, "v1", kind.word(), kind.plural())
}

/// What a write has made of an object; absent when it cannot be read, which the watch will tell.
fn changed<T>(made: &DynamicObject, read: Read<T>, wrap: fn(Told<T>) -> News) -> Option<News> {
    seen(made, read).ok().map(|one| wrap(Told::Changed(one)))
}

fn sriov(kind: SriovKind) -> ApiResource {
    resource(SRIOV_GROUP, "v1", kind.word(), kind.plural())
}

fn network() -> ApiResource {
    resource(crds::GROUP, "v1", "MultiNicNetwork", "multinicnetworks")
}

fn cidr() -> ApiResource {
    resource(crds::GROUP, "v1", "CIDR", "cidrs")
}

fn host() -> ApiResource {
    resource(crds::GROUP, "v1", "HostInterface", "hostinterfaces")
}

fn block_labels(name: &str, network: &str) -> [(String, String); 2] {
    [
        (NETWORK_LABEL.to_owned(), network.to_owned()),
        (SLICE_LABEL.to_owned(), number(network, name).to_string()),
    ]
}

fn apply(force: bool) -> PatchParams {
    PatchParams { force, field_manager: Some(FIELD_MANAGER.to_owned()), ..PatchParams::default() }
}

fn as_ours() -> PostParams {
    PostParams { field_manager: Some(FIELD_MANAGER.to_owned()), ..PostParams::default() }
}

fn merge() -> PatchParams {
    PatchParams { field_manager: Some(FIELD_MANAGER.to_owned()), ..PatchParams::default() }
}

/// Says what a status is. With a uid it is said of this very object, not of its successor.
async fn say(
    api: &Api<DynamicObject>,
    resource: &ApiResource,
    (name, uid): (&str, Option<&str>),
    status: &Value,
) -> Result<DynamicObject, kube::Error> {
    let mut object = json!({
        "apiVersion": resource.api_version, "kind": resource.kind, "metadata": {"name": name}, "status": status,
    });
    if let Some(uid) = uid {
        object["metadata"]["uid"] = uid.into();
    }
    api.patch_status(name, &apply(true), &Patch::Apply(&object)).await
}

/// Deletes an object if it is still the same; whether it is gone already.
async fn delete(api: &Api<DynamicObject>, name: &str, uid: &str) -> Result<bool, kube::Error> {
    let same = Preconditions { uid: Some(uid.to_owned()), resource_version: None };
    let parameters = DeleteParams { preconditions: Some(same), ..DeleteParams::default() };
    match api.delete(name, &parameters).await {
        // The object: a finalizer keeps it. A status: it is gone.
        Ok(answer) => Ok(answer.is_right()),
        Err(kube::Error::Api(status)) if status.code == 404 => Ok(true),
        Err(error) => Err(error),
    }
}

fn verb(write: &Write) -> Verb {
    match write {
        Write::Attachment { .. }
        | Write::NetworkStatus { .. }
        | Write::FormerStatus { .. }
        | Write::NodePlan { .. }
        | Write::SriovObject { .. }
        | Write::UpdateBlocks { .. }
        | Write::Mirror { update: true, .. } => Verb::Apply,
        Write::CreateBlocks { .. } | Write::Mirror { .. } => Verb::Create,
        Write::Finalizers { .. } => Verb::Patch,
        Write::DeleteAttachment { .. }
        | Write::DeleteSriovObject { .. }
        | Write::DeleteBlocks { .. }
        | Write::DeleteHost { .. }
        | Write::DeleteMirror { .. } => Verb::Delete,
    }
}

fn refusal(error: &kube::Error) -> Refusal {
    let kube::Error::Api(status) = error else { return Refusal::Away(sentence(error)) };
    match status.code {
        409 => Refusal::Changed(status.message.clone()),
        429 => {
            let after = status.details.as_ref().map_or(0, |details| details.retry_after_seconds);
            Refusal::Busy(Duration::from_secs(u64::from(after).clamp(1, 60)))
        }
        500.. => Refusal::Away(status.message.clone()),
        _ => Refusal::Refused(status.message.clone()),
    }
}
