//! Physical functions: which there are on a node, and which of them a network means.

use std::collections::{BTreeMap, BTreeSet};

use crds::foreign::SriovNetworkNodeStateStatus;
use crds::{DeviceClassSpec, Interface, NetworkSpec};

/// The class that is there without being defined: every NIC of the high speed class.
const HIGHSPEED: &str = "highspeed";

/// A node with what is known of its NICs.
#[derive(Debug, Clone, Copy)]
pub struct Host<'a> {
    /// Name of the node.
    pub node: &'a str,
    /// Its labels.
    pub labels: &'a BTreeMap<String, String>,
    /// What its agent found: secondary NICs alone.
    pub interfaces: &'a [Interface],
    /// What the SR-IOV operator found: every PF that it supports, also the one that carries the node.
    pub state: Option<&'a SriovNetworkNodeStateStatus>,
}

/// A PF of a node.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Pf {
    /// PCI address, lower case.
    pub address: String,
    /// Name of its netdev.
    pub name: String,
    /// Other names of it.
    pub alt_names: Vec<String>,
    /// PCI vendor id, lower case; empty: not known.
    pub vendor: String,
    /// PCI device id, lower case; empty: not known.
    pub device: String,
    /// Most VFs; 0: none, or not known.
    pub total_vfs: u32,
    /// VFs there are.
    pub num_vfs: u32,
    /// The cloud's network; empty: none.
    pub net_filter: String,
    /// Networks that it has addresses in.
    pub nets: Vec<String>,
    /// Speed class; empty: not known.
    pub class: String,
    /// Speed, Mb/s.
    pub speed_mbps: Option<u32>,
    /// Device classes that its agent found it in.
    pub device_classes: Vec<String>,
    /// The agent counts it to the secondary NICs.
    pub secondary: bool,
}

impl Host<'_> {
    /// Every PCI function that is known there, by address.
    pub fn pfs(&self) -> BTreeMap<String, Pf> {
        let mut pfs: BTreeMap<String, Pf> = BTreeMap::new();
        for nic in self.interfaces.iter().filter(|nic| !nic.pci_address.is_empty()) {
            let address = nic.pci_address.to_ascii_lowercase();
            let nets: BTreeSet<&String> = nic.networks().collect();
            let pf = Pf {
                address: address.clone(),
                name: nic.interface_name.clone(),
                vendor: id(&nic.vendor),
                device: id(&nic.product),
                total_vfs: nic.sriov.map_or(0, |sriov| sriov.total_vfs),
                num_vfs: nic.sriov.map_or(0, |sriov| sriov.num_vfs),
                nets: nets.into_iter().cloned().collect(),
                class: nic.class.clone(),
                speed_mbps: speed(nic),
                device_classes: nic.device_classes.clone(),
                secondary: true,
                ..Pf::default()
            };
            pfs.insert(address, pf);
        }
        for seen in self.state.map_or(&[][..], |state| &state.interfaces) {
            let address = seen.pci_address.to_ascii_lowercase();
            if address.is_empty() {
                continue;
            }
            // An agent of the predecessor knows neither the address nor how many VFs there can be, but the name.
            let by_name = self.interfaces.iter().find(|nic| {
                nic.pci_address.is_empty() && nic.interface_name == seen.name && !seen.name.is_empty()
            });
            let pf = pfs.entry(address.clone()).or_insert_with(|| Pf {
                address,
                name: seen.name.clone(),
                vendor: id(&seen.vendor),
                device: id(&seen.device_id),
                nets: by_name
                    .iter()
                    .map(|nic| nic.net_address.clone())
                    .filter(|net| !net.is_empty())
                    .collect(),
                class: by_name.map(|nic| nic.class.clone()).unwrap_or_default(),
                speed_mbps: by_name.and_then(speed),
                device_classes: by_name.map(|nic| nic.device_classes.clone()).unwrap_or_default(),
                secondary: by_name.is_some(),
                ..Pf::default()
            });
            pf.total_vfs = pf.total_vfs.max(seen.total_vfs);
            pf.num_vfs = pf.num_vfs.max(seen.num_vfs);
            let text = |key: &str| seen.other.get(key).and_then(|value| value.as_str()).unwrap_or_default();
            pf.net_filter = text("netFilter").to_owned();
            let names = seen.other.get("altNames").and_then(|names| names.as_array());
            pf.alt_names =
                names.into_iter().flatten().filter_map(|name| name.as_str().map(str::to_owned)).collect();
        }
        pfs
    }

    /// The PFs that a network means: secondary ones that can have VFs, with an address in `masterNets`, of the class.
    /// Without `masterNets`, those with an address, as the predecessor did; on a host where none has one, all.
    pub(super) fn chosen(&self, spec: &NetworkSpec, class: Option<&Class<'_>>) -> Vec<Pf> {
        let pfs = self.pfs();
        let capable: Vec<Pf> = pfs
            .into_values()
            .filter(|pf| pf.secondary && pf.total_vfs > 0)
            .filter(|pf| class.is_none_or(|class| class.has(pf)))
            .collect();
        let listed = |pf: &Pf| pf.nets.iter().any(|net| spec.master_nets.contains(net));
        if !spec.master_nets.is_empty() {
            return capable.into_iter().filter(listed).collect();
        }
        let some = capable.iter().any(|pf| !pf.nets.is_empty());
        capable.into_iter().filter(|pf| !some || !pf.nets.is_empty()).collect()
    }
}

/// A device class that a network asks for.
#[derive(Debug, Clone, Copy)]
pub(super) enum Class<'a> {
    /// Every NIC of the high speed class.
    HighSpeed,
    /// One that is defined.
    Defined(&'a str, &'a DeviceClassSpec),
}

impl<'a> Class<'a> {
    /// The class that a network names; absent: it names none.
    ///
    /// # Errors
    /// The name, when there is no such class.
    pub(super) fn of(
        spec: &NetworkSpec,
        classes: &BTreeMap<&'a str, &'a DeviceClassSpec>,
    ) -> Result<Option<Self>, String> {
        let name = spec.attach_policy.as_ref().map_or("", |policy| policy.class.as_str());
        match classes.get_key_value(name) {
            _ if name.is_empty() => Ok(None),
            Some((name, class)) => Ok(Some(Self::Defined(name, class))),
            None if name == HIGHSPEED => Ok(Some(Self::HighSpeed)),
            None => Err(name.to_owned()),
        }
    }

    fn has(&self, pf: &Pf) -> bool {
        match self {
            Self::HighSpeed => pf.class == "high",
            Self::Defined(name, class) => {
                // Expressions are over what only the agent knows.
                let fits = class.expression.is_empty() || pf.device_classes.iter().any(|one| one == name);
                fits && class.has((&pf.vendor, &pf.device), pf.speed_mbps, &pf.class)
            }
        }
    }
}

/// Speed of a NIC, Mb/s.
fn speed(nic: &Interface) -> Option<u32> {
    nic.speed_mbps.and_then(|speed| u32::try_from(speed).ok())
}

/// A PCI id as selectors have it: four lower-case hexadecimal digits; empty: it is none.
fn id(text: &str) -> String {
    let text = text.trim_start_matches("0x").to_ascii_lowercase();
    if text.len() == 4 && text.bytes().all(|byte| byte.is_ascii_hexdigit()) { text } else { String::new() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_an_expression_is_true_of_is_what_the_agent_says() {
        let spec = DeviceClassSpec { expression: "nic.numaNode == 0".into(), ..DeviceClassSpec::default() };
        let class = Class::Defined("near", &spec);
        let near = Pf { device_classes: vec!["near".to_owned()], ..Pf::default() };
        assert!(class.has(&near) && !class.has(&Pf::default()));
        let fast = DeviceClassSpec { min_speed: "100Gbps".into(), ..spec.clone() };
        assert!(!Class::Defined("near", &fast).has(&near), "everything else must fit as well");
    }
}
