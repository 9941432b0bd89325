//! What kind of network interface it is, by bus, ids and kernel kind.

use netlink::route::Link;

use crate::model::{NicKind, PciName};
use crate::read::pci::Function;

/// `pf0vf1`, `c1pf0`, `pf0sf88`: the names that switchdev drivers give to representors
/// (`devlink_port_phys_port_name_get`, `net/devlink/port.c`).
pub(super) fn is_representor(link: &Link) -> bool {
    let Some(name) = &link.phys_port_name else { return false };
    let rest = match name.strip_prefix('c') {
        Some(rest) => rest.trim_start_matches(|c: char| c.is_ascii_digit()),
        None => name,
    };
    rest.strip_prefix("pf").is_some_and(|rest| rest.starts_with(|c: char| c.is_ascii_digit()))
}

/// Kind of a PCI function by its ids: the driver may be another one, or none.
pub(super) fn function_kind(function: &Function, is_vf: bool) -> NicKind {
    fn id(name: &Option<PciName>) -> &str {
        name.as_ref().map_or("", |name| &name.id)
    }
    match (id(&function.pci.vendor), id(&function.pci.device)) {
        _ if is_vf => NicKind::VirtualFunction,
        // virtio, vmxnet3, ENA and EFA, gVNIC, MANA: made by a hypervisor.
        ("1af4", _)
        | ("15ad", "07b0")
        | ("1d0f", "0ec2" | "1ec2" | "ec20" | "ec21" | "efa0" | "efa1" | "efa2" | "efa3")
        | ("1ae0", "0042")
        | ("1414", "00ba") => NicKind::Paravirtual,
        // A VF that was passed into this machine: its PF is on the host, only the model's name tells.
        _ if function
            .pci
            .device
            .as_ref()
            .and_then(|device| device.name.as_ref())
            .is_some_and(|name| name.contains("Virtual Function")) =>
        {
            NicKind::VirtualFunction
        }
        _ => NicKind::Physical,
    }
}

pub(super) fn bus_kind(bus: &str) -> NicKind {
    match bus {
        "virtio" | "vmbus" | "xen" => NicKind::Paravirtual,
        _ => NicKind::Physical,
    }
}

pub(super) fn virtual_kind(link: &Link) -> NicKind {
    match link.kind.as_deref() {
        Some("bond" | "team") => NicKind::Bond,
        Some("vlan") => NicKind::Vlan,
        Some("bridge" | "openvswitch") => NicKind::Bridge,
        Some("macvlan" | "macvtap") => NicKind::Macvlan,
        Some("ipvlan" | "ipvtap") => NicKind::Ipvlan,
        Some("veth" | "netkit") => NicKind::Veth,
        Some("tun") => NicKind::Tun,
        Some("ifb") => NicKind::Ifb,
        Some("dummy") => NicKind::Dummy,
        Some("vrf") => NicKind::Vrf,
        Some("ipoib") => NicKind::IpoibChild,
        Some(
            "vxlan" | "geneve" | "gre" | "gretap" | "erspan" | "ip6gre" | "ip6gretap" | "ip6erspan" | "ipip"
            | "ip6tnl" | "sit" | "vti" | "vti6" | "xfrm" | "wireguard" | "gtp" | "bareudp" | "amt" | "l2tp",
        ) => NicKind::Tunnel,
        _ if link.is_loopback() => NicKind::Loopback,
        _ => NicKind::OtherVirtual,
    }
}
