//! Makes the links of an attachment: two sends, and everything back when a part fails.

use std::os::fd::AsFd;

use ipnet::IpNet;
use netlink::Socket;
use netlink::route::{
    self, AddressChange, Change, Ipv4Conf, Link, LinkSettings, NewLink, RouteChange, RouteNextHop, RuleChange,
};
use nix::libc;

use crate::error::errno;
use crate::netns::{HostNamespace, PodNamespace, inside};
use crate::pod_link::{MadeLink, MultipathRoute, PodLink, PodRoute, Source, Taken};
use crate::{DatapathError, METRIC_BASE, PROTOCOL, RULE_PRIORITY, sysctl};

const MAIN_TABLE: u32 = 254;
const SCOPE_LINK: u8 = 253;

/// What was made.
#[derive(Debug, Default)]
#[non_exhaustive]
pub struct Made {
    /// The links, in the order asked for.
    pub links: Vec<MadeLink>,
}

/// Makes `links` in the pod's namespace, with the group number `group`, which no other link there may carry.
///
/// `host` is a route socket of the host's namespace. `step` is told the name of each step before it begins; when
/// it returns an error the work ends there and is undone, as after any failure.
///
/// # Errors
/// When a name or index is taken or the kernel refuses a step. Then the pod and the host are as before; what
/// could not be taken back is in the words of the error.
pub fn wire(
    host: &mut Socket,
    home: &HostNamespace,
    pod: &mut PodNamespace,
    group: u32,
    links: &[PodLink],
    multipath: &[MultipathRoute],
    step: &mut dyn FnMut(&'static str) -> Result<(), DatapathError>,
) -> Result<Made, DatapathError> {
    names_are_free(pod, links)?;
    let mut taken: Vec<Option<Taken>> = Vec::with_capacity(links.len());
    for link in links {
        taken.push(match link.source {
            Source::Device { index } => Some(crate::observe::device(host, index)?),
            Source::Above { .. } => None,
        });
    }
    let mut work = Work { host, home, pod, group, links, made: vec![false; links.len()] };
    let outcome = work.run(multipath, step);
    match outcome {
        Ok(found) => {
            let made = links.iter().zip(taken).map(|(link, taken)| {
                let now = found.iter().find(|now| now.index == link.index);
                MadeLink {
                    index: link.index,
                    address: now.and_then(|now| now.address.clone()),
                    mtu: now.and_then(|now| now.mtu).unwrap_or_default(),
                    taken,
                }
            });
            Ok(Made { links: made.collect() })
        }
        Err(error) => {
            work.undo(&taken);
            Err(error)
        }
    }
}

struct Work<'a> {
    host: &'a mut Socket,
    home: &'a HostNamespace,
    pod: &'a mut PodNamespace,
    group: u32,
    links: &'a [PodLink],
    /// Which links are in the pod.
    made: Vec<bool>,
}

impl Work<'_> {
    fn run(
        &mut self,
        multipath: &[MultipathRoute],
        step: &mut dyn FnMut(&'static str) -> Result<(), DatapathError>,
    ) -> Result<Vec<Link>, DatapathError> {
        step("links")?;
        self.create()?;
        step("sysctls")?;
        let links = self.links;
        inside(self.pod.as_fd(), || {
            links.iter().try_for_each(|link| sysctl::settle_ipv6(&link.name, link.has_ipv6()))
        })??;
        step("addresses")?;
        let mut changes = Vec::new();
        for link in links {
            configure(link, &mut changes);
        }
        for link in links {
            changes.push((format!("set up {}", link.name), route::set_link(link.index, &up())));
        }
        for link in links {
            routes(link, &mut changes);
        }
        for several in multipath {
            changes.push((format!("add the route to {}", several.destination), several_hops(several)));
        }
        self.apply(changes)?;
        step("readBack")?;
        Ok(route::links(&mut self.pod.route)?.links)
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
                    // A device may have moved before a later part of its message was refused.
                    *made = matches!(link.source, Source::Device { .. });
                    first = first.or(Some((link, error)));
                }
            }
        }
        match first {
            None => Ok(()),
            Some((link, source)) => {
                let step = match link.source {
                    Source::Above { .. } => format!("create {}", link.name),
                    Source::Device { .. } => format!("move the device to {}", link.name),
                };
                Err(DatapathError::Step { step, hint: hint(&source), source })
            }
        }
    }

    /// Second send, inside the pod.
    fn apply(&mut self, changes: Vec<(String, Change<'static>)>) -> Result<(), DatapathError> {
        let (steps, changes): (Vec<String>, Vec<Change<'static>>) = changes.into_iter().unzip();
        let verdicts = self.pod.route.apply(&changes);
        for (step, verdict) in steps.into_iter().zip(verdicts) {
            verdict.map_err(|source| DatapathError::Step { step, hint: hint(&source), source })?;
        }
        Ok(())
    }

    /// Takes back what was made. What fails here the crash repair finds: the record is not ended.
    fn undo(&mut self, taken: &[Option<Taken>]) {
        let mut rules = Vec::new();
        for link in self.links {
            rules.extend(policy_rules(link).into_iter().map(|rule| route::delete_rule(&rule)));
        }
        self.pod.route.apply(&rules);
        let ours = self.links.iter().zip(&self.made).filter(|(_, made)| **made).map(|(link, _)| link);
        let created: Vec<&PodLink> =
            ours.filter(|link| matches!(link.source, Source::Above { .. })).collect();
        match (&created[..], route::delete_group(self.group)) {
            ([], _) => {}
            // The group is ours alone: one grace period for all of them.
            ([_, _, ..], Some(all)) => drop(self.pod.route.apply(&[all])),
            (few, _) => {
                let each: Vec<Change<'static>> =
                    few.iter().map(|link| route::delete_link(link.index)).collect();
                self.pod.route.apply(&each);
            }
        }
        for ((link, made), taken) in self.links.iter().zip(&self.made).zip(taken) {
            if let (true, Some(taken)) = (*made, taken) {
                drop(crate::unwire::give_back(self.host, self.home, self.pod, link.index, taken));
            }
        }
    }
}

/// Names are looked at before anything is touched.
fn names_are_free(pod: &mut PodNamespace, links: &[PodLink]) -> Result<(), DatapathError> {
    let there = route::links(&mut pod.route)?.links;
    for link in links {
        for name in std::iter::once(&link.name).chain(&link.alt_name) {
            if there.iter().any(|other| other.name == *name || other.alt_names.contains(name)) {
                return Err(DatapathError::NameTaken { name: name.clone() });
            }
        }
        if there.iter().any(|other| other.index == link.index) {
            return Err(DatapathError::NameTaken { name: format!("number {}", link.index) });
        }
    }
    Ok(())
}

/// Settings and addresses of a link that is still down.
fn configure(link: &PodLink, changes: &mut Vec<(String, Change<'static>)>) {
    let settings = LinkSettings {
        // Max of `all` and the link counts, so zero would not do (TRAPS P11).
        ipv4: vec![
            (Ipv4Conf::RpFilter, 2),
            (Ipv4Conf::ArpIgnore, 1),
            (Ipv4Conf::ArpAnnounce, 2),
            (Ipv4Conf::ArpNotify, u32::from(link.announce)),
        ],
        no_ipv6_address: link.has_ipv6(),
        ..LinkSettings::default()
    };
    changes.push((format!("set {}", link.name), route::set_link(link.index, &settings)));
    for address in &link.addresses {
        let change = AddressChange {
            link: link.index,
            address: address.addr(),
            prefix_len: address.prefix_len(),
            metric: Some(METRIC_BASE + u32::from(link.position)),
            // Its uniqueness is ours to keep, or was looked for before.
            no_dad: address.addr().is_ipv6(),
        };
        changes.push((format!("add {address} to {}", link.name), route::add_address(&change)));
    }
    if let Some(name) = &link.alt_name {
        changes.push((format!("name {} also {name}", link.name), route::add_alt_name(link.index, name)));
    }
}

fn up() -> LinkSettings<'static> {
    LinkSettings { up: Some(true), ..LinkSettings::default() }
}

/// Routes of a link that is up: those asked for, then its own table and the rules that lead there.
fn routes(link: &PodLink, changes: &mut Vec<(String, Change<'static>)>) {
    for asked in &link.routes {
        let words = format!("add the route to {} over {}", asked.destination, link.name);
        changes.push((words, route::add_route(&route_over(link, asked))));
    }
    let Some(policy) = &link.policy else { return };
    let words = || format!("fill routing table {} of {}", link.table(), link.name);
    for address in &link.addresses {
        let connected = PodRoute {
            destination: address.trunc(),
            gateway: None,
            mtu: None,
            advmss: None,
            metric: None,
            table: Some(link.table()),
            scope: None,
        };
        let mut change = route_over(link, &connected);
        change.source = Some(address.addr());
        changes.push((words(), route::add_route(&change)));
    }
    for asked in &link.routes {
        if asked.table.is_none() {
            let own = PodRoute { table: Some(link.table()), ..asked.clone() };
            changes.push((words(), route::add_route(&route_over(link, &own))));
        }
    }
    for gateway in &policy.gateways {
        let everything = if gateway.is_ipv4() { "0.0.0.0/0" } else { "::/0" };
        let Ok(destination) = everything.parse() else { continue };
        if link.routes.iter().any(|asked| asked.destination == destination && asked.table.is_none()) {
            continue;
        }
        let default = PodRoute {
            destination,
            gateway: Some(*gateway),
            mtu: None,
            advmss: None,
            metric: None,
            table: Some(link.table()),
            scope: None,
        };
        changes.push((words(), route::add_route(&route_over(link, &default))));
    }
    for rule in policy_rules(link) {
        changes.push((format!("add the rule of {}", link.name), route::add_rule(&rule)));
    }
}

/// Rules that send packets from the link's addresses to its table.
pub(crate) fn policy_rules(link: &PodLink) -> Vec<RuleChange> {
    let addresses = link.addresses.iter().filter(|_| link.policy.is_some());
    addresses
        .map(|address| RuleChange {
            priority: RULE_PRIORITY + u32::from(link.position),
            source: Some((address.addr(), address.max_prefix_len())),
            destination: None,
            table: link.table(),
            protocol: PROTOCOL,
            ipv6: address.addr().is_ipv6(),
        })
        .collect()
}

fn route_over(link: &PodLink, asked: &PodRoute) -> RouteChange {
    let v4 = matches!(asked.destination, IpNet::V4(_));
    let onlink = asked.gateway.is_some_and(|gateway| {
        gateway.is_ipv4() == v4 && !link.addresses.iter().any(|address| address.contains(&gateway))
    });
    RouteChange {
        destination: asked.destination.network(),
        prefix_len: asked.destination.prefix_len(),
        table: asked.table.unwrap_or(MAIN_TABLE),
        protocol: PROTOCOL,
        scope: asked.scope.unwrap_or(if asked.gateway.is_none() && v4 { SCOPE_LINK } else { 0 }),
        metric: asked.metric.or(Some(METRIC_BASE + u32::from(link.position))),
        source: None,
        mtu: asked.mtu,
        advmss: asked.advmss,
        hops: vec![RouteNextHop { link: Some(link.index), gateway: asked.gateway, weight: 1, onlink }],
    }
}

fn several_hops(several: &MultipathRoute) -> Change<'static> {
    let hop = |gateway: &std::net::IpAddr| RouteNextHop {
        gateway: Some(*gateway),
        weight: 1,
        ..RouteNextHop::default()
    };
    route::add_route(&RouteChange {
        destination: several.destination.network(),
        prefix_len: several.destination.prefix_len(),
        table: MAIN_TABLE,
        protocol: PROTOCOL,
        scope: 0,
        metric: None,
        source: None,
        mtu: None,
        advmss: None,
        hops: several.gateways.iter().map(hop).collect(),
    })
}

/// What a refusal usually means.
fn hint(error: &netlink::Error) -> Option<String> {
    let words = match errno(error)? {
        libc::EBUSY => "another kind of link is on that master: ipvlan and macvlan exclude one another",
        libc::EOPNOTSUPP => "this kernel has no such kind of link, or the master cannot carry it",
        libc::EEXIST => "it is there already",
        libc::ENODEV => "the master is gone",
        libc::EADDRINUSE => "another link on the same master has that address",
        libc::ENETUNREACH => "no prefix on a link leads to that gateway",
        _ => return None,
    };
    Some(words.to_owned())
}
