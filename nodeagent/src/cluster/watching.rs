//! Watches the kinds that networks are made of.

use std::fmt::Debug;
use std::time::Duration;

use crds::cluster::{Cidr, DeviceClass, MultiNicNetwork};
use futures_util::StreamExt;
use kube::api::{Api, ListParams};
use kube::runtime::WatchStreamExt;
use kube::runtime::watcher::{self, Event, watcher};
use kube::{Client, Resource, ResourceExt};
use serde::de::DeserializeOwned;
use tokio::sync::mpsc;

use super::access::words;
use super::known::{Kind, Object, Said};
use super::slice::{NETWORK_LABEL, Slice};

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
    let node = node.to_owned();
    let slice = move |object: Cidr| {
        let (name, label) = (object.name_any(), object.labels().get(NETWORK_LABEL).map(String::as_str));
        let (slice, problems) = Slice::read(&name, label, &object.spec, &node);
        for problem in problems {
            tracing::warn!(cidr = name, problem, "a part of the object is left out");
        }
        Object::Slice(Box::new(slice))
    };
    tokio::spawn(follow(Api::all(client.clone()), Kind::Slice, say, slice));
    said
}

/// Tells what happens to a kind until nobody listens.
async fn follow<K>(api: Api<K>, kind: Kind, say: mpsc::Sender<(Kind, Said)>, read: impl Fn(K) -> Object)
where
    K: Resource + Clone + Debug + DeserializeOwned + Send + 'static,
{
    let mut events = std::pin::pin!(watcher(api, watcher::Config::default()).default_backoff());
    let mut told = String::new();
    while let Some(event) = events.next().await {
        let said = match event {
            Ok(Event::Init) => Said::Listing,
            Ok(Event::InitApply(object) | Event::Apply(object)) => {
                let name = object.name_any();
                Said::There(name, read(object))
            }
            Ok(Event::InitDone) => Said::Listed,
            Ok(Event::Delete(object)) => Said::Gone(object.name_any()),
            Err(error) => {
                let error = words(&error);
                if error != told {
                    tracing::warn!(?kind, error, "cannot be watched; what is known counts until it can");
                    told = error;
                }
                continue;
            }
        };
        told.clear();
        if say.send((kind, said)).await.is_err() {
            return;
        }
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
        }
    };
    matches!(tokio::time::timeout(PATIENCE, asked).await, Ok(Ok(())))
}
