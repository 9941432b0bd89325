//! The kubelet's device plugin: pools of VFs, or of shares of NICs, as extended resources.
//!
//! ```text
//! inventory ─┐                                            ┌─► service (ListAndWatch, Allocate …) ◄── kubelet
//! holders   ─┼─► keeper: Pool::see ─► list, once a second ┤
//! time      ─┘   (pure: selector, fault, health)          └─► endpoint (bind, register, again after a restart)
//! ```
//! What a pod has is in the list whatever happens to it; what could not be read leaves nothing out.

mod allocation;
mod authority;
mod endpoint;
mod fault;
mod health;
mod info_file;
mod keeper;
mod pool;
mod preferred;
#[cfg(test)]
pub(crate) mod samples;
mod selector;
mod service;
mod view;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

use hwprobe::NicId;
use sriov::Roots;
use tokio::sync::{Notify, watch};

use crate::config::{DevicePool, Settings};
use crate::inventory::cache::CacheHandle;
use crate::inventory::events::SharedLog;
use crate::inventory::published::Newest;
use crate::kubelet_folder::FolderWatch;
use crate::metrics::Metrics;
use crate::podresources::{Following, Holdings, follow};
use endpoint::Endpoint;
pub(crate) use endpoint::Standing;
pub(crate) use fault::Fault;
use health::Patience;
use keeper::{Keeper, Kept};
pub(crate) use pool::Device;
use pool::Pool;
use service::Served;
pub(crate) use view::{PoolView, Pools, counts};

/// What the plugin works with.
pub(crate) struct PluginParts<'a> {
    pub(crate) settings: &'a Settings,
    pub(crate) newest: Newest,
    pub(crate) cache: CacheHandle,
    pub(crate) metrics: Arc<Metrics>,
    pub(crate) log: SharedLog,
    /// Turns true when PFs have been changed as far as they could be; absent when nothing is done to them.
    pub(crate) pfs_settled: Option<watch::Receiver<bool>>,
    /// NICs that attachments use.
    pub(crate) attached: Box<dyn Fn() -> BTreeSet<NicId> + Send>,
}

/// Begins to follow the kubelet, and to offer it the pools when that is asked for. Must be called in a runtime, which
/// ends it all. Without a kubelet's folder and without pools, nothing is begun.
pub(crate) fn start(parts: PluginParts<'_>) -> Pools {
    let PluginParts { settings, newest, cache, metrics, log, pfs_settled, attached } = parts;
    let plugin = &settings.device_plugin;
    if !plugin.enabled && !plugin.kubelet_dir.join("device-plugins").is_dir() {
        return Pools::default();
    }
    let folder = match FolderWatch::new(&plugin.kubelet_dir.join("device-plugins")) {
        Ok(folder) => folder,
        Err(error) => {
            tracing::error!(%error, "the kubelet's folder cannot be watched; it is offered nothing");
            return Pools::default();
        }
    };
    let (holdings, held) = watch::channel(None);
    let gave = Arc::new(Notify::new());
    tokio::spawn(follow(Following { kubelet: plugin.kubelet_dir.clone(), folder: folder.clone(), holdings }));
    tokio::spawn(show(held.clone(), cache.clone()));
    if !plugin.enabled {
        return Pools::default();
    }
    let serve = |pool: &DevicePool| {
        Arc::new(Served {
            resource: format!("{}/{}", plugin.prefix, pool.name),
            config: Arc::new(pool.clone()),
            list: watch::Sender::new(None),
            newest: newest.clone(),
            roots: Roots::default(),
            info_dir: plugin.device_info_dir.clone(),
            granted: Mutex::new(BTreeMap::new()),
            gave: Arc::clone(&gave),
            metrics: Arc::clone(&metrics),
            log: Arc::clone(&log),
        })
    };
    let served: Vec<Arc<Served>> = plugin.pools.iter().map(serve).collect();
    let mut shown = Vec::new();
    for served in &served {
        let standing = watch::Sender::new(Standing::new(SystemTime::now()));
        shown.push((Arc::clone(served), standing.subscribe()));
        let (served, kubelet, cache) = (Arc::clone(served), plugin.kubelet_dir.clone(), cache.clone());
        tokio::spawn(Endpoint { served, kubelet, folder: folder.clone(), cache, standing }.live());
    }
    let seconds = |count: u32| Duration::from_secs(u64::from(count));
    let patience = Patience {
        unhealthy_after: seconds(plugin.unhealthy_after),
        healthy_after: seconds(plugin.healthy_after),
    };
    let kept = |served: Arc<Served>| {
        let pool = Pool::new(Arc::clone(&served.config), &served.resource, patience);
        Kept { pool, served, told: None }
    };
    let classes = settings.device_classes.iter().map(|(name, class)| (name.clone(), class.into())).collect();
    let pools = served.into_iter().map(kept).collect();
    let holdings = held.clone();
    tokio::spawn(Keeper { pools, classes, newest, holdings, attached, gave, pfs_settled }.keep());
    Pools::new(shown, held)
}

/// Shows in the inventory which pod has what.
async fn show(mut holdings: watch::Receiver<Option<Arc<Holdings>>>, cache: CacheHandle) {
    while holdings.changed().await.is_ok() {
        if let Some(now) = holdings.borrow_and_update().clone() {
            cache.show_holdings(now);
        }
    }
}
