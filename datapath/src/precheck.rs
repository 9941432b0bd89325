//! What is looked at before anything is touched.

use netlink::Socket;
use netlink::route::{self, Link};

use crate::netns::{HostNamespace, PodNamespace};
use crate::pod_link::{PodLink, Source};
use crate::traits::{self, Mac};
use crate::{DatapathError, masters, observe};

/// Names, numbers and the group are free in the pod, and nobody wants what the kernel would silently not do.
pub(crate) fn check(
    host: &mut Socket,
    pod: &mut PodNamespace,
    group: u32,
    links: &[PodLink],
) -> Result<(), DatapathError> {
    let there = route::links(&mut pod.route)?.links;
    for link in links {
        let refused = |reason: String| DatapathError::Refused { link: link.name.clone(), reason };
        for name in std::iter::once(&link.name).chain(&link.alt_name) {
            if there.iter().any(|other| other.name == *name || other.alt_names.contains(name)) {
                return Err(DatapathError::NameTaken { name: name.clone() });
            }
        }
        if let Some(other) = there.iter().find(|other| other.index == link.index) {
            let (index, name) = (link.index, other.name.clone());
            return Err(DatapathError::IndexTaken { index, place: "in the pod", name });
        }
        if let Some(other) = there.iter().find(|other| group != 0 && other.group == Some(group)) {
            return Err(refused(format!("group {group} is in use in the pod by {}", other.name)));
        }
        let traits = traits::of(&link.source);
        if link.address.is_some() && traits.mac == Mac::Masters {
            let reason = format!("{} has its master's MAC; take `mac` out of the request", traits.name);
            return Err(refused(reason));
        }
        if let (Some(mtu), Source::Above { master, .. }) = (link.mtu, &link.source) {
            let below = master_link(host, *master)?;
            if below.mtu.is_some_and(|most| mtu > most) {
                let most = below.mtu.unwrap_or_default();
                return Err(refused(format!(
                    "mtu {mtu} is above {most}, the one of its master {}; lower it or raise the master's",
                    below.name
                )));
            }
        }
    }
    refuse_taken(host, links)
}

/// What somebody on this host has, nobody on the wire will answer for.
pub(crate) fn refuse_taken(host: &mut Socket, links: &[PodLink]) -> Result<(), DatapathError> {
    let asked: Vec<&PodLink> = links.iter().filter(|link| link.duplicate_check.is_some()).collect();
    if !asked.is_empty() {
        let own = route::addresses(host)?;
        for link in asked {
            let taken = link.addresses.iter().find(|ours| own.iter().any(|one| one.address == ours.addr()));
            if let Some(taken) = taken {
                return Err(DatapathError::AddressTaken {
                    address: taken.addr(),
                    link: link.name.clone(),
                    holder: netlink::LinkAddress::new([0; 6]),
                });
            }
        }
    }
    Ok(())
}

fn master_link(host: &mut Socket, index: u32) -> Result<Link, DatapathError> {
    let link = route::link_by_index(host, index)?;
    link.ok_or_else(|| DatapathError::NoLink { what: format!("number {index} to stand on") })
}

/// Why the kernel refused to make a link above a master, after what stands there.
pub(crate) fn conflict(host: &mut Socket, home: &HostNamespace, link: &PodLink) -> Option<String> {
    let Source::Above { kind, master } = &link.source else { return None };
    let name = observe::link_name(host, *master)?;
    masters::conflict(&name, &masters::uppers(host, home, *master).ok()?, kind)
}
