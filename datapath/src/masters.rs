//! Links of the host that pods' links stand on: VLANs made on demand, settings that multi-homing needs.

use netlink::Socket;
use netlink::route::{self, LinkDetail, LinkSettings, NewLink, NewLinkKind, VlanProtocol};

use crate::{DatapathError, sysctl};

/// A VLAN of the host that a pod's link can stand on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VlanMaster {
    /// Its name.
    pub name: String,
    /// Its index.
    pub index: u32,
    /// It was made now; otherwise it was there.
    pub made: bool,
}

/// Name of a VLAN of ours: `mn<parent index>.<id>`, with an `a` behind it for 802.1ad.
pub fn vlan_name(parent: u32, id: u16, protocol: VlanProtocol) -> String {
    let tag = if protocol == VlanProtocol::Dot1ad { "a" } else { "" };
    format!("mn{parent}.{id}{tag}")
}

/// The VLAN `id` above `parent`: an existing one whatever its name, else one of ours, up.
///
/// # Errors
/// When the kernel refuses to make it.
pub fn vlan(
    host: &mut Socket,
    parent: u32,
    id: u16,
    protocol: VlanProtocol,
    mtu: Option<u32>,
) -> Result<VlanMaster, DatapathError> {
    let tag: u16 = if protocol == VlanProtocol::Dot1ad { 0x88a8 } else { 0x8100 };
    let existing = route::links(host)?.links.into_iter().find(|link| {
        let same = matches!(&link.detail, Some(LinkDetail::Vlan(vlan)) if vlan.id == id
            && vlan.protocol.is_none_or(|protocol| protocol == tag));
        same && link.lower == Some(parent) && link.lower_netnsid.is_none()
    });
    if let Some(link) = existing {
        return Ok(VlanMaster { name: link.name, index: link.index, made: false });
    }
    let name = vlan_name(parent, id, protocol);
    let new = NewLink {
        name: name.clone(),
        kind: NewLinkKind::Vlan { id, protocol },
        parent: Some(parent),
        mtu,
        ..NewLink::default()
    };
    let step = |step: String| move |source| DatapathError::Step { step, hint: None, source };
    one(host, &route::create_link(&new)).map_err(step(format!("create VLAN {id}")))?;
    let link = route::link_by_name(host, &name)?;
    let link = link.ok_or_else(|| DatapathError::NoLink { what: name.clone() })?;
    // A router on that VLAN must not give the node an address (TRAPS P10).
    sysctl::settle_ipv6(&name, false)?;
    let up = LinkSettings { up: Some(true), no_ipv6_address: false, ..LinkSettings::default() };
    if let Err(error) = one(host, &route::set_link(link.index, &up)) {
        drop(one(host, &route::delete_link(link.index)));
        return Err(step(format!("set VLAN {name} up"))(error));
    }
    Ok(VlanMaster { name, index: link.index, made: true })
}

/// Removes a VLAN of ours; one that is gone or has another name stays as it is.
///
/// # Errors
/// When the kernel refuses.
pub fn remove_vlan(host: &mut Socket, name: &str) -> Result<(), DatapathError> {
    let Some(link) = route::link_by_name(host, name)?.filter(|link| link.name == name) else { return Ok(()) };
    if !matches!(link.detail, Some(LinkDetail::Vlan(_))) {
        return Ok(());
    }
    one(host, &route::delete_link(link.index)).map_err(|source| DatapathError::Step {
        step: format!("remove VLAN {name}"),
        hint: None,
        source,
    })
}

fn one(host: &mut Socket, change: &route::Change<'_>) -> Result<(), netlink::Error> {
    host.apply(std::slice::from_ref(change)).pop().unwrap_or(Ok(()))
}

/// A setting of a host link below `/proc/sys/net/ipv4/conf`, as it is now.
pub fn setting(link: &str, setting: &str) -> Option<u32> {
    sysctl::read("ipv4", link, setting)
}

/// Changes it.
///
/// # Errors
/// When the file cannot be written.
pub fn set_setting(link: &str, setting: &str, value: u32) -> Result<(), DatapathError> {
    sysctl::write("ipv4", link, setting, value)
}
