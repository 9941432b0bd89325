//! Routes and rules (`RTM_NEWROUTE`, `RTM_NEWRULE` …; `ip route`, `ip rule`).

use std::net::IpAddr;

use super::{Change, NLM_F_APPEND, NLM_F_CREATE, NLM_F_EXCL, NLM_F_REPLACE};
use crate::attribute::Writer;

const RTM_NEWROUTE: u16 = 24;
const RTM_DELROUTE: u16 = 25;
const RTM_NEWRULE: u16 = 32;
const RTM_DELRULE: u16 = 33;

// enum rtattr_type_t of linux/rtnetlink.h
const RTA_DST: u16 = 1;
const RTA_OIF: u16 = 4;
const RTA_GATEWAY: u16 = 5;
const RTA_PRIORITY: u16 = 6;
const RTA_PREFSRC: u16 = 7;
const RTA_METRICS: u16 = 8;
const RTA_MULTIPATH: u16 = 9;
const RTA_TABLE: u16 = 15;
const RTA_VIA: u16 = 18;
const RTAX_MTU: u16 = 2;
const RTAX_ADVMSS: u16 = 8;
const RTN_UNICAST: u8 = 1;
const RTNH_F_ONLINK: u8 = 4;

// enum of linux/fib_rules.h
const FRA_DST: u16 = 1;
const FRA_SRC: u16 = 2;
const FRA_PRIORITY: u16 = 6;
const FRA_TABLE: u16 = 15;
const FRA_PROTOCOL: u16 = 21;
const FR_ACT_TO_TBL: u8 = 1;

const AF_INET: u8 = 2;
const AF_INET6: u8 = 10;

/// A route.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RouteChange {
    /// First address of the destination; all zero with length 0 for a default route.
    pub destination: IpAddr,
    /// Length of the destination's prefix.
    pub prefix_len: u8,
    /// Table: 254 main.
    pub table: u32,
    /// Who made it (`RTPROT_*`).
    pub protocol: u8,
    /// `RT_SCOPE_*`: 0 everywhere, 253 link, 254 host.
    pub scope: u8,
    /// Preference, lower first; the kernel's choice when absent.
    pub metric: Option<u32>,
    /// Source address of packets that use it.
    pub source: Option<IpAddr>,
    /// MTU in bytes.
    pub mtu: Option<u32>,
    /// Advertised maximum segment size in bytes.
    pub advmss: Option<u32>,
    /// Where packets go: one hop, or several that share the load.
    pub hops: Vec<RouteNextHop>,
}

/// Where packets of a route go.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct RouteNextHop {
    /// Index of the link; the one that leads to the gateway when absent.
    pub link: Option<u32>,
    /// Gateway; absent: the destination is on the link. May be of the other family (IPv4 over an IPv6 hop).
    pub gateway: Option<IpAddr>,
    /// Share, 1 to 256; 0 counts as 1.
    pub weight: u16,
    /// The gateway is on the link though no prefix says so.
    pub onlink: bool,
}

/// A rule that sends packets to a table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RuleChange {
    /// Its place, lower first.
    pub priority: u32,
    /// Source that it is for.
    pub source: Option<(IpAddr, u8)>,
    /// Destination that it is for.
    pub destination: Option<(IpAddr, u8)>,
    /// Table that is looked up.
    pub table: u32,
    /// Who made it (`RTPROT_*`).
    pub protocol: u8,
    /// IPv6; also when neither source nor destination says so.
    pub ipv6: bool,
}

/// Family and bytes of an address.
pub(super) fn family_and_bytes(address: IpAddr) -> (u8, Vec<u8>) {
    match address {
        IpAddr::V4(v4) => (AF_INET, v4.octets().to_vec()),
        IpAddr::V6(v6) => (AF_INET6, v6.octets().to_vec()),
    }
}

/// Adds a route (`ip route add`); `EEXIST` when there is one with this destination, metric and table.
pub fn add_route(route: &RouteChange) -> Change<'static> {
    let words = format!("add route {}", words(route));
    Change::new(words, RTM_NEWROUTE, NLM_F_CREATE | NLM_F_EXCL, route_body(route))
}

/// Adds a route behind others with its destination, metric and table (`ip route append`): those are taken first, and
/// it is there when they go. IPv6 makes one route of several ways out of those that have gateways. `EEXIST` when the
/// very same is there.
pub fn append_route(route: &RouteChange) -> Change<'static> {
    let words = format!("append route {}", words(route));
    Change::new(words, RTM_NEWROUTE, NLM_F_CREATE | NLM_F_APPEND, route_body(route))
}

/// Puts a route in the place of the one with its destination, metric and table, whoever made that, or adds it
/// (`ip route replace`). At no moment is there none.
pub fn replace_route(route: &RouteChange) -> Change<'static> {
    let words = format!("replace route {}", words(route));
    Change::new(words, RTM_NEWROUTE, NLM_F_CREATE | NLM_F_REPLACE, route_body(route))
}

/// Removes a route (`ip route del`); `ESRCH` when there is none like it.
pub fn delete_route(route: &RouteChange) -> Change<'static> {
    Change::new(format!("remove route {}", words(route)), RTM_DELROUTE, 0, route_body(route))
}

fn words(route: &RouteChange) -> String {
    let mut words = format!("{}/{}", route.destination, route.prefix_len);
    for hop in &route.hops {
        if let Some(gateway) = hop.gateway {
            words.push_str(&format!(" via {gateway}"));
        }
        if let Some(link) = hop.link {
            words.push_str(&format!(" on link {link}"));
        }
    }
    if route.table != 254 {
        words.push_str(&format!(" in table {}", route.table));
    }
    words
}

fn route_body(route: &RouteChange) -> Vec<u8> {
    let (family, destination) = family_and_bytes(route.destination);
    let onlink = |hop: &RouteNextHop| if hop.onlink { RTNH_F_ONLINK } else { 0 };
    let alone = match route.hops[..] {
        [hop] => Some(hop),
        _ => None,
    };
    // struct rtmsg: family, two lengths, type of service, table (in RTA_TABLE), protocol, scope, type, flags.
    let table = u8::try_from(route.table).unwrap_or(0);
    let mut writer =
        Writer(vec![family, route.prefix_len, 0, 0, table, route.protocol, route.scope, RTN_UNICAST]);
    writer.0.extend_from_slice(&u32::from(alone.as_ref().map_or(0, onlink)).to_ne_bytes());
    if route.prefix_len > 0 {
        writer.put(RTA_DST, &destination);
    }
    writer.put_u32(RTA_TABLE, route.table);
    if let Some(metric) = route.metric {
        writer.put_u32(RTA_PRIORITY, metric);
    }
    if let Some(source) = route.source {
        writer.put(RTA_PREFSRC, &family_and_bytes(source).1);
    }
    if route.mtu.is_some() || route.advmss.is_some() {
        writer.nest(RTA_METRICS, |metrics| {
            if let Some(mtu) = route.mtu {
                metrics.put_u32(RTAX_MTU, mtu);
            }
            if let Some(advmss) = route.advmss {
                metrics.put_u32(RTAX_ADVMSS, advmss);
            }
        });
    }
    if let Some(hop) = alone {
        if let Some(gateway) = hop.gateway {
            put_gateway(&mut writer, family, gateway);
        }
        if let Some(link) = hop.link {
            writer.put_u32(RTA_OIF, link);
        }
    } else if !route.hops.is_empty() {
        let mut list = Vec::new();
        for hop in &route.hops {
            let mut inner = Writer::default();
            if let Some(gateway) = hop.gateway {
                put_gateway(&mut inner, family, gateway);
            }
            // struct rtnexthop: length, flags, weight − 1, link.
            let length = u16::try_from(8 + inner.0.len()).unwrap_or(u16::MAX);
            list.extend_from_slice(&length.to_ne_bytes());
            list.push(onlink(hop));
            list.push(u8::try_from(hop.weight.clamp(1, 256) - 1).unwrap_or(u8::MAX));
            list.extend_from_slice(&hop.link.unwrap_or(0).to_ne_bytes());
            list.extend_from_slice(&inner.0);
        }
        writer.put(RTA_MULTIPATH, &list);
    }
    writer.0
}

fn put_gateway(writer: &mut Writer, family: u8, gateway: IpAddr) {
    let (gateway_family, bytes) = family_and_bytes(gateway);
    if gateway_family == family {
        writer.put(RTA_GATEWAY, &bytes);
    } else {
        let mut via = u16::from(gateway_family).to_ne_bytes().to_vec();
        via.extend_from_slice(&bytes);
        writer.put(RTA_VIA, &via);
    }
}

/// Adds a rule (`ip rule add`); `EEXIST` when there is the same.
pub fn add_rule(rule: &RuleChange) -> Change<'static> {
    let operation = format!("add rule {} to table {}", rule.priority, rule.table);
    Change::new(operation, RTM_NEWRULE, NLM_F_CREATE | NLM_F_EXCL, rule_body(rule))
}

/// Removes a rule (`ip rule del`); `ENOENT` when there is none like it.
pub fn delete_rule(rule: &RuleChange) -> Change<'static> {
    let operation = format!("remove rule {} to table {}", rule.priority, rule.table);
    Change::new(operation, RTM_DELRULE, 0, rule_body(rule))
}

fn rule_body(rule: &RuleChange) -> Vec<u8> {
    let family = if rule.ipv6 { AF_INET6 } else { AF_INET };
    let length = |prefix: Option<(IpAddr, u8)>| prefix.map_or(0, |(_, length)| length);
    // struct fib_rule_hdr: family, two lengths, type of service, table (in FRA_TABLE), reserved, action, flags.
    let table = u8::try_from(rule.table).unwrap_or(0);
    let mut writer =
        Writer(vec![family, length(rule.destination), length(rule.source), 0, table, 0, 0, FR_ACT_TO_TBL]);
    writer.0.extend_from_slice(&[0; 4]);
    if let Some((source, _)) = rule.source {
        writer.put(FRA_SRC, &family_and_bytes(source).1);
    }
    if let Some((destination, _)) = rule.destination {
        writer.put(FRA_DST, &family_and_bytes(destination).1);
    }
    writer.put_u32(FRA_PRIORITY, rule.priority);
    writer.put_u32(FRA_TABLE, rule.table);
    writer.put(FRA_PROTOCOL, &[rule.protocol]);
    writer.0
}
