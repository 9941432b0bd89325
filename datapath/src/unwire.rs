//! Takes the links of an attachment away, and gives devices back to the host.

use std::os::fd::AsFd;

use netlink::Socket;
use netlink::route::{self, AddressChange, Change, Link, LinkSettings};
use nix::libc;

use crate::error::errno;
use crate::netns::{HostNamespace, PodNamespace};
use crate::pod_link::{PodLink, Source, Taken};
use crate::wire::policy_rules;
use crate::{DatapathError, pod_link};

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
    let mut left = Vec::new();
    let there = route::links(&mut pod.route)?.links;
    let rules: Vec<Change<'static>> =
        links.iter().flat_map(|(link, _)| policy_rules(link)).map(|rule| route::delete_rule(&rule)).collect();
    pod.route.apply(&rules);
    for (link, taken) in links {
        if let (Source::Device { .. }, Some(taken)) = (&link.source, taken)
            && there.iter().any(|now| now.index == link.index)
            && let Err(error) = give_back(host, home, pod, link.index, taken)
        {
            left.push(Leftover(format!("{}: {}", taken.name, words(&error))));
        }
    }
    let ours = |now: &&Link| {
        now.group == Some(group)
            && links
                .iter()
                .any(|(link, _)| link.index == now.index && matches!(link.source, Source::Above { .. }))
    };
    let mine: Vec<u32> = there.iter().filter(ours).map(|now| now.index).collect();
    let in_group = there.iter().filter(|now| now.group == Some(group)).count();
    let changes = match (&mine[..], route::delete_group(group)) {
        ([], _) => Vec::new(),
        ([_, _, ..], Some(all)) if in_group == mine.len() => vec![all],
        (each, _) => each.iter().map(|index| route::delete_link(*index)).collect(),
    };
    for verdict in pod.route.apply(&changes) {
        match verdict {
            Err(error) if errno(&error) == Some(libc::ENODEV) => {}
            Err(error) => left.push(Leftover(words(&error.into()))),
            Ok(()) => {}
        }
    }
    Ok(left)
}

/// Moves a device back to the host as it was.
pub(crate) fn give_back(
    host: &mut Socket,
    home: &HostNamespace,
    pod: &mut PodNamespace,
    index: u32,
    taken: &Taken,
) -> Result<(), DatapathError> {
    let home_again = LinkSettings {
        name: Some(taken.name.clone()),
        namespace: Some(home.as_fd()),
        ..LinkSettings::default()
    };
    let step = |source| DatapathError::Step {
        step: format!("move the device back as {}", taken.name),
        hint: None,
        source,
    };
    one(&mut pod.route, route::set_link(index, &home_again)).map_err(step)?;
    let found = route::link_by_name(host, &taken.name)?;
    let Some(now) = found else {
        return Err(DatapathError::NoLink { what: taken.name.clone() });
    };
    restore(host, now.index, taken)
}

/// Makes a device of the host what it was before a pod had it.
///
/// # Errors
/// When the kernel refuses a part; the rest is done all the same.
pub fn restore(host: &mut Socket, index: u32, taken: &pod_link::Taken) -> Result<(), DatapathError> {
    let plain = LinkSettings {
        name: Some(taken.name.clone()),
        mtu: Some(taken.mtu),
        address: taken.address.clone(),
        up: Some(false),
        group: Some(0),
        ..LinkSettings::default()
    };
    let mut steps = vec![(format!("restore {}", taken.name), route::set_link(index, &plain))];
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
        steps.push((format!("set {} up again", taken.name), route::set_link(index, &up)));
    }
    let (words, changes): (Vec<String>, Vec<Change<'static>>) = steps.into_iter().unzip();
    let mut first = Ok(());
    for (step, verdict) in words.into_iter().zip(host.apply(&changes)) {
        match verdict {
            Err(source) if errno(&source) != Some(libc::EEXIST) && first.is_ok() => {
                first = Err(DatapathError::Step { step, hint: None, source });
            }
            _ => {}
        }
    }
    first
}

fn one(socket: &mut Socket, change: Change<'_>) -> Result<(), netlink::Error> {
    socket.apply(std::slice::from_ref(&change)).pop().unwrap_or(Ok(()))
}

fn words(error: &DatapathError) -> String {
    let mut words = error.to_string();
    let mut source = std::error::Error::source(error);
    while let Some(cause) = source {
        words.push_str(&format!(": {cause}"));
        source = cause.source();
    }
    words
}
