//! Addresses (`RTM_NEWADDR`, `RTM_DELADDR`; `ip address`).

use std::net::{IpAddr, Ipv4Addr};

use super::{Change, NLM_F_CREATE, NLM_F_EXCL};
use crate::attribute::Writer;

const RTM_NEWADDR: u16 = 20;
const RTM_DELADDR: u16 = 21;

// enum IFA_* of linux/if_addr.h
const IFA_ADDRESS: u16 = 1;
const IFA_LOCAL: u16 = 2;
const IFA_BROADCAST: u16 = 4;
const IFA_FLAGS: u16 = 8;
const IFA_RT_PRIORITY: u16 = 9;
const IFA_F_NODAD: u32 = 0x02;

/// An address on a link.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AddressChange {
    /// Index of the link.
    pub link: u32,
    /// The address.
    pub address: IpAddr,
    /// Length of the prefix that is on the link.
    pub prefix_len: u8,
    /// Metric of the route to the prefix; the kernel's choice when absent.
    pub metric: Option<u32>,
    /// IPv6: without duplicate-address detection, so it is usable at once.
    pub no_dad: bool,
}

/// Adds an address (`ip address add`); `EEXIST` when the link has it.
pub fn add_address(address: &AddressChange) -> Change<'static> {
    let operation =
        format!("add address {}/{} to link {}", address.address, address.prefix_len, address.link);
    Change::new(operation, RTM_NEWADDR, NLM_F_CREATE | NLM_F_EXCL, body(address))
}

/// Removes an address (`ip address del`); `EADDRNOTAVAIL` when the link does not have it.
pub fn delete_address(address: &AddressChange) -> Change<'static> {
    let operation =
        format!("remove address {}/{} from link {}", address.address, address.prefix_len, address.link);
    Change::new(operation, RTM_DELADDR, 0, body(address))
}

fn body(address: &AddressChange) -> Vec<u8> {
    let (family, bytes) = super::route::family_and_bytes(address.address);
    // struct ifaddrmsg: family, prefix length, flags, scope (everywhere), index.
    let mut writer = Writer(vec![family, address.prefix_len, 0, 0]);
    writer.0.extend_from_slice(&address.link.to_ne_bytes());
    writer.put(IFA_LOCAL, &bytes);
    writer.put(IFA_ADDRESS, &bytes);
    if let IpAddr::V4(v4) = address.address
        && address.prefix_len < 31
    {
        let host = u32::MAX.checked_shr(u32::from(address.prefix_len)).unwrap_or(0);
        writer.put(IFA_BROADCAST, &Ipv4Addr::from(u32::from(v4) | host).octets());
    }
    if address.no_dad {
        writer.put_u32(IFA_FLAGS, IFA_F_NODAD);
    }
    if let Some(metric) = address.metric {
        writer.put_u32(IFA_RT_PRIORITY, metric);
    }
    writer.0
}
