//! Virtual functions: what they are, what a pod's is given, and how it comes back as it was.
//!
//! A VF has two sides: what its PF says of it (netlink at the PF: MAC, VLAN, rates, …), and the function itself (driver,
//! netdev). [`Vfs::observe`] notes both *before* the first change; what it noted is all that [`Vfs::give_back`] needs,
//! whatever happened in between: an end of this program, of the pod's namespace, of the driver.
//! A netdev is known by its PCI function here, never by name or number: both change with every bind.

mod original;
mod settings;

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use hwprobe::{Driver, PciAddress};
use netlink::route::{self, LinkSettings, Vf, VfAttribute};
use netlink::{LinkAddress, Socket};

use crate::count::settled;
use crate::driver::{Binder, DriverError};
use crate::vfio::{self, VfioError};
use crate::{Roots, Works};

pub use original::VfOriginal;
pub use settings::{SettingError, VfSettings, VfWish};

/// How long a driver may take to bind or let go.
const BIND: Duration = Duration::from_secs(20);

/// How long the netdev of a bound VF may take to appear, and udev to be done with it.
const APPEAR: Duration = Duration::from_secs(10);

/// How long a netdev may take to come home from a namespace that ends.
const HOME: Duration = Duration::from_secs(5);

const LOOK: Duration = Duration::from_millis(5);

/// The VFs of this machine. Whoever gives or takes one has the lock of its PF ([`PfUse`](crate::PfUse)).
#[derive(Debug, Clone)]
pub struct Vfs {
    roots: Roots,
    binder: Binder,
}

/// In which form a pod gets a VF.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum VfForm {
    /// As a network interface.
    Netdev,
    /// Through vfio-pci, for DPDK or a virtual machine.
    Vfio,
}

/// The network interface of a VF.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct VfNetdev {
    /// Its index; another one after each bind.
    pub index: u32,
    /// Its name now.
    pub name: String,
    /// Its address.
    pub mac: Option<LinkAddress>,
    /// Whether that is one that the driver made up (`addr_assign_type` 1): not to be written back (TRAPS V1).
    pub random_mac: bool,
    /// MTU in bytes.
    pub mtu: u32,
    /// Further names.
    pub alt_names: Vec<String>,
}

/// How a VF came back.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct GivenBack {
    /// Its network interface, where its own driver has one; name and MTU are the caller's to restore.
    pub netdev: Option<VfNetdev>,
    /// The device is gone, or another one is at its address: nothing was touched.
    pub is_gone: bool,
    /// What could not be restored, in words.
    pub left: Vec<String>,
}

/// A VF cannot be given or taken back.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum VfError {
    /// There is no such function.
    #[error("{pci}: this node has no such PCI function; it was removed, or its PF has fewer VFs now")]
    NoDevice {
        /// The function.
        pci: PciAddress,
    },
    /// It is a function of another kind.
    #[error("{pci} is no virtual function of SR-IOV; name a VF, or take it whole with type host-device")]
    NotAVf {
        /// The function.
        pci: PciAddress,
    },
    /// The PF cannot be asked.
    #[error(
        "PF {pf} of VF {index} has no network interface here: bind it to its driver, and take it out of other namespaces"
    )]
    NoPf {
        /// The PF.
        pf: PciAddress,
        /// The VF.
        index: u16,
    },
    /// Somebody has its netdev.
    #[error("VF {pci} has no network interface on this host: it is in another network namespace")]
    Elsewhere {
        /// The VF.
        pci: PciAddress,
    },
    /// Its driver made no netdev in time.
    #[error("VF {pci} is bound to {driver}, and no network interface has appeared within {} s", APPEAR.as_secs())]
    NoNetdev {
        /// The VF.
        pci: PciAddress,
        /// The driver.
        driver: String,
    },
    /// The PF refused a setting.
    #[error("set {what} of VF {index} ({pci}) on its PF {pf}{}", hint.map(|hint| format!(" ({hint})")).unwrap_or_default())]
    Set {
        /// The setting, in the words of `ip link set PF vf`.
        what: String,
        /// The VF's number.
        index: u16,
        /// The VF.
        pci: PciAddress,
        /// Name of the PF.
        pf: String,
        /// What that usually means.
        hint: Option<&'static str>,
        /// The kernel's answer.
        #[source]
        source: Box<netlink::Error>,
    },
    /// The VF's driver does not take the MAC that the PF set.
    #[error("VF {pci} has MAC {now} after its PF set {wanted} and its driver was bound again")]
    MacNotTaken {
        /// The VF.
        pci: PciAddress,
        /// What was set.
        wanted: LinkAddress,
        /// What it has.
        now: LinkAddress,
    },
    /// It cannot be handed to user space, or not be taken from there.
    #[error(transparent)]
    Vfio(#[from] VfioError),
    /// Its driver cannot be changed.
    #[error(transparent)]
    Driver(#[from] DriverError),
    /// The kernel was asked and did not answer.
    #[error(transparent)]
    Netlink(#[from] netlink::Error),
}

impl Vfs {
    /// The VFs below `roots`; what hangs is in `works`.
    pub fn new(roots: Roots, works: Works) -> Self {
        let binder = Binder::new(roots.clone(), works, BIND);
        Self { roots, binder }
    }

    /// Notes what a VF is before anything is changed. Leftovers of others (a VLAN, rates) are not noted: they are not to
    /// come back.
    ///
    /// # Errors
    /// When it is no VF, its PF cannot be asked, or its netdev is in another namespace.
    pub fn observe(&self, host: &mut Socket, pci: PciAddress) -> Result<VfOriginal, VfError> {
        let folder = self.folder(pci);
        let device = fs::metadata(&folder).map_err(|_| VfError::NoDevice { pci })?.ino();
        let (pf, index) = self.place(pci)?;
        let admin = self.admin(host, pf, index)?;
        let driver = self.binder.bound(pci);
        let netdev = self.netdev(host, pci)?;
        if netdev.is_none() && driver.as_deref().is_some_and(|driver| !Driver::is_vfio(driver)) {
            return Err(VfError::Elsewhere { pci });
        }
        Ok(VfOriginal::new(pci, pf, index, device, driver, netdev.as_ref(), admin))
    }

    /// What the PF says of a VF now.
    ///
    /// # Errors
    /// When the PF cannot be asked or has no such VF.
    pub fn admin_now(&self, host: &mut Socket, vf: &VfOriginal) -> Result<Vf, VfError> {
        self.admin(host, vf.pf, vf.index)
    }

    /// The driver that a function is bound to now.
    pub fn driver(&self, pci: PciAddress) -> Option<String> {
        self.binder.bound(pci)
    }

    /// Gives a VF its settings through the PF, and brings it into the wanted form; a netdev is then down or as it was,
    /// still on the host, under whatever name and number the kernel chose. `lock` is the PF's; it lives until
    /// the kernel has come back.
    ///
    /// # Errors
    /// When a part is refused; what was done stays for [`Vfs::give_back`].
    pub fn take(
        &self,
        host: &mut Socket,
        vf: &VfOriginal,
        settings: &VfSettings,
        form: VfForm,
        lock: &(impl Clone + Send + 'static),
    ) -> Result<Option<VfNetdev>, VfError> {
        if form == VfForm::Vfio {
            vfio::check(&self.roots, vf.pci, vf.pf)?;
        }
        let now = self.admin(host, vf.pf, vf.index)?;
        for change in settings.changes(&now) {
            self.set(host, vf, &change)?;
        }
        if form == VfForm::Vfio {
            self.binder.bind(vf.pci, vfio::DRIVER, lock.clone())?;
            return Ok(None);
        }
        let unbound = self.binder.bound(vf.pci).is_none_or(|driver| Driver::is_vfio(&driver));
        if unbound || self.binder.reserved(vf.pci).is_some() {
            self.binder.bind_own(vf.pci, lock.clone())?;
        }
        let netdev = match self.netdev(host, vf.pci)? {
            None if !unbound => return Err(VfError::Elsewhere { pci: vf.pci }),
            _ => self.appeared(host, vf.pci)?,
        };
        match settings.mac() {
            Some(mac) if netdev.mac.as_ref() != Some(mac) => {
                self.make_it_take(host, vf, mac, netdev.index, lock).map(Some)
            }
            _ => Ok(Some(netdev)),
        }
    }

    /// Makes a VF's driver take a MAC that the PF has set: by telling the netdev where the driver allows that, else by
    /// binding it again, without which igbvf passes no frame at all.
    fn make_it_take(
        &self,
        host: &mut Socket,
        vf: &VfOriginal,
        mac: &LinkAddress,
        index: u32,
        lock: &(impl Clone + Send + 'static),
    ) -> Result<VfNetdev, VfError> {
        let same = LinkSettings { address: Some(mac.clone()), ..LinkSettings::default() };
        // Most drivers refuse it: the address is the PF's now.
        if host.apply_one(&route::set_link(index, &same)).is_err() {
            self.binder.rebind(vf.pci, lock.clone())?;
        }
        let netdev = self.appeared(host, vf.pci)?;
        match &netdev.mac {
            Some(now) if now != mac => {
                Err(VfError::MacNotTaken { pci: vf.pci, wanted: mac.clone(), now: now.clone() })
            }
            _ => Ok(netdev),
        }
    }

    /// Brings a VF back to what it was: its settings on the PF, its driver, and a MAC of the kind it had. `settings` are
    /// those that it was given. Waits a little for a netdev whose namespace is just ending. Doing it again is fine.
    ///
    /// # Errors
    /// When it is still in use, or nothing can be restored at all.
    pub fn give_back(
        &self,
        host: &mut Socket,
        vf: &VfOriginal,
        settings: &VfSettings,
        lock: &(impl Clone + Send + 'static),
    ) -> Result<GivenBack, VfError> {
        if !self.is_same(vf) {
            return Ok(GivenBack { is_gone: true, ..GivenBack::default() });
        }
        let bound = self.binder.bound(vf.pci);
        let in_vfio = bound.as_deref().is_some_and(Driver::is_vfio);
        let was_in_vfio = vf.driver.as_deref().is_some_and(Driver::is_vfio);
        if in_vfio {
            vfio::refuse_held(&self.roots, vf.pci)?;
        }
        let netdev = match (in_vfio, bound.is_some()) {
            (false, true) => Some(self.came_home(host, vf.pci)?),
            _ => None,
        };
        let mut back = GivenBack::default();
        let now = self.admin(host, vf.pf, vf.index)?;
        let (changes, bind_again) = vf.changes(&now, netdev.as_ref(), settings);
        for change in changes {
            if let Err(error) = self.set(host, vf, &change) {
                back.left.push(datapath::sentence(&error));
            }
        }
        if was_in_vfio {
            if let Some(driver) = &vf.driver {
                self.binder.bind(vf.pci, driver, lock.clone())?;
            }
            return Ok(back);
        }
        if in_vfio || bound.is_none() {
            self.binder.bind_own(vf.pci, lock.clone())?;
        } else if bind_again {
            self.binder.rebind(vf.pci, lock.clone())?;
        }
        let netdev = self.appeared(host, vf.pci)?;
        back.left.extend(restore_alt_names(host, vf, &netdev, in_vfio || bind_again));
        back.netdev = Some(netdev);
        Ok(back)
    }

    /// Lets links with MACs of their own (macvlan) stand on a VF of the host: trusted, no check of source addresses. Only
    /// these two change.
    ///
    /// # Errors
    /// When the PF refuses.
    pub fn allow_macvlan(&self, host: &mut Socket, vf: &VfOriginal) -> Result<(), VfError> {
        let now = self.admin(host, vf.pf, vf.index)?;
        self.set_both(host, vf, (Some(true), now.trust), (Some(false), now.spoof_check))
    }

    /// Undoes [`Vfs::allow_macvlan`]; nothing when the VF is another one by now.
    ///
    /// # Errors
    /// When the PF refuses.
    pub fn disallow_macvlan(&self, host: &mut Socket, vf: &VfOriginal) -> Result<(), VfError> {
        if !self.is_same(vf) {
            return Ok(());
        }
        let now = self.admin(host, vf.pf, vf.index)?;
        let (trust, spoof_check) = (vf.admin.trust, vf.admin.spoof_check);
        self.set_both(host, vf, (trust, now.trust), (spoof_check, now.spoof_check))
    }

    /// Sets trust and the check of addresses, each as (wanted, now), where they differ.
    fn set_both(
        &self,
        host: &mut Socket,
        vf: &VfOriginal,
        trust: (Option<bool>, Option<bool>),
        spoof_check: (Option<bool>, Option<bool>),
    ) -> Result<(), VfError> {
        if let (Some(on), true) = (trust.0, trust.0 != trust.1) {
            self.set(host, vf, &VfAttribute::Trust(on))?;
        }
        if let (Some(on), true) = (spoof_check.0, spoof_check.0 != spoof_check.1) {
            self.set(host, vf, &VfAttribute::SpoofCheck(on))?;
        }
        Ok(())
    }

    /// Whether the very device that was noted is still there: after a reset of the PF another one has its address.
    pub fn is_same(&self, vf: &VfOriginal) -> bool {
        fs::metadata(self.folder(vf.pci)).is_ok_and(|found| found.ino() == vf.device)
    }

    fn set(&self, host: &mut Socket, vf: &VfOriginal, change: &VfAttribute) -> Result<(), VfError> {
        let (pf, name) = self.pf_link(vf.pf, vf.index)?;
        let message = route::set_vf(pf, u32::from(vf.index), change);
        host.apply_one(&message).map_err(|source| VfError::Set {
            what: change.to_string(),
            index: vf.index,
            pci: vf.pci,
            pf: name,
            hint: hint(change, source.errno()),
            source: Box::new(source),
        })
    }

    fn folder(&self, pci: PciAddress) -> PathBuf {
        self.roots.sys.join("bus/pci/devices").join(pci.to_string())
    }

    /// PF and number of a VF.
    fn place(&self, pci: PciAddress) -> Result<(PciAddress, u16), VfError> {
        let folder = self.folder(pci);
        let not_a_vf = || VfError::NotAVf { pci };
        let target = fs::read_link(folder.join("physfn")).map_err(|_| not_a_vf())?;
        let pf = target.file_name().and_then(|name| name.to_str()?.parse::<PciAddress>().ok());
        let pf = pf.ok_or_else(not_a_vf)?;
        let entries = fs::read_dir(self.folder(pf)).map_err(|_| not_a_vf())?;
        let index = entries.flatten().find_map(|entry| {
            let number: u16 = entry.file_name().to_str()?.strip_prefix("virtfn")?.parse().ok()?;
            let target = fs::read_link(entry.path()).ok()?;
            (target.file_name()?.to_str()? == pci.to_string()).then_some(number)
        });
        Ok((pf, index.ok_or_else(not_a_vf)?))
    }

    /// Index and name of the PF's netdev.
    fn pf_link(&self, pf: PciAddress, index: u16) -> Result<(u32, String), VfError> {
        self.netdev_of(pf).ok_or(VfError::NoPf { pf, index })
    }

    /// Index and name of a function's netdev in the namespace that `/sys` shows; absent when it has none there.
    pub fn netdev_of(&self, pci: PciAddress) -> Option<(u32, String)> {
        let mut found: Vec<(u32, String)> = fs::read_dir(self.folder(pci).join("net"))
            .ok()?
            .flatten()
            .filter_map(|entry| {
                let number = fs::read_to_string(entry.path().join("ifindex")).ok()?.trim().parse().ok()?;
                Some((number, entry.file_name().to_str()?.to_owned()))
            })
            .collect();
        // A card of several ports on one function has several; a VF has one.
        found.sort();
        found.into_iter().next()
    }

    fn admin(&self, host: &mut Socket, pf: PciAddress, index: u16) -> Result<Vf, VfError> {
        let (link, _) = self.pf_link(pf, index)?;
        let link = route::link_by_index(host, link)?.ok_or(VfError::NoPf { pf, index })?;
        let vf = link.vfs.into_iter().find(|vf| vf.index == u32::from(index));
        vf.ok_or(VfError::NoPf { pf, index })
    }

    fn netdev(&self, host: &mut Socket, pci: PciAddress) -> Result<Option<VfNetdev>, VfError> {
        let Some((index, name)) = self.netdev_of(pci) else { return Ok(None) };
        let Some(link) = route::link_by_index(host, index)? else { return Ok(None) };
        let assigned = fs::read_to_string(self.folder(pci).join("net").join(&name).join("addr_assign_type"));
        Ok(Some(VfNetdev {
            index,
            name: link.name,
            mac: link.address,
            random_mac: assigned.is_ok_and(|text| text.trim() == "1"),
            mtu: link.mtu.unwrap_or_default(),
            alt_names: link.alt_names,
        }))
    }

    /// The netdev of a VF that was just bound, once udev is done with it (TRAPS V3).
    fn appeared(&self, host: &mut Socket, pci: PciAddress) -> Result<VfNetdev, VfError> {
        let driver = || self.binder.bound(pci).unwrap_or_else(|| "no driver".to_owned());
        let index = wait(APPEAR, || self.netdev_of(pci)).map(|(index, _)| index);
        let index = index.ok_or_else(|| VfError::NoNetdev { pci, driver: driver() })?;
        if self.roots.run.join("udev/control").exists() {
            // Whoever is still not done will rename it later: it is known by number all along.
            wait(APPEAR, || settled(&self.roots, &index.to_string()).then_some(()));
        }
        let netdev = self.netdev(host, pci)?;
        netdev.ok_or_else(|| VfError::NoNetdev { pci, driver: driver() })
    }

    /// The netdev of a VF that was in a pod: a namespace that ends gives it back a moment later.
    fn came_home(&self, host: &mut Socket, pci: PciAddress) -> Result<VfNetdev, VfError> {
        wait(HOME, || self.netdev_of(pci));
        self.netdev(host, pci)?.ok_or(VfError::Elsewhere { pci })
    }
}

/// Gives a netdev its further names again, and takes away those that a pod gave it; what stays, in words. On a netdev
/// that was just made, the others are udev's.
fn restore_alt_names(host: &mut Socket, vf: &VfOriginal, netdev: &VfNetdev, is_new: bool) -> Vec<String> {
    let missing = vf.alt_names.iter().filter(|name| !netdev.alt_names.contains(name));
    let mut changes: Vec<_> = missing.map(|name| route::add_alt_name(netdev.index, name)).collect();
    let foreign = netdev.alt_names.iter().filter(|name| !is_new && !vf.alt_names.contains(name));
    changes.extend(foreign.map(|name| route::delete_alt_name(netdev.index, name)));
    host.apply(&changes).into_iter().filter_map(Result::err).map(|error| error.to_string()).collect()
}

/// What a refusal usually means.
fn hint(change: &VfAttribute, errno: Option<i32>) -> Option<&'static str> {
    use nix::libc::{EINVAL, EOPNOTSUPP, EPERM, EPROTONOSUPPORT};
    match (change, errno?) {
        (_, EPERM) => Some("this program needs CAP_NET_ADMIN"),
        (_, EOPNOTSUPP) => Some("the PF's driver cannot do that: leave it out"),
        (VfAttribute::Vlan { .. }, EPROTONOSUPPORT) => Some("the PF's driver knows 802.1q tags only"),
        (VfAttribute::Rate { min, .. }, EINVAL) if *min > 0 => {
            Some("the PF's driver has no least rate, or the rates are over the link's speed")
        }
        (VfAttribute::Rate { .. }, EINVAL) => {
            Some("rates need a PF that is up and has a carrier, and fit its speed")
        }
        (VfAttribute::Mac(_), EINVAL) => Some("the PF's driver does not take this address"),
        _ => None,
    }
}

/// Looks until there is something, `within` at most.
fn wait<T>(within: Duration, look: impl Fn() -> Option<T>) -> Option<T> {
    let end = Instant::now() + within;
    loop {
        let found = look();
        if found.is_some() || Instant::now() >= end {
            return found;
        }
        std::thread::sleep(LOOK);
    }
}
