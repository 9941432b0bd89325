//! Which NICs pods may get, and for what.

use super::held::enslaving_master;
use crate::model::{Nic, NicKind, NotSecondary, Secondary, Unusable};

/// Whether a NIC is secondary; `excluded`: the configuration says no, `included`: it says that this virtual
/// link counts like hardware.
///
/// Secondary is a hardware NIC, VLAN or bond that is not protected, not enslaved and not held. Being up or
/// having an address is another matter: rails of GPU clusters often have neither until somebody raises them.
pub(crate) fn secondary(nic: &Nic, included: bool, excluded: bool) -> Secondary {
    let mut found = Secondary::default();
    let eligible = nic.hardware && nic.kind != NicKind::Representor;
    if !eligible && !included && !matches!(nic.kind, NicKind::Vlan | NicKind::Bond) {
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{
        Held, HeldBy, IpInterface, LinkFacts, NicId, Protection, ProtectionReason, Sriov, SriovCapacity,
    };

    /// A port that is up, with carrier, addresses on two levels and VFs to give.
    fn nic() -> Nic {
        let mut nic = Nic::new(NicId::new("0000:3b:00.0"), NicKind::Physical);
        nic.hardware = true;
        let mut link = LinkFacts::new(1500, 1);
        (link.admin_up, link.carrier) = (true, Some(true));
        nic.link = Some(link);
        let address = |text: &str, scope| IpInterface::new(text.parse().unwrap(), 64, scope);
        nic.addresses = vec![address("192.0.2.7", "global"), address("fe80::7", "link")];
        let mut capacity = SriovCapacity::default();
        (capacity.total, capacity.creatable) = (8, 8);
        nic.sriov = Some(Sriov::new(capacity));
        nic
    }

    fn link(nic: &mut Nic) -> &mut LinkFacts {
        nic.link.as_mut().unwrap()
    }

    type Row = (&'static str, fn(&mut Nic), &'static [NotSecondary], [bool; 3], &'static [Unusable]);

    #[test]
    fn each_situation_has_its_answer() {
        use NotSecondary::{Enslaved, NotHardware, Protected};
        use Unusable::*;
        let rows: &[Row] = &[
            ("a plain port", |_| {}, &[], [true, true, true], &[]),
            (
                "a rail without an address",
                |nic| nic.addresses.clear(),
                &[],
                [false, true, true],
                &[NoGlobalAddress],
            ),
            (
                "a link-local address alone",
                |nic| nic.addresses.retain(|address| !address.is_global()),
                &[],
                [false, true, true],
                &[NoGlobalAddress],
            ),
            (
                "down until somebody raises it",
                |nic| (link(nic).admin_up, link(nic).carrier) = (false, None),
                &[],
                [false, false, true],
                &[AdminDown],
            ),
            ("no cable", |nic| link(nic).carrier = Some(false), &[], [true, false, true], &[NoCarrier]),
            (
                "IPoIB",
                |nic| {
                    link(nic).hardware_type = 32;
                    nic.addresses.clear();
                },
                &[],
                [false, true, true],
                &[NoGlobalAddress],
            ),
            ("no SR-IOV", |nic| nic.sriov = None, &[], [true, true, false], &[NoVfCapacity]),
            ("no netdev", |nic| nic.link = None, &[], [false, false, true], &[NoNetdev]),
            ("a VLAN", |nic| (nic.kind, nic.hardware) = (NicKind::Vlan, false), &[], [true, true, true], &[]),
            ("a bond", |nic| (nic.kind, nic.hardware) = (NicKind::Bond, false), &[], [true, true, true], &[]),
            (
                "a port of a VRF",
                |nic| {
                    nic.stacking.master = Some("red".to_owned());
                    nic.stacking.master_kind = Some("vrf".to_owned());
                },
                &[],
                [true, true, true],
                &[],
            ),
            (
                "a bridge",
                |nic| (nic.kind, nic.hardware) = (NicKind::Bridge, false),
                &[NotHardware],
                [false; 3],
                &[],
            ),
            ("a representor", |nic| nic.kind = NicKind::Representor, &[NotHardware], [false; 3], &[]),
            (
                "the uplink",
                |nic| nic.protected = Some(Protection::new(ProtectionReason::DefaultRoute, Vec::new())),
                &[Protected],
                [false; 3],
                &[],
            ),
            (
                "a slave",
                |nic| {
                    nic.stacking.master = Some("bond0".to_owned());
                    nic.held = Some(Held::new(HeldBy::Master));
                },
                &[Enslaved],
                [false; 3],
                &[],
            ),
            (
                "in a pod",
                |nic| nic.held = Some(Held::new(HeldBy::Namespace)),
                &[NotSecondary::Held],
                [false; 3],
                &[],
            ),
        ];
        for (situation, arrange, reasons, usable, missing) in rows {
            let mut nic = nic();
            arrange(&mut nic);

            let found = secondary(&nic, false, false);

            assert_eq!(found.reasons, *reasons, "{situation}");
            assert_eq!(found.is_secondary, reasons.is_empty(), "{situation}");
            let answers = [found.usable.l3, found.usable.l2, found.usable.sriov];
            assert_eq!(answers, *usable, "{situation}");
            assert_eq!(found.usable.missing, *missing, "{situation}");
        }
    }

    #[test]
    fn the_configuration_may_exclude() {
        assert_eq!(secondary(&nic(), false, true).reasons, [NotSecondary::Excluded]);
    }

    #[test]
    fn the_configuration_may_include_a_virtual_link_but_not_the_uplink() {
        let mut veth = nic();
        (veth.hardware, veth.kind) = (false, NicKind::Veth);
        assert_eq!(secondary(&veth, false, false).reasons, [NotSecondary::NotHardware]);
        assert!(secondary(&veth, true, false).is_secondary);

        veth.protected = Some(Protection::new(ProtectionReason::DefaultRoute, vec![]));
        assert_eq!(secondary(&veth, true, false).reasons, [NotSecondary::Protected]);
    }
}
