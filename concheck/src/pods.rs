//! The pods of a run: made, waited for, explained, taken away.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use futures_util::StreamExt;
use futures_util::stream::iter;
use k8s_openapi::api::core::v1::{Event, Pod, PodStatus};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::OwnerReference;
use kube::api::{DeleteParams, ListParams, PostParams};
use kube::{Api, Client, ResourceExt};
use serde_json::{Value, json};
use tokio::time::{Instant, sleep};

use crate::addresses::{Address, STATUS, of_pod};
use crate::control::ask;
use crate::networks::Network;
use crate::output::progress;
use crate::protocol::{Ask, PORT, TOKEN, Token};

/// Label of everything that a check makes.
pub(crate) const LABEL: &str = "multi-nic-concheck";

/// Label of everything that one run makes: the run's name.
const RUN_LABEL: &str = "multi-nic-concheck-run";

/// Requests to the API server at a time.
const PARALLEL: usize = 16;

/// How long pods may take to go.
const LEAVING: Duration = Duration::from_secs(20);

/// The pods of a run.
pub(crate) struct Pods {
    /// Speaks with the API server.
    pub(crate) client: Client,
    /// Where they are.
    pub(crate) namespace: String,
    /// Name of the run.
    pub(crate) run: String,
    /// Their image.
    pub(crate) image: String,
    /// Whose they are.
    pub(crate) owner: Option<OwnerReference>,
    /// The run's secret as text, for their environment.
    pub(crate) secret: String,
    /// The same, to ask them.
    pub(crate) token: Token,
    /// Seconds after which a pod ends by itself.
    pub(crate) lifetime: u32,
}

/// A pod that takes part.
#[derive(Debug, Clone)]
pub(crate) struct Ready {
    /// Its addresses on the network.
    pub(crate) addresses: Vec<Address>,
    /// Where it takes orders; else why the driver cannot reach it.
    pub(crate) control: Result<SocketAddr, String>,
}

/// What came of each host: a pod that takes part, or why there is none.
pub(crate) type Hosts = BTreeMap<String, Result<Ready, String>>;

/// What is known of a host's pod while it is waited for.
enum State {
    Ready(Ready),
    /// It will not get better.
    Hopeless(String),
    Waiting,
}

impl Pods {
    fn api(&self) -> Api<Pod> {
        Api::namespaced(self.client.clone(), &self.namespace)
    }

    /// Makes a pod on each host of a network and waits for them, `patience` at most.
    pub(crate) async fn start(
        &self,
        network: &Network,
        number: usize,
        resource: Option<&str>,
        patience: Duration,
    ) -> Hosts {
        let begun = Instant::now();
        let names: BTreeMap<String, &str> = network
            .hosts
            .iter()
            .enumerate()
            .map(|(host, name)| (format!("multi-nic-concheck-{}-{number}-{host}", self.run), &**name))
            .collect();
        let mut found = Hosts::new();
        let create = names.iter().map(|(name, host)| async move {
            let pod = serde_json::from_value(self.pod(name, host, network, resource));
            let made = match pod {
                Ok(pod) => self.api().create(&PostParams::default(), &pod).await.map(drop),
                Err(error) => Err(kube::Error::SerdeError(error)),
            };
            ((*host).to_owned(), made)
        });
        let mut created = iter(create).buffer_unordered(PARALLEL);
        while let Some((host, made)) = created.next().await {
            if let Err(error) = made {
                found.insert(host, Err(format!("the pod cannot be made: {error}")));
            }
        }
        let mut told = 0;
        loop {
            let pods = self.list(&format!("{RUN_LABEL}={}", self.run)).await.unwrap_or_default();
            for pod in pods {
                let Some(host) = names.get(&pod.name_any()).filter(|host| !found.contains_key(**host)) else {
                    continue;
                };
                match self.state(&pod, network, host).await {
                    State::Ready(ready) => _ = found.insert((*host).to_owned(), Ok(ready)),
                    State::Hopeless(why) => {
                        _ = found.insert((*host).to_owned(), Err(self.with_events(&pod, why).await))
                    }
                    State::Waiting => {}
                }
            }
            if found.len() != told {
                told = found.len();
                progress(&format!("{}: {told} of {} pods are there", network.name, names.len()));
            }
            if found.len() == names.len() {
                return found;
            }
            if begun.elapsed() > patience {
                break;
            }
            sleep(Duration::from_millis(500)).await;
        }
        for (name, host) in &names {
            if !found.contains_key(*host) {
                let why = self.explain(name, patience).await;
                progress(&format!("{}: no pod on {host}: {why}", network.name));
                found.insert((*host).to_owned(), Err(why));
            }
        }
        found
    }

    fn pod(&self, name: &str, host: &str, network: &Network, resource: Option<&str>) -> Value {
        let resources = resource.map_or_else(
            || json!({}),
            |resource| {
                let wanted = json!({resource: network.interfaces(host).to_string()});
                json!({"requests": wanted, "limits": wanted})
            },
        );
        json!({
            "metadata": {
                "name": name,
                "labels": {LABEL: "server", RUN_LABEL: self.run},
                "annotations": {"k8s.v1.cni.cncf.io/networks": network.name},
                "ownerReferences": self.owner.iter().collect::<Vec<_>>(),
            },
            "spec": {
                // As a DaemonSet does it: the scheduler says why a node does not do.
                "affinity": {"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": [
                    {"matchFields": [{"key": "metadata.name", "operator": "In", "values": [host]}]},
                ]}}},
                "tolerations": [{"operator": "Exists"}],
                "restartPolicy": "Never",
                "terminationGracePeriodSeconds": 1,
                "activeDeadlineSeconds": self.lifetime,
                "automountServiceAccountToken": false,
                "enableServiceLinks": false,
                "containers": [{
                    "name": "concheck",
                    "image": self.image,
                    "imagePullPolicy": "IfNotPresent",
                    "args": ["serve"],
                    "env": [{"name": TOKEN, "value": self.secret}],
                    "resources": resources,
                    "securityContext": {
                        "runAsNonRoot": true, "runAsUser": 65532, "allowPrivilegeEscalation": false,
                        "readOnlyRootFilesystem": true, "capabilities": {"drop": ["ALL"]},
                        "seccompProfile": {"type": "RuntimeDefault"},
                    },
                }],
            },
        })
    }

    async fn list(&self, selector: &str) -> kube::Result<Vec<Pod>> {
        Ok(self.api().list(&ListParams::default().labels(selector)).await?.items)
    }

    async fn state(&self, pod: &Pod, network: &Network, host: &str) -> State {
        let Some(status) = &pod.status else { return State::Waiting };
        match status.phase.as_deref() {
            Some("Failed" | "Succeeded") => return State::Hopeless(ended(status)),
            Some("Running") => {}
            _ => return State::Waiting,
        }
        let Some(text) = pod.annotations().get(STATUS) else { return State::Waiting };
        let Some(ip) = status.pod_ip.as_ref().and_then(|ip| ip.parse::<IpAddr>().ok()) else {
            return State::Waiting;
        };
        let name = format!("{}/{}", self.namespace, network.name);
        let addresses = match of_pod(text, &name, host, &network.rails) {
            Ok(addresses) if addresses.is_empty() => {
                return State::Hopeless(format!(
                    "its pod runs, and has no address of {name} (annotation {STATUS}: {text})"
                ));
            }
            Ok(addresses) => addresses,
            Err(error) => return State::Hopeless(error),
        };
        let control = SocketAddr::new(ip, PORT);
        State::Ready(Ready { addresses, control: self.reach(control).await })
    }

    /// Whether the driver can talk to a pod; it may have begun a moment ago.
    async fn reach(&self, pod: SocketAddr) -> Result<SocketAddr, String> {
        let mut last = String::new();
        for _ in 0..10 {
            match ask(pod, &self.token, &Ask::Alive, Duration::from_secs(2)).await {
                Ok(_) => return Ok(pod),
                Err(error) => last = error.to_string(),
            }
            sleep(Duration::from_millis(300)).await;
        }
        Err(format!(
            "its pod runs, and cannot be reached from here at {pod} ({last}): a NetworkPolicy, or the check runs outside of the \
             cluster's network"
        ))
    }

    /// Why the pod is not there.
    async fn explain(&self, name: &str, patience: Duration) -> String {
        let late = format!("not within {} s", patience.as_secs());
        match self.api().get_opt(name).await {
            Ok(Some(pod)) => {
                let why = pod.status.as_ref().map_or_else(String::new, waiting);
                let why = if why.is_empty() { late } else { format!("{late}: {why}") };
                self.with_events(&pod, why).await
            }
            Ok(None) => "somebody deleted it".to_owned(),
            Err(error) => format!("{late}: {error}"),
        }
    }

    /// Adds the last complaint of scheduler, kubelet or CNI.
    async fn with_events(&self, pod: &Pod, why: String) -> String {
        let events: Api<Event> = Api::namespaced(self.client.clone(), &self.namespace);
        let of_pod = ListParams::default().fields(&format!("involvedObject.name={}", pod.name_any()));
        let Ok(events) = events.list(&of_pod).await else { return why };
        let complaints = events.items.into_iter().filter(|event| event.type_.as_deref() == Some("Warning"));
        let last = complaints.max_by_key(|event| {
            let seen = event.last_timestamp.as_ref().map(|time| time.0);
            seen.or_else(|| event.event_time.as_ref().map(|time| time.0))
        });
        let Some(event) = last else { return why };
        let (reason, message) = (event.reason.unwrap_or_default(), event.message.unwrap_or_default());
        if why.contains(&message) { why } else { format!("{why}; {reason}: {message}") }
    }

    /// Deletes the pods of this run and waits until they are gone.
    pub(crate) async fn delete(&self) {
        self.clear(&format!("{RUN_LABEL}={}", self.run)).await;
    }

    /// Deletes what earlier runs left, which nobody renews; they may have NICs that ours need.
    ///
    /// # Errors
    /// When the API server refuses.
    pub(crate) async fn delete_earlier(&self) -> kube::Result<()> {
        let earlier = format!("{LABEL}=server,{RUN_LABEL}!={}", self.run);
        let left = self.list(&earlier).await?;
        if !left.is_empty() {
            progress(&format!("taking away {} pods that an earlier check left", left.len()));
            self.clear(&earlier).await;
        }
        Ok(())
    }

    async fn clear(&self, selector: &str) {
        let begun = Instant::now();
        loop {
            // Again each time: a request to make one may have been under way.
            let left = match self.delete_collection(selector).await {
                Ok(()) => self.list(selector).await,
                Err(error) => Err(error),
            };
            let said = match left {
                Ok(pods) if pods.is_empty() => return,
                Ok(pods) => pods.iter().map(ResourceExt::name_any).collect::<Vec<_>>().join(", "),
                Err(error) => error.to_string(),
            };
            if begun.elapsed() > LEAVING {
                progress(&format!("pods are not gone yet: {said}"));
                return;
            }
            sleep(Duration::from_millis(250)).await;
        }
    }

    async fn delete_collection(&self, selector: &str) -> kube::Result<()> {
        let which = ListParams::default().labels(selector);
        self.api().delete_collection(&DeleteParams::default(), &which).await.map(drop)
    }
}

fn waiting(status: &PodStatus) -> String {
    let unscheduled = status
        .conditions
        .iter()
        .flatten()
        .find(|condition| condition.type_ == "PodScheduled" && condition.status == "False");
    if let Some(condition) = unscheduled {
        return format!("not scheduled: {}", condition.message.as_deref().unwrap_or_default());
    }
    let containers = status.container_statuses.iter().flatten();
    let waits = containers.filter_map(|container| container.state.as_ref()?.waiting.as_ref());
    let said: Vec<String> = waits
        .map(|waits| {
            let parts = [waits.reason.as_deref(), waits.message.as_deref()];
            parts.into_iter().flatten().collect::<Vec<_>>().join(": ")
        })
        .collect();
    if !said.is_empty() {
        return said.join(", ");
    }
    match status.phase.as_deref() {
        Some("Running") => format!(
            "it runs, but has no annotation {STATUS}: did Multus, or multi-nic as the last plugin of the cluster network, see it?"
        ),
        _ => "the kubelet of the node has not begun with it".to_owned(),
    }
}

fn ended(status: &PodStatus) -> String {
    let ended = status.container_statuses.iter().flatten();
    let ended = ended.filter_map(|container| container.state.as_ref()?.terminated.as_ref());
    let container = ended.map(|ended| {
        let said = [ended.reason.as_deref(), ended.message.as_deref()];
        let said = said.into_iter().flatten().collect::<Vec<_>>().join(": ");
        format!("exit code {} {said}", ended.exit_code).trim_end().to_owned()
    });
    let pod = [status.reason.clone(), status.message.clone()].into_iter().flatten();
    let said: Vec<String> = pod.chain(container).collect();
    format!("its pod ended: {}", if said.is_empty() { "nobody says why".to_owned() } else { said.join(", ") })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn status(value: Value) -> PodStatus {
        serde_json::from_value(value).unwrap()
    }

    #[test]
    fn a_pod_that_is_not_there_is_explained_by_whoever_holds_it_up() {
        let unscheduled = status(json!({"phase": "Pending", "conditions": [
            {"type": "PodScheduled", "status": "False", "message": "0/3 nodes are available: 1 Insufficient pods."}]}));
        let image = status(json!({"phase": "Pending", "containerStatuses": [
            {"name": "c", "image": "", "imageID": "", "ready": false, "restartCount": 0,
             "state": {"waiting": {"reason": "ErrImagePull", "message": "no such host"}}}]}));

        assert_eq!(waiting(&unscheduled), "not scheduled: 0/3 nodes are available: 1 Insufficient pods.");
        assert_eq!(waiting(&image), "ErrImagePull: no such host");
        assert!(waiting(&status(json!({"phase": "Running"}))).contains("network-status"));
        assert!(waiting(&status(json!({"phase": "Pending"}))).contains("kubelet"));
    }

    #[test]
    fn a_pod_that_ended_says_with_what() {
        let refused =
            status(json!({"phase": "Failed", "reason": "OutOfpods", "message": "Node has no room"}));
        let crashed = status(json!({"phase": "Failed", "containerStatuses": [
            {"name": "c", "image": "", "imageID": "", "ready": false, "restartCount": 0,
             "state": {"terminated": {"exitCode": 2, "reason": "Error"}}}]}));

        assert_eq!(ended(&refused), "its pod ended: OutOfpods, Node has no room");
        assert_eq!(ended(&crashed), "its pod ended: exit code 2 Error");
    }
}
