//! Takes the links of an attachment away, and gives devices back to the host.

use std::os::fd::AsFd;

use netlink::Socket;
use netlink::route::{self, AddressChange, Change, Link, LinkSettings};
use nix::libc;

use crate::error::errno;
use crate::netns::{HostNamespace, PodNamespace};
use crate::pod_link::{PodLink, Source, Taken};
use crate::{DatapathError, observe};

/// What the kernel makes `dev0`, `dev1`, … of.
const ANY_NAME: &str = "dev%d";

/// What could not be taken away, in words.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Leftover(pub String);

/// Takes away what [`wire()`](crate::wire()) made of `links`; what is already gone is fine. Links in the group that
/// are not among them stay, as the kernel would delete whatever is in the group.
///
/// # Errors
/// When the namespace cannot be read at all.
pub fn unwire(
    host: &mut Socket,
    home: &HostNamespace,
    pod: &mut PodNamespace,
    group: u32,
    links: &[(PodLink, Option<Taken>)],
) -> Result<Vec<Leftover>, DatapathError> {
    let there = route::links(&mut pod.route)?.links;
    let rules: Vec<Change<'static>> = links
        .iter()
        .flat_map(|(link, _)| link.policy_rules())
        .map(|rule| route::delete_rule(&rule))
        .collect();
    let mut left: Vec<String> = failures(pod.route.apply(&rules)).collect();
    for (link, taken) in links {
        if let (Source::Device { .. }, Some(taken)) = (&link.source, taken)
            && let Err(error) = give_back(host, home, pod, link, taken)
        {
            left.push(format!("{}: {}", taken.name, error.sentence()));
        }
    }
    let ours = |now: &&Link| {
        now.group == Some(group)
            && links
                .iter()
                .any(|(link, _)| link.index == now.index && matches!(link.source, Source::Above { .. }))
    };
    let mine: Vec<u32> = there.iter().filter(ours).map(|now| now.index).collect();
    let alone = there.iter().filter(|now| now.group == Some(group)).count() == mine.len();
    left.extend(delete_created(&mut pod.route, if alone { group } else { 0 }, &mine));
    Ok(left.into_iter().map(Leftover).collect())
}

/// Deletes links that were made, in one grace period when the group is theirs alone (group 0 is nobody's), and tells
/// what stays.
pub(crate) fn delete_created(pod: &mut Socket, group: u32, links: &[u32]) -> Vec<String> {
    let changes = match (links, route::delete_group(group)) {
        ([], _) => Vec::new(),
        ([_, _, ..], Some(all)) => vec![all],
        (each, _) => each.iter().map(|index| route::delete_link(*index)).collect(),
    };
    failures(pod.apply(&changes)).collect()
}

/// What of several removals did not go; what was gone already is fine.
fn failures(verdicts: Vec<Result<(), netlink::Error>>) -> impl Iterator<Item = String> {
    verdicts.into_iter().filter_map(Result::err).filter_map(|error| match errno(&error) {
        Some(libc::ENODEV | libc::ENOENT | libc::ESRCH | libc::EAFNOSUPPORT) => None,
        _ => Some(DatapathError::from(error).sentence()),
    })
}

/// Moves a device back to the host as it was. One that is not in the pod, or another one under its number, is left
/// alone.
pub(crate) fn give_back(
    host: &mut Socket,
    home: &HostNamespace,
    pod: &mut PodNamespace,
    link: &PodLink,
    taken: &Taken,
) -> Result<(), DatapathError> {
    let there = route::links(&mut pod.route)?.links;
    // The kernel gives the number with the move; a move that ended half way leaves the device's old name.
    let same = |now: &&Link| {
        now.index == link.index
            && match &taken.device {
                Some(device) => now.parent_device.as_ref() == Some(device),
                None => now.name == link.name || now.name == taken.name,
            }
    };
    let Some(now) = there.iter().find(same) else { return Ok(()) };
    let step = |source| DatapathError::Step {
        step: format!("move the device back as {}", taken.name),
        hint: None,
        source,
    };
    if let Some(name) = &link.alt_name {
        // It may not be there yet.
        drop(pod.route.apply_one(&route::delete_alt_name(now.index, name)));
    }
    let home_again = LinkSettings {
        name: Some(taken.name.clone()),
        namespace: Some(home.as_fd()),
        new_index: Some(taken.index),
        ..LinkSettings::default()
    };
    let mut verdict = pod.route.apply_one(&route::set_link(now.index, &home_again));
    let mut index = Some(taken.index);
    if matches!(&verdict, Err(error) if errno(error) == Some(libc::EBUSY)) {
        index = None;
        let elsewhere = LinkSettings { new_index: None, ..home_again.clone() };
        verdict = pod.route.apply_one(&route::set_link(now.index, &elsewhere));
    }
    if matches!(&verdict, Err(error) if errno(error) == Some(libc::EEXIST)) {
        if route::link_by_index(&mut pod.route, now.index)?.is_none() {
            // It moved, and was refused its name there; that is told below.
            verdict = Ok(());
        } else {
            // Better home under another name than lost with the pod.
            index = None;
            let renamed = LinkSettings { name: Some(ANY_NAME.to_owned()), new_index: None, ..home_again };
            verdict = pod.route.apply_one(&route::set_link(now.index, &renamed));
        }
    }
    verdict.map_err(step)?;
    let found = match index {
        Some(index) => Some(index),
        None => observe::find(host, taken, now.permanent_address.as_ref().or(now.address.as_ref()))?,
    };
    let found = found.ok_or_else(|| DatapathError::NoLink { what: taken.name.clone() })?;
    restore(host, found, taken)
}

/// Makes a device of the host what it was before a pod had it.
///
/// # Errors
/// When the kernel refuses a part; the rest is done all the same.
pub fn restore(host: &mut Socket, index: u32, taken: &Taken) -> Result<(), DatapathError> {
    let set = |settings: &LinkSettings<'static>| route::set_link(index, settings);
    let now = route::link_by_index(host, index)?;
    let plain = LinkSettings {
        mtu: Some(taken.mtu),
        // Only where it has another one: an address that is written is no longer one that the driver made up (TRAPS V1).
        address: taken.address.clone().filter(|was| now.is_none_or(|now| now.address.as_ref() != Some(was))),
        up: Some(false),
        group: Some(taken.group),
        ..LinkSettings::default()
    };
    let name = LinkSettings { name: Some(taken.name.clone()), ..LinkSettings::default() };
    let mut steps = vec![
        (format!("restore {}", taken.name), set(&plain)),
        (format!("name it {} again", taken.name), set(&name)),
    ];
    // While the link is down, or its IPv6 addresses would be looked for on the wire again.
    for address in &taken.addresses {
        let change = AddressChange {
            link: index,
            address: address.addr(),
            prefix_len: address.prefix_len(),
            metric: None,
            no_dad: false,
        };
        steps.push((format!("put {address} back on {}", taken.name), route::add_address(&change)));
    }
    if taken.up {
        let up = LinkSettings { up: Some(true), ..LinkSettings::default() };
        steps.push((format!("set {} up again", taken.name), set(&up)));
    }
    let (words, changes): (Vec<String>, Vec<Change<'static>>) = steps.into_iter().unzip();
    let mut first = Ok(());
    for (step, verdict) in words.into_iter().zip(host.apply(&changes)) {
        match verdict {
            // The address is there already.
            Err(source) if errno(&source) == Some(libc::EEXIST) && step.starts_with("put ") => {}
            Err(source) if first.is_ok() => first = Err(DatapathError::Step { step, hint: None, source }),
            _ => {}
        }
    }
    first
}
