//! Keeps answers that only change with a notification, until one comes.
//!
//! Asking again costs: a firmware answers ethtool in 1 to 100 ms, and a machine with a thousand VFs has
//! some ten thousand files. Links, addresses and routes are always asked: the kernel has them at hand.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Mutex;

use netlink::ethtool::Answers;
use netlink::route::{Address, Link, Route, RouteHop};

use super::files::Files;
use super::kernel::{Answer, DevlinkAnswers, ForeignNamespace, Kernel, Origin, VfioHolder};
use super::shares::locked;
use crate::model::Failure;

/// Answers by path.
type Kept<T> = Mutex<BTreeMap<String, T>>;

/// Files that are read once.
pub(crate) struct CachedFiles<F> {
    inner: F,
    read: Kept<Result<Option<Vec<u8>>, Failure>>,
    links: Kept<Result<Option<String>, Failure>>,
    lists: Kept<Result<Vec<String>, Failure>>,
    inodes: Kept<Option<u64>>,
}

impl<F: Files> CachedFiles<F> {
    /// Keeps what is read of `inner`.
    pub(crate) fn new(inner: F) -> Self {
        Self {
            inner,
            read: Mutex::default(),
            links: Mutex::default(),
            lists: Mutex::default(),
            inodes: Mutex::default(),
        }
    }

    /// Forgets everything.
    pub(crate) fn forget(&self) {
        locked(&self.read).clear();
        locked(&self.links).clear();
        locked(&self.lists).clear();
        locked(&self.inodes).clear();
    }

    /// Forgets what was read below a device's folder, and which devices there are: one came, went or was
    /// bound anew.
    pub(crate) fn forget_device(&self, folder: &str) {
        self.forget_netdevs();
        locked(&self.read).retain(|path, _| !path.starts_with(folder));
        locked(&self.links).clear();
        locked(&self.lists).clear();
        locked(&self.inodes).clear();
    }

    /// Forgets what was read of netdevs by name: names move from one to another.
    pub(crate) fn forget_netdevs(&self) {
        for path in ["sys/class/net", "run/"] {
            locked(&self.read).retain(|kept, _| !kept.starts_with(path));
            locked(&self.links).retain(|kept, _| !kept.starts_with(path));
            locked(&self.lists).retain(|kept, _| !kept.starts_with(path));
        }
    }
}

fn keep<T: Clone>(cache: &Kept<T>, path: &str, ask: impl FnOnce() -> T) -> T {
    if let Some(kept) = locked(cache).get(path) {
        return kept.clone();
    }
    let answer = ask();
    locked(cache).insert(path.to_owned(), answer.clone());
    answer
}

impl<F: Files> Files for CachedFiles<F> {
    fn read(&self, path: &str) -> Result<Option<Vec<u8>>, Failure> {
        // Mounts and the like change without a word.
        if path.starts_with("proc/") {
            return self.inner.read(path);
        }
        keep(&self.read, path, || self.inner.read(path))
    }

    fn read_link(&self, path: &str) -> Result<Option<String>, Failure> {
        keep(&self.links, path, || self.inner.read_link(path))
    }

    fn list(&self, path: &str) -> Result<Vec<String>, Failure> {
        keep(&self.lists, path, || self.inner.list(path))
    }

    fn inode(&self, path: &str) -> Option<u64> {
        keep(&self.inodes, path, || self.inner.inode(path))
    }
}

/// A kernel whose slow answers are kept.
pub(crate) struct CachedKernel<K> {
    inner: K,
    ethtool: RefCell<BTreeMap<u32, Answers>>,
    modules: RefCell<BTreeMap<u32, Option<Vec<u8>>>>,
    devlink: RefCell<Option<DevlinkAnswers>>,
    routes: RefCell<Option<Vec<Route>>>,
}

impl<K: Kernel> CachedKernel<K> {
    /// Keeps the slow answers of `inner`.
    pub(crate) fn new(inner: K) -> Self {
        Self {
            inner,
            ethtool: RefCell::default(),
            modules: RefCell::default(),
            devlink: RefCell::default(),
            routes: RefCell::default(),
        }
    }

    /// Forgets everything.
    pub(crate) fn forget(&self) {
        self.ethtool.borrow_mut().clear();
        self.modules.borrow_mut().clear();
        self.devlink.borrow_mut().take();
        self.routes.borrow_mut().take();
    }

    /// Forgets what is known of one link, and the default routes when one leads over it: the kernel does not
    /// say that an IPv4 route went with its link.
    pub(crate) fn forget_link(&self, index: u32) {
        self.ethtool.borrow_mut().remove(&index);
        self.modules.borrow_mut().remove(&index);
        let over_it = |routes: &Vec<Route>| {
            routes.iter().flat_map(|route| &route.hops).any(|hop| hop.index == Some(index))
        };
        if self.routes.borrow().as_ref().is_some_and(over_it) {
            self.forget_routes();
        }
    }

    /// Forgets what is known of all links; their modules stay plugged.
    pub(crate) fn forget_ethtool(&self) {
        self.ethtool.borrow_mut().clear();
    }

    /// Forgets devlink's answers.
    pub(crate) fn forget_devlink(&self) {
        self.devlink.borrow_mut().take();
    }

    /// Forgets the default routes.
    pub(crate) fn forget_routes(&self) {
        self.routes.borrow_mut().take();
    }
}

impl<K: Kernel> Kernel for CachedKernel<K> {
    fn origin(&self) -> Origin {
        self.inner.origin()
    }

    fn links(&self) -> Answer<Vec<Link>> {
        self.inner.links()
    }

    fn unread_links(&self) -> Vec<Failure> {
        self.inner.unread_links()
    }

    fn addresses(&self) -> Answer<Vec<Address>> {
        self.inner.addresses()
    }

    fn default_routes(&self) -> Answer<Vec<Route>> {
        if let Some(routes) = &*self.routes.borrow() {
            return Ok(routes.clone());
        }
        let routes = self.inner.default_routes()?;
        *self.routes.borrow_mut() = Some(routes.clone());
        Ok(routes)
    }

    fn route_to(&self, destination: IpAddr) -> Answer<Option<RouteHop>> {
        self.inner.route_to(destination)
    }

    fn foreign_links(&self) -> Answer<Vec<ForeignNamespace>> {
        self.inner.foreign_links()
    }

    fn ethtool(&self, indexes: &[u32]) -> Answer<BTreeMap<u32, Answers>> {
        let mut kept = self.ethtool.borrow_mut();
        // An index that is gone may come back as another NIC.
        kept.retain(|index, _| indexes.contains(index));
        let unknown: Vec<u32> = indexes.iter().copied().filter(|index| !kept.contains_key(index)).collect();
        if !unknown.is_empty() {
            kept.extend(self.inner.ethtool(&unknown)?);
        }
        Ok(kept.clone())
    }

    fn module_identity(&self, index: u32) -> Answer<Option<Vec<u8>>> {
        if let Some(kept) = self.modules.borrow().get(&index) {
            return Ok(kept.clone());
        }
        let answer = self.inner.module_identity(index)?;
        self.modules.borrow_mut().insert(index, answer.clone());
        Ok(answer)
    }

    fn devlink(&self) -> Answer<DevlinkAnswers> {
        if let Some(kept) = &*self.devlink.borrow() {
            return Ok(kept.clone());
        }
        let answer = self.inner.devlink()?;
        *self.devlink.borrow_mut() = Some(answer.clone());
        Ok(answer)
    }

    fn vfio_holders(&self, nodes: &[String]) -> Answer<Vec<VfioHolder>> {
        self.inner.vfio_holders(nodes)
    }
}
