//! Which NICs pods may get, and for what.

use super::held::enslaving_master;
use crate::model::{Nic, NicKind, NotSecondary, Secondary, Unusable};

/// Whether a NIC is secondary; `excluded`: the configuration says no.
///
/// Secondary is a hardware NIC, VLAN or bond that is not protected, not enslaved and not held. Being up or
/// having an address is another matter: rails of GPU clusters often have neither until somebody raises them.
pub(crate) fn secondary(nic: &Nic, excluded: bool) -> Secondary {
    let mut found = Secondary::default();
    let eligible = nic.hardware && nic.kind != NicKind::Representor;
    if !eligible && !matches!(nic.kind, NicKind::Vlan | NicKind::Bond) {
        found.reasons.push(NotSecondary::NotHardware);
    }
    if nic.protected.is_some() {
        found.reasons.push(NotSecondary::Protected);
    }
    if enslaving_master(nic).is_some() {
        found.reasons.push(NotSecondary::Enslaved);
    } else if nic.held.is_some() {
        found.reasons.push(NotSecondary::Held);
    }
    if excluded {
        found.reasons.push(NotSecondary::Excluded);
    }
    found.is_secondary = found.reasons.is_empty();
    if found.is_secondary {
        usable(nic, &mut found);
    }
    found
}

fn usable(nic: &Nic, found: &mut Secondary) {
    let (usable, link) = (&mut found.usable, nic.link.as_ref());
    let up = link.is_some_and(|link| link.admin_up);
    usable.l3 = up && nic.addresses.iter().any(|address| address.is_global());
    usable.l2 = up && link.is_some_and(|link| link.carrier == Some(true));
    usable.sriov =
        nic.sriov.as_ref().is_some_and(|sriov| sriov.capacity.free > 0 || sriov.capacity.creatable > 0);
    match link {
        None => usable.missing.push(Unusable::NoNetdev),
        Some(link) if !link.admin_up => usable.missing.push(Unusable::AdminDown),
        Some(_) if !usable.l2 => usable.missing.push(Unusable::NoCarrier),
        Some(_) => {}
    }
    if link.is_some() && !nic.addresses.iter().any(|address| address.is_global()) {
        usable.missing.push(Unusable::NoGlobalAddress);
    }
    if !usable.sriov {
        usable.missing.push(Unusable::NoVfCapacity);
    }
}
