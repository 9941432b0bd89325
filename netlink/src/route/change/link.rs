//! Links (`RTM_NEWLINK`, `RTM_SETLINK`, `RTM_DELLINK`, `RTM_NEWLINKPROP`; `ip link`).

use std::os::fd::{AsRawFd, BorrowedFd};

use super::{Change, NLM_F_CREATE, NLM_F_EXCL};
use crate::attribute::Writer;
use crate::link_address::LinkAddress;
use crate::route::{IpvlanMode, MacvlanMode};

const RTM_NEWLINK: u16 = 16;
const RTM_DELLINK: u16 = 17;
const RTM_SETLINK: u16 = 19;
const RTM_NEWLINKPROP: u16 = 108;
const RTM_DELLINKPROP: u16 = 109;

// enum IFLA_* of linux/if_link.h
const IFLA_ADDRESS: u16 = 1;
const IFLA_IFNAME: u16 = 3;
const IFLA_MTU: u16 = 4;
const IFLA_LINK: u16 = 5;
const IFLA_LINKINFO: u16 = 18;
const IFLA_IFALIAS: u16 = 20;
const IFLA_AF_SPEC: u16 = 26;
const IFLA_GROUP: u16 = 27;
const IFLA_NET_NS_FD: u16 = 28;
const IFLA_NEW_IFINDEX: u16 = 49;
const IFLA_PROP_LIST: u16 = 52;
const IFLA_ALT_IFNAME: u16 = 53;
const IFLA_INFO_KIND: u16 = 1;
const IFLA_INFO_DATA: u16 = 2;
const IFLA_INET_CONF: u16 = 1;
const IFLA_INET6_ADDR_GEN_MODE: u16 = 8;
const IN6_ADDR_GEN_MODE_NONE: u8 = 1;
const IFLA_IPVLAN_MODE: u16 = 1;
const IFLA_IPVLAN_FLAGS: u16 = 2;
const IFLA_MACVLAN_MODE: u16 = 1;
const IFLA_MACVLAN_MACADDR_MODE: u16 = 3;
const IFLA_MACVLAN_MACADDR: u16 = 4;
const IFLA_MACVLAN_MACADDR_DATA: u16 = 5;
const MACVLAN_MACADDR_SET: u32 = 3;
const IFLA_VLAN_ID: u16 = 1;
const IFLA_VLAN_PROTOCOL: u16 = 5;
const VETH_INFO_PEER: u16 = 1;

const IFF_UP: u32 = 1;
const AF_INET: u16 = 2;
const AF_INET6: u16 = 10;

/// A link to be made. It comes into being down.
#[derive(Debug, Clone, Default)]
pub struct NewLink<'fd> {
    /// Name, 1 to 15 bytes.
    pub name: String,
    /// Kind.
    pub kind: NewLinkKind,
    /// Index of the link below, in the namespace of the socket.
    pub parent: Option<u32>,
    /// Namespace that the link is made in; the socket's when absent.
    pub namespace: Option<BorrowedFd<'fd>>,
    /// Index that the link gets; the kernel's choice when absent.
    pub index: Option<u32>,
    /// MTU in bytes; the parent's when absent.
    pub mtu: Option<u32>,
    /// Link-layer address; the kernel's choice when absent.
    pub address: Option<LinkAddress>,
    /// Device group.
    pub group: Option<u32>,
}

/// Kinds of links that can be made.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum NewLinkKind {
    /// Does nothing (`dummy`).
    #[default]
    Dummy,
    /// Shares the parent's MAC.
    Ipvlan {
        /// Mode: it belongs to the parent, all its ipvlan links have the same.
        mode: IpvlanMode,
        /// Who of the siblings hears whom; the parent's, too.
        flag: IpvlanFlag,
    },
    /// Has a MAC of its own.
    Macvlan {
        /// Mode.
        mode: MacvlanMode,
        /// In mode source: the addresses that are let in.
        sources: Vec<LinkAddress>,
    },
    /// A VLAN.
    Vlan {
        /// 1 to 4094.
        id: u16,
        /// Tag.
        protocol: VlanProtocol,
    },
    /// A software bridge.
    Bridge,
    /// One end of a pair; the other one is made in the socket's namespace.
    Veth {
        /// Name of the other end.
        peer: String,
    },
}

/// Who of the links on one ipvlan parent hears whom (`IPVLAN_F_*`).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum IpvlanFlag {
    /// Everybody.
    #[default]
    Bridge,
    /// Nobody.
    Private,
    /// By way of the switch outside.
    Vepa,
}

impl std::fmt::Display for IpvlanFlag {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Bridge => "bridge",
            Self::Private => "private",
            Self::Vepa => "vepa",
        })
    }
}

/// VLAN tag.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum VlanProtocol {
    /// 802.1Q, 0x8100.
    #[default]
    Dot1q,
    /// 802.1ad, 0x88a8.
    Dot1ad,
}

impl VlanProtocol {
    /// Ethertype of the tag (`ETH_P_8021Q`, `ETH_P_8021AD` of linux/if_ether.h).
    pub fn ether_type(self) -> u16 {
        match self {
            Self::Dot1q => 0x8100,
            Self::Dot1ad => 0x88a8,
        }
    }
}

/// What is changed of a link; what is absent stays.
#[derive(Debug, Clone, Default)]
pub struct LinkSettings<'fd> {
    /// Name, 1 to 15 bytes. Older kernels refuse it while the link is up.
    pub name: Option<String>,
    /// MTU in bytes.
    pub mtu: Option<u32>,
    /// Link-layer address.
    pub address: Option<LinkAddress>,
    /// Up or down.
    pub up: Option<bool>,
    /// Device group.
    pub group: Option<u32>,
    /// Alias; empty takes it away.
    pub alias: Option<String>,
    /// Namespace that the link moves to; it comes down on the way.
    pub namespace: Option<BorrowedFd<'fd>>,
    /// Index in that namespace; refused when it is taken there.
    pub new_index: Option<u32>,
    /// IPv4 settings of the link (`net.ipv4.conf.LINK.*`).
    pub ipv4: Vec<(Ipv4Conf, u32)>,
    /// No address is made when the link comes up (`addrgenmode none`).
    pub no_ipv6_address: bool,
}

/// IPv4 settings of a link (`IPV4_DEVCONF_*` of linux/ip.h).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u16)]
#[non_exhaustive]
pub enum Ipv4Conf {
    /// `rp_filter`: 0 off, 1 strict, 2 loose.
    RpFilter = 8,
    /// `arp_announce`.
    ArpAnnounce = 18,
    /// `arp_ignore`.
    ArpIgnore = 19,
    /// `arp_notify`: gratuitous ARP when the link comes up.
    ArpNotify = 22,
}

/// `struct ifinfomsg`.
pub(super) fn header(index: u32, flags: u32, change: u32) -> Vec<u8> {
    let mut body = vec![0; 4];
    body.extend_from_slice(&index.to_ne_bytes());
    body.extend_from_slice(&flags.to_ne_bytes());
    body.extend_from_slice(&change.to_ne_bytes());
    body
}

/// Makes a link (`ip link add`); `EEXIST` when the name or index is taken.
pub fn create_link<'fd>(link: &NewLink<'fd>) -> Change<'fd> {
    let mut writer = Writer(header(link.index.unwrap_or(0), 0, 0));
    writer.put_string(IFLA_IFNAME, &link.name);
    if let Some(parent) = link.parent {
        writer.put_u32(IFLA_LINK, parent);
    }
    if let Some(namespace) = &link.namespace {
        writer.put_u32(IFLA_NET_NS_FD, namespace.as_raw_fd().unsigned_abs());
    }
    if let Some(mtu) = link.mtu {
        writer.put_u32(IFLA_MTU, mtu);
    }
    if let Some(address) = &link.address {
        writer.put(IFLA_ADDRESS, address.as_bytes());
    }
    if let Some(group) = link.group {
        writer.put_u32(IFLA_GROUP, group);
    }
    writer.nest(IFLA_LINKINFO, |info| kind(info, &link.kind));
    let operation = format!("create link `{}`", link.name);
    Change::new(operation, RTM_NEWLINK, NLM_F_CREATE | NLM_F_EXCL, writer.0)
}

fn kind(info: &mut Writer, kind: &NewLinkKind) {
    match kind {
        NewLinkKind::Dummy => info.put_string(IFLA_INFO_KIND, "dummy"),
        NewLinkKind::Bridge => info.put_string(IFLA_INFO_KIND, "bridge"),
        NewLinkKind::Ipvlan { mode, flag } => {
            info.put_string(IFLA_INFO_KIND, "ipvlan");
            info.nest(IFLA_INFO_DATA, |data| {
                data.put(IFLA_IPVLAN_MODE, &mode.number().to_ne_bytes());
                data.put(IFLA_IPVLAN_FLAGS, &(*flag as u16).to_ne_bytes());
            });
        }
        NewLinkKind::Macvlan { mode, sources } => {
            info.put_string(IFLA_INFO_KIND, "macvlan");
            info.nest(IFLA_INFO_DATA, |data| {
                data.put_u32(IFLA_MACVLAN_MODE, mode.number());
                if !sources.is_empty() {
                    data.put_u32(IFLA_MACVLAN_MACADDR_MODE, MACVLAN_MACADDR_SET);
                    data.nest(IFLA_MACVLAN_MACADDR_DATA, |list| {
                        for source in sources {
                            list.put(IFLA_MACVLAN_MACADDR, source.as_bytes());
                        }
                    });
                }
            });
        }
        NewLinkKind::Vlan { id, protocol } => {
            info.put_string(IFLA_INFO_KIND, "vlan");
            info.nest(IFLA_INFO_DATA, |data| {
                data.put(IFLA_VLAN_ID, &id.to_ne_bytes());
                data.put(IFLA_VLAN_PROTOCOL, &protocol.ether_type().to_be_bytes());
            });
        }
        NewLinkKind::Veth { peer } => {
            info.put_string(IFLA_INFO_KIND, "veth");
            info.nest(IFLA_INFO_DATA, |data| {
                let mut end = Writer(header(0, 0, 0));
                end.put_string(IFLA_IFNAME, peer);
                data.put(VETH_INFO_PEER, &end.0);
            });
        }
    }
}

/// Changes a link (`ip link set`).
pub fn set_link<'fd>(index: u32, settings: &LinkSettings<'fd>) -> Change<'fd> {
    let (flags, change) = match settings.up {
        Some(true) => (IFF_UP, IFF_UP),
        Some(false) => (0, IFF_UP),
        None => (0, 0),
    };
    let mut writer = Writer(header(index, flags, change));
    if let Some(namespace) = &settings.namespace {
        writer.put_u32(IFLA_NET_NS_FD, namespace.as_raw_fd().unsigned_abs());
    }
    if let Some(index) = settings.new_index {
        writer.put_u32(IFLA_NEW_IFINDEX, index);
    }
    if let Some(name) = &settings.name {
        writer.put_string(IFLA_IFNAME, name);
    }
    if let Some(alias) = &settings.alias {
        writer.put(IFLA_IFALIAS, alias.as_bytes());
    }
    if let Some(mtu) = settings.mtu {
        writer.put_u32(IFLA_MTU, mtu);
    }
    if let Some(address) = &settings.address {
        writer.put(IFLA_ADDRESS, address.as_bytes());
    }
    if let Some(group) = settings.group {
        writer.put_u32(IFLA_GROUP, group);
    }
    if !settings.ipv4.is_empty() || settings.no_ipv6_address {
        writer.nest(IFLA_AF_SPEC, |families| {
            if !settings.ipv4.is_empty() {
                families.nest(AF_INET, |family| {
                    family.nest(IFLA_INET_CONF, |conf| {
                        for (setting, value) in &settings.ipv4 {
                            conf.put_u32(*setting as u16, *value);
                        }
                    });
                });
            }
            if settings.no_ipv6_address {
                families.nest(AF_INET6, |family| {
                    family.put(IFLA_INET6_ADDR_GEN_MODE, &[IN6_ADDR_GEN_MODE_NONE]);
                });
            }
        });
    }
    Change::new(format!("set link {index}"), RTM_SETLINK, 0, writer.0)
}

/// Gives a link a further name, 1 to 127 bytes (`ip link property add … altname`).
pub fn add_alt_name(index: u32, name: &str) -> Change<'static> {
    let operation = format!("give link {index} the further name `{name}`");
    alt_name(operation, RTM_NEWLINKPROP, NLM_F_CREATE | NLM_F_EXCL, index, name)
}

/// Takes a further name away (`ip link property del … altname`).
pub fn delete_alt_name(index: u32, name: &str) -> Change<'static> {
    alt_name(format!("take the further name `{name}` from link {index}"), RTM_DELLINKPROP, 0, index, name)
}

fn alt_name(operation: String, kind: u16, flags: u16, index: u32, name: &str) -> Change<'static> {
    let mut writer = Writer(header(index, 0, 0));
    writer.nest(IFLA_PROP_LIST, |list| list.put_string(IFLA_ALT_IFNAME, name));
    Change::new(operation, kind, flags, writer.0)
}

/// Removes a link (`ip link del`).
pub fn delete_link(index: u32) -> Change<'static> {
    Change::new(format!("delete link {index}"), RTM_DELLINK, 0, header(index, 0, 0))
}

/// Removes every link of a group, whoever made it (`ip link del group`). Group 0, where every link is that was
/// put nowhere, is refused.
pub fn delete_group(group: u32) -> Option<Change<'static>> {
    let mut writer = Writer(header(0, 0, 0));
    writer.put_u32(IFLA_GROUP, group);
    (group != 0).then(|| Change::new(format!("delete the links of group {group}"), RTM_DELLINK, 0, writer.0))
}
