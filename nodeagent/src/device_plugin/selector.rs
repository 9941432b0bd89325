//! Which NICs a pool is made of. Pure.

use std::collections::BTreeMap;

use attach::network::DeviceClass;
use hwprobe::{Inventory, Nic, NicKind};

use crate::config::{DevicePool, LinkType, PoolKind, Ranged, Selector};

/// `ARPHRD_ETHER` and `ARPHRD_INFINIBAND` (`include/uapi/linux/if_arp.h`, kernel 6.12).
const ARPHRD_ETHER: u16 = 1;
const ARPHRD_INFINIBAND: u16 = 32;

/// The device classes of the configuration, by name.
pub(crate) type Classes = BTreeMap<String, DeviceClass>;

/// The PF of a VF.
pub(crate) fn pf_of<'a>(inventory: &'a Inventory, nic: &Nic) -> Option<&'a Nic> {
    let pf = &nic.vf.as_ref()?.pf;
    inventory.nics.iter().find(|one| one.id == *pf)
}

/// Whether a NIC, a VF with its PF, is what the pool is made of.
pub(crate) fn is_selected(pool: &DevicePool, classes: &Classes, nic: &Nic, pf: Option<&Nic>) -> bool {
    let of_kind = match pool.kind {
        PoolKind::Vf => nic.kind == NicKind::VirtualFunction,
        // What carries the node, or is held whole, is no NIC to share; a VF is what the other kind is for.
        PoolKind::Nic { .. } => nic.secondary.is_secondary && nic.kind != NicKind::VirtualFunction,
    };
    of_kind && (pool.selectors.is_empty() || pool.selectors.iter().any(|one| fits(one, classes, nic, pf)))
}

fn fits(selector: &Selector, classes: &Classes, nic: &Nic, pf: Option<&Nic>) -> bool {
    let pci = nic.pci.as_ref();
    let vendor = pci.and_then(|pci| pci.vendor.as_ref()).map(|name| &name.id);
    let device = pci.and_then(|pci| pci.device.as_ref()).map(|name| &name.id);
    let driver = nic.driver.as_ref().map(|driver| &driver.name);
    let class = |name: &String| {
        let class = classes.get(name);
        let member = |nic: &Nic| class.is_some_and(|class| attach::select::is_member(class, nic));
        member(nic) || pf.is_some_and(member)
    };
    // A PF that was renamed goes on under its further names.
    let named = |ranged: &Ranged| {
        let root = pf.unwrap_or(nic);
        (root.name.as_ref() == Some(&ranged.pf) || root.alt_names.contains(&ranged.pf))
            && within(ranged, nic, pf)
    };
    let rooted = |ranged: &Ranged| {
        let address = pf.unwrap_or(nic).pci_address();
        address.is_some_and(|address| address.to_string() == ranged.pf) && within(ranged, nic, pf)
    };
    any(&selector.vendors, |id| vendor == Some(id))
        && any(&selector.devices, |id| device == Some(id))
        && any(&selector.drivers, |name| driver == Some(name))
        && any(&selector.pci_addresses, |address| nic.pci_address() == Some(*address))
        && any(&selector.pf_names, named)
        && any(&selector.root_devices, rooted)
        && any(&selector.link_types, |wanted| link_type(nic, pf) == Some(*wanted))
        && any(&selector.device_classes, class)
}

/// An empty list asks for nothing.
fn any<T>(wanted: &[T], fits: impl Fn(&T) -> bool) -> bool {
    wanted.is_empty() || wanted.iter().any(fits)
}

fn within(ranged: &Ranged, nic: &Nic, pf: Option<&Nic>) -> bool {
    match pf {
        Some(_) => ranged.has(nic.vf.as_ref().and_then(|vf| vf.index)),
        None => ranged.ranges.is_empty(),
    }
}

/// The type of the device's own link, else of its PF's: a VF under vfio-pci has no netdev.
fn link_type(nic: &Nic, pf: Option<&Nic>) -> Option<LinkType> {
    let link = nic.link.as_ref().or_else(|| pf?.link.as_ref())?;
    match link.hardware_type {
        ARPHRD_ETHER => Some(LinkType::Ether),
        ARPHRD_INFINIBAND => Some(LinkType::Infiniband),
        _ => None,
    }
}

/// What a pool is made of, in words.
pub(crate) fn words(pool: &DevicePool) -> String {
    let (each, all) = match pool.kind {
        PoolKind::Vf => ("every VF", "VFs"),
        PoolKind::Nic { .. } => ("every NIC that pods may have", "NICs that pods may have"),
    };
    if pool.selectors.is_empty() {
        return each.to_owned();
    }
    let selectors: Vec<String> = pool.selectors.iter().map(|one| of_selector(one, pool.kind)).collect();
    format!("{all} with {}", selectors.join("; or with "))
}

fn of_selector(selector: &Selector, kind: PoolKind) -> String {
    fn part<T: ToString>(name: &str, values: &[T]) -> Option<String> {
        let values: Vec<String> = values.iter().map(ToString::to_string).collect();
        (!values.is_empty()).then(|| format!("{name} {}", values.join(" or ")))
    }
    let (named, rooted) = match kind {
        PoolKind::Vf => ("PF", "PF"),
        PoolKind::Nic { .. } => ("name", "address"),
    };
    let link_types = selector.link_types.iter().map(|one| match one {
        LinkType::Ether => "ether",
        LinkType::Infiniband => "infiniband",
    });
    let parts = [
        part("vendor", &selector.vendors),
        part("device", &selector.devices),
        part("driver", &selector.drivers),
        part("address", &selector.pci_addresses),
        part(named, &selector.pf_names),
        part(rooted, &selector.root_devices),
        part("link type", &link_types.collect::<Vec<_>>()),
        part("device class", &selector.device_classes),
    ];
    let parts: Vec<String> = parts.into_iter().flatten().collect();
    if parts.is_empty() { "any facts".to_owned() } else { parts.join(" and ") }
}

#[cfg(test)]
mod tests {
    use super::words;
    use crate::device_plugin::samples::pool;

    #[test]
    fn a_pool_is_told_in_words() {
        for (text, wanted) in [
            ("{ name: a }", "every VF"),
            ("{ name: a, kind: nic, count: 2 }", "every NIC that pods may have"),
            (
                "{ name: a, selectors: [{ vendors: ['15b3', '8086'], pfNames: ['ens1f0#0-3'] }, { drivers: [iavf] }] }",
                "VFs with vendor 15b3 or 8086 and PF ens1f0#0-3; or with driver iavf",
            ),
            (
                "{ name: a, kind: nic, selectors: [{ pfNames: [m0, m1], linkTypes: [ether], deviceClasses: [fast] }] }",
                "NICs that pods may have with name m0 or m1 and link type ether and device class fast",
            ),
        ] {
            assert_eq!(words(&pool(text)), wanted);
        }
    }
}
