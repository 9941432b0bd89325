//! Who holds a VF. Nothing in the kernel protects a VF in use, so this is asked before every write, and what nobody can
//! tell counts as held.

use std::fmt;

use hwprobe::{Driver, Held, HeldBy, Nic, PciAddress};

use crate::pf::{ObservedPf, ObservedVf};
use crate::{Roots, allocation, vfio};

/// Somebody who holds a VF, or the PF itself.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Holder {
    /// Index of the VF; absent: the PF.
    pub vf: Option<u16>,
    /// Address of the function, or its name on another bus.
    pub device: String,
    /// How.
    pub by: HolderKind,
    /// Who, in words: `network namespace web as net1`, `qemu (process 4711)`, `pod shop/cart`.
    pub who: String,
}

/// How a function is held.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
pub enum HolderKind {
    /// Its netdev is in another network namespace.
    Namespace,
    /// A process has its vfio group or device open.
    Vfio,
    /// It is a slave of a bond, team or bridge; of a representor: its VF.
    Master,
    /// Links stand on it: ipvlan, macvlan, VLAN.
    Upper,
    /// The node uses it: it has an address or carries the node.
    Node,
    /// sriov-cni says that a namespace has it.
    SriovCni,
    /// The caller says so: a pod, an attachment, a container.
    Claimed,
    /// Nobody can tell: a pass-through driver whose users cannot be seen, a netdev that is nowhere.
    Unknown,
}

/// What the caller knows of: a function that a pod or container has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Claim {
    /// The VF (or PF).
    pub device: PciAddress,
    /// Who has it, in words: `pod shop/cart`.
    pub who: String,
}

/// Asked for the claims of this moment, and again just before each write that would hurt them.
pub trait Claims {
    /// All functions that somebody has.
    fn claims(&self) -> Vec<Claim>;
}

/// Nobody claims anything.
#[derive(Debug, Clone, Copy, Default)]
pub struct NoClaims;

impl Claims for NoClaims {
    fn claims(&self) -> Vec<Claim> {
        Vec::new()
    }
}

impl<F: Fn() -> Vec<Claim>> Claims for F {
    fn claims(&self) -> Vec<Claim> {
        self()
    }
}

impl Holder {
    /// Who holds `device`, VF `vf` of a PF or the PF itself, and how.
    pub fn new(vf: Option<u16>, device: impl Into<String>, by: HolderKind, who: impl Into<String>) -> Self {
        Self { vf, device: device.into(), by, who: who.into() }
    }
}

impl fmt::Display for Holder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.vf {
            Some(vf) => write!(f, "VF {vf} ({}): {}", self.device, self.who),
            None => write!(f, "{}: {}", self.device, self.who),
        }
    }
}

/// The holders in one line.
pub(crate) fn listed(holders: &[Holder]) -> String {
    holders.iter().map(Holder::to_string).collect::<Vec<_>>().join("; ")
}

/// Who holds the VF `vf`, which is `nic` in the inventory; `told` is what the inventory says of it.
pub(crate) fn of_vf(vf: &ObservedVf, nic: Option<&Nic>, told: Option<&Held>, roots: &Roots) -> Vec<Holder> {
    let device = vf.pci.map_or_else(|| format!("VF {}", vf.index), |pci| pci.to_string());
    let holder = |by, who| Holder { vf: Some(vf.index), device: device.clone(), by, who };
    let mut holders: Vec<Holder> = told.map(|held| holder(kind(held.by), words(held))).into_iter().collect();
    if let (Some(driver), true) = (&vf.driver, holders.is_empty())
        && let Some(why) = untold(driver, nic)
    {
        holders.push(holder(HolderKind::Unknown, why));
    }
    match vf.pci.map(|pci| allocation::of(roots, pci)) {
        Some(Ok(Some(entry))) if entry.alive => {
            let who = format!("sriov-cni gave it to {}", entry.namespace.display());
            holders.push(holder(HolderKind::SriovCni, who));
        }
        // An allocation that cannot be read may be one.
        Some(Err(error)) => holders.push(holder(HolderKind::Unknown, format!("sriov-cni's file: {error}"))),
        _ => {}
    }
    holders
}

/// Why nobody can tell whether a VF with this driver is in use; absent when it can be told.
fn untold(driver: &str, nic: Option<&Nic>) -> Option<String> {
    if Driver::is_passthrough(driver) && !Driver::is_vfio(driver) {
        return Some(format!(
            "bound to {driver}: nobody can tell who uses it; bind it to its own driver first"
        ));
    }
    let nic = nic?;
    let network = nic.pci.as_ref()?.class.as_deref().is_some_and(|class| class.starts_with("0200"));
    let lost = network && nic.link.is_none() && !Driver::is_vfio(driver);
    lost.then(|| format!("its {driver} netdev is in no namespace that can be seen from here"))
}

fn kind(by: HeldBy) -> HolderKind {
    match by {
        HeldBy::Namespace => HolderKind::Namespace,
        HeldBy::Vfio => HolderKind::Vfio,
        HeldBy::Master => HolderKind::Master,
        HeldBy::Upper => HolderKind::Upper,
        HeldBy::Node => HolderKind::Node,
        _ => HolderKind::Unknown,
    }
}

fn words(held: &Held) -> String {
    let process = |pid: Option<u32>, name: Option<&String>| match (name, pid) {
        (Some(name), Some(pid)) => format!("{name} (process {pid})"),
        (None, Some(pid)) => format!("process {pid}"),
        (Some(name), None) => name.clone(),
        (None, None) => "somebody".to_owned(),
    };
    match held.by {
        HeldBy::Namespace => {
            let namespace = held.namespace.clone().unwrap_or_default();
            let whose = match (&namespace.name, namespace.pid) {
                (Some(name), _) => format!("network namespace {name}"),
                (None, Some(_)) => {
                    format!("network namespace of {}", process(namespace.pid, namespace.process.as_ref()))
                }
                _ => "another network namespace".to_owned(),
            };
            match &held.name {
                Some(name) => format!("{whose} as {name}"),
                None => whose,
            }
        }
        HeldBy::Vfio => format!("vfio, open by {}", process(held.pid, held.holder.as_ref())),
        HeldBy::VfioUnknown => {
            "bound to a vfio driver, and this program may not see who has it open".to_owned()
        }
        HeldBy::Master => format!("slave of {}", held.holder.as_deref().unwrap_or("another link")),
        HeldBy::Upper => format!("below {}", held.holder.as_deref().unwrap_or("another link")),
        HeldBy::Node => "used by the node: it has an address or carries the node".to_owned(),
        _ => "held in a way that this program does not know".to_owned(),
    }
}

/// Adds what the caller claims to what was observed.
pub(crate) fn claim(pf: &mut ObservedPf, claims: &[Claim]) {
    for claim in claims {
        let holder = |vf| Holder {
            vf,
            device: claim.device.to_string(),
            by: HolderKind::Claimed,
            who: claim.who.clone(),
        };
        if pf.pci == Some(claim.device) {
            pf.holders.push(holder(None));
        } else if let Some(vf) = pf.vfs.iter_mut().find(|vf| vf.pci == Some(claim.device)) {
            vf.holders.push(holder(Some(vf.index)));
        }
    }
}

/// Adds the vfio groups that are open now, also by processes that cannot be seen from here: a group that somebody has
/// cannot be opened again (`EBUSY`).
pub(crate) fn open_groups(pf: &mut ObservedPf, roots: &Roots) {
    for vf in &mut pf.vfs {
        let passed = vf.driver.as_deref().is_some_and(Driver::is_vfio) && vf.holders.is_empty();
        let (true, Some(group)) = (passed, vf.iommu_group) else { continue };
        if let Some(node) = vfio::open_node(roots, group) {
            let who = format!("vfio, {} is open by a process that cannot be seen from here", node.display());
            let device = vf.pci.map(|pci| pci.to_string()).unwrap_or_default();
            vf.holders.push(Holder { vf: Some(vf.index), device, by: HolderKind::Vfio, who });
        }
    }
}
