//! Routes from this host to blocks of other hosts: a table for each network, and rules that lead there.
//!
//! Only what carries our protocol number is ours. Deciding what is wanted is not done here.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::ops::RangeInclusive;

use ipnet::IpNet;
use netlink::Socket;
use netlink::route::{self, Change, Route, RouteChange, RouteNextHop, RuleChange};

use crate::{DatapathError, PROTOCOL};

/// Priorities of the rules that lead to tables of networks.
pub const PRIORITIES: RangeInclusive<u32> = 30_000..=30_999;

/// `RTPROT_BOOT`: who says nothing, as the predecessor did not.
const BOOT: u8 = 3;

/// Metric that the kernel gives an IPv6 route of which none is asked; an IPv4 one has 0.
const METRIC_V6: u32 = 1024;

/// Changes that are put into words of the kernel at once: many sends' worth, and little memory.
const TOGETHER: usize = 1024;

/// `FR_ACT_TO_TBL`.
const LOOK_UP: u8 = 1;

/// A rule: packets from `source` look up `table`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct HostRule {
    /// Its place, one of [`PRIORITIES`].
    pub priority: u32,
    /// Source that it is for.
    pub source: IpNet,
    /// Table that is looked up.
    pub table: u32,
}

/// Where packets to a block go.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Hop {
    /// The other host.
    pub gateway: IpAddr,
    /// Index of the link that leads there.
    pub link: u32,
}

/// What stands in a table for a block.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Standing {
    /// Where packets go; absent: not to one other host.
    pub hop: Option<Hop>,
    /// Who made it.
    pub maker: Maker,
}

/// Who made a route.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Maker {
    /// This program.
    Ours,
    /// Nobody said, as the predecessor did not (`proto boot`).
    Boot,
    /// Another program.
    Other(u8),
}

/// What there is.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Observed {
    /// Our rules.
    pub rules: BTreeSet<HostRule>,
    /// By table and destination what stands in the tables that were asked for.
    pub tables: BTreeMap<u32, BTreeMap<IpNet, Standing>>,
}

/// One change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RouteStep {
    /// Adds a route where there is none.
    Add(u32, IpNet, Hop),
    /// Puts a route in the place of another one.
    Replace(u32, IpNet, Hop),
    /// Removes a route of ours.
    Remove(u32, IpNet),
    /// Adds a rule.
    AddRule(HostRule),
    /// Removes a rule of ours.
    RemoveRule(HostRule),
}

/// Our rules, and what stands in these tables and in those that our rules lead to. Reads only.
///
/// # Errors
/// When the kernel refuses a dump.
pub fn observe(socket: &mut Socket, tables: &BTreeSet<u32>) -> Result<Observed, DatapathError> {
    let mut observed = Observed::default();
    for rule in route::rules(socket)? {
        let ours = rule.protocol == PROTOCOL && rule.action == LOOK_UP && PRIORITIES.contains(&rule.priority);
        let source = rule.source.and_then(|(address, length)| IpNet::new(address, length).ok());
        if let Some(source) = source.filter(|_| ours) {
            observed.rules.insert(HostRule { priority: rule.priority, source, table: rule.table });
        }
    }
    let led_to: BTreeSet<u32> = observed.rules.iter().map(|rule| rule.table).collect();
    for table in tables | &led_to {
        let standing = route::routes_as(socket, Some(table), |route| standing(&route))?;
        observed.tables.insert(table, standing.into_iter().collect());
    }
    Ok(observed)
}

/// Tables that somebody uses, by a route or a rule. Reads only.
///
/// # Errors
/// When the kernel refuses a dump.
pub fn tables_in_use(socket: &mut Socket) -> Result<BTreeSet<u32>, DatapathError> {
    let mut used: BTreeSet<u32> = route::routes(socket, None)?.iter().map(|route| route.table).collect();
    used.extend(route::rules(socket)?.iter().map(|rule| rule.table));
    Ok(used)
}

/// Makes all changes in as few sends as the kernel can answer; the verdict on each, in order. What is already as asked
/// is no error.
pub fn apply(socket: &mut Socket, steps: &[RouteStep]) -> Vec<Result<(), DatapathError>> {
    steps.chunks(TOGETHER).flat_map(|some| apply_some(socket, some)).collect()
}

fn apply_some(socket: &mut Socket, steps: &[RouteStep]) -> Vec<Result<(), DatapathError>> {
    let changes: Vec<Change<'_>> = steps.iter().map(change).collect();
    let verdicts = socket.apply(&changes);
    let told = steps.iter().zip(&changes).zip(verdicts).map(|((step, change), verdict)| {
        let source = match verdict {
            Ok(()) => return Ok(()),
            Err(error) => error,
        };
        match (step, crate::error::errno(&source)) {
            (RouteStep::Add(..) | RouteStep::AddRule(_), Some(nix::libc::EEXIST))
            | (RouteStep::Remove(..), Some(nix::libc::ESRCH))
            | (RouteStep::RemoveRule(_), Some(nix::libc::ENOENT)) => Ok(()),
            _ => Err(DatapathError::Step { step: change.operation().to_owned(), hint: None, source }),
        }
    });
    told.collect()
}

/// What stands for a destination; absent when it stands beside ours, with another metric.
fn standing(route: &Route) -> Option<(IpNet, Standing)> {
    let destination = IpNet::new(route.destination, route.prefix_len).ok()?;
    let usual = if destination.addr().is_ipv4() { 0 } else { METRIC_V6 };
    if route.metric.unwrap_or(0) != usual {
        return None;
    }
    let hop = match route.hops[..] {
        [ref hop] => hop.gateway.zip(hop.index).map(|(gateway, link)| Hop { gateway, link }),
        _ => None,
    };
    let maker = match route.protocol {
        PROTOCOL => Maker::Ours,
        BOOT => Maker::Boot,
        other => Maker::Other(other),
    };
    Some((destination, Standing { hop, maker }))
}

fn change(step: &RouteStep) -> Change<'static> {
    let to = |table: u32, destination: &IpNet, hop: Option<&Hop>| RouteChange {
        destination: destination.addr(),
        prefix_len: destination.prefix_len(),
        table,
        protocol: PROTOCOL,
        scope: 0,
        metric: None,
        source: None,
        mtu: None,
        advmss: None,
        hops: hop
            .map(|hop| RouteNextHop {
                link: Some(hop.link),
                gateway: Some(hop.gateway),
                weight: 0,
                onlink: false,
            })
            .into_iter()
            .collect(),
    };
    let rule = |rule: &HostRule| RuleChange {
        priority: rule.priority,
        source: Some((rule.source.addr(), rule.source.prefix_len())),
        destination: None,
        table: rule.table,
        protocol: PROTOCOL,
        ipv6: rule.source.addr().is_ipv6(),
    };
    match step {
        RouteStep::Add(table, destination, hop) => route::add_route(&to(*table, destination, Some(hop))),
        RouteStep::Replace(table, destination, hop) => {
            route::replace_route(&to(*table, destination, Some(hop)))
        }
        RouteStep::Remove(table, destination) => route::delete_route(&to(*table, destination, None)),
        RouteStep::AddRule(one) => route::add_rule(&rule(one)),
        RouteStep::RemoveRule(one) => route::delete_rule(&rule(one)),
    }
}
