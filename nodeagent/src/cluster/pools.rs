//! What pods hold of this node's blocks, for people to read: IPPool objects mirror the agent's own book (CONTRACTS §5.6).
//! Nothing waits for them.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use attach::network::{Block, Networks};
use attach::record::{Attachment, Leased};
use crds::cluster::IpPool;
use crds::{Allocation, IpPoolSpec, pool_name};
use ipnet::IpNet;
use kube::api::{Api, ListParams, Patch, PatchParams};
use kube::{Client, ResourceExt};
use tokio::sync::watch;

use super::MANAGER;
use super::access::words;
use crate::current_networks::Current;

/// Labels by which the predecessor found them.
const LABELS: (&str, &str) = ("hostname", "netname");

/// How long changes are gathered before they are written.
const PAUSE: Duration = Duration::from_secs(5);

/// How soon a write that failed is tried again.
const RETRY: Duration = Duration::from_secs(30);

/// What is mirrored.
pub(crate) struct PoolParts {
    /// All attachments.
    pub(crate) attached: Box<dyn Fn() -> Vec<Arc<Attachment>> + Send + Sync>,
    /// Tells that something happened to one of them, or to something else.
    pub(crate) events: watch::Receiver<u64>,
    pub(crate) networks: Current,
}

/// The objects of this node, by name.
pub(super) fn pools(
    networks: &Networks,
    attached: &[Arc<Attachment>],
    node: &str,
) -> BTreeMap<String, IpPoolSpec> {
    let mut pools = BTreeMap::new();
    for network in networks.networks.values() {
        for interface in &network.interfaces {
            for block in &interface.blocks {
                let spec = IpPoolSpec {
                    pod_cidr: block.pod.to_string(),
                    vlan_cidr: block.interface.to_string(),
                    net_attach_def: network.name.clone(),
                    host_name: node.to_owned(),
                    interface_name: interface.master.clone(),
                    excludes: block.excludes.iter().map(ToString::to_string).collect(),
                    allocations: allocations(&network.name, block, attached),
                };
                pools.insert(pool_name(&network.name, &spec.pod_cidr), spec);
            }
        }
    }
    pools
}

/// Who holds which address of a block, by address.
fn allocations(network: &str, block: &Block, attached: &[Arc<Attachment>]) -> Vec<Allocation> {
    let mut found: BTreeMap<i64, Allocation> = BTreeMap::new();
    for attachment in attached.iter().filter(|one| one.key.network == network) {
        let of_links = attachment.links.iter().flat_map(|link| &link.addresses);
        let leased = of_links.chain(attachment.addresses.iter().map(|(_, leased)| leased));
        for Leased { address, .. } in leased.filter(|leased| leased.block == Some(block.pod)) {
            let pod = attachment.pod.as_ref();
            // Without a pod's name, as other callers of CNI have it: who asked.
            let name = pod.map(|pod| pod.name.clone()).filter(|name| !name.is_empty());
            let index = index(block.pod, address.addr());
            let allocation = Allocation {
                pod: name.unwrap_or_else(|| attachment.key.container_id.clone()),
                namespace: pod.map(|pod| pod.namespace.clone()).unwrap_or_default(),
                index,
                address: address.addr().to_string(),
            };
            found.insert(index, allocation);
        }
    }
    found.into_values().collect()
}

/// An address less the block's first; what exceeds the field is its largest number.
fn index(block: IpNet, address: IpAddr) -> i64 {
    let number = |address: IpAddr| match address {
        IpAddr::V4(v4) => u128::from(v4.to_bits()),
        IpAddr::V6(v6) => v6.to_bits(),
    };
    i64::try_from(number(address).saturating_sub(number(block.network()))).unwrap_or(i64::MAX)
}

/// Mirrors as long as the program runs.
pub(super) async fn mirror(client: Client, node: String, mut parts: PoolParts) {
    let objects: Api<IpPool> = Api::all(client);
    let mut there = known(&objects, &node).await;
    let mut networks = parts.networks.changes();
    let mut told = String::new();
    loop {
        networks.mark_unchanged();
        parts.events.mark_unchanged();
        let wanted = pools(&parts.networks.get(), &(parts.attached)(), &node);
        let mut failed = None;
        for (name, spec) in wanted {
            if there.get(&name) == Some(&spec) {
                continue;
            }
            match write(&objects, &name, &spec).await {
                Ok(()) => drop(there.insert(name, spec)),
                Err(error) => failed = Some(words(&error)),
            }
        }
        let error = failed.unwrap_or_default();
        if !error.is_empty() && error != told {
            tracing::warn!(error, "what pods hold cannot be mirrored in IPPool objects; tried again");
        }
        told = error;
        tokio::time::sleep(PAUSE).await;
        let retry = tokio::time::sleep(RETRY);
        tokio::select! {
            changed = parts.events.changed() => if changed.is_err() { return },
            _ = networks.changed() => {}
            () = retry, if !told.is_empty() => {}
        }
    }
}

/// What the server has of this node, as soon as it says.
async fn known(objects: &Api<IpPool>, node: &str) -> BTreeMap<String, IpPoolSpec> {
    let mine = ListParams::default().labels(&format!("{}={node}", LABELS.0));
    loop {
        match objects.list(&mine).await {
            Ok(list) => return list.into_iter().map(|one| (one.name_any(), one.spec)).collect(),
            Err(_) => tokio::time::sleep(RETRY).await,
        }
    }
}

/// Writes an object. The predecessor's fields are taken over: what they said is in our own book by now (`adoption`).
async fn write(objects: &Api<IpPool>, name: &str, spec: &IpPoolSpec) -> Result<(), kube::Error> {
    let mut object = IpPool::new(name, spec.clone());
    let labels = [(LABELS.0, &spec.host_name), (LABELS.1, &spec.net_attach_def)];
    object.labels_mut().extend(labels.map(|(key, value)| (key.to_owned(), value.clone())));
    objects.patch(name, &PatchParams::apply(MANAGER).force(), &Patch::Apply(&object)).await.map(|_| ())
}

#[cfg(test)]
mod tests;
