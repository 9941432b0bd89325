//! What a person should look at.

use std::collections::BTreeMap;

use crate::model::{HwAddr, Inventory, Nic, NicKind, Relation, SpeedMbps, UplinkBasis, Warning, WarningCode};

/// All warnings, gravest first, then by NIC.
pub(crate) fn warnings(inventory: &Inventory) -> Vec<Warning> {
    let mut found = Vec::new();
    for nic in &inventory.nics {
        of_nic(nic, inventory, &mut found);
    }
    duplicate_macs(&inventory.nics, &mut found);
    if inventory.node.uplink.basis == UplinkBasis::Unknown && inventory.nics.iter().any(|nic| nic.hardware) {
        let message = "no default route, none remembered and no NIC listed as protected".to_owned();
        let fix = "list the NICs that carry the node under `protected` in the configuration; until then no NIC is given away whole";
        found.push(Warning::new(WarningCode::UplinkUnknown, None, message, fix));
    }
    found.sort_by(|a, b| (a.code, &a.nic).cmp(&(b.code, &b.nic)));
    found
}

fn of_nic(nic: &Nic, inventory: &Inventory, found: &mut Vec<Warning>) {
    let mut warn =
        |code, message: String, fix: &str| found.push(Warning::new(code, Some(nic.id.clone()), message, fix));
    if let Some(failure) = nic.failures.iter().find(|failure| !is_missing_right(&failure.error)) {
        let message = format!(
            "{} facts could not be read; first {}: {}",
            nic.failures.len(),
            failure.source,
            failure.error
        );
        warn(
            WarningCode::Broken,
            message,
            "look at the kernel log for this device; a reset or a reboot may bring it back",
        );
    }
    if let Some(pci) = &nic.pci {
        if let (Some(port), Some(limit)) = (nic.speed.port, nic.speed.pcie_limit_mbps)
            && limit < port.mbps
            && nic.kind != NicKind::VirtualFunction
        {
            let link = pci.link.map(|link| format!("{} x{}", link.speed, link.width)).unwrap_or_default();
            let message =
                format!("the port does {}, but its PCIe link ({link}) lets {limit} through", port.mbps);
            warn(
                WarningCode::PcieBelowPort,
                message,
                "put the card into a slot with more lanes or a newer generation",
            );
        }
        if let (Some(now), Some(card), Some(slot)) = (pci.link, pci.link_maximum, pci.slot_maximum) {
            let (speed, width) = (card.speed.min(slot.speed), card.width.min(slot.width));
            if now.speed < speed || now.width < width {
                let message = format!(
                    "the PCIe link runs at {} x{}; card and slot can do {speed} x{width}",
                    now.speed, now.width
                );
                warn(
                    WarningCode::PcieDegraded,
                    message,
                    "reseat the card, check riser and BIOS settings, look for AER errors",
                );
            }
        }
    }
    if let Some(link) = &nic.link
        && nic.kind == NicKind::Physical
        && let (Some(speed), Some(supported)) = (link.speed_mbps, link.supported_speed_mbps)
        && speed < supported
    {
        let message = format!("the link runs at {speed}; the port supports {supported}");
        warn(WarningCode::PortBelowCapability, message, "check cable, module and the switch port's settings");
    }
    if let Some(sriov) = &nic.sriov {
        if sriov.capacity.total == 0 {
            let message = "the card has SR-IOV, but its firmware allows no virtual functions".to_owned();
            warn(
                WarningCode::SriovOffInFirmware,
                message,
                "raise the number of VFs with the maker's tool or in the BIOS, then reboot",
            );
        }
        if sriov.capacity.enabled > 0 && !inventory.node.iommu.enabled {
            let message = "virtual functions exist, but no IOMMU is active: they cannot be given to vfio-pci"
                .to_owned();
            warn(
                WarningCode::NoIommu,
                message,
                "boot with intel_iommu=on or amd_iommu=on, and enable VT-d or AMD-Vi in the BIOS",
            );
        }
    }
    siblings(nic, &inventory.nics, &mut warn);
    let far = !nic.gpus.is_empty() && nic.gpus.iter().all(|gpu| gpu.relation == Relation::OtherNuma);
    if far && nic.kind == NicKind::Physical {
        let message = format!("all {} GPUs are on other NUMA nodes", nic.gpus.len());
        warn(
            WarningCode::FarFromGpus,
            message,
            "move the card to a slot near the GPUs, or leave it to traffic that is not the GPUs'",
        );
    }
}

/// Non-root may not read everything; that is no defect of the device.
fn is_missing_right(error: &str) -> bool {
    error.contains("EACCES") || error.contains("EPERM")
}

/// Compares a port with the fastest and the largest-MTU port of the same card.
fn siblings(nic: &Nic, nics: &[Nic], warn: &mut impl FnMut(WarningCode, String, &str)) {
    let Some(slot) = nic.pci_address().map(|pci| pci.slot()).filter(|_| nic.kind == NicKind::Physical) else {
        return;
    };
    let Some(link) = nic.link.as_ref().filter(|link| link.admin_up) else { return };
    let others = nics.iter().filter(|other| {
        other.id != nic.id
            && other.kind == NicKind::Physical
            && other.pci_address().is_some_and(|pci| pci.slot() == slot)
    });
    let mut up: Vec<(&Nic, &crate::model::LinkFacts)> = others
        .filter_map(|other| Some((other, other.link.as_ref().filter(|there| there.admin_up)?)))
        .collect();
    // Ethernet and InfiniBand ports of one card are no siblings.
    up.retain(|(_, there)| there.hardware_type == link.hardware_type);
    let fastest: Option<(&str, SpeedMbps)> = up
        .iter()
        .filter_map(|(other, link)| Some((other.label(), link.speed_mbps?)))
        .max_by_key(|(_, speed)| *speed);
    if let (Some(speed), Some((name, best))) = (link.speed_mbps, fastest)
        && speed < best
    {
        let message = format!("the link runs at {speed}; {name} on the same card runs at {best}");
        warn(
            WarningCode::PortBelowSiblings,
            message,
            "compare cable, module and switch port with the other port's",
        );
    }
    if let Some((other, there)) = up.iter().find(|(_, there)| there.mtu > link.mtu) {
        let message =
            format!("the MTU is {}; {} on the same card has {}", link.mtu, other.label(), there.mtu);
        warn(WarningCode::MtuDiffers, message, "set one MTU on all ports that carry the same traffic");
    }
}

fn duplicate_macs(nics: &[Nic], found: &mut Vec<Warning>) {
    let own = |nic: &&Nic| nic.hardware && nic.kind != NicKind::Representor && nic.stacking.master.is_none();
    let mut first: BTreeMap<HwAddr, &Nic> = BTreeMap::new();
    for nic in nics.iter().filter(own) {
        let Some(mac) = nic.mac.filter(|mac| !mac.is_zero()) else { continue };
        let Some(twin) = first.get(&mac) else {
            first.insert(mac, nic);
            continue;
        };
        // The two halves of a failover pair share their MAC on purpose.
        let pair = [nic, twin].iter().any(|nic| nic.bus.as_ref().is_some_and(|bus| bus.kind == "vmbus"));
        if !pair {
            let message = format!("{} has the MAC address {mac} too", twin.label());
            let fix = "give one of them another address: switches will send each frame to only one of them";
            found.push(Warning::new(WarningCode::DuplicateMac, Some(nic.id.clone()), message, fix));
        }
    }
}
