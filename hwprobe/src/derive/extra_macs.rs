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
        _ if nic.kind == NicKind::VirtualFunction => of_vf(entry),
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
