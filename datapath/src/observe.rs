//! What is there: a pod's links for CHECK and repair, a device before it is taken.

use ipnet::IpNet;
use netlink::route::{self, Address, Link, Route, Rule};
use netlink::{LinkAddress, Socket};

use crate::netns::PodNamespace;
use crate::{DatapathError, Taken};

const IFF_UP: u32 = 1;
const SCOPE_EVERYWHERE: u8 = 0;

/// What a pod's namespace holds.
#[derive(Debug, Default)]
#[non_exhaustive]
pub struct Observed {
    /// Links.
    pub links: Vec<Link>,
    /// Addresses.
    pub addresses: Vec<Address>,
    /// Routes of all tables.
    pub routes: Vec<Route>,
    /// Rules.
    pub rules: Vec<Rule>,
}

/// Reads a pod's namespace.
///
/// # Errors
/// When the kernel refuses a dump.
pub fn pod(pod: &mut PodNamespace) -> Result<Observed, DatapathError> {
    let socket = &mut pod.route;
    Ok(Observed {
        links: route::links(socket)?.links,
        addresses: route::addresses(socket)?,
        routes: route::routes(socket, None)?,
        rules: route::rules(socket)?,
    })
}

/// What a device of the host is now, so that it can be made so again.
///
/// # Errors
/// When there is no such link.
pub fn device(host: &mut Socket, index: u32) -> Result<Taken, DatapathError> {
    let link = route::link_by_index(host, index)?;
    let link = link.ok_or_else(|| DatapathError::NoLink { what: format!("number {index}") })?;
    let addresses = route::addresses(host)?;
    let own = addresses.iter().filter(|address| {
        address.index == index
            && address.scope == SCOPE_EVERYWHERE
            && address.valid_lifetime.is_none_or(|left| left == u32::MAX)
    });
    let own = own.filter_map(|address| IpNet::new(address.address, address.prefix_len).ok()).collect();
    Ok(Taken {
        index,
        name: link.name,
        device: link.parent_device,
        group: link.group.unwrap_or_default(),
        mtu: link.mtu.unwrap_or_default(),
        address: link.address,
        up: link.flags & IFF_UP != 0,
        addresses: own,
    })
}

/// Index of a device that came back from a pod, whatever it is called now: by the device behind it, else by the
/// address burnt into it or its name.
pub(crate) fn find(
    host: &mut Socket,
    taken: &Taken,
    address: Option<&LinkAddress>,
) -> Result<Option<u32>, DatapathError> {
    let links = route::links(host)?.links;
    let has_address = |link: &&Link| {
        address.is_some() && link.permanent_address.as_ref().or(link.address.as_ref()) == address
    };
    let found = match &taken.device {
        // One PCI function may have several links.
        Some(device) => {
            let of_device = || links.iter().filter(|link| link.parent_device.as_ref() == Some(device));
            of_device().find(has_address).or_else(|| of_device().next())
        }
        None => links.iter().find(has_address).or_else(|| links.iter().find(|link| link.name == taken.name)),
    };
    Ok(found.map(|link| link.index))
}

/// A device that a pod had, on the host: the kernel gives it back when a namespace ends, under some name. Absent when
/// it is not here.
///
/// # Errors
/// When the kernel cannot be asked.
pub fn returned(host: &mut Socket, taken: &Taken) -> Result<Option<u32>, DatapathError> {
    find(host, taken, taken.address.as_ref())
}

/// A link of the host by name or further name.
///
/// # Errors
/// When the kernel cannot be asked.
pub fn link(host: &mut Socket, name: &str) -> Result<Option<Link>, DatapathError> {
    Ok(route::link_by_name(host, name)?)
}

pub(crate) fn link_name(host: &mut Socket, index: u32) -> Option<String> {
    route::link_by_index(host, index).ok().flatten().map(|link| link.name)
}
