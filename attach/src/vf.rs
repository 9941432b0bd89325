//! VFs of an attachment: noted before the first change, set up through their PFs, given back.

mod wish;

use std::os::fd::AsFd;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use cni::error::code;
use cni::{Error, NetConf};
use datapath::netns::PodNamespace;
use hwprobe::{Driver, Inventory, PciAddress};
use netlink::Socket;
use sriov::allocation;
use sriov::rdma::{self, RdmaMode};
use sriov::vf::{GivenBack, VfError, VfForm, VfOriginal, VfSettings, Vfs};
use sriov::{PfLocks, Roots, Works};

use crate::book::Book;
use crate::engine::{Engine, hw_addr, kernel_error, words};
use crate::links;
use crate::record::{Attachment, Phase, PodLink, VfRecord, VfRole};
use crate::request::Request;
use crate::select::LinkUse;

/// How long a pod waits for the PF of its VF: others set up theirs, which may take a bind or two.
const PF_PATIENCE: Duration = Duration::from_secs(60);

/// Where device-info files are (FOREIGN §4.4); the path comes with the configuration, and must lead nowhere else.
const INFO_FOLDERS: [&str; 2] =
    ["/var/run/k8s.cni.cncf.io/devinfo/cni/", "/run/k8s.cni.cncf.io/devinfo/cni/"];

/// What is shared with whoever else works on PFs.
#[derive(Debug, Clone, Default)]
pub struct SriovParts {
    /// Folders.
    pub roots: Roots,
    /// A lock for each PF.
    pub locks: PfLocks,
    /// Work that may hang.
    pub works: Works,
}

/// Where RDMA devices go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum RdmaWay {
    /// After their netdevs.
    IntoPod,
    /// Before their netdevs.
    Home,
}

impl SriovParts {
    pub(crate) fn vfs(&self) -> Vfs {
        Vfs::new(self.roots.clone(), self.works.clone())
    }
}

impl Engine {
    /// Notes what the attachment's VFs are, before anything is changed; the record is written down with it.
    pub(crate) fn note_vfs(
        &self,
        request: &Request,
        inventory: &Inventory,
        book: &Book,
        attachment: &mut Attachment,
    ) -> Result<(), Error> {
        for link in &mut attachment.links {
            match link.link {
                LinkUse::Vf => self.note_vf(request, link)?,
                LinkUse::Macvlan { .. } => self.note_master(inventory, book, link)?,
                _ => {}
            }
        }
        Ok(())
    }

    fn note_vf(&self, request: &Request, link: &mut PodLink) -> Result<(), Error> {
        // Looked at now, so that a wrong key fails before anything is touched.
        request.mac()?;
        wish::settings(&request.conf, &request.environment.args, link.index)?;
        let form = wish::form(&request.conf)?;
        let pci = pci(link)?;
        let original =
            self.with_host(|host| self.vfs.observe(host, pci))?.map_err(|error| vf_error(&error))?;
        let in_vfio = original.driver.as_deref().is_some_and(Driver::is_vfio);
        let role = match form {
            Some(VfForm::Vfio) => VfRole::Vfio,
            Some(VfForm::Netdev) => VfRole::Netdev,
            None if in_vfio => VfRole::Vfio,
            None => VfRole::Netdev,
        };
        // The inventory may be older than the VF's last bind.
        if let Some((index, name)) = self.vfs.netdev_of(pci) {
            let taken = self.with_host(|host| datapath::observe::device(host, index))?;
            let taken = taken.map_err(|error| kernel_error(&error))?;
            // Its address is the PF's matter: what a driver made up must not be written back (TRAPS V1).
            link.original = Some(links::original(&datapath::Taken { address: None, ..taken }));
            (link.master_ifindex, link.master) = (index, name);
        }
        link.vf = Some(VfRecord::new(role, original));
        Ok(())
    }

    /// macvlan on a VF needs trust and no check of source addresses; the first one on it notes what was.
    fn note_master(&self, inventory: &Inventory, book: &Book, link: &mut PodLink) -> Result<(), Error> {
        let is_vf = inventory.nics.iter().any(|nic| nic.id == link.nic && nic.vf.is_some());
        let Ok(pci) = pci(link) else { return Ok(()) };
        if !is_vf {
            return Ok(());
        }
        let others = book.attachments.values().flat_map(|other| &other.links);
        let others = others.filter(|other| other.nic == link.nic);
        let noted = others
            .filter_map(|other| other.vf.as_ref())
            .find(|vf| vf.role == VfRole::Master && self.vfs.is_same(&vf.original));
        let original = match noted {
            Some(vf) => vf.original.clone(),
            None => self.with_host(|host| self.vfs.observe(host, pci))?.map_err(|error| vf_error(&error))?,
        };
        link.vf = Some(VfRecord::new(VfRole::Master, original));
        Ok(())
    }

    /// Sets the attachment's VFs up. What was done when one fails is undone with the attachment.
    pub(crate) fn take_vfs(&self, request: &Request, attachment: &mut Attachment) -> Result<(), Error> {
        if !attachment.has_vfs() {
            return Ok(());
        }
        let netns = attachment.netns.clone();
        for link in &mut attachment.links {
            let Some(record) = &link.vf else { continue };
            let (role, original) = (record.role, record.original.clone());
            let lock = self.parts.sriov.locks.give(&original.pf.to_string(), PF_PATIENCE);
            let lock = Arc::new(lock.map_err(|error| Error::new(code::TRY_AGAIN, error.to_string()))?);
            if role == VfRole::Master {
                let allowed = self.with_host(|host| self.vfs.allow_macvlan(host, &original))?;
                allowed.map_err(|error| vf_error(&error))?;
                continue;
            }
            self.allocate(&original, &netns)?;
            let settings = wish::settings(&request.conf, &request.environment.args, link.index)?;
            let form = if role == VfRole::Vfio { VfForm::Vfio } else { VfForm::Netdev };
            let taken = self.with_host(|host| self.vfs.take(host, &original, &settings, form, &lock))?;
            if let Some(netdev) = taken.map_err(|error| vf_error(&error))? {
                (link.master_ifindex, link.master) = (netdev.index, netdev.name);
                link.mac = netdev.mac.as_ref().and_then(hw_addr);
                // Read after the last bind, which names them anew.
                let rdma = self.following_rdma(original.pci);
                link.vf.iter_mut().for_each(|vf| vf.rdma.clone_from(&rdma));
            } else {
                link.mac = settings.mac().and_then(hw_addr);
            }
        }
        self.tell_device(request, attachment);
        crate::failpoint::reached("add.vfs");
        Ok(())
    }

    /// The RDMA devices of a VF that go where its netdev goes: none in shared mode.
    fn following_rdma(&self, pci: PciAddress) -> Vec<String> {
        let roots = &self.parts.sriov.roots;
        let names = rdma::devices_of(roots, pci);
        if names.is_empty() {
            return names;
        }
        match rdma::mode(roots) {
            Ok(Some(RdmaMode::Exclusive)) => names,
            Ok(_) => Vec::new(),
            Err(error) => {
                tracing::warn!(vf = %pci, error = words(&error), "its RDMA devices do not follow it");
                Vec::new()
            }
        }
    }

    /// Moves the RDMA devices of the attachment's VFs after their netdevs, into the pod's namespace or back from it. The
    /// pod has its network without them, so what cannot be moved is only told. From a namespace that ends they come back
    /// by themselves.
    pub(crate) fn move_rdma(&self, attachment: &Attachment, pod: &PodNamespace, way: RdmaWay) {
        let (from, to) = match way {
            RdmaWay::IntoPod => (self.home.as_fd(), pod.as_fd()),
            RdmaWay::Home => (pod.as_fd(), self.home.as_fd()),
        };
        for vf in attachment.links.iter().filter_map(|link| link.vf.as_ref()) {
            if let Err(error) = rdma::follow(&self.parts.sriov.roots, &vf.rdma, from, to) {
                let vf = vf.original.pci;
                tracing::warn!(key = %attachment.key, %vf, error = words(&error), "an RDMA device stays behind");
            }
        }
    }

    /// sriov-cni's files, so that both plugins can share a machine (TRAPS V5).
    fn allocate(&self, vf: &VfOriginal, netns: &str) -> Result<(), Error> {
        let roots = &self.parts.sriov.roots;
        let failed = |error: allocation::AllocationError| kernel_error(&error);
        let _lock = allocation::lock(roots, vf.pci, PF_PATIENCE).map_err(failed)?;
        if let Some(other) = allocation::of(roots, vf.pci).map_err(failed)?
            && other.alive
            && other.namespace != Path::new(netns)
        {
            let words = format!("VF {} is given to {} by sriov-cni", vf.pci, other.namespace.display());
            return Err(Error::new(code::NIC_IN_USE, words));
        }
        allocation::enter(roots, vf.pci, Path::new(netns)).map_err(failed)
    }

    fn leave(&self, vf: &VfOriginal, netns: &str) {
        let roots = &self.parts.sriov.roots;
        let left = allocation::lock(roots, vf.pci, PF_PATIENCE).and_then(|_lock| {
            match allocation::of(roots, vf.pci)? {
                Some(entry) if entry.namespace == Path::new(netns) => allocation::leave(roots, vf.pci),
                _ => Ok(()),
            }
        });
        if let Err(error) = left {
            tracing::warn!(vf = %vf.pci, error = words(&error), "sriov-cni's file of a VF stays");
        }
    }

    /// Allocations of an earlier boot: the VFs themselves are new ones.
    pub(crate) fn leave_allocations(&self, attachment: &mut Attachment) {
        for link in &mut attachment.links {
            if let Some(vf) = link.vf.take().filter(|vf| vf.role != VfRole::Master) {
                self.leave(&vf.original, &attachment.netns);
            }
        }
    }

    /// Whether a VF of user space is no longer; absent when the link is none.
    pub(crate) fn is_back_from_vfio(&self, link: &PodLink) -> Option<bool> {
        let vf = link.vf.as_ref().filter(|vf| vf.role == VfRole::Vfio)?;
        Some(!self.vfs.driver(vf.original.pci).as_deref().is_some_and(Driver::is_vfio))
    }

    /// Tries again to give back VFs of attachments that are otherwise taken apart.
    pub(crate) fn return_owed_vfs(&self) {
        let owes =
            |attachment: &Arc<Attachment>| attachment.phase == Phase::Detaching && attachment.has_vfs();
        for owing in self.attachments().into_iter().filter(owes) {
            let Ok(_one) = self.one_for(&owing.key) else { continue };
            let Some(owing) = self.attachment(&owing.key).filter(owes) else { continue };
            let mut owing = (*owing).clone();
            if self.return_vfs(&mut owing) {
                self.finish_detach(owing);
            }
        }
    }

    /// Gives the attachment's VFs back; whether all are. Those that are lose their record.
    pub(crate) fn return_vfs(&self, attachment: &mut Attachment) -> bool {
        if !attachment.has_vfs() {
            return true;
        }
        let Ok(conf) = NetConf::parse(&attachment.config) else { return true };
        let (key, netns, args) = (attachment.key.clone(), attachment.netns.clone(), attachment.args.clone());
        let mut all = true;
        for link in &mut attachment.links {
            let Some(record) = link.vf.clone() else { continue };
            let vf = &record.original;
            let back = match self.parts.sriov.locks.take_back(&vf.pf.to_string(), PF_PATIENCE) {
                Err(error) => Err(error.to_string()),
                Ok(lock) => {
                    let lock = Arc::new(lock);
                    if record.role == VfRole::Master {
                        self.return_master(&key, link, vf)
                    } else {
                        self.return_vf(&conf, &args, link, vf, &lock)
                    }
                }
            };
            if let Err(error) = back {
                tracing::warn!(%key, vf = %vf.pci, error, "a VF is not given back yet; it is tried again");
                all = false;
                continue;
            }
            if record.role != VfRole::Master {
                self.leave(vf, &netns);
            }
            if let Some(file) = &record.info_file {
                drop(std::fs::remove_file(file));
            }
            link.vf = None;
        }
        crate::failpoint::reached("del.vfs");
        all
    }

    fn return_vf(
        &self,
        conf: &NetConf,
        args: &str,
        link: &PodLink,
        vf: &VfOriginal,
        lock: &(impl Clone + Send + 'static),
    ) -> Result<(), String> {
        let settings = wish::settings(conf, args, link.index).unwrap_or_default();
        let restore = |host: &mut Socket| -> Result<GivenBack, String> {
            let back = self.vfs.give_back(host, vf, &settings, lock).map_err(|error| words(&error))?;
            if let (Some(netdev), Some(original)) = (&back.netdev, &link.original) {
                let restored = datapath::restore(host, netdev.index, &links::taken(original));
                restored.map_err(|error| words(&error))?;
            }
            Ok(back)
        };
        let back = self.with_host(restore).map_err(|error| error.to_string())??;
        for left in back.left {
            tracing::warn!(vf = %vf.pci, "left behind: {left}");
        }
        if back.is_gone {
            tracing::info!(vf = %vf.pci, "the VF is another one by now: it is left alone");
        }
        Ok(())
    }

    /// Trust and the check of addresses as they were, with the last macvlan on the VF. The lock of the PF is held, so
    /// nobody begins meanwhile whom the book does not show.
    fn return_master(&self, key: &crate::record::Key, link: &PodLink, vf: &VfOriginal) -> Result<(), String> {
        let used = self.attachments().iter().any(|other| {
            other.key != *key
                && other.links.iter().any(|one| {
                    one.nic == link.nic && one.vf.as_ref().is_some_and(|vf| vf.role == VfRole::Master)
                })
        });
        if used {
            return Ok(());
        }
        let restored = self.with_host(|host| self.vfs.disallow_macvlan(host, vf));
        restored.map_err(|error| error.to_string())?.map_err(|error| words(&error))
    }

    /// Whether the VFs of an attachment are as they were set up.
    pub(crate) fn compare_vfs(&self, attachment: &Attachment) -> Result<(), Error> {
        if !attachment.has_vfs() {
            return Ok(());
        }
        let missing = |words: String| Err(Error::new(code::INTERNAL, words));
        let conf = NetConf::parse(&attachment.config)?;
        for link in &attachment.links {
            let Some(VfRecord { role, original, .. }) = &link.vf else { continue };
            if !self.vfs.is_same(original) {
                return missing(format!("VF {} of {} is gone", original.pci, link.name));
            }
            if *role == VfRole::Vfio && !self.vfs.driver(original.pci).as_deref().is_some_and(Driver::is_vfio)
            {
                return missing(format!("VF {} of {} is not bound to vfio-pci", original.pci, link.name));
            }
            let settings = match role {
                VfRole::Master => VfSettings::for_macvlan(),
                _ => wish::settings(&conf, &attachment.args, link.index)?,
            };
            let now = self.with_host(|host| self.vfs.admin_now(host, original))?;
            let lacks = settings.missing(&now.map_err(|error| vf_error(&error))?);
            let lacks: Vec<&String> = lacks
                .iter()
                // A VLAN or rate that somebody gave a VF on the host is not ours to judge.
                .filter(|lack| {
                    *role != VfRole::Master || lack.starts_with("trust") || lack.starts_with("spoof")
                })
                .collect();
            if let Some(lack) = lacks.first() {
                return missing(format!("VF {} of {} does not have {lack}", original.pci, link.name));
            }
        }
        Ok(())
    }

    /// Tells others which device the pod got, where the runtime named a file that is not there yet (FOREIGN §4.4).
    fn tell_device(&self, request: &Request, attachment: &mut Attachment) {
        let Some(file) = &request.conf.runtime.device_info_file else { return };
        let first = attachment.links.first_mut().and_then(|link| link.vf.as_mut());
        let Some(vf) = first.filter(|vf| vf.role != VfRole::Master) else { return };
        let inside = INFO_FOLDERS.iter().any(|folder| file.starts_with(folder)) && !file.contains("/../");
        if !inside {
            tracing::warn!(file, "CNIDeviceInfoFile is in no folder of device-info files: it is not written");
            return;
        }
        let text = wish::device_info(&vf.original);
        match write_new(Path::new(file), &text) {
            Ok(true) => vf.info_file = Some(file.clone()),
            // The runtime copied the device plugin's.
            Ok(false) => {}
            Err(error) => tracing::warn!(file, %error, "a device-info file cannot be written"),
        }
    }
}

/// Writes a file that nobody may change; false when there is one.
fn write_new(file: &Path, text: &str) -> std::io::Result<bool> {
    use std::io::Write;
    use std::os::unix::fs::OpenOptionsExt;
    if let Some(folder) = file.parent() {
        std::fs::create_dir_all(folder)?;
    }
    match std::fs::OpenOptions::new().write(true).create_new(true).mode(0o444).open(file) {
        Ok(mut new) => new.write_all(text.as_bytes()).map(|()| true),
        Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => Ok(false),
        Err(error) => Err(error),
    }
}

/// PCI address of a link's NIC.
fn pci(link: &PodLink) -> Result<PciAddress, Error> {
    link.nic
        .as_str()
        .parse()
        .map_err(|_| Error::new(code::NO_NIC, format!("{} is no PCI function; this use needs one", link.nic)))
}

/// A refusal as the runtime reads it.
fn vf_error(error: &VfError) -> Error {
    let code = match error {
        VfError::NoDevice { .. } | VfError::NotAVf { .. } => code::NO_NIC,
        VfError::Elsewhere { .. } => code::NIC_IN_USE,
        VfError::Set { .. } | VfError::Vfio(_) => code::INVALID_CONFIG,
        _ => code::INTERNAL,
    };
    Error::new(code, words(error))
}
