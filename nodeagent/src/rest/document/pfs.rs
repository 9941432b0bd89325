//! Examples about PFs: one in the middle of everything, shown by the handlers' own functions.

use std::time::{Duration, SystemTime};

use openapi::{NetworkReport, PfState, ReportGravity, StuckWrite};
use serde_json::Value;
use sriov::{
    DesiredPf, EswitchMode, Holder, HolderKind, LinkType, ObservedPf, ObservedVf, VfDriver, VfGroup,
};

use super::super::pfs::{pf_list, vf_list};
use crate::sriov::{Status, View, Wish};

/// One answer of every kind.
pub(super) fn answers() -> Result<Vec<(&'static str, Value)>, serde_json::Error> {
    let status = status();
    let vfs = vf_list(42, &status);
    let view = View {
        generation: 42,
        pfs: vec![status],
        away: vec!["0000:5e:00.0".to_owned()],
        reports: vec![report()],
    };
    let mut list = pf_list(&view, &[]);
    for pf in &mut list.pfs {
        pf.stuck = vec![StuckWrite {
            device: pf.device.clone(),
            what: "write 0 to sriov_numvfs".to_owned(),
            since: "2026-11-24T05:31:44.007Z".to_owned(),
        }];
    }
    Ok(vec![("PfList", serde_json::to_value(list)?), ("PfVfList", serde_json::to_value(vfs)?)])
}

/// A PF of which everything can be said at once.
fn status() -> Status {
    let mut pf = ObservedPf::new("0000:3b:00.0", "pci");
    (pf.name, pf.driver) = (Some("ens1f0np0".to_owned()), Some("mlx5_core".to_owned()));
    (pf.total, pf.enabled, pf.mtu, pf.ifindex) = (Some(8), 2, Some(1500), Some(4));
    (pf.eswitch, pf.autoprobe) = (Some(EswitchMode::Legacy), Some(true));
    (pf.iommu_group, pf.protected) = (Some(20), Some("it carries the default route".to_owned()));
    pf.vfs = (0..2).map(vf).collect();
    let group = |range, rdma| VfGroup {
        range,
        driver: VfDriver::Own,
        mtu: Some(9000),
        rdma,
        resource: "rails".to_owned(),
        policy: "rails".to_owned(),
    };
    let desired = DesiredPf {
        count: 4,
        mtu: Some(9000),
        eswitch: Some(EswitchMode::Legacy),
        link_type: Some(LinkType::Ethernet),
        groups: vec![group(0..=3, true)],
        managed_by: None,
        on_uplink: true,
        notes: vec!["VFs 0-1 of policy lab give way to policy rails".to_owned()],
    };
    let at = |seconds| SystemTime::UNIX_EPOCH + Duration::from_secs(seconds);
    Status {
        plan: sriov::plan(&pf, &desired),
        wish: Some(Wish { desired, posted: false, policies: vec!["rails".to_owned()] }),
        pf,
        state: PfState::Held,
        since: at(1_795_325_504),
        error: Some("cannot set the number of VFs from 2 to 4: held by VF 0".to_owned()),
        failures: 2,
        next: Some(at(1_795_325_512)),
        vfs: Vec::new(),
    }
}

fn vf(index: u16) -> ObservedVf {
    let mut vf = ObservedVf::new(index);
    vf.pci = format!("0000:3b:00.{}", index + 2).parse().ok();
    (vf.driver, vf.name) = (Some("mlx5_core".to_owned()), Some(format!("ens1f0v{index}")));
    (vf.mtu, vf.iommu_group) = (Some(1500), Some(60 + u32::from(index)));
    vf.representor = Some(format!("ens1f0npf0vf{index}"));
    if index == 0 {
        let who = "pod shop/cart (network rails, net1)";
        let device = vf.pci.map(|pci| pci.to_string()).unwrap_or_default();
        vf.holders = vec![Holder::new(Some(index), device, HolderKind::Claimed, who)];
    }
    vf
}

fn report() -> NetworkReport {
    NetworkReport {
        gravity: ReportGravity::Warning,
        network: None,
        policy: Some("rails".to_owned()),
        file: Some("rails.yaml".to_owned()),
        document: Some(1),
        field: Some("spec.needVhostNet".to_owned()),
        message: "does nothing here: no pod gets /dev/vhost-net by it".to_owned(),
        fix: Some("give the container /dev/vhost-net yourself, or take it out".to_owned()),
    }
}
