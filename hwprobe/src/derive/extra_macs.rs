//! Whether a port passes frames with more source MACs than its own: macvlan needs that, and where it does
//! not work the frames are dropped without a word.

use crate::model::{ExtraMacs, ExtraMacsAnswer as Answer, ExtraMacsSource as Source, Nic, NicKind, VfEntry};

/// `ARPHRD_INFINIBAND` of `include/uapi/linux/if_arp.h`.
const ARPHRD_INFINIBAND: u16 = 32;

/// The answer for a NIC. `entry`: the PF's view of a VF; `lower`: the answers of the links below.
pub(crate) fn extra_macs(
    nic: &Nic,
    entry: Option<&VfEntry>,
    hypervisor: Option<&str>,
    lower: &[ExtraMacs],
) -> ExtraMacs {
    if nic.link.as_ref().is_some_and(|link| link.hardware_type == ARPHRD_INFINIBAND) {
        return ExtraMacs::new(Answer::No, Source::LinkType);
    }
    if matches!(nic.kind, NicKind::Vlan | NicKind::Bond) {
        // The link below that passes least decides.
        let worst = lower.iter().map(|macs| macs.answer).max_by_key(|answer| match answer {
            Answer::Yes => 0,
            Answer::Limited => 1,
            Answer::Unknown => 2,
            Answer::No => 3,
        });
        return worst.map_or_else(ExtraMacs::default, |answer| ExtraMacs::new(answer, Source::LowerLink));
    }
    if !nic.hardware || nic.kind == NicKind::Representor {
        return ExtraMacs::default();
    }
    let driver = nic.driver.as_ref().map(|driver| driver.name.as_str()).unwrap_or_default();
    match (hypervisor, driver) {
        (Some("Amazon EC2" | "Google" | "Hyper-V"), _) => ExtraMacs::new(Answer::No, Source::Hypervisor),
        // Needs forged transmits and promiscuous mode on the port group.
        (Some("VMware"), _) => ExtraMacs::new(Answer::Limited, Source::Hypervisor),
        (_, "ena" | "gve" | "hv_netvsc" | "mana") => ExtraMacs::new(Answer::No, Source::Driver),
        (_, "virtio_net" | "vmxnet3" | "xen-netfront" | "vif") => {
            ExtraMacs::new(Answer::Limited, Source::Driver)
        }
        _ if nic.kind == NicKind::VirtualFunction => match (of_vf(entry), hypervisor) {
            // A VF passes no more than its PF's port.
            (found, Some(_)) if found.answer == Answer::Yes => {
                ExtraMacs::new(Answer::Limited, Source::Hypervisor)
            }
            (found, _) => found,
        },
        (Some(_), _) => ExtraMacs::new(Answer::Limited, Source::Hypervisor),
        _ if nic.kind == NicKind::Physical => ExtraMacs::new(Answer::Yes, Source::PhysicalPort),
        _ => ExtraMacs::default(),
    }
}

fn of_vf(entry: Option<&VfEntry>) -> ExtraMacs {
    let Some(entry) = entry else { return ExtraMacs::new(Answer::Unknown, Source::VfUnseen) };
    match (entry.spoof_check, entry.trust) {
        (Some(false), Some(true)) => ExtraMacs::new(Answer::Yes, Source::VfSettings),
        // The PF can be told to let them pass.
        (Some(true), _) | (_, Some(false)) => ExtraMacs::new(Answer::Limited, Source::VfSettings),
        _ => ExtraMacs::new(Answer::Unknown, Source::VfUnseen),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Driver, LinkFacts, NicId};

    fn nic(kind: NicKind, driver: &str) -> Nic {
        let mut nic = Nic::new(NicId::new("0000:3b:00.0"), kind);
        nic.hardware = !matches!(kind, NicKind::Vlan | NicKind::Bond | NicKind::Bridge);
        let mut found = Driver::default();
        found.name = driver.to_owned();
        nic.driver = Some(found);
        nic
    }

    #[test]
    fn bus_driver_and_hypervisor_decide() {
        use NicKind::{Bridge, Paravirtual, Physical, Representor, VirtualFunction};
        for (kind, driver, hypervisor, answer, source) in [
            (Physical, "mlx5_core", None, Answer::Yes, Source::PhysicalPort),
            (Physical, "ixgbe", Some("KVM"), Answer::Limited, Source::Hypervisor),
            (Physical, "mlx5_core", Some("Hyper-V"), Answer::No, Source::Hypervisor),
            (Paravirtual, "ena", Some("Amazon EC2"), Answer::No, Source::Hypervisor),
            (Paravirtual, "ena", None, Answer::No, Source::Driver),
            (Paravirtual, "gve", Some("Google"), Answer::No, Source::Hypervisor),
            (Paravirtual, "virtio_net", Some("Google"), Answer::No, Source::Hypervisor),
            (Paravirtual, "hv_netvsc", None, Answer::No, Source::Driver),
            (Paravirtual, "vmxnet3", Some("VMware"), Answer::Limited, Source::Hypervisor),
            (Paravirtual, "virtio_net", Some("KVM"), Answer::Limited, Source::Driver),
            (Paravirtual, "xen-netfront", Some("Xen"), Answer::Limited, Source::Driver),
            (VirtualFunction, "iavf", Some("VMware"), Answer::Limited, Source::Hypervisor),
            (VirtualFunction, "iavf", None, Answer::Unknown, Source::VfUnseen),
            (Representor, "mlx5_core", None, Answer::Unknown, Source::None),
            (Bridge, "bridge", None, Answer::Unknown, Source::None),
        ] {
            let found = extra_macs(&nic(kind, driver), None, hypervisor, &[]);

            assert_eq!(found, ExtraMacs::new(answer, source), "{kind:?} {driver} {hypervisor:?}");
        }
    }

    #[test]
    fn spoof_check_and_trust_decide_for_a_vf() {
        for (spoof_check, trust, hypervisor, answer, source) in [
            (Some(false), Some(true), None, Answer::Yes, Source::VfSettings),
            (Some(true), Some(true), None, Answer::Limited, Source::VfSettings),
            (Some(false), Some(false), None, Answer::Limited, Source::VfSettings),
            (None, None, None, Answer::Unknown, Source::VfUnseen),
            // No VF passes more than the port that its PF has in the virtual machine.
            (Some(false), Some(true), Some("QEMU"), Answer::Limited, Source::Hypervisor),
        ] {
            let mut entry = VfEntry::new(0);
            (entry.spoof_check, entry.trust) = (spoof_check, trust);

            let found = extra_macs(&nic(NicKind::VirtualFunction, "iavf"), Some(&entry), hypervisor, &[]);

            assert_eq!(found, ExtraMacs::new(answer, source), "{spoof_check:?} {trust:?} {hypervisor:?}");
        }
    }

    #[test]
    fn infiniband_has_no_macs_and_the_lowest_link_decides() {
        let mut rail = nic(NicKind::Physical, "mlx5_core");
        rail.link = Some(LinkFacts::new(2044, ARPHRD_INFINIBAND));
        assert_eq!(extra_macs(&rail, None, None, &[]), ExtraMacs::new(Answer::No, Source::LinkType));

        let lower = [Answer::Yes, Answer::Limited].map(|answer| ExtraMacs::new(answer, Source::Driver));
        let bond = extra_macs(&nic(NicKind::Bond, "bonding"), None, None, &lower);
        assert_eq!(bond, ExtraMacs::new(Answer::Limited, Source::LowerLink));
    }
}
