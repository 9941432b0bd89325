//! What follows for each NIC from the others: speeds, held VFs, capacity, secondary, extra MACs.

use std::collections::BTreeMap;

use super::uplink::is_named;
use crate::derive;
use crate::model::{ExtraMacs, Held, Nic, NicId, NicKind};
use crate::settings::ProbeSettings;

/// PFs first: a VF that does not know its speed has its PF's.
pub(super) fn speeds(nics: &mut [Nic], settings: &ProbeSettings) {
    for nic in nics.iter_mut().filter(|nic| nic.vf.is_none()) {
        nic.speed = derive::speed::speed(nic, None, &settings.thresholds);
    }
    let pfs: BTreeMap<NicId, Nic> =
        nics.iter().filter(|nic| nic.sriov.is_some()).map(|nic| (nic.id.clone(), nic.clone())).collect();
    for nic in nics.iter_mut().filter(|nic| nic.vf.is_some()) {
        let pf = nic.vf.as_ref().and_then(|vf| pfs.get(&vf.pf));
        nic.speed = derive::speed::speed(nic, pf, &settings.thresholds);
    }
}

/// Held VFs, capacity, secondary, extra MACs.
pub(super) fn usage(nics: &mut [Nic], hypervisor: Option<&str>, settings: &ProbeSettings) {
    let vf_holders: BTreeMap<NicId, Option<Held>> = nics
        .iter()
        .filter(|nic| nic.kind == NicKind::VirtualFunction)
        .map(|nic| (nic.id.clone(), derive::held::of_vf(nic)))
        .collect();
    let mut entries = BTreeMap::new();
    for nic in nics.iter_mut() {
        if let Some(sriov) = &mut nic.sriov {
            for entry in &mut sriov.vfs {
                entry.held = entry.nic.as_ref().and_then(|id| vf_holders.get(id)).cloned().flatten();
                if let Some(id) = &entry.nic {
                    entries.insert(id.clone(), entry.clone());
                }
            }
        }
        if let (Some(capacity), Some(sriov)) = (derive::capacity::capacity(nic), &mut nic.sriov) {
            sriov.capacity = capacity;
        }
    }
    for nic in nics.iter_mut() {
        let excluded = settings.excluded.iter().any(|name| is_named(nic, name));
        let included = settings.included.iter().any(|name| is_named(nic, name));
        nic.secondary = derive::secondary::secondary(nic, included, excluded);
        nic.extra_macs = derive::extra_macs::extra_macs(nic, entries.get(&nic.id), hypervisor, &[]);
    }
    // Bonds and VLANs after what is below them; a VLAN on a bond after the bond.
    for kind in [NicKind::Bond, NicKind::Vlan] {
        let known: BTreeMap<String, ExtraMacs> =
            nics.iter().filter_map(|nic| Some((nic.name.clone()?, nic.extra_macs.clone()))).collect();
        for nic in nics.iter_mut().filter(|nic| nic.kind == kind) {
            let lower: Vec<_> =
                nic.stacking.lower.iter().filter_map(|name| known.get(name).cloned()).collect();
            nic.extra_macs = derive::extra_macs::extra_macs(nic, None, hypervisor, &lower);
        }
    }
}
