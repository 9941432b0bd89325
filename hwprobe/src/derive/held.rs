//! Who holds a NIC, and whether a VF is free.

use crate::model::{Held, HeldBy, Nic};
use crate::source::VfioHolder;

/// The master that enslaves a link. A VRF only routes for its ports: they stay usable.
pub(crate) fn enslaving_master(nic: &Nic) -> Option<&str> {
    nic.stacking.master.as_deref().filter(|_| nic.stacking.master_kind.as_deref() != Some("vrf"))
}

/// Who holds an exclusive claim on the NIC: its master, if the reader found no other namespace or VFIO user.
pub(crate) fn by_master(nic: &Nic) -> Option<Held> {
    let mut held = Held::new(HeldBy::Master);
    held.holder = Some(enslaving_master(nic)?.to_owned());
    Some(held)
}

/// Whether the VFIO node of a device is open; `holders` is `None` when nobody could look.
pub(crate) fn by_vfio(nodes: &[String], holders: Option<&[VfioHolder]>) -> Option<Held> {
    let Some(holders) = holders else { return Some(Held::new(HeldBy::VfioUnknown)) };
    // `?` is an open device that nobody can attribute: it may be this one.
    let holder = holders.iter().find(|holder| nodes.contains(&holder.node));
    let holder = holder.or_else(|| holders.iter().find(|holder| holder.node == "?"))?;
    let mut held = Held::new(if holder.node == "?" { HeldBy::VfioUnknown } else { HeldBy::Vfio });
    held.pid = Some(holder.pid);
    held.holder = Some(holder.process.clone());
    Some(held)
}

/// Why a VF cannot be given: an exclusive holder, links that stand on it, or the node itself.
pub(crate) fn of_vf(vf: &Nic) -> Option<Held> {
    if let Some(held) = &vf.held {
        return Some(held.clone());
    }
    if vf.protected.is_some() || vf.default_route || vf.addresses.iter().any(|address| address.is_global()) {
        return Some(Held::new(HeldBy::Node));
    }
    let upper = vf.stacking.upper.first()?;
    let mut held = Held::new(HeldBy::Upper);
    held.holder = Some(upper.clone());
    Some(held)
}
