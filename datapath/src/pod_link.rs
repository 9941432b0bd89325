//! What a link of a pod is to be, and what became of it.

use std::net::IpAddr;
use std::time::Duration;

use ipnet::IpNet;
use netlink::LinkAddress;
use netlink::route::{NewLinkKind, RuleChange};

use crate::{PROTOCOL, RULE_PRIORITY};

/// A link that a pod is to have.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PodLink {
    /// Position among the links of the attachment, from 0.
    pub position: u16,
    /// Name in the pod, 1 to 15 bytes.
    pub name: String,
    /// Further name in the pod.
    pub alt_name: Option<String>,
    /// Index in the pod.
    pub index: u32,
    /// Where it comes from.
    pub source: Source,
    /// MTU in bytes; the master's or the device's own when absent.
    pub mtu: Option<u32>,
    /// Link-layer address; the kernel's choice, or the device's own, when absent. Kinds that take the master's
    /// refuse one.
    pub address: Option<LinkAddress>,
    /// Addresses with their prefix lengths.
    pub addresses: Vec<IpNet>,
    /// Routes over it in the main table.
    pub routes: Vec<PodRoute>,
    /// Table of its own, so that replies leave by it.
    pub policy: Option<PolicyTable>,
    /// Whether the neighbours are told, where the kind of link can (see [`traits`](crate::traits)).
    pub announce: bool,
    /// How long to listen for somebody who has one of the addresses already; absent: nobody is asked.
    pub duplicate_check: Option<Duration>,
}

/// Where a pod's link comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Source {
    /// It is made above a link of the host.
    Above {
        /// Kind.
        kind: NewLinkKind,
        /// Index of the link of the host.
        master: u32,
    },
    /// A device of the host is moved.
    Device {
        /// Its index on the host.
        index: u32,
    },
}

/// A route over one link.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PodRoute {
    /// Destination.
    pub destination: IpNet,
    /// Gateway; absent: the destination is on the link.
    pub gateway: Option<IpAddr>,
    /// MTU in bytes.
    pub mtu: Option<u32>,
    /// Advertised maximum segment size in bytes.
    pub advmss: Option<u32>,
    /// Metric; [`METRIC_BASE`](crate::METRIC_BASE) plus the position when absent.
    pub metric: Option<u32>,
    /// Table; main when absent.
    pub table: Option<u32>,
    /// `RT_SCOPE_*`; what fits the gateway when absent.
    pub scope: Option<u8>,
}

/// A routing table for packets from the link's addresses.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PolicyTable {
    /// Default gateways in it, at most one a family.
    pub gateways: Vec<IpAddr>,
}

/// A route over several links of the attachment: each gateway is reached by a link that has it in a prefix, the
/// next one when several have.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MultipathRoute {
    /// Destination.
    pub destination: IpNet,
    /// Gateways, at least two.
    pub gateways: Vec<IpAddr>,
}

/// A link as it became.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MadeLink {
    /// Index in the pod.
    pub index: u32,
    /// Link-layer address.
    pub address: Option<LinkAddress>,
    /// MTU in bytes.
    pub mtu: u32,
    /// What a moved device was before.
    pub taken: Option<Taken>,
}

/// What a device was on the host.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Taken {
    /// Its index there; it gets it back where that is still free.
    pub index: u32,
    /// Its name.
    pub name: String,
    /// Device behind it on its bus (`IFLA_PARENT_DEV_NAME`), which tells it from a stranger with its number.
    pub device: Option<String>,
    /// Device group.
    pub group: u32,
    /// MTU in bytes.
    pub mtu: u32,
    /// Link-layer address.
    pub address: Option<LinkAddress>,
    /// Whether it was up.
    pub up: bool,
    /// Its global addresses.
    pub addresses: Vec<IpNet>,
}

impl PodLink {
    /// It has an IPv6 address.
    pub fn has_ipv6(&self) -> bool {
        self.addresses.iter().any(|address| matches!(address, IpNet::V6(_)))
    }

    /// Number of its own routing table.
    pub fn table(&self) -> u32 {
        crate::TABLE_BASE.wrapping_add(self.index)
    }

    /// Rules that lead packets from its addresses to its own table; none when it has no such table. They stay when the
    /// link goes.
    pub fn policy_rules(&self) -> Vec<RuleChange> {
        let addresses = self.addresses.iter().filter(|_| self.policy.is_some());
        let rules = addresses.map(|address| RuleChange {
            priority: RULE_PRIORITY + u32::from(self.position),
            source: Some((address.addr(), address.max_prefix_len())),
            destination: None,
            table: self.table(),
            protocol: PROTOCOL,
            ipv6: address.addr().is_ipv6(),
        });
        rules.collect()
    }
}
