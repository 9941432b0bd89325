//! Policies: which PFs should have which VFs, in the words of `SriovNetworkNodePolicy` (sriov-network-operator), so that a
//! file can be moved over. Several policies on one PF are merged as that operator merges them.

use std::fmt;
use std::ops::RangeInclusive;
use std::str::FromStr;

use hwprobe::{NicId, PciAddress};

use crate::desired::{DesiredPf, EswitchMode, LinkType, VfDriver, VfGroup};
use crate::pf::ObservedPf;

/// The weakest priority; 0 is the strongest.
pub const WEAKEST_PRIORITY: u8 = 99;

/// What some PFs should be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PfPolicy {
    /// Its name; among equal priorities the last by name is the strongest.
    pub name: String,
    /// 0 to 99; 0 wins.
    pub priority: u8,
    /// Which PFs.
    pub selector: PfSelector,
    /// VFs of each PF (`numVfs`).
    pub count: u16,
    /// Driver of the VFs (`deviceType`).
    pub driver: VfDriver,
    /// Least MTU of the PF and MTU of the VFs' netdevs, bytes (`mtu`).
    pub mtu: Option<u32>,
    /// Who programs the embedded switch (`eSwitchMode`).
    pub eswitch: Option<EswitchMode>,
    /// What the ports must speak (`linkType`).
    pub link_type: Option<LinkType>,
    /// The VFs are wanted with RDMA (`isRdma`).
    pub rdma: bool,
    /// Somebody else makes the VFs (`externallyManaged`).
    pub external: bool,
    /// VFs are wanted on a PF that carries the node, too. No word of the operator's.
    pub on_uplink: bool,
    /// Name of the resource (`resourceName`).
    pub resource: String,
}

impl PfPolicy {
    /// A policy for `count` VFs with netdevs on each PF that `selector` names.
    pub fn new(name: impl Into<String>, selector: PfSelector, count: u16) -> Self {
        Self {
            name: name.into(),
            priority: WEAKEST_PRIORITY,
            selector,
            count,
            driver: VfDriver::Own,
            mtu: None,
            eswitch: None,
            link_type: None,
            rdma: false,
            external: false,
            on_uplink: false,
            resource: String::new(),
        }
    }
}

/// Which PFs: all that are named must fit; of a list, one entry. What is empty names nothing; a selector that is empty
/// altogether selects no PF.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PfSelector {
    /// Names or further names of netdevs, with the VFs that are meant (`pfNames`).
    pub names: Vec<PfName>,
    /// PCI addresses of PFs (`rootDevices`).
    pub devices: Vec<PciAddress>,
    /// PCI vendor id, four hexadecimal digits (`vendor`).
    pub vendor: Option<String>,
    /// PCI device id of the PF, four hexadecimal digits (`deviceID`).
    pub device: Option<String>,
    /// Ids of NICs in the inventory: what the caller found with an expression or a class.
    pub nics: Option<Vec<NicId>>,
}

impl PfSelector {
    /// The PF with this name.
    pub fn name(name: PfName) -> Self {
        Self { names: vec![name], ..Self::default() }
    }

    /// Whether a PF is meant.
    pub fn selects(&self, pf: &ObservedPf) -> bool {
        let empty = self.names.is_empty()
            && self.devices.is_empty()
            && self.vendor.is_none()
            && self.device.is_none()
            && self.nics.is_none();
        let same = |wanted: &Option<String>, is: &Option<String>| {
            wanted.as_ref().is_none_or(|wanted| is.as_ref().is_some_and(|is| is.eq_ignore_ascii_case(wanted)))
        };
        !empty
            && (self.names.is_empty() || self.names.iter().any(|name| name.is_of(pf)))
            && (self.devices.is_empty() || pf.pci.is_some_and(|pci| self.devices.contains(&pci)))
            && same(&self.vendor, &pf.vendor)
            && same(&self.device, &pf.device)
            && self.nics.as_ref().is_none_or(|nics| nics.contains(&pf.nic))
    }
}

/// The name of a PF's netdev, and perhaps which of its VFs: `eth1`, `eth1#0-3`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PfName {
    /// Name or further name.
    pub name: String,
    /// Indices of the VFs that are meant; absent: all.
    pub range: Option<RangeInclusive<u16>>,
}

/// Why a text is no name of a PF.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is no PF name: {reason}; write eth1, or eth1#0-3 for its VFs 0 to 3")]
pub struct PfNameError {
    text: String,
    reason: &'static str,
}

impl PfName {
    fn is_of(&self, pf: &ObservedPf) -> bool {
        pf.name.as_ref() == Some(&self.name) || pf.alt_names.contains(&self.name)
    }
}

impl FromStr for PfName {
    type Err = PfNameError;

    fn from_str(text: &str) -> Result<Self, PfNameError> {
        let wrong = |reason| PfNameError { text: text.to_owned(), reason };
        let (name, range) = match text.split_once('#') {
            None => (text, None),
            Some((name, range)) => {
                let (first, last) = range.split_once('-').ok_or_else(|| wrong("the range has no `-`"))?;
                let number = |part: &str| {
                    let digits = !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
                    part.parse::<u16>().ok().filter(|_| digits)
                };
                let range =
                    number(first).zip(number(last)).ok_or_else(|| wrong("the range has no numbers"))?;
                if range.0 > range.1 {
                    return Err(wrong("the range ends before it begins"));
                }
                (name, Some(range.0..=range.1))
            }
        };
        if name.is_empty() || name.bytes().any(|byte| byte == b'/' || byte.is_ascii_whitespace()) {
            return Err(wrong("the name is empty or has a slash or space"));
        }
        Ok(Self { name: name.to_owned(), range })
    }
}

impl fmt::Display for PfName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name)?;
        match &self.range {
            Some(range) => write!(f, "#{}-{}", range.start(), range.end()),
            None => Ok(()),
        }
    }
}

/// What the policies together say of one PF; absent when none selects it.
///
/// From the weakest to the strongest, each policy takes over the PF. VFs of weaker ones stay when they are others and for
/// another resource; then, or when the priorities are equal, the greater count and MTU win.
pub fn desired(policies: &[PfPolicy], pf: &ObservedPf) -> Option<DesiredPf> {
    let mut sorted: Vec<&PfPolicy> = policies.iter().collect();
    sorted.sort_by(|a, b| b.priority.cmp(&a.priority).then_with(|| a.name.cmp(&b.name)));
    let mut so_far: Option<DesiredPf> = None;
    let mut before = None;
    for policy in sorted {
        let equal = before.replace(policy.priority) == Some(policy.priority);
        if policy.selector.selects(pf) {
            let mut next = alone(policy, pf);
            if let Some(weaker) = so_far {
                take_over(&mut next, weaker, equal);
            }
            so_far = Some(next);
        }
    }
    so_far
}

fn alone(policy: &PfPolicy, pf: &ObservedPf) -> DesiredPf {
    let all = policy.count.checked_sub(1).map(|last| 0..=last);
    let named = policy.selector.names.iter().find(|name| name.is_of(pf)).and_then(|name| name.range.clone());
    let group = |range| VfGroup {
        range,
        driver: policy.driver.clone(),
        mtu: policy.mtu,
        rdma: policy.rdma,
        resource: policy.resource.clone(),
        policy: policy.name.clone(),
    };
    DesiredPf {
        count: policy.count,
        mtu: policy.mtu,
        eswitch: policy.eswitch,
        link_type: policy.link_type,
        groups: all.map(|all| group(named.unwrap_or(all))).into_iter().collect(),
        managed_by: policy.external.then(|| format!("policy {} says externallyManaged", policy.name)),
        on_uplink: policy.on_uplink,
        notes: Vec::new(),
    }
}

fn take_over(next: &mut DesiredPf, weaker: DesiredPf, equal: bool) {
    next.notes.extend(weaker.notes);
    // A policy without VFs has no group that others could stand beside.
    let Some(own) = next.groups.first().cloned() else { return };
    let mut merged = false;
    for group in weaker.groups {
        let overlaps = group.range.start() <= own.range.end() && own.range.start() <= group.range.end();
        let replaced = !own.resource.is_empty() && group.resource == own.resource;
        if replaced || overlaps {
            next.notes.push(format!(
                "VFs {}-{} of policy {} give way to policy {}",
                group.range.start(),
                group.range.end(),
                group.policy,
                own.policy
            ));
        } else {
            merged = true;
            next.groups.push(group);
        }
    }
    if merged || equal {
        next.mtu = next.mtu.max(weaker.mtu);
        next.count = next.count.max(weaker.count);
    }
}

#[cfg(test)]
mod tests;
