//! Watches the kinds that networks are made of, and what is wanted of this node's PFs.

use std::fmt::Debug;
use std::future::ready;
use std::time::Duration;

use crds::NETWORK_LABEL;
use crds::cluster::{Cidr, DeviceClass, HostInterface, MultiNicNetwork};
use futures_util::{Stream, StreamExt};
use kube::api::{Api, ApiResource, DynamicObject, ListParams};
use kube::runtime::WatchStreamExt;
use kube::runtime::watcher::{self, Event, watcher};
use kube::{Client, Resource, ResourceExt};
use serde::de::DeserializeOwned;
use serde_json::Value;
use tokio::sync::mpsc;

use super::access::words;
use super::known::{Kind, Object, Said};
use super::slice::Slice;
use super::sriov_plans;

/// Messages that may wait for the one who takes them in.
const WAITING: usize = 256;

/// How long the server may take to say whether it knows a kind.
const PATIENCE: Duration = Duration::from_secs(5);

/// Starts the watches; what they say.
pub(super) fn start(client: &Client, node: &str) -> mpsc::Receiver<(Kind, Said)> {
    let (say, said) = mpsc::channel(WAITING);
    let network = |object: MultiNicNetwork| Object::Network(Box::new(object.spec));
    tokio::spawn(follow(Api::all(client.clone()), Kind::Network, say.clone(), network));
    let class = |object: DeviceClass| Object::Class(object.spec);
    tokio::spawn(follow(Api::all(client.clone()), Kind::Class, say.clone(), class));
    let (node, node_name) = (node.to_owned(), node.to_owned());
    let slice = move |object: Cidr| {
        let (name, label) = (object.name_any(), object.labels().get(NETWORK_LABEL).map(String::as_str));
        let (slice, problems) = Slice::read(&name, label, &object.spec, &node);
        for problem in problems {
            tracing::warn!(cidr = name, problem, "a part of the object is left out");
        }
        Object::Slice(Box::new(slice))
    };
    tokio::spawn(follow(Api::all(client.clone()), Kind::Slice, say.clone(), slice));
    tokio::spawn(follow_plans(client.clone(), node_name, say));
    said
}

/// Tells what happens to a kind until nobody listens.
async fn follow<K>(api: Api<K>, kind: Kind, say: mpsc::Sender<(Kind, Said)>, read: impl Fn(K) -> Object)
where
    K: Resource + Clone + Debug + DeserializeOwned + Send + 'static,
{
    let mut events = std::pin::pin!(answers(api, watcher::Config::default()));
    let (mut told, mut listing) = (String::new(), false);
    while let Some(event) = events.next().await {
        let of_list = matches!(event, Ok(Event::InitApply(_) | Event::InitDone));
        if of_list && !listing && say.send((kind, Said::Listing)).await.is_err() {
            return;
        }
        listing = of_list && !matches!(event, Ok(Event::InitDone));
        let said = match event {
            Ok(Event::Init) => continue,
            Ok(Event::InitApply(object) | Event::Apply(object)) => {
                let name = object.name_any();
                Said::There(name, read(object))
            }
            Ok(Event::InitDone) => Said::Listed,
            Ok(Event::Delete(object)) => Said::Gone(object.name_any()),
            Err(error) => {
                tell(kind, &mut told, &error);
                continue;
            }
        };
        told.clear();
        if say.send((kind, said)).await.is_err() {
            return;
        }
    }
}

/// Tells what this node's HostInterface wants of its PFs until nobody listens. An object that is not there says nothing:
/// the agent makes it, and the operator's plans come after that.
async fn follow_plans(client: Client, node: String, say: mpsc::Sender<(Kind, Said)>) {
    // Not as its type: a status that another version wrote must not hide the rest of the list.
    let api: Api<DynamicObject> = Api::all_with(client, &ApiResource::erase::<HostInterface>(&()));
    let mine = watcher::Config::default().fields(&format!("metadata.name={node}"));
    let mut events = std::pin::pin!(answers(api, mine));
    let mut told = String::new();
    while let Some(event) = events.next().await {
        let object = match event {
            Ok(Event::InitApply(object) | Event::Apply(object)) => object,
            Ok(_) => continue,
            Err(error) => {
                tell(Kind::Plan, &mut told, &error);
                continue;
            }
        };
        told.clear();
        for said in sriov_plans::said(object.data.get("status").unwrap_or(&Value::Null)) {
            if say.send((Kind::Plan, said)).await.is_err() {
                return;
            }
        }
    }
}

/// A watch with growing pauses between its tries. The beginning of a list is left out: it is told before the server is
/// asked, and would end the pauses like a success.
pub(super) fn answers<K>(
    api: Api<K>,
    config: watcher::Config,
) -> impl Stream<Item = watcher::Result<Event<K>>> + Send
where
    K: Resource + Clone + Debug + DeserializeOwned + Send + 'static,
{
    watcher(api, config).filter(|event| ready(!matches!(event, Ok(Event::Init)))).default_backoff()
}

/// Logs an error that is another one than before.
fn tell(kind: Kind, told: &mut String, error: &watcher::Error) {
    let error = words(error);
    if error != *told {
        tracing::warn!(?kind, error, "cannot be watched; what is known counts until it can");
        *told = error;
    }
}

/// Whether the server knows the kind; no when it does not say.
pub(super) async fn is_served(client: &Client, kind: Kind) -> bool {
    async fn ask<K>(client: &Client) -> Result<(), kube::Error>
    where
        K: Resource<DynamicType = ()> + Clone + Debug + DeserializeOwned,
    {
        Api::<K>::all(client.clone()).list_metadata(&ListParams::default().limit(1)).await.map(|_| ())
    }
    let asked = async {
        match kind {
            Kind::Network => ask::<MultiNicNetwork>(client).await,
            Kind::Slice => ask::<Cidr>(client).await,
            Kind::Class => ask::<DeviceClass>(client).await,
            Kind::Plan => ask::<HostInterface>(client).await,
        }
    };
    matches!(tokio::time::timeout(PATIENCE, asked).await, Ok(Ok(())))
}
