//! The one who keeps the networks of this node what the cluster says.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Instant;

use attach::network::DeviceClass;
use hwprobe::Inventory;
use kube::Client;
use store::Store;
use tokio::sync::watch;

use super::known::{Kind, Known, Said};
use super::plan::{self, View};
use super::{sriov_plans, watching};
use crate::adoption::{self, Done};
use crate::current_networks::Current;
use crate::inventory::published::Newest;
use crate::planning::record::Record;
use crate::routes::{RouteStates, Routes, Wanted};

/// Messages of watches that are taken in before something is made of them.
const TOGETHER: usize = 1000;

/// What the keeper works with.
#[derive(Debug)]
pub(crate) struct KeeperParts {
    /// Name of this node.
    pub(crate) node: String,
    /// Device classes of the agent's configuration.
    pub(crate) classes: BTreeMap<String, DeviceClass>,
    /// Without one, what the cluster said is forgotten with the process.
    pub(crate) store: Option<Arc<Store>>,
    /// Where the networks go.
    pub(crate) networks: Current,
    /// Where routes to other hosts go; absent: nowhere.
    pub(crate) routes: Option<Routes>,
    /// Whether the pods that were there before are known; until then no block gives an address.
    pub(crate) adopted: Done,
    /// Is told when all that networks are made of has been said and planned.
    pub(crate) complete: watch::Sender<bool>,
}

/// The owner of what is known of the cluster.
#[derive(Debug)]
pub(super) struct Keeper {
    parts: KeeperParts,
    known: Known,
    orders: BTreeMap<String, Record>,
}

impl Keeper {
    /// Takes up what is remembered.
    pub(super) fn new(parts: KeeperParts) -> Self {
        let known = Known::remembered(parts.store.as_deref(), &parts.node);
        Self { parts, known, orders: BTreeMap::new() }
    }

    /// Writes down what is new, plans for the NICs that are here now, and publishes what is other than before.
    pub(super) fn plan_newest(&mut self, newest: &mut Newest) {
        let published = newest.borrow_and_update().clone();
        // What a pod is given must outlive the process.
        self.known.save(self.parts.store.as_deref(), &self.parts.node);
        self.want_functions();
        self.parts.networks.set_offers(plan::offers(&self.known));
        if let Some(published) = published {
            self.plan(&published.inventory);
        }
    }

    /// Hands on what is wanted of PFs, whatever NICs are here.
    fn want_functions(&self) {
        let networks = &self.parts.networks;
        let (policies, reports) = sriov_plans::policies(&self.known);
        let before = networks.reports();
        for report in reports.iter().filter(|report| !before.contains(report)) {
            let (network, field) = (report.network.as_deref(), report.field.as_deref());
            let fix = report.fix.as_deref();
            tracing::warn!(network, field, fix, "of a plan for PFs: {}", report.message);
        }
        if *before != reports {
            networks.set_reports(reports);
        }
        if *networks.policies() != policies {
            tracing::info!(policies = policies.len(), "what is wanted of PFs changed");
            networks.set_policies(policies);
        }
    }

    fn plan(&mut self, inventory: &Inventory) {
        let parts = &self.parts;
        let view = View { node: &parts.node, known: &self.known, inventory, classes: &parts.classes };
        let mut networks = plan::networks(view, &mut self.orders);
        if !*parts.adopted.borrow() {
            adoption::hold_back(&mut networks);
        }
        if *parts.networks.get() != networks {
            tracing::info!(networks = networks.networks.len(), "the networks changed");
            parts.networks.set(networks);
        }
        if self.known.is_complete() {
            parts.complete.send_if_modified(|complete| !std::mem::replace(complete, true));
        }
        if let Some(routes) = &parts.routes {
            routes.want(Wanted { complete: self.known.is_complete(), networks: plan::routes(view) });
        }
    }

    /// Tells when everything has been said and planned.
    pub(super) fn complete(&self) -> watch::Receiver<bool> {
        self.parts.complete.subscribe()
    }

    /// The networks as they are now.
    pub(super) fn networks(&self) -> Current {
        self.parts.networks.clone()
    }

    /// How the routes are.
    pub(super) fn route_states(&self) -> Option<RouteStates> {
        self.parts.routes.as_ref().map(Routes::states)
    }

    fn take(&mut self, (kind, said): (Kind, Said)) -> bool {
        self.known.take(kind, said, Instant::now())
    }
}

/// Follows the cluster and the inventory as long as the program runs.
pub(super) async fn keep(mut keeper: Keeper, client: Client, mut newest: Newest) {
    let mut said = watching::start(&client, &keeper.parts.node);
    let mut adopted = keeper.parts.adopted.clone();
    loop {
        let due = keeper.known.due();
        let until = tokio::time::Instant::from_std(due.unwrap_or_else(Instant::now));
        let mut changed = false;
        tokio::select! {
            changed_now = newest.changed() => {
                if changed_now.is_err() {
                    return;
                }
                changed = true;
            }
            Ok(()) = adopted.changed() => changed = true,
            Some(message) = said.recv() => {
                changed = keeper.take(message);
                for _ in 0..TOGETHER {
                    let Ok(message) = said.try_recv() else { break };
                    changed |= keeper.take(message);
                }
            }
            () = tokio::time::sleep_until(until), if due.is_some() => {
                let now = Instant::now();
                for kind in keeper.known.kinds_due(now) {
                    if watching::is_served(&client, kind).await {
                        changed |= keeper.known.let_go(kind, now);
                    } else {
                        tracing::warn!(?kind, "the server does not know the kind; what is known of it stays");
                        keeper.known.keep(kind, now);
                    }
                }
            }
        }
        if !changed {
            continue;
        }
        tokio::task::block_in_place(|| keeper.plan_newest(&mut newest));
    }
}
