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
use crate::model::{Failure, PciAddress};

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
    /// bound anew. Of a VF that was known, nothing is forgotten about others but its PF: a machine may have a thousand.
    pub(crate) fn forget_device(&self, folder: &str) -> Forgotten {
        self.forget_netdevs();
        let Some((vf, pf)) = self.vf_of(folder) else {
            locked(&self.read).retain(|path, _| !path.starts_with(folder));
            locked(&self.links).clear();
            locked(&self.lists).clear();
            locked(&self.inodes).clear();
            return Forgotten::All;
        };
        let address = vf.rsplit('/').next().unwrap_or(vf);
        let of_bus = format!("sys/bus/pci/devices/{address}");
        let virtfn = format!("{pf}/virtfn");
        // Which functions there are is on the bus; what else is outside the devices is little.
        let elsewhere =
            |path: &str| !path.starts_with("sys/devices/") && !path.starts_with("sys/bus/pci/devices/");
        forget_below(&self.read, vf);
        forget_below(&self.links, vf);
        forget_below(&self.lists, vf);
        forget_below(&self.inodes, vf);
        locked(&self.links)
            .retain(|path, _| !elsewhere(path) && *path != of_bus && !path.starts_with(&virtfn));
        locked(&self.lists).retain(|path, _| !elsewhere(path) && *path != pf);
        locked(&self.inodes).retain(|path, _| !elsewhere(path));
        Forgotten::OneVf
    }

    /// The known VF that a folder is, or is below, and the folder of its PF: the PF's link to it was read before.
    fn vf_of<'a>(&self, folder: &'a str) -> Option<(&'a str, String)> {
        let links = locked(&self.links);
        let above = std::iter::successors(Some(folder), |folder| Some(folder.rsplit_once('/')?.0));
        above.take_while(|folder| *folder != "sys/devices").find_map(|vf| {
            let (around, address) = vf.rsplit_once('/')?;
            address.parse::<PciAddress>().ok()?;
            // PF and VFs are side by side in the tree.
            let beside = format!("{around}/");
            let mut links = links.range(beside.clone()..).take_while(|(path, _)| path.starts_with(&beside));
            links.find_map(|(path, target)| {
                let (pf, _) = path.split_once("/virtfn")?;
                let target = target.as_ref().ok()?.as_ref()?;
                (target.rsplit('/').next() == Some(address)).then(|| (vf, pf.to_owned()))
            })
        })
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

/// How much was forgotten.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Forgotten {
    /// A VF, and which VFs its PF has.
    OneVf,
    /// Which devices there are, and how they hang together.
    All,
}

/// Forgets what was read of a folder and below it.
fn forget_below<T>(cache: &Kept<T>, folder: &str) {
    let mut cache = locked(cache);
    let below = format!("{folder}/");
    let gone: Vec<String> = cache
        .range(below.clone()..)
        .map(|(path, _)| path)
        .take_while(|path| path.starts_with(&below))
        .cloned()
        .collect();
    cache.remove(folder);
    for path in gone {
        cache.remove(&path);
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

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::symlink;
    use std::path::Path;

    use super::{CachedFiles, Files, Forgotten};
    use crate::source::RootedFiles;

    const SLOT: &str = "sys/devices/pci0000:00/0000:00:01.0";

    /// Replaces a link.
    fn link(root: &Path, path: &str, target: &str) {
        let path = root.join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        let _ = fs::remove_file(&path);
        symlink(target, path).unwrap();
    }

    fn write(root: &Path, path: &str, text: &str) {
        let path = root.join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    /// A PF with VFs 0 and 1, each with a driver and a file.
    fn machine(root: &Path) {
        for (index, vf) in ["0000:01:10.0", "0000:01:10.1"].into_iter().enumerate() {
            link(root, &format!("{SLOT}/0000:01:00.0/virtfn{index}"), &format!("../{vf}"));
            link(root, &format!("{SLOT}/{vf}/driver"), "../../../../bus/pci/drivers/old");
            link(
                root,
                &format!("sys/bus/pci/devices/{vf}"),
                &format!("../../../devices/pci0000:00/0000:00:01.0/{vf}"),
            );
            write(root, &format!("{SLOT}/{vf}/uevent"), "old");
        }
    }

    /// Driver and file of both VFs, and how many VFs and functions there are.
    fn seen(files: &dyn Files) -> [String; 6] {
        let of = |vf: &str| {
            let driver = files.link_name(&format!("{SLOT}/{vf}/driver")).unwrap().unwrap_or_default();
            [driver, files.text(&format!("{SLOT}/{vf}/uevent")).unwrap().unwrap_or_default()]
        };
        for index in 0..3 {
            files.link_name(&format!("{SLOT}/0000:01:00.0/virtfn{index}")).unwrap();
        }
        let count = |folder: &str| files.list(folder).unwrap().len().to_string();
        let counts = [count(&format!("{SLOT}/0000:01:00.0")), count("sys/bus/pci/devices")];
        [of("0000:01:10.0"), of("0000:01:10.1"), counts].concat().try_into().unwrap()
    }

    /// Everything becomes something else.
    fn change(root: &Path) {
        for vf in ["0000:01:10.0", "0000:01:10.1"] {
            link(root, &format!("{SLOT}/{vf}/driver"), "../../../../bus/pci/drivers/new");
            write(root, &format!("{SLOT}/{vf}/uevent"), "new");
        }
        link(root, &format!("{SLOT}/0000:01:00.0/virtfn2"), "../0000:01:10.2");
        link(
            root,
            "sys/bus/pci/devices/0000:01:10.2",
            "../../../devices/pci0000:00/0000:00:01.0/0000:01:10.2",
        );
    }

    #[test]
    fn a_change_of_a_vf_makes_only_that_vf_and_the_list_of_vfs_be_read_again() {
        for changed in ["0000:01:10.0", "0000:01:10.0/net/eth5"] {
            let folder = tempfile::tempdir().unwrap();
            machine(folder.path());
            let files = CachedFiles::new(RootedFiles::captured(folder.path()).unwrap());
            assert_eq!(seen(&files), ["old", "old", "old", "old", "2", "2"]);
            change(folder.path());
            assert_eq!(seen(&files), ["old", "old", "old", "old", "2", "2"]);

            assert_eq!(files.forget_device(&format!("{SLOT}/{changed}")), Forgotten::OneVf);

            assert_eq!(seen(&files), ["new", "new", "old", "old", "3", "3"], "{changed}");
        }
    }

    #[test]
    fn a_change_of_a_pf_or_of_somebody_new_makes_all_links_and_lists_be_read_again() {
        for changed in ["0000:01:00.0", "0000:01:10.2"] {
            let folder = tempfile::tempdir().unwrap();
            machine(folder.path());
            let files = CachedFiles::new(RootedFiles::captured(folder.path()).unwrap());
            seen(&files);
            change(folder.path());

            assert_eq!(files.forget_device(&format!("{SLOT}/{changed}")), Forgotten::All);

            assert_eq!(seen(&files), ["new", "old", "new", "old", "3", "3"], "{changed}");
        }
    }
}
