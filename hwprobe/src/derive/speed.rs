//! How fast a NIC is, and how we know.

use super::speed_table;
use crate::model::{
    Nic, NicKind, PortSpeed, RdmaPort, Speed, SpeedClass, SpeedMbps, SpeedSource, SpeedThresholds,
};

/// The speed of a NIC; `pf` is the PF of a VF, its own speed already known.
pub(crate) fn speed(nic: &Nic, pf: Option<&Nic>, thresholds: &SpeedThresholds) -> Speed {
    let port = port_speed(nic).or_else(|| {
        let pf = pf?.speed.port?;
        Some(PortSpeed { mbps: pf.mbps, source: SpeedSource::PhysicalFunction })
    });
    let own_limit = nic.pci.as_ref().and_then(|pci| pci.link).map(|link| link.bandwidth_mbps);
    // A VF has no PCIe link of its own: it shares its PF's.
    let pcie_limit = own_limit.or_else(|| pf?.speed.pcie_limit_mbps);
    let mut speed = Speed::default();
    speed.port = port;
    speed.pcie_limit_mbps = pcie_limit;
    if let Some(port) = port {
        (speed.mbps, speed.source) = match pcie_limit {
            Some(limit) if limit < port.mbps => (Some(limit), SpeedSource::PcieLimit),
            _ => (Some(port.mbps), port.source),
        };
    }
    speed.class = class(speed.mbps, thresholds);
    speed
}

/// The class of a speed.
pub(crate) fn class(mbps: Option<SpeedMbps>, thresholds: &SpeedThresholds) -> SpeedClass {
    match mbps {
        None => SpeedClass::Unknown,
        Some(mbps) if mbps >= thresholds.high_from => SpeedClass::High,
        Some(mbps) if mbps >= thresholds.standard_from => SpeedClass::Standard,
        Some(_) => SpeedClass::Low,
    }
}

fn port_speed(nic: &Nic) -> Option<PortSpeed> {
    let link = nic.link.as_ref();
    let told = link.and_then(|link| link.speed_mbps);
    let supported = link.and_then(|link| link.supported_speed_mbps);
    // Its speed and its modes are constants of the driver.
    let is_constant = nic.driver.as_ref().is_some_and(|driver| driver.name == "vmxnet3");
    if is_constant && let Some(mbps) = told.or(supported) {
        return Some(PortSpeed { mbps, source: SpeedSource::Nominal });
    }
    // Emulated and some real NICs name a speed while nothing runs.
    let runs = link.is_some_and(|link| link.admin_up && link.carrier != Some(false));
    if let Some(mbps) = told.filter(|_| runs) {
        return Some(PortSpeed { mbps, source: SpeedSource::Link });
    }
    let rate = rdma_ports(nic)
        .filter(|port| port.state.as_deref() == Some("ACTIVE"))
        .filter_map(|port| port.rate_mbps)
        .max();
    if let Some(mbps) = rate {
        return Some(PortSpeed { mbps, source: SpeedSource::InfinibandRate });
    }
    if let Some(mbps) = supported {
        return Some(PortSpeed { mbps, source: SpeedSource::SupportedModes });
    }
    if let Some(mbps) = told {
        return Some(PortSpeed { mbps, source: SpeedSource::Nominal });
    }
    // A VF has whatever its PF has, not what the chip could do.
    if nic.kind != NicKind::Physical {
        return None;
    }
    let pci = nic.pci.as_ref()?;
    let mbps = speed_table::port_speed(&pci.vendor.as_ref()?.id, &pci.device.as_ref()?.id)?;
    Some(PortSpeed { mbps, source: SpeedSource::DeviceTable })
}

/// The RDMA ports behind the netdev: its own where one device has several (mlx4: `dev_port` counts from 0,
/// RDMA ports from 1), else all.
fn rdma_ports(nic: &Nic) -> impl Iterator<Item = &RdmaPort> {
    let own = nic.link.as_ref().and_then(|link| link.dev_port).map(|port| port.saturating_add(1));
    nic.rdma.iter().flat_map(move |device| {
        device
            .ports
            .iter()
            .filter(move |port| device.ports.len() == 1 || own.is_none_or(|own| own == port.number))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{LinkFacts, NicId, PciFunction, PcieLink, PcieSpeed};

    fn nic(speed: u32, pcie: (PcieSpeed, u8)) -> Nic {
        let mut nic = Nic::new(NicId::new("0000:01:00.0"), NicKind::Physical);
        let mut link = LinkFacts::new(1500, 1);
        (link.speed_mbps, link.admin_up, link.carrier) = (SpeedMbps::new(speed), true, Some(true));
        nic.link = Some(link);
        let mut pci = PciFunction::new("0000:01:00.0".parse().unwrap());
        pci.link = PcieLink::new(pcie.0, pcie.1);
        nic.pci = Some(pci);
        nic
    }

    #[test]
    fn a_narrow_slot_decides_what_a_fast_port_delivers() {
        let speed = speed(&nic(400_000, (PcieSpeed::Gen5, 8)), None, &SpeedThresholds::default());

        assert_eq!(speed.source, SpeedSource::PcieLimit);
        assert_eq!(speed.mbps.unwrap().get(), 252_061);
        assert_eq!(speed.port.unwrap().mbps.get(), 400_000);
    }

    #[test]
    fn a_silent_vf_has_its_pf_s_speed() {
        let mut pf = nic(100_000, (PcieSpeed::Gen4, 16));
        pf.speed = speed(&pf, None, &SpeedThresholds::default());
        let vf = Nic::new(NicId::new("0000:01:00.1"), NicKind::VirtualFunction);

        let speed = speed(&vf, Some(&pf), &SpeedThresholds::default());

        assert_eq!((speed.mbps.unwrap().get(), speed.source), (100_000, SpeedSource::PhysicalFunction));
        assert_eq!(speed.class, SpeedClass::High);
    }

    #[test]
    fn nobody_knows_is_unknown() {
        let silent = Nic::new(NicId::new("virtio0"), NicKind::Paravirtual);

        assert_eq!(speed(&silent, None, &SpeedThresholds::default()), Speed::default());
    }

    #[test]
    fn classes_begin_where_the_thresholds_say() {
        let thresholds = SpeedThresholds::default();
        let class_of = |mbps| class(SpeedMbps::new(mbps), &thresholds);

        assert_eq!(
            [9_999, 10_000, 99_999, 100_000].map(class_of),
            [SpeedClass::Low, SpeedClass::Standard, SpeedClass::Standard, SpeedClass::High]
        );
        assert_eq!(class_of(0), SpeedClass::Unknown);
    }
}
