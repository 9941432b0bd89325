//! Objects of the cluster, reduced to facts.

use std::fmt::Debug;

use crds::cluster::NetworkAttachmentDefinition;
use k8s_openapi::api::apps::v1::{DaemonSet, Deployment};
use k8s_openapi::api::core::v1::{Event, Namespace, Node, Pod};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use kube::api::ListParams;
use kube::{Api, Client, Resource, ResourceExt};
use serde::de::DeserializeOwned;

use super::cluster::Notes;
use crate::facts::{EventFacts, Install, NodeFacts, PodFacts, Program, Workload};

/// Objects that a page of a list has.
const PAGE: u32 = 500;

/// Annotation: what a pod asks for.
const ASKED: &str = "k8s.v1.cni.cncf.io/networks";
/// Annotations: what it got; older ones of Multus write the second.
const GOT: [&str; 2] = ["k8s.v1.cni.cncf.io/network-status", "k8s.v1.cni.cncf.io/networks-status"];

/// Our kinds, by the names of their definitions.
const KINDS: [&str; 6] =
    ["cidrs", "configs", "deviceclasses", "hostinterfaces", "ippools", "multinicnetworks"];

/// Every object of a kind, whatever its namespace.
pub(super) async fn list<K>(client: &Client) -> Result<Vec<K>, kube::Error>
where
    K: Resource<DynamicType = ()> + Clone + Debug + DeserializeOwned,
{
    selected(Api::all(client.clone()), ListParams::default()).await
}

async fn selected<K>(api: Api<K>, parameters: ListParams) -> Result<Vec<K>, kube::Error>
where
    K: Clone + Debug + DeserializeOwned,
{
    let mut parameters = parameters.limit(PAGE);
    let mut all = Vec::new();
    loop {
        let page = api.list(&parameters).await?;
        all.extend(page.items);
        match page.metadata.continue_.filter(|token| !token.is_empty()) {
            Some(token) => parameters = parameters.continue_token(&token),
            None => return Ok(all),
        }
    }
}

/// What is installed.
pub(super) async fn install(client: &Client, namespace: &str, notes: &mut Notes) -> Install {
    let resources = client.list_api_group_resources("multinic.fms.io/v1").await;
    let known: Vec<String> = match resources {
        Ok(list) => list.resources.into_iter().map(|one| one.name).collect(),
        Err(kube::Error::Api(status)) if status.code == 404 => Vec::new(),
        Err(error) => {
            notes.list::<()>("our kinds", Err(error));
            KINDS.map(str::to_owned).to_vec()
        }
    };
    let missing = KINDS.iter().filter(|kind| !known.iter().any(|name| name == *kind));
    let foreign = client.list_api_group_resources("k8s.cni.cncf.io/v1").await;
    let daemon_sets: Api<DaemonSet> = Api::namespaced(client.clone(), namespace);
    let daemon_set =
        daemon_sets.get_opt("multi-nicd").await.map(|found| found.into_iter().collect::<Vec<_>>());
    let daemon_set = notes.list("the agents' DaemonSet", daemon_set).pop().map(|set: DaemonSet| {
        let status = set.status.unwrap_or_default();
        let pod = set.spec.and_then(|spec| spec.template.spec).unwrap_or_default();
        workload(status.desired_number_scheduled, status.number_ready, &pod)
    });
    let deployments: Api<Deployment> = Api::namespaced(client.clone(), namespace);
    let operator = deployments.get_opt("multi-nic-operator").await;
    let operator = notes.list("the operator's Deployment", operator.map(|found| found.into_iter().collect()));
    let operator = operator.into_iter().next().map(|one: Deployment| {
        let ready = one.status.and_then(|status| status.ready_replicas).unwrap_or(0);
        let spec = one.spec.unwrap_or_default();
        workload(spec.replicas.unwrap_or(1), ready, &spec.template.spec.unwrap_or_default())
    });
    let pods = programs(client, namespace, "app=multi-nic-operator").await;
    Install {
        missing_kinds: missing.map(|kind| (*kind).to_owned()).collect(),
        knows_attachment_definitions: foreign
            .is_ok_and(|list| list.resources.iter().any(|one| one.name == "network-attachment-definitions")),
        daemon_set,
        operator,
        operator_pods: notes.list("pods of the operator", pods).into_iter().map(|(_, pod)| pod).collect(),
    }
}

fn workload(wanted: i32, ready: i32, pod: &k8s_openapi::api::core::v1::PodSpec) -> Workload {
    let arguments = pod.containers.iter().flat_map(|container| container.args.iter().flatten());
    let mut arguments = arguments.map(String::as_str);
    let without = |argument: &str| argument.starts_with("--chain") || argument == "--without-multus";
    Workload {
        wanted,
        ready,
        images: pod.containers.iter().filter_map(|container| container.image.clone()).collect(),
        without_multus: arguments.any(without),
    }
}

/// Our pods by node.
pub(super) async fn programs(
    client: &Client,
    namespace: &str,
    label: &str,
) -> Result<Vec<(String, Program)>, kube::Error> {
    let pods =
        selected(Api::<Pod>::namespaced(client.clone(), namespace), ListParams::default().labels(label));
    Ok(pods.await?.into_iter().map(program).collect())
}

fn program(pod: Pod) -> (String, Program) {
    let (name, namespace) = (pod.name_any(), pod.namespace().unwrap_or_default());
    let spec = pod.spec.unwrap_or_default();
    let status = pod.status.unwrap_or_default();
    let states = status.container_statuses.unwrap_or_default();
    let waits = states.iter().find_map(|one| one.state.as_ref()?.waiting.as_ref()?.reason.clone());
    let ended = states.iter().find_map(|one| one.last_state.as_ref()?.terminated.as_ref()?.reason.clone());
    let reason = match (waits, ended) {
        (Some(waits), Some(ended)) => format!("{waits}, {ended}"),
        (one, other) => one.or(other).unwrap_or_default(),
    };
    let first = spec.containers.into_iter().next().unwrap_or_default();
    let program = Program {
        name,
        namespace,
        container: first.name,
        image: first.image.unwrap_or_default(),
        phase: status.phase.unwrap_or_default(),
        ready: !states.is_empty() && states.iter().all(|one| one.ready),
        restarts: states.iter().map(|one| one.restart_count).sum(),
        reason,
    };
    (spec.node_name.unwrap_or_default(), program)
}

/// Nodes.
pub(super) async fn nodes(client: &Client) -> Result<Vec<NodeFacts>, kube::Error> {
    let reduced = |node: Node| {
        let taints = node.spec.and_then(|spec| spec.taints).unwrap_or_default();
        let away = taints.iter().filter(|taint| taint.effect != "PreferNoSchedule");
        let conditions = node.status.and_then(|status| status.conditions).unwrap_or_default();
        NodeFacts {
            name: node.metadata.name.unwrap_or_default(),
            uid: node.metadata.uid.unwrap_or_default(),
            created: time(node.metadata.creation_timestamp.as_ref()),
            ready: conditions.iter().any(|one| one.type_ == "Ready" && one.status == "True"),
            taints: away.map(|taint| format!("{}:{}", taint.key, taint.effect)).collect(),
            exists: true,
            ..NodeFacts::default()
        }
    };
    Ok(list::<Node>(client).await?.into_iter().map(reduced).collect())
}

/// Names of the namespaces that are active.
pub(super) async fn namespaces(client: &Client) -> Result<Vec<String>, kube::Error> {
    let active = |namespace: &Namespace| {
        let phase = namespace.status.as_ref().and_then(|status| status.phase.as_deref());
        phase != Some("Terminating")
    };
    Ok(list::<Namespace>(client).await?.into_iter().filter(active).map(|one| one.name_any()).collect())
}

/// Pods that ask for networks and are not done.
pub(super) async fn pods(client: &Client) -> Result<Vec<PodFacts>, kube::Error> {
    let alive = ListParams::default().fields("status.phase!=Succeeded,status.phase!=Failed");
    let pods = selected(Api::<Pod>::all(client.clone()), alive).await?;
    Ok(pods.into_iter().map(pod).filter(|pod| pod.asked.is_some()).collect())
}

/// A pod.
pub(crate) fn pod(pod: Pod) -> PodFacts {
    let annotation = |name: &str| pod.annotations().get(name).cloned();
    let (asked, got) = (annotation(ASKED), GOT.iter().find_map(|name| annotation(name)));
    let status = pod.status.clone().unwrap_or_default();
    let conditions = status.conditions.unwrap_or_default();
    let refused = conditions.into_iter().find(|one| one.type_ == "PodScheduled" && one.status == "False");
    PodFacts {
        namespace: pod.namespace().unwrap_or_default(),
        name: pod.name_any(),
        uid: pod.uid().unwrap_or_default(),
        node: pod.spec.as_ref().and_then(|spec| spec.node_name.clone()).unwrap_or_default(),
        phase: status.phase.unwrap_or_default(),
        unschedulable: refused.and_then(|one| one.message).unwrap_or_default(),
        asked,
        got,
    }
}

/// Warnings about pods, and whatever is told of our objects, oldest first.
pub(super) async fn events(client: &Client) -> Result<Vec<EventFacts>, kube::Error> {
    let reduced = |event: Event| {
        let last = event.last_timestamp.as_ref().map(|seen| seen.0.to_string());
        let last = last.or_else(|| event.event_time.as_ref().map(|seen| seen.0.to_string()));
        EventFacts {
            kind: event.involved_object.kind.unwrap_or_default(),
            namespace: event.involved_object.namespace.unwrap_or_default(),
            name: event.involved_object.name.unwrap_or_default(),
            reason: event.reason.unwrap_or_default(),
            gravity: event.type_.unwrap_or_default(),
            message: event.message.unwrap_or_default(),
            count: event.count.unwrap_or(1),
            last: last.unwrap_or_default(),
        }
    };
    let all = list::<Event>(client).await?.into_iter().map(reduced);
    let ours = |event: &EventFacts| match event.kind.as_str() {
        "Pod" => event.gravity == "Warning" || event.message.contains("multi-nic"),
        "MultiNicNetwork" | "HostInterface" | "DaemonSet" | "Deployment" => true,
        _ => false,
    };
    let mut events: Vec<EventFacts> = all.filter(ours).collect();
    events.sort_by(|one, other| one.last.cmp(&other.last));
    Ok(events)
}

/// Whether an attachment definition is of our plugin.
pub(super) fn is_ours(definition: &NetworkAttachmentDefinition) -> bool {
    definition.spec.config.contains("\"multi-nic\"")
}

fn time(time: Option<&Time>) -> String {
    time.map(|time| time.0.to_string()).unwrap_or_default()
}
