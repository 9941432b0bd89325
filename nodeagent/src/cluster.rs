//! The agent's side of a cluster.
//!
//! ```text
//! Inventory ──host_interface, settling──► publisher ──► HostInterface of this node
//! MultiNicNetwork, CIDR, DeviceClass ──watching──► known (store) ──plan──► Networks (for attach), routes
//! status of that object ──watching──► known (store) ──sriov_plans──► policies (for the keeper of PFs)
//! attachments ──pools──► IPPool; of annotated pods ──pod_status──► their status
//! ```
//! The cluster is never in a pod's way: what is watched is remembered, and pods are served from memory.

mod access;
mod host_interface;
mod host_networks;
mod keeper;
mod known;
mod plan;
mod pod_status;
mod pools;
mod publisher;
mod server_address;
mod settling;
mod slice;
mod sriov_plans;
mod watching;

pub use access::Access;
pub(crate) use keeper::KeeperParts;
pub(crate) use pod_status::PodStatusParts;
pub(crate) use pools::PoolParts;

use keeper::Keeper;
use tokio::sync::watch;

use crate::adoption::{self, AdoptionParts};
use crate::chained::Asks;
use crate::inventory::published::Newest;

/// Name under which the agent owns fields of objects.
const MANAGER: &str = "multi-nicd";

/// The cluster that the agent is in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClusterMode {
    /// How the agent comes to the API server.
    pub access: Access,
    /// Name of this node there.
    pub node: String,
}

/// Those who have to do with pods.
pub(crate) struct PodParts {
    /// The pods that were there before, and who is told that they are known.
    pub(crate) adoption: (AdoptionParts, watch::Sender<bool>),
    pub(crate) asks: Asks,
    pub(crate) status: PodStatusParts,
}

/// What is done in a cluster.
#[derive(Debug)]
pub(crate) struct Cluster {
    access: Access,
    node: String,
    keeper: Keeper,
}

impl Cluster {
    /// Takes up what is remembered and plans for the inventory of now. On return the networks are published.
    pub(crate) fn start(access: Access, parts: KeeperParts, newest: &Newest) -> Self {
        let node = parts.node.clone();
        let mut keeper = Keeper::new(parts);
        keeper.plan_newest(&mut newest.clone());
        Self { access, node, keeper }
    }

    /// Name of this node.
    pub(crate) fn node(&self) -> &str {
        &self.node
    }

    /// Follows the cluster as long as the program runs.
    pub(crate) async fn follow(mut self, mut newest: Newest, pools: PoolParts, pods: PodParts) {
        let mut client = std::pin::pin!(access::client(&self.access));
        let client = loop {
            tokio::select! {
                client = &mut client => break client,
                // NICs come and go also while nothing leads to the server.
                changed = newest.changed() => match changed {
                    Ok(()) => tokio::task::block_in_place(|| self.keeper.plan_newest(&mut newest)),
                    Err(_) => return,
                },
            }
        };
        pods.asks.ask_at(client.clone());
        tokio::spawn(pod_status::tell(client.clone(), pods.status));
        let (complete, their_client, node) = (self.keeper.complete(), client.clone(), self.node.clone());
        tokio::spawn(async move {
            let (adoption, done) = pods.adoption;
            adoption::adopt(their_client.clone(), adoption, done, complete).await;
            // The mirror would write over what is to be adopted.
            pools::mirror(their_client, node, pools).await;
        });
        let (states, networks) = (self.keeper.route_states(), self.keeper.networks());
        tokio::spawn(publisher::publish(client.clone(), self.node, newest.clone(), networks, states));
        keeper::keep(self.keeper, client, newest).await;
    }
}
