//! IP addresses on interfaces (`RTM_NEWADDR`).

use std::net::IpAddr;

use netlink_packet_core::Parseable;
use netlink_packet_route::address::{AddressAttribute, AddressMessage};
use netlink_packet_route::{AddressFamily, RouteNetlinkMessage};
use serde::{Deserialize, Serialize};

use crate::attribute::Malformed;
use crate::error::Error;
use crate::message::Request;
use crate::socket::Socket;

/// An IP address on an interface, in the words of `ip address`.
///
/// Source: `RTM_NEWADDR`, attributes `IFA_*` of `linux/if_addr.h`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct Address {
    /// Index of the interface.
    pub index: u32,
    /// The interface's own address (`IFA_LOCAL`, else `IFA_ADDRESS`).
    pub address: IpAddr,
    /// Length of the network prefix: 0–32 or 0–128.
    pub prefix_len: u8,
    /// `RT_SCOPE_*`: 0 everywhere, 200 site, 253 link, 254 host.
    #[serde(default)]
    pub scope: u8,
    /// `IFA_F_*` bits: 1 secondary, 2 no DAD, 8 DAD failed, 0x20 deprecated, 0x40 tentative,
    /// 0x80 permanent, 0x100 managed temporary addresses, 0x200 no prefix route.
    #[serde(default)]
    pub flags: u32,
    /// Label, IPv4 only (`eth0`, `eth0:1`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub label: Option<String>,
    /// Broadcast address, IPv4 only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub broadcast: Option<IpAddr>,
    /// The other end of a point-to-point link, when it differs from the own address.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub peer: Option<IpAddr>,
    /// Seconds for which the address may open connections; absent when for ever.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub preferred_lifetime: Option<u32>,
    /// Seconds for which the address exists; absent when for ever.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub valid_lifetime: Option<u32>,
    /// Who made the address (`IFAPROT_*`): 1 kernel loopback, 2 router advertisement, 3 link-local.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub protocol: Option<u8>,
}

impl Address {
    /// An address without anything else known, for records that are made by hand.
    pub fn new(index: u32, address: IpAddr, prefix_len: u8) -> Self {
        Self {
            index,
            address,
            prefix_len,
            scope: 0,
            flags: 0,
            label: None,
            broadcast: None,
            peer: None,
            preferred_lifetime: None,
            valid_lifetime: None,
            protocol: None,
        }
    }
}

pub(crate) const RTM_NEWADDR: u16 = 20;
pub(crate) const RTM_DELADDR: u16 = 21;

/// A lifetime without end.
const FOREVER: u32 = u32::MAX;

/// All IP addresses, IPv4 and IPv6, in the kernel's order (`ip address show`).
pub fn addresses(socket: &mut Socket) -> Result<Vec<Address>, Error> {
    let operation = "list addresses";
    let request = Request::route(operation, &RouteNetlinkMessage::GetAddress(AddressMessage::default()));
    let addresses = socket.dump(&request, |addresses, kind, body| {
        if kind == RTM_NEWADDR {
            addresses.push(address(body));
        }
    })?;
    addresses
        .into_iter()
        .filter_map(Result::transpose)
        .collect::<Result<_, _>>()
        .map_err(|reason| Error::decode(operation, reason))
}

/// The address in a message; absent when it is not an IP address (other protocols use the
/// same messages).
pub(crate) fn address(body: &[u8]) -> Result<Option<Address>, Malformed> {
    let message = AddressMessage::parse(body)?;
    if !matches!(message.header.family, AddressFamily::Inet | AddressFamily::Inet6) {
        return Ok(None);
    }
    let mut local = None;
    let mut other = None;
    let mut result =
        Address::new(message.header.index, std::net::Ipv4Addr::UNSPECIFIED.into(), message.header.prefix_len);
    result.scope = message.header.scope.into();
    result.flags = u32::from(message.header.flags.bits());
    for attribute in message.attributes {
        match attribute {
            AddressAttribute::Local(ip) => local = Some(ip),
            AddressAttribute::Address(ip) => other = Some(ip),
            AddressAttribute::Label(label) => result.label = Some(label),
            AddressAttribute::Broadcast(ip) => result.broadcast = Some(ip.into()),
            // Carries all 32 bits; the header only the lowest 8.
            AddressAttribute::Flags(flags) => result.flags = flags.bits(),
            AddressAttribute::CacheInfo(info) => {
                result.preferred_lifetime = (info.ifa_preferred != FOREVER).then_some(info.ifa_preferred);
                result.valid_lifetime = (info.ifa_valid != FOREVER).then_some(info.ifa_valid);
            }
            AddressAttribute::Protocol(protocol) => result.protocol = Some(protocol.into()),
            _ => {}
        }
    }
    result.address = local
        .or(other)
        .ok_or_else(|| Malformed(format!("an address of link {} without an address", result.index)))?;
    result.peer = other.filter(|peer| local.is_some() && *peer != result.address);
    Ok(Some(result))
}
