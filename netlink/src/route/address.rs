//! IP addresses on interfaces (`RTM_NEWADDR`).

use std::net::IpAddr;

use serde::{Deserialize, Serialize};

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
