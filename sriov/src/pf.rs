//! A PF and its VFs as they are: the inventory's facts, and the few files that only matter to who changes them.

use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use netlink::devlink::{self, DeviceHandle};
use netlink::{Family, Socket};

use hwprobe::{
    Driver, Inventory, Nic, NicId, NicKind, PciAddress, Probe, ProbeSettings, Sriov, SriovZeroReason,
};

use crate::desired::{EswitchMode, LinkType};
use crate::holders::{self, Claim, Holder, HolderKind};
use crate::{Manager, Roots, SriovError, Works, manager, vfio};

/// `ARPHRD_INFINIBAND` of linux/if_arp.h.
const ARPHRD_INFINIBAND: u16 = 32;

/// What [`read_reservations`] does, in the list of what hangs.
const RESERVATIONS: &str = "read driver_override";
const RESERVATIONS_WAIT: Duration = Duration::from_secs(1);

/// A PF as it is now.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct ObservedPf {
    /// What it is called here and for its lock: its PCI address, or its name on another bus (`netdevsim7`).
    pub key: String,
    /// The bus: `pci`, `netdevsim`.
    pub bus: String,
    /// Its folder below `/sys`.
    pub path: String,
    /// Id in the inventory.
    pub nic: NicId,
    /// Name of its netdev; absent when it is in another namespace or there is none.
    pub name: Option<String>,
    /// Further names.
    pub alt_names: Vec<String>,
    /// PCI address.
    pub pci: Option<PciAddress>,
    /// PCI vendor id, four hexadecimal digits.
    pub vendor: Option<String>,
    /// PCI device id of the PF, four hexadecimal digits.
    pub device: Option<String>,
    /// Its driver.
    pub driver: Option<String>,
    /// Index of its netdev.
    pub ifindex: Option<u32>,
    /// Administratively up.
    pub up: bool,
    /// MTU of its netdev, bytes.
    pub mtu: Option<u32>,
    /// Greatest MTU that its driver takes, bytes.
    pub max_mtu: Option<u32>,
    /// What its ports speak.
    pub link_type: LinkType,
    /// The most VFs that hardware and firmware allow (`sriov_totalvfs`); absent where nobody tells (netdevsim).
    pub total: Option<u16>,
    /// VFs that exist (`sriov_numvfs`).
    pub enabled: u16,
    /// Why there can be none.
    pub none_because: Option<SriovZeroReason>,
    /// New VFs are bound to a driver at once (`sriov_drivers_autoprobe`).
    pub autoprobe: Option<bool>,
    /// An earlier change of ours kept drivers off new VFs and did not come to its end.
    pub autoprobe_owed: bool,
    /// Who programs the embedded switch; absent where there is none that devlink knows.
    pub eswitch: Option<EswitchMode>,
    /// Its IOMMU group; absent without an IOMMU.
    pub iommu_group: Option<u32>,
    /// Has an RDMA device.
    pub rdma: bool,
    /// What of the node it carries, in words; absent: nothing.
    pub protected: Option<String>,
    /// Another program that manages it, so that nothing of it is changed here.
    pub manager: Option<Manager>,
    /// Who holds the PF itself, or a representor of its VFs.
    pub holders: Vec<Holder>,
    /// Its VFs, by index.
    pub vfs: Vec<ObservedVf>,
}

/// A VF as it is now.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct ObservedVf {
    /// Index on the PF, from 0.
    pub index: u16,
    /// PCI address; absent where VFs are no functions (netdevsim).
    pub pci: Option<PciAddress>,
    /// Its driver.
    pub driver: Option<String>,
    /// The driver that it is reserved for (`driver_override`).
    pub reserved: Option<String>,
    /// Name of its netdev in this namespace.
    pub name: Option<String>,
    /// Index of that netdev.
    pub ifindex: Option<u32>,
    /// MTU of that netdev, bytes.
    pub mtu: Option<u32>,
    /// Its IOMMU group.
    pub iommu_group: Option<u32>,
    /// The other functions in that group.
    pub group_mates: Vec<String>,
    /// Name of its representor's netdev, in switchdev mode.
    pub representor: Option<String>,
    /// Who holds it; empty: free.
    pub holders: Vec<Holder>,
}

impl ObservedPf {
    /// A PF of which nothing but its names on the bus is known.
    pub fn new(key: impl Into<String>, bus: impl Into<String>) -> Self {
        let key = key.into();
        Self {
            nic: NicId::new(key.clone()),
            path: String::new(),
            bus: bus.into(),
            name: None,
            alt_names: Vec::new(),
            pci: key.parse().ok(),
            vendor: None,
            device: None,
            driver: None,
            ifindex: None,
            up: false,
            mtu: None,
            max_mtu: None,
            link_type: LinkType::Ethernet,
            total: None,
            enabled: 0,
            none_because: None,
            autoprobe: None,
            autoprobe_owed: false,
            eswitch: None,
            iommu_group: None,
            rdma: false,
            protected: None,
            manager: None,
            holders: Vec::new(),
            vfs: Vec::new(),
            key,
        }
    }

    /// What a person calls it: its name and address.
    pub fn label(&self) -> String {
        match &self.name {
            Some(name) => format!("{name} ({})", self.key),
            None => self.key.clone(),
        }
    }

    /// Adds what somebody claims to what was observed: to the VF, or to the PF itself. Claims of other functions are
    /// passed over.
    pub fn add_claims(&mut self, claims: &[Claim]) {
        holders::claim(self, claims);
    }

    /// Everybody who holds one of its VFs.
    pub fn vf_holders(&self) -> Vec<Holder> {
        self.vfs.iter().flat_map(|vf| vf.holders.iter().cloned()).collect()
    }
}

impl ObservedVf {
    /// VF `index` of which nothing else is known.
    pub fn new(index: u16) -> Self {
        Self { index, ..Self::default() }
    }
}

/// Every PF of this machine, in the namespace of the calling thread, read anew.
///
/// # Errors
/// When the kernel cannot be asked.
pub(crate) fn observe(roots: &Roots, works: &Works) -> Result<Vec<ObservedPf>, SriovError> {
    let settings = ProbeSettings { read_modules: false, ..ProbeSettings::default() };
    let mut pfs = from_inventory(&Probe::live(settings)?.inventory(), roots);
    for pf in &mut pfs {
        read_reservations(pf, roots, works);
        // An inventory has the switch of a PF with VFs only, where it does not know of SR-IOV otherwise.
        if pf.bus != "pci" && pf.eswitch.is_none() {
            let handle = DeviceHandle::new(pf.bus.clone(), pf.key.clone());
            let told =
                Socket::open(Family::Generic).and_then(|mut socket| devlink::eswitch(&mut socket, &handle));
            let mode = told.ok().flatten().and_then(|eswitch| eswitch.mode?.name()?.parse().ok());
            pf.eswitch = mode;
        }
    }
    Ok(pfs)
}

/// Every PF of an inventory. `roots` is asked for what an inventory does not have: the members of IOMMU groups,
/// and the files of sriov-cni and the SR-IOV operator. For whom VFs are reserved is not read: see [`read_reservations`].
pub fn from_inventory(inventory: &Inventory, roots: &Roots) -> Vec<ObservedPf> {
    let mut pfs: Vec<ObservedPf> = Vec::new();
    for nic in &inventory.nics {
        let Some(bus) = nic.bus.as_ref().filter(|_| nic.kind == NicKind::Physical) else { continue };
        // Several ports of one function have one count.
        let known = pfs.iter().any(|pf| pf.path == bus.path);
        let file = roots.sys.join(&bus.path).join("sriov_numvfs");
        if known || (nic.sriov.is_none() && !(bus.kind == "netdevsim" && file.exists())) {
            continue;
        }
        pfs.push(of_nic(nic, bus, inventory, roots));
    }
    pfs
}

fn of_nic(nic: &Nic, bus: &hwprobe::Bus, inventory: &Inventory, roots: &Roots) -> ObservedPf {
    let sriov = nic.sriov.as_ref();
    let mut pf = ObservedPf::new(bus.device.clone(), bus.kind.clone());
    pf.nic = nic.id.clone();
    pf.path = bus.path.clone();
    pf.name = nic.name.clone();
    pf.alt_names = nic.alt_names.clone();
    let id = |of: Option<&hwprobe::PciName>| of.map(|name| name.id.clone());
    pf.vendor = id(nic.pci.as_ref().and_then(|pci| pci.vendor.as_ref()));
    pf.device = id(nic.pci.as_ref().and_then(|pci| pci.device.as_ref()));
    pf.driver = nic.driver.as_ref().map(|driver| driver.name.clone());
    pf.ifindex = nic.generation.ifindex.filter(|_| nic.link.is_some());
    if let Some(link) = &nic.link {
        pf.up = link.admin_up;
        pf.mtu = Some(link.mtu);
        pf.max_mtu = link.max_mtu.filter(|most| *most > 0);
        if link.hardware_type == ARPHRD_INFINIBAND {
            pf.link_type = LinkType::InfiniBand;
        }
    }
    if let Some(sriov) = sriov {
        // Of other buses the inventory only knows how many there are.
        pf.total = Some(sriov.capacity.total).filter(|_| bus.kind == "pci");
        pf.enabled = sriov.capacity.enabled;
        pf.none_because = sriov.capacity.reason;
        pf.autoprobe = sriov.drivers_autoprobe;
        pf.eswitch = sriov.eswitch.as_ref().and_then(|eswitch| eswitch.mode.parse().ok());
    }
    pf.autoprobe_owed = crate::count::autoprobe_owed(roots, &pf.key);
    pf.manager = manager::of(roots, &pf.key);
    pf.iommu_group = nic.iommu_group;
    pf.rdma = !nic.rdma.is_empty();
    pf.protected = nic.protected.as_ref().map(|protection| protection.path.join(", ")).map(|path| {
        if path.is_empty() {
            "the configuration protects it".to_owned()
        } else {
            format!("it carries {path}")
        }
    });
    let representors = || {
        let on = |other: &&Nic| {
            other.kind == NicKind::Representor && other.bus.as_ref().is_some_and(|b| b.path == bus.path)
        };
        inventory.nics.iter().filter(on)
    };
    for representor in representors() {
        if let Some(master) = &representor.stacking.master {
            let device = representor.label().to_owned();
            let who = format!("representor of a VF, slave of {master}");
            pf.holders.push(Holder { vf: None, device, by: HolderKind::Master, who });
        }
    }
    pf.vfs = sriov.map(|sriov| vfs(sriov, inventory, roots)).unwrap_or_default();
    for vf in &mut pf.vfs {
        let of_vf = |nic: &&Nic| nic.devlink_port.as_ref().is_some_and(|port| port.vf == Some(vf.index));
        vf.representor = representors().find(of_vf).and_then(|nic| nic.name.clone());
    }
    pf
}

fn vfs(sriov: &Sriov, inventory: &Inventory, roots: &Roots) -> Vec<ObservedVf> {
    let of_entry = |entry: &hwprobe::VfEntry| {
        let nic = entry.nic.as_ref().and_then(|id| inventory.nics.iter().find(|nic| nic.id == *id));
        let mut vf = ObservedVf::new(entry.index);
        vf.pci = entry.pci;
        vf.driver = entry.driver.clone();
        vf.name = entry.name.clone();
        if let Some(nic) = nic {
            vf.iommu_group = nic.iommu_group;
            vf.mtu = nic.link.as_ref().map(|link| link.mtu);
            vf.ifindex = nic.generation.ifindex.filter(|_| nic.link.is_some());
        }
        read_group(&mut vf, roots);
        vf.holders = holders::of_vf(&vf, nic, entry.held.as_ref(), roots);
        vf
    };
    sriov.vfs.iter().map(of_entry).collect()
}

/// Reads for which driver each VF is reserved. The kernel answers only when nobody changes the VF, so this may hang:
/// in a thread of its own, and never for a VF that vfio has, which is what hangs.
pub(crate) fn read_reservations(pf: &mut ObservedPf, roots: &Roots, works: &Works) {
    let asked = pf.vfs.iter().filter(|vf| !vf.driver.as_deref().is_some_and(Driver::is_vfio));
    let asked: Vec<(u16, PathBuf)> = asked
        .filter_map(|vf| Some((vf.index, roots.sys.join(format!("bus/pci/devices/{}", vf.pci?)))))
        .collect();
    // What hangs hangs once: no further thread beside it.
    if asked.is_empty() || works.stuck().iter().any(|work| work.device == pf.key && work.what == RESERVATIONS)
    {
        return;
    }
    let read = move || {
        asked.into_iter().filter_map(|(vf, folder)| Some((vf, reserved(&folder)?))).collect::<Vec<_>>()
    };
    for (index, driver) in works.run(&pf.key, RESERVATIONS, RESERVATIONS_WAIT, read).unwrap_or_default() {
        if let Some(vf) = pf.vfs.iter_mut().find(|vf| vf.index == index) {
            vf.reserved = Some(driver);
        }
    }
}

/// The driver that the function in `folder` is reserved for.
pub(crate) fn reserved(folder: &std::path::Path) -> Option<String> {
    let text = fs::read_to_string(folder.join("driver_override")).ok()?;
    // The kernel writes `(null)` for none.
    Some(text.trim().to_owned()).filter(|name| !name.is_empty() && name != "(null)")
}

/// Reads a VF's IOMMU group, unless it is known, and who else is in it.
pub(crate) fn read_group(vf: &mut ObservedVf, roots: &Roots) {
    let Some(pci) = vf.pci else { return };
    vf.iommu_group = vf.iommu_group.or_else(|| vfio::group(roots, pci));
    let Some(group) = vf.iommu_group else { return };
    let folder = roots.sys.join(format!("kernel/iommu_groups/{group}/devices"));
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    let names = entries.map(|entry| entry.file_name().to_string_lossy().into_owned());
    let own = pci.to_string();
    vf.group_mates = names.filter(|name| *name != own).collect();
    vf.group_mates.sort_unstable();
}
