//! What of the inventory is published: the secondary NICs in the words of HostInterface. Pure.

use std::collections::{BTreeMap, BTreeSet};

use attach::network::DeviceClass;
use attach::select::is_member;
use crds::{Interface, SUSPENDED, SriovCapacity};
use hwprobe::{Inventory, Nic, NicKind, NotSecondary, SpeedClass};
use ipnet::IpNet;

/// Most warnings of a NIC, as the definition has it.
const WARNINGS: usize = 64;

/// Most device classes of a NIC, likewise.
const CLASSES: usize = 256;

/// What a NIC is known by over time: its PCI address, else its name.
pub(super) fn key(interface: &Interface) -> &str {
    if interface.pci_address.is_empty() { &interface.interface_name } else { &interface.pci_address }
}

/// What is there now.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Found {
    /// The secondary NICs, by key; `state` says whether a carrier is missing.
    pub(super) interfaces: BTreeMap<String, Interface>,
    /// Keys of all NICs of the machine, also those that are not secondary just now.
    pub(super) present: BTreeSet<String>,
    /// Keys of NICs that the administrator took out.
    pub(super) excluded: BTreeSet<String>,
}

/// What is to be published of an inventory. VFs without an address are left out: their PF tells of them, and they come
/// and go with pods.
pub(super) fn found(inventory: &Inventory, classes: &BTreeMap<String, DeviceClass>) -> Found {
    let mut found = Found::default();
    for nic in &inventory.nics {
        let Some(mut interface) = interface(inventory, nic) else { continue };
        let key = key(&interface).to_owned();
        found.present.insert(key.clone());
        if nic.secondary.reasons.contains(&NotSecondary::Excluded) {
            found.excluded.insert(key.clone());
        }
        let idle_vf = nic.kind == NicKind::VirtualFunction && interface.net_addresses.is_empty();
        if nic.secondary.is_secondary && nic.link.is_some() && !idle_vf {
            // Several netdevs on one function: the first one has its address.
            let key =
                if found.interfaces.contains_key(&key) { interface.interface_name.clone() } else { key };
            // Not for each VF: an expression takes time.
            interface.device_classes = classes_of(nic, classes);
            found.interfaces.insert(key, interface);
        }
    }
    found
}

fn interface(inventory: &Inventory, nic: &Nic) -> Option<Interface> {
    let pci_address = nic.pci_address().map(|pci| pci.to_string()).unwrap_or_default();
    let interface_name = match &nic.name {
        Some(name) => name.clone(),
        None if pci_address.is_empty() => return None,
        None => String::new(),
    };
    let id = |name: Option<&hwprobe::PciName>| name.map(|name| name.id.clone()).unwrap_or_default();
    let addresses = addresses(nic);
    let first_v4 = addresses.iter().find(|address| address.addr().is_ipv4());
    let class = match nic.speed.class {
        SpeedClass::Unknown => String::new(),
        known => known.as_str().to_owned(),
    };
    let link = nic.link.as_ref();
    let up = link.is_some_and(|link| link.admin_up && link.carrier != Some(false));
    let of_nic = inventory.warnings.iter().filter(|warning| warning.nic.as_ref() == Some(&nic.id));
    let link_local = nic.addresses.iter().find(|own| own.scope == "link" && own.address.is_ipv6());
    Some(Interface {
        interface_name,
        net_address: first_v4.map(|net| net.trunc().to_string()).unwrap_or_default(),
        host_ip: first_v4.map(|net| net.addr().to_string()).unwrap_or_default(),
        vendor: id(nic.pci.as_ref().and_then(|pci| pci.vendor.as_ref())),
        product: id(nic.pci.as_ref().and_then(|pci| pci.device.as_ref())),
        pci_address,
        net_addresses: addresses.iter().map(|net| net.trunc().to_string()).collect(),
        host_ips: addresses.iter().map(|net| net.addr().to_string()).collect(),
        link_local: link_local.map(|own| own.address.to_string()).unwrap_or_default(),
        speed_mbps: nic.speed.mbps.map(|speed| i64::from(speed.get())),
        class,
        device_classes: Vec::new(),
        mtu: link.map(|link| i64::from(link.mtu)),
        numa_node: nic.numa_node.map(i64::from),
        sriov: nic.sriov.as_ref().map(|sriov| SriovCapacity {
            total_vfs: sriov.capacity.total.into(),
            num_vfs: sriov.capacity.enabled.into(),
            free_vfs: sriov.capacity.free.into(),
        }),
        state: if up { String::new() } else { SUSPENDED.to_owned() },
        warnings: of_nic
            .take(WARNINGS)
            .map(|one| format!("{}: {}", one.code.as_str(), one.message))
            .collect(),
    })
}

/// Names of the classes that a NIC is in.
fn classes_of(nic: &Nic, classes: &BTreeMap<String, DeviceClass>) -> Vec<String> {
    let inside = classes.iter().filter(|(_, class)| is_member(class, nic));
    inside.map(|(name, _)| name.clone()).take(CLASSES).collect()
}

/// Global addresses, IPv4 first, one of each network: one that does not expire before one that does.
fn addresses(nic: &Nic) -> Vec<IpNet> {
    let mut all: Vec<(bool, bool, IpNet)> = Vec::new();
    for own in nic.addresses.iter().filter(|own| own.is_global()) {
        if let Ok(net) = IpNet::new(own.address, own.prefix_length) {
            all.push((own.address.is_ipv6(), own.dynamic, net));
        }
    }
    all.sort_by_key(|(v6, dynamic, _)| (*v6, *dynamic));
    let mut nets = BTreeSet::new();
    all.into_iter().filter(|(_, _, net)| nets.insert(net.trunc())).map(|(_, _, net)| net).collect()
}

#[cfg(test)]
mod tests;
