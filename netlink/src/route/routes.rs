//! Reading routes and rules (`RTM_GETROUTE`, `RTM_GETRULE`).

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use netlink_packet_core::{Parseable, ParseableParametrized};
use netlink_packet_route::route::{
    RouteAddress, RouteAttribute, RouteHeader, RouteLwEnCapType, RouteMessage, RouteType, RouteVia,
};
use netlink_packet_route::rule::{RuleAttribute, RuleMessage};
use netlink_packet_route::{AddressFamily, RouteNetlinkMessage};

use super::entry::{NextHop, Route, RouteHop, RouteKind, Rule};
use crate::attribute::{Malformed, attributes};
use crate::error::{Error, libc_errno};
use crate::message::Request;
use crate::socket::Socket;

pub(crate) const RTM_NEWROUTE: u16 = 24;
pub(crate) const RTM_DELROUTE: u16 = 25;
pub(crate) const RTM_NEWRULE: u16 = 32;
pub(crate) const RTM_DELRULE: u16 = 33;

/// `struct rtmsg`.
const HEADER: usize = 12;

/// Bits of `rtm_flags` that mark a cached look-up result, not an entry of a table.
const RTM_F_CLONED: u32 = 0x200;

/// `struct rtnexthop`: length u16, flags u8, weight − 1 u8, index i32.
const RTNH_HEADER: usize = 8;

// What is read of a route. The rest (metrics, tunnels) is not asked for, so that a tunnel of a
// newer kind does not hide the route that uses it.
const RTA_DST: u16 = 1;
const RTA_OIF: u16 = 4;
const RTA_GATEWAY: u16 = 5;
const RTA_PRIORITY: u16 = 6;
const RTA_PREFSRC: u16 = 7;
const RTA_MULTIPATH: u16 = 9;
const RTA_TABLE: u16 = 15;
const RTA_VIA: u16 = 18;
const RTA_NH_ID: u16 = 30;

/// The default routes of all tables, IPv4 and IPv6 (`ip route show table all default`).
///
/// The kernel cannot filter by prefix: all routes pass by, only these are kept. Unreachable and
/// blackhole defaults are among them.
pub fn default_routes(socket: &mut Socket) -> Result<Vec<Route>, Error> {
    dump(socket, "list default routes", None, |header| header[1] == 0, Some)
}

/// All routes of one table, or of all tables, IPv4 and IPv6 (`ip route show table`).
pub fn routes(socket: &mut Socket, table: Option<u32>) -> Result<Vec<Route>, Error> {
    routes_as(socket, table, Some)
}

/// [`routes`], of which only what `make` makes of each is kept: tables of tens of thousands are read in little memory.
pub fn routes_as<T>(
    socket: &mut Socket,
    table: Option<u32>,
    make: impl Fn(Route) -> Option<T>,
) -> Result<Vec<T>, Error> {
    let operation = match table {
        Some(table) => format!("list routes of table {table}"),
        None => "list routes".to_owned(),
    };
    dump(socket, &operation, table, |_| true, make)
}

fn dump<T>(
    socket: &mut Socket,
    operation: &str,
    table: Option<u32>,
    wanted: impl Fn(&[u8; HEADER]) -> bool,
    make: impl Fn(Route) -> Option<T>,
) -> Result<Vec<T>, Error> {
    let mut routes = Vec::new();
    for family in [AddressFamily::Inet, AddressFamily::Inet6] {
        let mut message = RouteMessage::default();
        message.header.address_family = family;
        message.attributes.extend(table.map(RouteAttribute::Table));
        let request = Request::route(operation, &RouteNetlinkMessage::GetRoute(message));
        let dumped = socket.dump(&request, |routes, kind, body| {
            let header: Option<&[u8; HEADER]> = body.first_chunk();
            if kind == RTM_NEWROUTE && header.is_none_or(&wanted) {
                let found = route(body).map(|route| {
                    // A kernel without strict checking ignores the filter.
                    let of_table = route.filter(|route| table.is_none_or(|table| route.table == table));
                    of_table.and_then(&make)
                });
                routes.extend(found.transpose());
            }
        });
        let dumped = match dumped {
            // The kernel refuses to filter by a table that does not exist, or IPv6 altogether.
            Err(Error::Kernel { source, .. })
                if table.is_some()
                    && [libc_errno::ENOENT, libc_errno::EOPNOTSUPP].contains(&source.errno) =>
            {
                continue;
            }
            other => other?,
        };
        for made in dumped {
            routes.push(made.map_err(|reason| Error::decode(operation, reason))?);
        }
    }
    Ok(routes)
}

/// The route in a message; absent when it is not an IP route of a table.
pub(crate) fn route(body: &[u8]) -> Result<Option<Route>, Malformed> {
    let header = RouteHeader::parse(body)?;
    let any: IpAddr = match header.address_family {
        AddressFamily::Inet => Ipv4Addr::UNSPECIFIED.into(),
        AddressFamily::Inet6 => Ipv6Addr::UNSPECIFIED.into(),
        _ => return Ok(None),
    };
    if header.flags.bits() & RTM_F_CLONED != 0 {
        return Ok(None);
    }
    let mut route = Route::new(any, header.destination_prefix_length, u32::from(header.table), Vec::new());
    route.kind = RouteKind::from_number(header.kind.into());
    route.protocol = header.protocol.into();
    route.scope = header.scope.into();
    route.flags = header.flags.bits();
    let mut hop = NextHop { flags: header.flags.bits() & 0xff, ..NextHop::default() };
    for attribute in attributes(body.get(HEADER..).unwrap_or_default()) {
        let attribute = attribute?;
        let parse = || parse_attribute(&attribute, header.address_family, header.kind);
        match attribute.number {
            RTA_MULTIPATH => route.hops = multipath(attribute.value, header.address_family, header.kind)?,
            RTA_DST | RTA_OIF | RTA_GATEWAY | RTA_PRIORITY | RTA_PREFSRC | RTA_TABLE | RTA_VIA
            | RTA_NH_ID => match parse()? {
                RouteAttribute::Destination(address) => route.destination = ip(&address).unwrap_or(any),
                RouteAttribute::Table(table) => route.table = table,
                RouteAttribute::Priority(metric) => route.metric = Some(metric),
                RouteAttribute::PrefSource(address) => route.preferred_source = ip(&address),
                RouteAttribute::NhId(id) => route.nexthop_id = Some(id),
                other => set_hop(&mut hop, other),
            },
            _ => {}
        }
    }
    if route.hops.is_empty() && (hop.index.is_some() || hop.gateway.is_some()) {
        route.hops.push(hop);
    }
    Ok(Some(route))
}

fn parse_attribute(
    attribute: &crate::attribute::Attribute<'_>,
    family: AddressFamily,
    kind: RouteType,
) -> Result<RouteAttribute, Malformed> {
    let parameters = (family, kind, RouteLwEnCapType::None);
    Ok(RouteAttribute::parse_with_param(&attribute.buffer()?, parameters)?)
}

fn set_hop(hop: &mut NextHop, attribute: RouteAttribute) {
    match attribute {
        RouteAttribute::Oif(index) => hop.index = Some(index),
        RouteAttribute::Gateway(address) => hop.gateway = ip(&address),
        RouteAttribute::Via(RouteVia::Inet(address)) => hop.gateway = Some(address.into()),
        RouteAttribute::Via(RouteVia::Inet6(address)) => hop.gateway = Some(address.into()),
        _ => {}
    }
}

/// The hops of a multipath route. The walk is ours: the packet crate gives up on all hops for
/// one attribute (a tunnel's, say) that it cannot read.
fn multipath(mut bytes: &[u8], family: AddressFamily, kind: RouteType) -> Result<Vec<NextHop>, Malformed> {
    let mut hops = Vec::new();
    while let Some(&[l0, l1, flags, hops_minus_one, i0, i1, i2, i3]) = bytes.first_chunk::<RTNH_HEADER>() {
        let length = usize::from(u16::from_ne_bytes([l0, l1]));
        let inner = bytes.get(RTNH_HEADER..length).ok_or_else(|| {
            Malformed(format!("a next hop of {length} bytes where {} are left", bytes.len()))
        })?;
        let mut hop = NextHop {
            index: Some(u32::from_ne_bytes([i0, i1, i2, i3])),
            gateway: None,
            weight: Some(u32::from(hops_minus_one) + 1),
            flags: u32::from(flags),
        };
        for attribute in attributes(inner) {
            let attribute = attribute?;
            if matches!(attribute.number, RTA_GATEWAY | RTA_VIA) {
                set_hop(&mut hop, parse_attribute(&attribute, family, kind)?);
            }
        }
        hops.push(hop);
        bytes = bytes.get(length.next_multiple_of(4)..).unwrap_or_default();
    }
    Ok(hops)
}

fn ip(address: &RouteAddress) -> Option<IpAddr> {
    match address {
        RouteAddress::Inet(address) => Some((*address).into()),
        RouteAddress::Inet6(address) => Some((*address).into()),
        _ => None,
    }
}

/// Where a packet to this address would go (`ip route get`); absent when nowhere.
///
/// Nowhere is: no route, or one that says unreachable, prohibited or blackhole.
pub fn route_to(socket: &mut Socket, destination: IpAddr) -> Result<Option<RouteHop>, Error> {
    let operation = format!("look up the route to {destination}");
    let mut message = RouteMessage::default();
    message.header.address_family =
        if destination.is_ipv4() { AddressFamily::Inet } else { AddressFamily::Inet6 };
    message.header.destination_prefix_length = if destination.is_ipv4() { 32 } else { 128 };
    message.attributes.push(RouteAttribute::Destination(destination.into()));
    let request = Request::route(&operation, &RouteNetlinkMessage::GetRoute(message));
    let answers = match socket.ask(&request) {
        // What the kernel answers for no route, unreachable, prohibit and blackhole.
        Err(Error::Kernel { source, .. })
            if [
                libc_errno::ENETUNREACH,
                libc_errno::EHOSTUNREACH,
                libc_errno::EACCES,
                libc_errno::EINVAL,
            ]
            .contains(&source.errno) =>
        {
            return Ok(None);
        }
        other => other?,
    };
    let (_, body) = answers
        .iter()
        .find(|(kind, _)| *kind == RTM_NEWROUTE)
        .ok_or_else(|| Error::NoAnswer { operation: operation.clone() })?;
    looked_up(body).map_err(|reason| Error::decode(&operation, reason))
}

fn looked_up(body: &[u8]) -> Result<Option<RouteHop>, Malformed> {
    let header = RouteHeader::parse(body)?;
    let kind = RouteKind::from_number(header.kind.into());
    if matches!(kind, RouteKind::Unreachable | RouteKind::Prohibit | RouteKind::Blackhole | RouteKind::Throw)
    {
        return Ok(None);
    }
    let mut hop = NextHop::default();
    let mut found = RouteHop { local: kind == RouteKind::Local, ..RouteHop::default() };
    found.table = Some(u32::from(header.table));
    for attribute in attributes(body.get(HEADER..).unwrap_or_default()) {
        let attribute = attribute?;
        match attribute.number {
            RTA_OIF | RTA_GATEWAY | RTA_PREFSRC | RTA_TABLE | RTA_VIA => {
                match parse_attribute(&attribute, header.address_family, header.kind)? {
                    RouteAttribute::PrefSource(address) => found.source = ip(&address),
                    RouteAttribute::Table(table) => found.table = Some(table),
                    other => set_hop(&mut hop, other),
                }
            }
            _ => {}
        }
    }
    found.index = hop.index.ok_or_else(|| Malformed("a route without an interface".to_owned()))?;
    found.gateway = hop.gateway;
    Ok(Some(found))
}

/// Policy routing rules, IPv4 then IPv6, in the order they are tried (`ip rule`).
pub fn rules(socket: &mut Socket) -> Result<Vec<Rule>, Error> {
    let operation = "list rules";
    let mut rules = Vec::new();
    for family in [AddressFamily::Inet, AddressFamily::Inet6] {
        let mut message = RuleMessage::default();
        message.header.family = family;
        let request = Request::route(operation, &RouteNetlinkMessage::GetRule(message));
        let dumped = socket.dump(&request, |rules, kind, body| {
            if kind == RTM_NEWRULE {
                rules.push(rule(body));
            }
        });
        let dumped = match dumped {
            // A kernel without policy routing for this family.
            Err(Error::Kernel { source, .. }) if source.errno == libc_errno::EOPNOTSUPP => continue,
            other => other?,
        };
        for rule in dumped {
            rules.push(rule.map_err(|reason| Error::decode(operation, reason))?);
        }
    }
    Ok(rules)
}

/// The rule in a message.
pub(crate) fn rule(body: &[u8]) -> Result<Rule, Malformed> {
    let message = RuleMessage::parse(body)?;
    let header = message.header;
    let mut rule = Rule {
        ipv6: header.family == AddressFamily::Inet6,
        table: u32::from(header.table),
        action: header.action.into(),
        ..Rule::default()
    };
    for attribute in message.attributes {
        match attribute {
            RuleAttribute::Priority(priority) => rule.priority = priority,
            RuleAttribute::Table(table) => rule.table = table,
            RuleAttribute::Source(address) => rule.source = Some((address, header.src_len)),
            RuleAttribute::Destination(address) => rule.destination = Some((address, header.dst_len)),
            RuleAttribute::FwMark(mark) => rule.mark = Some(mark),
            RuleAttribute::FwMask(mask) => rule.mark_mask = Some(mask),
            RuleAttribute::Iifname(name) => rule.incoming = Some(name),
            RuleAttribute::Oifname(name) => rule.outgoing = Some(name),
            RuleAttribute::L3MDev(on) => rule.l3mdev = on,
            RuleAttribute::Protocol(protocol) => rule.protocol = protocol.into(),
            _ => {}
        }
    }
    Ok(rule)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::attribute::Writer;

    proptest! {
        #[test]
        fn any_route_message_is_read_or_refused_without_panic(
            family in prop_oneof![Just(2u8), Just(10u8), any::<u8>()],
            items in proptest::collection::vec((0u16..33, proptest::collection::vec(any::<u8>(), 0..40)), 0..8))
        {
            let mut header = vec![0; HEADER];
            header[0] = family;
            let mut writer = Writer(header);
            for (number, value) in &items {
                writer.put(*number, value);
            }
            let _ = route(&writer.0);
            let _ = looked_up(&writer.0);
            let _ = rule(&writer.0);
            let _ = super::super::address::address(&writer.0);
            let _ = super::super::namespace_id::id(&writer.0);
        }

        #[test]
        fn any_bytes_are_read_or_refused_without_panic(bytes in proptest::collection::vec(any::<u8>(), 0..120)) {
            let _ = route(&bytes);
            let _ = looked_up(&bytes);
            let _ = rule(&bytes);
            let _ = super::super::address::address(&bytes);
            let _ = super::super::namespace_id::id(&bytes);
        }
    }
}
