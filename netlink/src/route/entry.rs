//! Routes (`RTM_NEWROUTE`) and route look-ups.

use std::net::IpAddr;

use serde::{Deserialize, Serialize};

use crate::open_enum::open_enum;

/// A route, in the words of `ip route show table all`.
///
/// Source: `RTM_NEWROUTE`, attributes `RTA_*` of `linux/rtnetlink.h`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct Route {
    /// First address of the destination; all zero for a default route, which also tells
    /// IPv4 from IPv6.
    pub destination: IpAddr,
    /// Length of the destination prefix; 0 for a default route.
    pub prefix_len: u8,
    /// Number of the routing table: 254 main, 255 local.
    pub table: u32,
    /// `RTN_*`.
    #[serde(default = "unicast")]
    pub kind: RouteKind,
    /// Who made the route (`RTPROT_*`): 2 kernel, 3 boot, 4 static, 9 RA, 16 DHCP, ….
    #[serde(default)]
    pub protocol: u8,
    /// `RT_SCOPE_*`: 0 everywhere, 253 link, 254 host.
    #[serde(default)]
    pub scope: u8,
    /// `RTNH_F_*` and `RTM_F_*` bits of the route.
    #[serde(default)]
    pub flags: u32,
    /// Preference, lower first (`RTA_PRIORITY`); absent when the kernel sent none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub metric: Option<u32>,
    /// Source address of packets that use the route.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub preferred_source: Option<IpAddr>,
    /// Where packets go: one hop, several for a multipath route, none for a blackhole or for
    /// a next-hop object that the kernel did not spell out.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub hops: Vec<NextHop>,
    /// Number of the next-hop object the route refers to (`RTA_NH_ID`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub nexthop_id: Option<u32>,
}

impl Route {
    /// Whether the destination is everything.
    pub fn is_default(&self) -> bool {
        self.prefix_len == 0
    }

    /// A unicast route without anything else known, for records that are made by hand.
    pub fn new(destination: IpAddr, prefix_len: u8, table: u32, hops: Vec<NextHop>) -> Self {
        Self {
            destination,
            prefix_len,
            table,
            kind: RouteKind::Unicast,
            protocol: 0,
            scope: 0,
            flags: 0,
            metric: None,
            preferred_source: None,
            hops,
            nexthop_id: None,
        }
    }
}

fn is_zero(number: &u8) -> bool {
    *number == 0
}

fn unicast() -> RouteKind {
    RouteKind::Unicast
}

/// One way out of a route.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
#[non_exhaustive]
pub struct NextHop {
    /// Index of the outgoing interface.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub index: Option<u32>,
    /// Next router; absent when the destination is on the link. May be of the other family.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub gateway: Option<IpAddr>,
    /// Share of a multipath route, from 1; absent on a single hop.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub weight: Option<u32>,
    /// `RTNH_F_*` bits: 1 dead, 4 on link, 16 carrier lost.
    pub flags: u32,
}

/// Where the kernel would send a packet (`ip route get`).
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
#[non_exhaustive]
pub struct RouteHop {
    /// Index of the outgoing interface.
    pub index: u32,
    /// Next router; absent when the destination is on the link.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub gateway: Option<IpAddr>,
    /// Source address the kernel would choose.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub source: Option<IpAddr>,
    /// Number of the routing table that answered.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub table: Option<u32>,
    /// Whether the destination is this machine itself.
    pub local: bool,
}

/// A policy routing rule, in the words of `ip rule`.
///
/// Source: `RTM_NEWRULE`, attributes `FRA_*` of `linux/fib_rules.h`.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
#[non_exhaustive]
pub struct Rule {
    /// Whether the rule is for IPv6.
    pub ipv6: bool,
    /// Order, lower first; 0 when the kernel sent none.
    pub priority: u32,
    /// Table that is looked up.
    pub table: u32,
    /// Who made it (`RTPROT_*`); 0 when the kernel does not say.
    #[serde(skip_serializing_if = "is_zero")]
    pub protocol: u8,
    /// `FR_ACT_*`: 1 look up the table, 6 blackhole, 7 unreachable, 8 prohibit.
    pub action: u8,
    /// Source prefix: address and length.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub source: Option<(IpAddr, u8)>,
    /// Destination prefix: address and length.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub destination: Option<(IpAddr, u8)>,
    /// Firewall mark.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mark: Option<u32>,
    /// Mask of the firewall mark.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mark_mask: Option<u32>,
    /// Name of the interface packets came in by.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub incoming: Option<String>,
    /// Name of the interface packets leave by.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub outgoing: Option<String>,
    /// Whether the VRF of the interface names the table.
    pub l3mdev: bool,
}

open_enum! {
    /// What a route does with packets, `RTN_*`.
    RouteKind(u8) {
        /// Nothing known.
        Unspec = 0, "unspec";
        /// Sends them on.
        Unicast = 1, "unicast";
        /// Takes them in.
        Local = 2, "local";
        /// Takes them in as broadcast, sends as broadcast.
        Broadcast = 3, "broadcast";
        /// Takes them in as broadcast, sends as unicast.
        Anycast = 4, "anycast";
        /// Sends to a multicast group.
        Multicast = 5, "multicast";
        /// Drops them silently.
        Blackhole = 6, "blackhole";
        /// Answers that the destination is unreachable.
        Unreachable = 7, "unreachable";
        /// Answers that it is forbidden.
        Prohibit = 8, "prohibit";
        /// Goes on with the next table.
        Throw = 9, "throw";
    }
}
