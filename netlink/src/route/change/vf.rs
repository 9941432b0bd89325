//! Virtual functions, set through their PF (`IFLA_VFINFO_LIST` in `RTM_SETLINK`; `ip link set PF vf N …`).

use std::fmt;

use super::{Change, VlanProtocol, link::header};
use crate::attribute::Writer;
use crate::link_address::LinkAddress;
use crate::route::VfLinkState;

const RTM_SETLINK: u16 = 19;

// enum IFLA_*, IFLA_VF_INFO and IFLA_VF_* of linux/if_link.h
const IFLA_VFINFO_LIST: u16 = 22;
const IFLA_VF_INFO: u16 = 1;
const IFLA_VF_MAC: u16 = 1;
const IFLA_VF_SPOOFCHK: u16 = 4;
const IFLA_VF_LINK_STATE: u16 = 5;
const IFLA_VF_RATE: u16 = 6;
const IFLA_VF_TRUST: u16 = 9;
const IFLA_VF_IB_NODE_GUID: u16 = 10;
const IFLA_VF_IB_PORT_GUID: u16 = 11;
const IFLA_VF_VLAN_LIST: u16 = 12;
const IFLA_VF_VLAN_INFO: u16 = 1;

/// Bytes of the address in `struct ifla_vf_mac`, whatever the kind of link.
const ADDRESS: usize = 32;

/// One attribute of a VF, as [`Vf`](crate::route::Vf) shows it.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum VfAttribute {
    /// Address that the VF has from its next bind on; all zero: the VF may choose. Drivers refuse a multicast one.
    Mac(LinkAddress),
    /// VLAN that the PF puts the VF's frames in.
    Vlan {
        /// 1 to 4094; 0: none. Drivers do not agree on 4095, and the kernel lets it by: check before.
        id: u16,
        /// Priority of the frames, 0 to 7; above 0 frames are tagged even without a VLAN.
        qos: u8,
        /// Tag; many drivers know 802.1Q only and answer `EPROTONOSUPPORT`.
        protocol: VlanProtocol,
    },
    /// Transmit rates in Mb/s; 0: none. Some drivers have no least one (`EINVAL`), some want a carrier.
    Rate {
        /// Guaranteed.
        min: u32,
        /// Limit.
        max: u32,
    },
    /// Whether frames with a foreign source address are dropped.
    SpoofCheck(bool),
    /// Whether the VF may change its address and go promiscuous.
    Trust(bool),
    /// What link the VF is shown; `EOPNOTSUPP` where the driver cannot.
    LinkState(VfLinkState),
    /// InfiniBand node GUID.
    NodeGuid([u8; 8]),
    /// InfiniBand port GUID.
    PortGuid([u8; 8]),
}

impl fmt::Display for VfAttribute {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let on = |on: bool| if on { "on" } else { "off" };
        match self {
            Self::Mac(mac) => write!(f, "mac {mac}"),
            Self::Vlan { id, qos, protocol } => {
                let tag = match protocol {
                    VlanProtocol::Dot1q => "802.1Q",
                    VlanProtocol::Dot1ad => "802.1ad",
                };
                write!(f, "vlan {id} qos {qos} proto {tag}")
            }
            Self::Rate { min, max } => write!(f, "min_tx_rate {min} max_tx_rate {max}"),
            Self::SpoofCheck(setting) => write!(f, "spoofchk {}", on(*setting)),
            Self::Trust(setting) => write!(f, "trust {}", on(*setting)),
            Self::LinkState(state) => write!(f, "state {state}"),
            Self::NodeGuid(guid) => write!(f, "node_guid {}", LinkAddress::new(guid)),
            Self::PortGuid(guid) => write!(f, "port_guid {}", LinkAddress::new(guid)),
        }
    }
}

/// Sets one attribute of VF number `vf` through the PF with index `pf` (`ip link set PF vf N …`). `EINVAL` when there
/// are fewer VFs, `EOPNOTSUPP` when the PF's driver cannot.
///
/// One message an attribute: the kernel stops a message at its first refusal, and would not say which it was.
pub fn set_vf(pf: u32, vf: u32, attribute: &VfAttribute) -> Change<'static> {
    let mut writer = Writer(header(pf, 0, 0));
    writer.nest(IFLA_VFINFO_LIST, |list| list.nest(IFLA_VF_INFO, |info| put(info, vf, attribute)));
    Change::new(format!("set {attribute} of VF {vf} of link {pf}"), RTM_SETLINK, 0, writer.0)
}

fn put(info: &mut Writer, vf: u32, attribute: &VfAttribute) {
    // Every structure begins with the number of the VF.
    let mut value = vf.to_ne_bytes().to_vec();
    let mut words = |words: &[u32]| {
        for word in words {
            value.extend_from_slice(&word.to_ne_bytes());
        }
    };
    let number = match attribute {
        VfAttribute::Mac(mac) => {
            let mut bytes = mac.as_bytes().to_vec();
            bytes.resize(ADDRESS, 0);
            value.extend_from_slice(&bytes);
            IFLA_VF_MAC
        }
        VfAttribute::Vlan { id, qos, protocol } => {
            words(&[u32::from(*id), u32::from(*qos)]);
            value.extend_from_slice(&protocol.ether_type().to_be_bytes());
            // The structure ends at a multiple of four bytes.
            value.extend_from_slice(&[0; 2]);
            info.nest(IFLA_VF_VLAN_LIST, |list| list.put(IFLA_VF_VLAN_INFO, &value));
            return;
        }
        VfAttribute::Rate { min, max } => {
            words(&[*min, *max]);
            IFLA_VF_RATE
        }
        VfAttribute::SpoofCheck(on) => {
            words(&[u32::from(*on)]);
            IFLA_VF_SPOOFCHK
        }
        VfAttribute::Trust(on) => {
            words(&[u32::from(*on)]);
            IFLA_VF_TRUST
        }
        VfAttribute::LinkState(state) => {
            words(&[state.number()]);
            IFLA_VF_LINK_STATE
        }
        VfAttribute::NodeGuid(guid) | VfAttribute::PortGuid(guid) => {
            // The 64-bit number behind the VF's is aligned.
            value.extend_from_slice(&[0; 4]);
            value.extend_from_slice(&u64::from_be_bytes(*guid).to_ne_bytes());
            match attribute {
                VfAttribute::NodeGuid(_) => IFLA_VF_IB_NODE_GUID,
                _ => IFLA_VF_IB_PORT_GUID,
            }
        }
    };
    info.put(number, &value);
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The attribute alone: the message without `struct ifinfomsg` and the two nests around it.
    fn bytes(attribute: &VfAttribute) -> Vec<u8> {
        let change = set_vf(7, 3, attribute);
        let (kind, flags, body) = change.message();
        assert_eq!((kind, flags), (RTM_SETLINK, 0));
        assert_eq!(body[..16], [0, 0, 0, 0, 7, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
        let length = |at: usize| usize::from(u16::from_ne_bytes([body[at], body[at + 1]]));
        assert_eq!((length(16), body[18], body[19]), (body.len() - 16, 22, 0x80), "IFLA_VFINFO_LIST, nested");
        assert_eq!((length(20), body[22], body[23]), (body.len() - 20, 1, 0x80), "IFLA_VF_INFO, nested");
        body[24..].to_vec()
    }

    #[test]
    #[cfg(target_endian = "little")]
    fn each_attribute_is_the_kernels_structure_byte_for_byte() {
        let mac = LinkAddress::new([2, 0, 0, 0, 0, 0x2a]);
        let mut ifla_vf_mac = vec![40, 0, 1, 0, 3, 0, 0, 0, 2, 0, 0, 0, 0, 0x2a];
        ifla_vf_mac.resize(40, 0);
        let vlan = |protocol| VfAttribute::Vlan { id: 0x123, qos: 5, protocol };
        let guid = [0xc2, 0x11, 0x22, 0x33, 0x44, 0x55, 0x66, 0x77];
        let ifla_vf_guid = |number| {
            let head = [20, 0, number, 0, 3, 0, 0, 0, 0, 0, 0, 0];
            [head.as_slice(), &[0x77, 0x66, 0x55, 0x44, 0x33, 0x22, 0x11, 0xc2]].concat()
        };
        let tag = |first, second| {
            vec![24, 0, 12, 0x80, 20, 0, 1, 0, 3, 0, 0, 0, 0x23, 1, 0, 0, 5, 0, 0, 0, first, second, 0, 0]
        };
        for (attribute, wanted) in [
            (VfAttribute::Mac(mac), ifla_vf_mac),
            (vlan(VlanProtocol::Dot1q), tag(0x81, 0x00)),
            (vlan(VlanProtocol::Dot1ad), tag(0x88, 0xa8)),
            (
                VfAttribute::Rate { min: 100, max: 1000 },
                vec![16, 0, 6, 0, 3, 0, 0, 0, 100, 0, 0, 0, 0xe8, 3, 0, 0],
            ),
            (VfAttribute::SpoofCheck(true), vec![12, 0, 4, 0, 3, 0, 0, 0, 1, 0, 0, 0]),
            (VfAttribute::Trust(false), vec![12, 0, 9, 0, 3, 0, 0, 0, 0, 0, 0, 0]),
            (VfAttribute::LinkState(VfLinkState::Disable), vec![12, 0, 5, 0, 3, 0, 0, 0, 2, 0, 0, 0]),
            (VfAttribute::NodeGuid(guid), ifla_vf_guid(10)),
            (VfAttribute::PortGuid(guid), ifla_vf_guid(11)),
        ] {
            assert_eq!(bytes(&attribute), wanted, "{attribute}");
        }
    }

    #[test]
    fn what_is_set_is_said_in_the_words_of_ip() {
        let vlan = VfAttribute::Vlan { id: 100, qos: 3, protocol: VlanProtocol::Dot1ad };

        assert_eq!(set_vf(4, 2, &vlan).operation(), "set vlan 100 qos 3 proto 802.1ad of VF 2 of link 4");
    }

    /// What is sent is what the kernel shows in the same structures: our reader takes each for what it was.
    #[test]
    fn what_is_sent_reads_back_as_the_vf_of_a_link() {
        let guid = [1, 2, 3, 4, 5, 6, 7, 8];
        let mac = LinkAddress::new([2, 0, 0, 0, 0, 1]);
        let mut message = Writer(header(7, 0, 0));
        message.put_string(3, "pf0");
        message.put(1, &[2, 0, 0, 0, 0, 9]);
        message.nest(IFLA_VFINFO_LIST, |list| {
            list.nest(IFLA_VF_INFO, |info| {
                for attribute in [
                    VfAttribute::Mac(mac.clone()),
                    VfAttribute::Vlan { id: 100, qos: 3, protocol: VlanProtocol::Dot1ad },
                    VfAttribute::Rate { min: 10, max: 200 },
                    VfAttribute::SpoofCheck(true),
                    VfAttribute::Trust(true),
                    VfAttribute::LinkState(VfLinkState::Enable),
                    VfAttribute::NodeGuid(guid),
                    VfAttribute::PortGuid(guid),
                ] {
                    put(info, 5, &attribute);
                }
            });
        });

        let link = crate::route::link(&message.0).unwrap();

        assert_eq!(link.undecoded, []);
        let [vf] = &link.vfs[..] else { panic!("{:?}", link.vfs) };
        assert_eq!((vf.index, vf.mac.as_ref()), (5, Some(&mac)));
        assert_eq!((vf.vlan, vf.qos, vf.vlan_protocol), (Some(100), Some(3), Some(0x88a8)));
        assert_eq!((vf.min_tx_rate, vf.max_tx_rate), (Some(10), Some(200)));
        assert_eq!((vf.spoof_check, vf.trust), (Some(true), Some(true)));
        assert_eq!(vf.link_state, Some(VfLinkState::Enable));
        let guid = Some(LinkAddress::new(guid));
        assert_eq!((&vf.node_guid, &vf.port_guid), (&guid, &guid));
    }
}
