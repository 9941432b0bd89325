//! Makes the links of an attachment: two sends, and everything back when a part fails.

use std::net::IpAddr;
use std::os::fd::AsFd;

use netlink::route::{self, Change, Link, LinkSettings, NewLink};
use netlink::{PacketSocket, Socket};
use nix::libc;

use crate::announce::{Announcer, Asked, ask, ears};
use crate::error::errno;
use crate::netns::{HostNamespace, PodNamespace, inside};
use crate::pod_link::{MadeLink, MultipathRoute, PodLink, Source, Taken};
use crate::traits::{self, DuplicateCheck};
use crate::unwire::{delete_created, give_back};
use crate::{DatapathError, precheck, setup, sysctl};

/// What was made.
#[derive(Debug, Default)]
#[non_exhaustive]
pub struct Made {
    /// The links, in the order asked for.
    pub links: Vec<MadeLink>,
    /// What has told the neighbours once, to tell them [twice more](crate::announce::REPEATS) after the answer; absent
    /// when there is nothing to tell. It holds the pod's namespace.
    pub announcer: Option<Announcer>,
    /// What listened for duplicates; to be dropped where nobody waits, as that takes a grace period of the kernel.
    pub ears: Vec<PacketSocket>,
}

/// Makes `links` in the pod's namespace, with the group number `group`, which no other link there may carry.
///
/// `host` is a route socket of the host's namespace. `step` is told the name of each step before it begins: `links`,
/// `sysctls`, `duplicateCheck` when one is asked for, `addresses`, `readBack`, `announce`. When it returns an error the
/// work ends there and is undone, as after any failure.
///
/// # Errors
/// When a name or index is taken or the kernel refuses a step. Then the pod and the host are as before; what
/// could not be taken back is in the words of the error ([`DatapathError::NotUndone`]).
pub fn wire(
    host: &mut Socket,
    home: &HostNamespace,
    pod: &mut PodNamespace,
    group: u32,
    links: &[PodLink],
    multipath: &[MultipathRoute],
    step: &mut dyn FnMut(&'static str) -> Result<(), DatapathError>,
) -> Result<Made, DatapathError> {
    precheck::check(host, pod, group, links)?;
    let mut taken: Vec<Option<Taken>> = Vec::with_capacity(links.len());
    for link in links {
        taken.push(match link.source {
            Source::Device { index } => Some(crate::observe::device(host, index)?),
            Source::Above { .. } => None,
        });
    }
    let mut work = Work { host, home, pod, group, links, made: vec![false; links.len()], ears: Vec::new() };
    match work.run(multipath, step) {
        Ok((found, announcer)) => {
            let made = links.iter().zip(taken).map(|(link, taken)| {
                let now = found.iter().find(|now| now.index == link.index);
                MadeLink {
                    index: link.index,
                    address: now.and_then(|now| now.address.clone()),
                    mtu: now.and_then(|now| now.mtu).unwrap_or_default(),
                    taken,
                }
            });
            Ok(Made { links: made.collect(), announcer, ears: work.ears })
        }
        Err(error) => match work.undo(&taken) {
            left if left.is_empty() => Err(error),
            left => Err(DatapathError::NotUndone { source: Box::new(error), left }),
        },
    }
}

/// Gives addresses, routes and rules to links that [`wire()`] made without: where an IPAM plugin (`dhcp`) needs the link
/// up before it tells the addresses (TRAPS P2). `links` are the same with their addresses; a link that came up without
/// IPv6 gets no link-local address any more. What is returned names no links: they are those that [`wire()`] told.
///
/// # Errors
/// When somebody has an address already or the kernel refuses a step. What was done until then stays: take the links
/// away with [`unwire()`](crate::unwire()).
pub fn give_addresses(
    host: &mut Socket,
    home: &HostNamespace,
    pod: &mut PodNamespace,
    links: &[PodLink],
    multipath: &[MultipathRoute],
) -> Result<Made, DatapathError> {
    precheck::refuse_taken(host, links)?;
    let mut work = Work { host, home, pod, group: 0, links, made: Vec::new(), ears: Vec::new() };
    let mouth = work.settle()?;
    if links.iter().any(asks) {
        work.ask_for_duplicates()?;
    }
    let mut steps: setup::Steps = links.iter().map(setup::conf).collect();
    steps.extend(links.iter().flat_map(setup::addresses));
    steps.extend(links.iter().flat_map(setup::routes));
    steps.extend(multipath.iter().map(|several| setup::multipath(links, several)));
    work.apply(steps)?;
    let announcer = match mouth {
        Some(mouth) => {
            let found = route::links(&mut work.pod.route)?.links;
            Some(work.announce(mouth, &found))
        }
        None => None,
    };
    Ok(Made { links: Vec::new(), announcer, ears: work.ears })
}

struct Work<'a> {
    host: &'a mut Socket,
    home: &'a HostNamespace,
    pod: &'a mut PodNamespace,
    group: u32,
    links: &'a [PodLink],
    /// Which links are, or may be, in the pod.
    made: Vec<bool>,
    ears: Vec<PacketSocket>,
}

impl Work<'_> {
    fn run(
        &mut self,
        multipath: &[MultipathRoute],
        step: &mut dyn FnMut(&'static str) -> Result<(), DatapathError>,
    ) -> Result<(Vec<Link>, Option<Announcer>), DatapathError> {
        let links = self.links;
        step("links")?;
        self.create()?;
        step("sysctls")?;
        let mouth = self.settle()?;
        let mut steps: setup::Steps = links.iter().flat_map(setup::settings).collect();
        let asks = links.iter().any(asks);
        if asks {
            step("duplicateCheck")?;
            steps.extend(links.iter().map(setup::up));
            self.apply(std::mem::take(&mut steps))?;
            self.ask_for_duplicates()?;
        }
        step("addresses")?;
        steps.extend(links.iter().flat_map(setup::addresses));
        if !asks {
            steps.extend(links.iter().map(setup::up));
        }
        steps.extend(links.iter().flat_map(setup::routes));
        steps.extend(multipath.iter().map(|several| setup::multipath(links, several)));
        self.apply(steps)?;
        step("readBack")?;
        let found = route::links(&mut self.pod.route)?.links;
        step("announce")?;
        let announcer = mouth.map(|mouth| self.announce(mouth, &found));
        Ok((found, announcer))
    }

    /// First send: every link into the pod's namespace, under its final name and index.
    fn create(&mut self) -> Result<(), DatapathError> {
        let namespace = self.pod.as_fd();
        let changes: Vec<Change<'_>> = self
            .links
            .iter()
            .map(|link| match &link.source {
                Source::Above { kind, master } => route::create_link(&NewLink {
                    name: link.name.clone(),
                    kind: kind.clone(),
                    parent: Some(*master),
                    namespace: Some(namespace),
                    index: Some(link.index),
                    mtu: link.mtu,
                    address: link.address.clone(),
                    group: Some(self.group),
                }),
                Source::Device { index } => route::set_link(
                    *index,
                    &LinkSettings {
                        name: Some(link.name.clone()),
                        namespace: Some(namespace),
                        new_index: Some(link.index),
                        mtu: link.mtu,
                        address: link.address.clone(),
                        ..LinkSettings::default()
                    },
                ),
            })
            .collect();
        let verdicts = self.host.apply(&changes);
        drop(changes);
        let mut first = None;
        for ((made, link), verdict) in self.made.iter_mut().zip(self.links).zip(verdicts) {
            match verdict {
                Ok(()) => *made = true,
                Err(error) => {
                    // A device may have moved before a later part of its message was refused, and without the
                    // kernel's word nobody knows.
                    *made = matches!(link.source, Source::Device { .. }) || errno(&error).is_none();
                    first = first.or(Some((link, error)));
                }
            }
        }
        let Some((link, source)) = first else { return Ok(()) };
        if errno(&source) == Some(libc::EEXIST)
            && matches!(link.source, Source::Above { .. })
            && let Some(name) = crate::observe::link_name(self.host, link.index)
        {
            return Err(DatapathError::IndexTaken { index: link.index, place: "on this host", name });
        }
        let step = match link.source {
            Source::Above { .. } => format!("create {}", link.name),
            Source::Device { .. } => format!("move the device to {}", link.name),
        };
        let conflict = matches!(errno(&source), Some(libc::EBUSY | libc::EINVAL))
            .then(|| precheck::conflict(self.host, self.home, link))
            .flatten();
        Err(DatapathError::Step { step, hint: conflict.or_else(|| hint(&source)), source })
    }

    /// The one visit in the pod's namespace: settings that netlink cannot write, and sockets that must be opened there.
    fn settle(&mut self) -> Result<Option<PacketSocket>, DatapathError> {
        let (links, proc) = (self.links, self.home.proc());
        let announces = links.iter().any(announces);
        inside(self.pod.as_fd(), || {
            for link in links {
                sysctl::settle_ipv6(proc, &link.name, link.has_ipv6())?;
            }
            Ok(if announces { Some(PacketSocket::open()?) } else { None })
        })?
    }

    fn ask_for_duplicates(&mut self) -> Result<(), DatapathError> {
        let found = route::links(&mut self.pod.route)?.links;
        let mut asked = Vec::new();
        for link in self.links.iter().filter(|link| asks(link)) {
            let (Some(within), Some(mac)) = (link.duplicate_check, mac(&found, link.index)) else { continue };
            let addresses: Vec<IpAddr> = link.addresses.iter().map(ipnet::IpNet::addr).collect();
            let (index, ears) = match (traits::of(&link.source).duplicate_check, &link.source) {
                (DuplicateCheck::OnMaster, Source::Above { master, .. }) => {
                    (*master, inside(self.home.as_fd(), || ears(*master, &addresses))?)
                }
                (DuplicateCheck::InPod, _) => {
                    (link.index, inside(self.pod.as_fd(), || ears(link.index, &addresses))?)
                }
                _ => continue,
            };
            asked.push(Asked { name: link.name.clone(), index, mac, addresses, within, ears: ears? });
        }
        let answer = ask(&asked);
        self.ears.extend(asked.into_iter().flat_map(|asked| asked.ears));
        answer
    }

    fn announce(&self, mouth: PacketSocket, found: &[Link]) -> Announcer {
        let links = self.links.iter().filter(|link| announces(link)).filter_map(|link| {
            let addresses = link.addresses.iter().map(ipnet::IpNet::addr).collect();
            mac(found, link.index).map(|mac| (link.index, mac, addresses))
        });
        let announcer = Announcer::new(mouth, links);
        // Nobody waits for it to be heard.
        drop(announcer.say());
        announcer
    }

    /// Second send, inside the pod.
    fn apply(&mut self, steps: setup::Steps) -> Result<(), DatapathError> {
        let (words, changes): (Vec<String>, Vec<Change<'static>>) = steps.into_iter().unzip();
        let verdicts = self.pod.route.apply(&changes);
        for (step, verdict) in words.into_iter().zip(verdicts) {
            verdict.map_err(|source| DatapathError::Step { step, hint: hint(&source), source })?;
        }
        Ok(())
    }

    /// Takes back what was made, backwards, and tells what stays.
    fn undo(&mut self, taken: &[Option<Taken>]) -> Vec<String> {
        let rules = self.links.iter().flat_map(PodLink::policy_rules);
        let rules: Vec<Change<'static>> = rules.map(|rule| route::delete_rule(&rule)).collect();
        // Rules that were not there yet are refused, which is well.
        drop(self.pod.route.apply(&rules));
        let made = || self.links.iter().zip(&self.made).filter(|(_, made)| **made).map(|(link, _)| link);
        let created: Vec<u32> = made()
            .filter(|link| matches!(link.source, Source::Above { .. }))
            .map(|link| link.index)
            .collect();
        let mut left = delete_created(&mut self.pod.route, self.group, &created);
        for ((link, made), taken) in self.links.iter().zip(&self.made).zip(taken) {
            if let (true, Some(taken)) = (*made, taken)
                && let Err(error) = give_back(self.host, self.home, self.pod, link, taken)
            {
                left.push(format!("{}: {}", taken.name, error.sentence()));
            }
        }
        left
    }
}

/// Without addresses there is nothing to ask for yet.
fn asks(link: &PodLink) -> bool {
    link.duplicate_check.is_some() && !link.addresses.is_empty()
}

fn announces(link: &PodLink) -> bool {
    link.announce && !link.addresses.is_empty() && traits::of(&link.source).announce
}

/// Ethernet address of a link; absent on links of other kinds.
fn mac(links: &[Link], index: u32) -> Option<[u8; 6]> {
    let link = links.iter().find(|link| link.index == index)?;
    link.address.as_ref()?.as_bytes().try_into().ok()
}

/// What a refusal usually means.
fn hint(error: &netlink::Error) -> Option<String> {
    let words = match errno(error)? {
        libc::EBUSY => {
            "something else on that master keeps all its frames: ipvlan, macvlan, a bridge and a bond exclude one another"
        }
        libc::EOPNOTSUPP => "this kernel has no such kind of link, or the master cannot carry it",
        libc::EEXIST => "it is there already",
        libc::ENODEV => "the master is gone",
        libc::EADDRINUSE => "another link on the same master has that address",
        libc::ENETUNREACH => "no prefix on a link leads to that gateway",
        _ => return None,
    };
    Some(words.to_owned())
}
