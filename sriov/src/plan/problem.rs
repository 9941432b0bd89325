//! What cannot be, and why.

use hwprobe::{Driver, SriovZeroReason};

use crate::desired::{DesiredPf, EswitchMode, LinkType, VfDriver};
use crate::pf::{ObservedPf, ObservedVf};

/// What cannot be.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PlanProblem {
    /// More VFs than there can be.
    #[error(
        "{wanted} VFs are wanted, {total} is the most; ask for fewer, or raise the number in the card's firmware"
    )]
    TooMany {
        /// VFs that are wanted.
        wanted: u16,
        /// `sriov_totalvfs`.
        total: u16,
    },
    /// There can be none.
    #[error("it can make no VFs: {0}")]
    None(&'static str),
    /// A group is for VFs that will not be.
    #[error("policy {policy} is for VFs {first} to {last}, there are {count}; end the range at {}", count.saturating_sub(1))]
    Range {
        /// The policy.
        policy: String,
        /// First VF.
        first: u16,
        /// Last VF.
        last: u16,
        /// VFs that are wanted.
        count: u16,
    },
    /// Vfio without an IOMMU.
    #[error(
        "{0} needs an IOMMU, and there is none: boot with intel_iommu=on or amd_iommu=on (and iommu=pt), and enable it in the firmware"
    )]
    NoIommu(String),
    /// A VF shares its IOMMU group with others.
    #[error("VF {vf} cannot be bound to {driver}: its IOMMU group {group} also has {}; use another slot, or a platform with ACS", mates.join(", "))]
    SharedGroup {
        /// Index of the VF.
        vf: u16,
        /// The driver.
        driver: String,
        /// The group.
        group: u32,
        /// Who else is in it.
        mates: Vec<String>,
    },
    /// The switch's mode does not go with the link type, or there is no switch.
    #[error("eswitch mode {wanted} cannot be: {reason}")]
    Eswitch {
        /// The mode.
        wanted: EswitchMode,
        /// Why.
        reason: &'static str,
    },
    /// The ports speak something else.
    #[error(
        "linkType {wanted} is wanted, its ports speak {is}; set LINK_TYPE in the card's firmware (mstconfig, ConnectX VPI \
         cards only) and restart the node, or select other PFs"
    )]
    LinkType {
        /// What it is.
        is: LinkType,
        /// What is wanted.
        wanted: LinkType,
    },
    /// The PF takes no such MTU.
    #[error("MTU {wanted} is wanted, {most} is the most that its driver takes")]
    Mtu {
        /// MTU that is wanted, bytes.
        wanted: u32,
        /// The most, bytes.
        most: u32,
    },
    /// The PF has no RDMA device.
    #[error("policy {0} wants RDMA, and the PF has no RDMA device; load its driver (mlx5_ib, irdma …)")]
    NoRdma(String),
    /// The PF carries the node.
    #[error(
        "{carries}, so its VFs are not changed: its link may drop; allow it for this PF (onUplink), or use another one"
    )]
    Uplink {
        /// What of the node it carries.
        carries: String,
    },
    /// VFs are being made or removed by somebody else.
    #[error(
        "somebody else is changing its number of VFs: {0} of them are half there; if that lasts, end whoever uses a VF (vfio), see `ps` for a write that hangs"
    )]
    InFlux(usize),
    /// The PF's netdev is not here.
    #[error("its netdev is in no namespace of this node: bring it back first")]
    PfAway,
    /// Somebody else manages the PF, and it is not as wanted.
    #[error("{what}; nothing is changed because {managed_by}")]
    External {
        /// What differs.
        what: String,
        /// Who manages it.
        managed_by: String,
    },
}

impl PlanProblem {
    /// Whether nothing is done because of it.
    pub fn stops(&self) -> bool {
        !matches!(self, Self::NoRdma(_) | Self::SharedGroup { .. })
    }
}

/// A group is one owner's: what shares it with another function cannot be given away.
pub(crate) fn shared(vf: &ObservedVf, driver: &VfDriver) -> Option<PlanProblem> {
    let VfDriver::Named(name) = driver else { return None };
    if !Driver::is_vfio(name) {
        return None;
    }
    let Some(group) = vf.iommu_group else { return Some(PlanProblem::NoIommu(name.clone())) };
    let mates = vf.group_mates.clone();
    let problem = PlanProblem::SharedGroup { vf: vf.index, driver: name.clone(), group, mates };
    (!vf.group_mates.is_empty()).then_some(problem)
}

/// What of the wish cannot be for this PF.
pub(super) fn impossible(pf: &ObservedPf, desired: &DesiredPf) -> Vec<PlanProblem> {
    let mut problems = Vec::new();
    let changes = pf.enabled != desired.count
        || desired.mtu.is_some_and(|mtu| pf.mtu.is_some_and(|is| is < mtu))
        || desired.eswitch.is_some_and(|mode| pf.eswitch.unwrap_or(EswitchMode::Legacy) != mode);
    // The PF still counts them, and their functions are gone already, or not there yet.
    let half = pf.vfs.iter().filter(|vf| vf.pci.is_none() && pf.bus == "pci").count();
    if half > 0 {
        problems.push(PlanProblem::InFlux(half));
    }
    if desired.count > 0
        && let Some(reason) = none_because(pf.none_because)
    {
        problems.push(reason);
    } else if let Some(total) = pf.total.filter(|total| desired.count > *total) {
        problems.push(PlanProblem::TooMany { wanted: desired.count, total });
    }
    for group in &desired.groups {
        let (first, last) = (*group.range.start(), *group.range.end());
        if last >= desired.count {
            let policy = group.policy.clone();
            problems.push(PlanProblem::Range { policy, first, last, count: desired.count });
        }
        if let VfDriver::Named(name) = &group.driver
            && Driver::is_vfio(name)
            && pf.iommu_group.is_none()
            && pf.bus == "pci"
        {
            problems.push(PlanProblem::NoIommu(name.clone()));
        }
        if group.rdma && !pf.rdma {
            problems.push(PlanProblem::NoRdma(group.policy.clone()));
        }
    }
    if let Some(wanted) = desired.eswitch {
        let reason = match (wanted, pf.eswitch, pf.link_type) {
            (EswitchMode::Switchdev, _, LinkType::InfiniBand) => {
                Some("the port speaks InfiniBand; use legacy")
            }
            (EswitchMode::Switchdev, None, _) => {
                Some("its driver has no switch that devlink knows; leave eSwitchMode out or say legacy")
            }
            _ => None,
        };
        problems.extend(reason.map(|reason| PlanProblem::Eswitch { wanted, reason }));
    }
    if let Some(wanted) = desired.link_type.filter(|wanted| *wanted != pf.link_type) {
        problems.push(PlanProblem::LinkType { is: pf.link_type, wanted });
    }
    if let (Some(wanted), Some(most)) = (desired.mtu, pf.max_mtu)
        && wanted > most
    {
        problems.push(PlanProblem::Mtu { wanted, most });
    }
    if let Some(carries) = pf.protected.clone().filter(|_| changes && !desired.on_uplink) {
        problems.push(PlanProblem::Uplink { carries });
    }
    problems
}

fn none_because(reason: Option<SriovZeroReason>) -> Option<PlanProblem> {
    Some(match reason? {
        SriovZeroReason::FirmwareOff => PlanProblem::None(
            "its firmware allows none; raise the number with the vendor's tool (mstconfig, bnxtnvm …)",
        ),
        SriovZeroReason::DriverLacksSupport => {
            PlanProblem::None("its driver cannot make any; load another one")
        }
        SriovZeroReason::NoDriver => PlanProblem::None("no driver is bound to it; load its driver"),
        SriovZeroReason::PassedThrough => {
            PlanProblem::None("it is passed through to user space; bind it to its own driver")
        }
        SriovZeroReason::PfHeld => PlanProblem::PfAway,
        _ => return None,
    })
}

/// How a PF that somebody else manages differs from what is wanted.
pub(super) fn external(pf: &ObservedPf, desired: &DesiredPf, managed_by: &str) -> Vec<PlanProblem> {
    let mut differs = Vec::new();
    if pf.enabled < desired.count {
        differs.push(format!("{} VFs are wanted, {} are there", desired.count, pf.enabled));
    }
    if let (Some(wanted), Some(is)) = (desired.mtu, pf.mtu)
        && is < wanted
    {
        differs.push(format!("MTU {wanted} is wanted, {is} is set"));
    }
    if let (Some(wanted), Some(is)) = (desired.eswitch, pf.eswitch)
        && is != wanted
    {
        differs.push(format!("eswitch mode {wanted} is wanted, {is} is set"));
    }
    let problem = |what| PlanProblem::External { what, managed_by: managed_by.to_owned() };
    differs.into_iter().map(problem).collect()
}
