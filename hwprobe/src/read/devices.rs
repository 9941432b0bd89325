//! Which device is behind a netdev: bus, folder, PCI function.

use std::collections::BTreeMap;

use super::pci::{Function, folder_of_target};
use crate::model::{Bus, PciAddress};
use crate::source::Files;
use netlink::route::Link;

/// The device behind a netdev.
#[derive(Debug, Clone)]
pub(crate) struct Device {
    /// Bus and folder.
    pub(crate) bus: Bus,
    /// Folder, with `sys/` in front.
    pub(crate) folder: String,
    /// The PCI function that it is, or that it hangs on (virtio, auxiliary).
    pub(crate) pci: Option<(PciAddress, String)>,
    /// Number of the netdev among those of the device.
    pub(crate) dev_port: Option<u32>,
}

/// Finds the device; `None` for links that software makes. `functions` are those that are known already.
pub(crate) fn behind(
    files: &dyn Files,
    link: &Link,
    functions: &BTreeMap<PciAddress, Function>,
) -> Option<Device> {
    // An IPoIB partition has its parent's device behind it, but is made by software.
    let child = link.kind.as_deref() == Some("ipoib") && link.lower.is_some_and(|lower| lower != link.index);
    if link.kind.as_deref().is_some_and(is_virtual_kind) || link.is_loopback() || child {
        return None;
    }
    let folder = match (&link.parent_bus, &link.parent_device) {
        // The link's own word is true in any namespace; sysfs shows that of its mounter.
        (Some(bus), Some(device)) => {
            let place = format!("sys/bus/{bus}/devices/{device}");
            let pci = device.parse::<PciAddress>().ok().filter(|_| bus == "pci");
            let known = pci.and_then(|pci| functions.get(&pci)).map(|function| function.folder.clone());
            let linked = || Some(folder_of_target(&files.read_link(&place).ok()??));
            let folder = known.or_else(linked).or_else(|| folder_of_netdev(files, link));
            // A device that the bus does not show (any more) is a device all the same.
            folder.unwrap_or(place)
        }
        _ => folder_of_netdev(files, link)?,
    };
    let device = folder.rsplit('/').next()?.to_owned();
    let kind = match &link.parent_bus {
        Some(bus) => bus.clone(),
        None if super::pci::is_pci_folder(&folder) => "pci".to_owned(),
        None => {
            let linked = files.link_name(&format!("{folder}/subsystem")).ok().flatten();
            linked.unwrap_or_else(|| guess_bus(&folder).to_owned())
        }
    };
    let pci = function_of(&folder, &kind);
    let path = folder.strip_prefix("sys/").unwrap_or(&folder).to_owned();
    let dev_port = files.text(&format!("{folder}/net/{}/dev_port", link.name)).ok().flatten();
    let dev_port = dev_port.and_then(|port| port.parse().ok());
    Some(Device { bus: Bus::new(kind, device, path), folder, pci, dev_port })
}

/// The device's folder by that of the netdev; `None` for links without a device.
fn folder_of_netdev(files: &dyn Files, link: &Link) -> Option<String> {
    let target = files.read_link(&format!("sys/class/net/{}", link.name)).ok().flatten()?;
    let folder = folder_of_target(&target);
    let folder = folder.strip_suffix(&format!("/net/{}", link.name))?;
    (folder != "sys/devices/virtual").then(|| folder.to_owned())
}

/// The bus by the shape of the path, for captured trees without `subsystem` links.
fn guess_bus(folder: &str) -> &'static str {
    let name = folder.rsplit('/').next().unwrap_or_default();
    match name {
        _ if name.starts_with("virtio") => "virtio",
        _ if name.starts_with("vif-") => "xen",
        _ if name.starts_with("netdevsim") => "netdevsim",
        _ if folder.contains("/usb") => "usb",
        _ if folder.contains("/VMBUS:") => "vmbus",
        _ => "platform",
    }
}

/// The PCI function that a device is or, on buses that only subdivide a function, hangs on. A USB NIC hangs
/// on a USB controller, which is no NIC.
fn function_of(folder: &str, bus: &str) -> Option<(PciAddress, String)> {
    if !matches!(bus, "pci" | "virtio" | "auxiliary") {
        return None;
    }
    let mut folder = folder;
    loop {
        let (above, name) = folder.rsplit_once('/')?;
        if let Ok(address) = name.parse() {
            return Some((address, folder.to_owned()));
        }
        folder = above;
    }
}

/// Kinds of links that software makes (`IFLA_INFO_KIND`, `DEVTYPE`); the others have a device.
pub(crate) fn is_virtual_kind(kind: &str) -> bool {
    matches!(
        kind,
        "bond"
            | "team"
            | "bridge"
            | "vlan"
            | "macvlan"
            | "macvtap"
            | "ipvlan"
            | "ipvtap"
            | "veth"
            | "netkit"
            | "tun"
            | "ifb"
            | "dummy"
            | "vxlan"
            | "geneve"
            | "gre"
            | "gretap"
            | "erspan"
            | "ip6gre"
            | "ip6gretap"
            | "ip6erspan"
            | "ipip"
            | "ip6tnl"
            | "sit"
            | "vti"
            | "vti6"
            | "xfrm"
            | "wireguard"
            | "vrf"
            | "openvswitch"
            | "nlmon"
            | "gtp"
            | "bareudp"
            | "amt"
            | "hsr"
            | "macsec"
            | "lowpan"
            | "vcan"
            | "vxcan"
            | "nlmonitor"
            | "ppp"
            | "rmnet"
    )
}
