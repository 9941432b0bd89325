//! Keeps this node's HostInterface what the inventory says, and writes only what differs from what the server has.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use attach::network::DeviceClass;
use crds::cluster::HostInterface;
use crds::{HostInterfaceSpec, RouteReport, UNMANAGED_LABEL};
use futures_util::StreamExt;
use hwprobe::Inventory;
use k8s_openapi::api::core::v1::Node;
use kube::api::{Api, Patch, PatchParams};
use kube::core::metadata::PartialObjectMeta;
use kube::runtime::watcher::{self, Event};
use kube::{Client, Resource, ResourceExt};

use super::MANAGER;
use super::access::words;
use super::host_interface::found;
use super::settling::Settling;
use super::watching::answers;
use crate::current_networks::Current;
use crate::inventory::published::Newest;
use crate::routes::{RouteState, RouteStates};

/// Least time between two writes.
const PAUSE: Duration = Duration::from_secs(5);

/// How soon a write that failed is tried again, at first and at most.
const RETRY: (Duration, Duration) = (Duration::from_secs(5), Duration::from_secs(120));

/// Most characters of a message, as the definition has it.
const MESSAGE: usize = 1000;

/// What the server has under this node's name.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
enum Server {
    /// It has not said yet.
    #[default]
    Unknown,
    Nothing,
    /// An object that nobody of ours writes.
    Unmanaged,
    Object(Box<Object>),
}

/// What stands in the object.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Object {
    spec: HostInterfaceSpec,
    routes: Vec<RouteReport>,
}

/// What is to be done.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Step {
    Wait(Option<Instant>),
    Write(HostInterfaceSpec),
    /// Of the status.
    WriteRoutes(Vec<RouteReport>),
}

/// What is known, and what follows from it.
#[derive(Debug, Default)]
struct Publisher {
    node: String,
    server: Server,
    /// UID of the Node; absent: there is none of this name, or the server has not said yet.
    uid: Option<String>,
    settling: Settling,
    /// Device classes, by name.
    classes: BTreeMap<String, DeviceClass>,
    /// Before this nothing is written.
    not_before: Option<Instant>,
    failures: u32,
}

impl Publisher {
    fn next(&mut self, inventory: &Inventory, routes: &[RouteReport], now: Instant) -> Step {
        let published: &[_] = match &self.server {
            Server::Unknown | Server::Unmanaged => return Step::Wait(None),
            Server::Nothing => &[],
            Server::Object(object) => &object.spec.interfaces,
        };
        let Some(uid) = &self.uid else { return Step::Wait(None) };
        let settled = self.settling.settle(published, &found(inventory, &self.classes), now);
        let wanted = HostInterfaceSpec {
            host_name: self.node.clone(),
            interfaces: settled.interfaces,
            node_uid: uid.clone(),
        };
        let step = match &self.server {
            Server::Object(object) if object.spec == wanted && object.routes == routes => {
                return Step::Wait(settled.due);
            }
            Server::Object(object) if object.spec == wanted => Step::WriteRoutes(routes.to_vec()),
            _ => Step::Write(wanted),
        };
        match self.not_before.filter(|not_before| now < *not_before) {
            Some(not_before) => Step::Wait(Some(not_before)),
            None => step,
        }
    }

    /// Takes up the device classes, when they are others.
    fn know(&mut self, classes: &BTreeMap<String, DeviceClass>) {
        if self.classes != *classes {
            self.classes.clone_from(classes);
        }
    }

    /// A write ended.
    fn wrote(&mut self, object: Option<Object>, now: Instant) {
        match object {
            Some(object) => {
                self.server = Server::Object(Box::new(object));
                self.failures = 0;
                self.not_before = Some(now + PAUSE);
            }
            None => {
                self.failures += 1;
                let pause = RETRY.0 * 2u32.saturating_pow(self.failures.min(6) - 1);
                self.not_before = Some(now + pause.min(RETRY.1));
            }
        }
    }
}

/// Publishes as long as the program runs.
pub(super) async fn publish(
    client: Client,
    node: String,
    mut newest: Newest,
    networks: Current,
    mut routes: Option<RouteStates>,
) {
    let objects: Api<HostInterface> = Api::all(client.clone());
    let nodes: Api<PartialObjectMeta<Node>> = Api::all(client);
    let mine = || watcher::Config::default().fields(&format!("metadata.name={node}"));
    let mut own = std::pin::pin!(answers(objects.clone(), mine()));
    let mut nodes = std::pin::pin!(answers(nodes, mine()));
    let mut publisher = Publisher { node: node.clone(), ..Publisher::default() };
    let mut networks_changes = networks.changes();
    let mut told = String::new();
    let mut seen = Seen::default();
    loop {
        let published = newest.borrow_and_update().clone();
        networks_changes.mark_unchanged();
        publisher.know(&networks.get().classes);
        let reports = routes.as_mut().map(|routes| reports(&routes.borrow_and_update())).unwrap_or_default();
        let step = match &published {
            Some(published) => publisher.next(&published.inventory, &reports, Instant::now()),
            None => Step::Wait(None),
        };
        let written = match step {
            Step::Wait(due) => Err(due),
            Step::Write(spec) => Ok(write(&objects, &node, spec).await),
            Step::WriteRoutes(routes) => Ok(write_routes(&objects, &node, &routes).await),
        };
        let due = match written {
            Err(due) => due,
            Ok(written) => {
                let error = written.as_ref().err().map(|error| words(error)).unwrap_or_default();
                tell(&mut told, error, "this node's HostInterface cannot be written; tried again");
                publisher.wrote(written.ok().map(object), Instant::now());
                continue;
            }
        };
        let until = tokio::time::Instant::from_std(due.unwrap_or_else(Instant::now));
        tokio::select! {
            changed = newest.changed() => if changed.is_err() { return },
            Some(()) = changed(&mut routes) => {}
            changed = networks_changes.changed() => if changed.is_err() { return },
            Some(event) = own.next() => match event {
                Ok(Event::InitApply(object)) => seen.own = Some(server(&object)),
                Ok(Event::Apply(object)) => publisher.server = server(&object),
                Ok(Event::Delete(_)) => publisher.server = Server::Nothing,
                Ok(Event::Init) => {}
                Ok(Event::InitDone) => publisher.server = seen.own.take().unwrap_or(Server::Nothing),
                Err(error) => {
                    seen.own = None;
                    tell(&mut told, words(&error), "HostInterface cannot be watched; tried again");
                }
            },
            Some(event) = nodes.next() => match event {
                Ok(Event::InitApply(object)) => seen.uid = object.uid(),
                Ok(Event::Apply(object)) => publisher.uid = object.uid(),
                Ok(Event::Delete(_)) => publisher.uid = None,
                Ok(Event::Init) => {}
                Ok(Event::InitDone) => {
                    publisher.uid = seen.uid.take();
                    if publisher.uid.is_none() {
                        tracing::warn!(node, "there is no Node of this name, so nothing is published; see --node-name");
                    }
                }
                Err(error) => {
                    seen.uid = None;
                    tell(&mut told, words(&error), "the Node cannot be watched; tried again");
                }
            },
            () = tokio::time::sleep_until(until), if due.is_some() => {}
        }
    }
}

/// What a list has brought so far.
#[derive(Debug, Default)]
struct Seen {
    own: Option<Server>,
    uid: Option<String>,
}

fn server(object: &HostInterface) -> Server {
    let unmanaged =
        object.labels().get(UNMANAGED_LABEL).is_some_and(|value| value.eq_ignore_ascii_case("true"));
    if unmanaged { Server::Unmanaged } else { Server::Object(Box::new(self::object(object.clone()))) }
}

fn object(object: HostInterface) -> Object {
    Object { spec: object.spec, routes: object.status.map(|status| status.routes).unwrap_or_default() }
}

/// Waits for other states of routes; nothing when there will be none.
async fn changed(routes: &mut Option<RouteStates>) -> Option<()> {
    match routes {
        Some(routes) => routes.changed().await.ok(),
        None => None,
    }
}

fn reports(states: &BTreeMap<String, RouteState>) -> Vec<RouteReport> {
    let count = |number: usize| u32::try_from(number).unwrap_or(u32::MAX);
    let of = |(network, state): (&String, &RouteState)| RouteReport {
        network: network.clone(),
        wanted: count(state.wanted),
        present: count(state.present),
        message: state.message.chars().take(MESSAGE).collect(),
    };
    states.iter().map(of).collect()
}

/// Writes the object; what the server made of it. The object is the agent's alone, so fields are taken from others.
async fn write(
    objects: &Api<HostInterface>,
    node: &str,
    spec: HostInterfaceSpec,
) -> Result<HostInterface, kube::Error> {
    let interfaces = spec.interfaces.len();
    let object = HostInterface::new(node, spec);
    let written = objects.patch(node, &PatchParams::apply(MANAGER).force(), &Patch::Apply(&object)).await?;
    tracing::info!(interfaces, "published the NICs of this node");
    Ok(written)
}

/// Writes how the routes are. Under another name than the rest: a server before 1.22 does not tell apart which fields
/// a manager has through the status alone.
async fn write_routes(
    objects: &Api<HostInterface>,
    node: &str,
    routes: &[RouteReport],
) -> Result<HostInterface, kube::Error> {
    let manager = format!("{MANAGER}-status");
    if routes.is_empty() {
        // An applied list that becomes empty is null to a server of 1.20, which then refuses it.
        let nothing = serde_json::json!({"status": {"routes": null}});
        let parameters = PatchParams { field_manager: Some(manager), ..PatchParams::default() };
        return objects.patch_status(node, &parameters, &Patch::Merge(&nothing)).await;
    }
    let object = serde_json::json!({
        "apiVersion": HostInterface::api_version(&()), "kind": HostInterface::kind(&()),
        "metadata": {"name": node}, "status": {"routes": routes},
    });
    let parameters = PatchParams::apply(&manager).force();
    objects.patch_status(node, &parameters, &Patch::Apply(&object)).await
}

/// Logs an error that is another one than before.
fn tell(told: &mut String, error: String, what: &str) {
    if !error.is_empty() && error != *told {
        tracing::warn!(error, "{what}");
    }
    *told = error;
}

#[cfg(test)]
mod tests;
