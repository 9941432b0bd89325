//! The task that keeps the lists of all pools: looks when something changes, tells at most once a second.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

use hwprobe::NicId;
use openapi::EventType;
use tokio::sync::{Notify, watch};

use super::info_file;
use super::pool::{List, Pool, View};
use super::selector::Classes;
use super::service::Served;
use super::view::changes;
use crate::inventory::published::Newest;
use crate::podresources::Holdings;

/// Between two lists of a pool, at least.
const BETWEEN: Duration = Duration::from_secs(1);

/// How soon it is looked again while something was given out that the kubelet does not show yet.
const GRANTED: Duration = Duration::from_secs(5);

/// A pool with where its list goes.
pub(crate) struct Kept {
    pub(crate) pool: Pool,
    pub(crate) served: Arc<Served>,
    /// When the kubelet was told last.
    pub(crate) told: Option<Instant>,
}

/// What the lists are made of.
pub(crate) struct Keeper {
    pub(crate) pools: Vec<Kept>,
    pub(crate) classes: Classes,
    pub(crate) newest: Newest,
    /// `None` until the kubelet, or its checkpoint, has said what is held.
    pub(crate) holdings: watch::Receiver<Option<Arc<Holdings>>>,
    /// NICs that attachments use.
    pub(crate) attached: Box<dyn Fn() -> BTreeSet<NicId> + Send>,
    /// Something was given out.
    pub(crate) gave: Arc<Notify>,
    /// Turns true when the VFs that are wanted exist, as far as they can; absent when nobody makes any.
    pub(crate) pfs_settled: Option<watch::Receiver<bool>>,
}

impl Keeper {
    /// Keeps them until there will be no other inventory.
    pub(crate) async fn keep(mut self) {
        if let Some(mut settled) = self.pfs_settled.take() {
            // A list that was made meanwhile would lack VFs, and the kubelet would fail the pods that have them for ever.
            // A sender that is gone settles nothing any more.
            let _ = settled.wait_for(|settled| *settled).await;
        }
        loop {
            let due = self.look(Instant::now());
            let time = async {
                match due {
                    Some(due) => tokio::time::sleep_until(due.into()).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                changed = self.newest.changed() => if changed.is_err() { return },
                changed = self.holdings.changed() => if changed.is_err() { return },
                () = self.gave.notified() => {}
                () = time => {}
            }
        }
    }

    /// Brings every list up to date; when to look again if nothing happens.
    fn look(&mut self, now: Instant) -> Option<Instant> {
        let published = self.newest.borrow_and_update().clone()?;
        // Without it the first list might leave out what a pod has, and the kubelet would fail that pod for ever.
        let holdings = self.holdings.borrow_and_update().clone()?;
        let attached = (self.attached)();
        let mut claimed = BTreeSet::new();
        let mut due: Option<Instant> = None;
        let mut soon = |at: Instant| due = Some(due.map_or(at, |due| due.min(at)));
        for Kept { pool, served, told } in &mut self.pools {
            let granted = served.granted(now);
            let view = View {
                inventory: &published.inventory,
                holdings: &holdings,
                attached: &attached,
                granted: &granted,
            };
            pool.see(&view, &self.classes, &mut claimed, now);
            if let Some(at) = pool.due() {
                soon(at);
            }
            if !granted.is_empty() {
                soon(now + GRANTED);
            }
            let list = pool.list();
            if served.list.borrow().as_deref() == Some(&list) {
                continue;
            }
            match *told {
                Some(last) if now < last + BETWEEN => soon(last + BETWEEN),
                _ => {
                    *told = Some(now);
                    report(served, &list);
                    let list = List::new(list);
                    let before = served.list.send_replace(Some(List::clone(&list)));
                    // After the list: whoever hears of it finds it.
                    if let Some(changes) = changes(before.as_deref().map(Vec::as_slice), &list) {
                        served.publish(EventType::PoolChanged, changes);
                    }
                }
            }
        }
        due
    }
}

/// Tells people what is different, and sweeps the files of devices that came back.
fn report(served: &Served, list: &[super::pool::Device]) {
    let before = served.list.borrow().clone();
    let resource = served.resource.as_str();
    for device in list {
        let known = before.as_ref().and_then(|before| before.iter().find(|one| one.id == device.id));
        let was_healthy = known.is_some_and(|known| known.healthy);
        match &device.fault {
            Some(fault) if !device.healthy && (was_healthy || known.is_none()) => {
                tracing::warn!(resource, device = device.id, %fault, "a device is not offered");
            }
            _ if device.healthy && known.is_some() && !was_healthy => {
                tracing::info!(resource, device = device.id, "a device is offered again");
            }
            _ => {}
        }
    }
    let held: BTreeSet<String> =
        list.iter().filter(|device| device.held).map(|device| device.id.clone()).collect();
    let were = before.iter().flat_map(|list| list.iter()).filter(|device| device.held);
    // Also the first time: a crash may have left some.
    if before.is_none() || were.into_iter().any(|device| !held.contains(&device.id)) {
        info_file::sweep(&served.info_dir, resource, &held);
    }
    served.metrics.device_pool(resource, list);
}
