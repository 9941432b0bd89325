//! `IFLA_VFINFO_LIST` → [`Vf`]s.

use netlink_packet_route::link::VfInfo;

use super::link::Link;
use super::link_decode::note;
use super::vf::{Vf, VfLinkState};
use crate::attribute::{Attribute, Malformed};
use crate::link_address::LinkAddress;

const IFLA_VF_VLAN_LIST: u16 = 12;
const IFLA_VF_STATS: u16 = 8;

const INFINIBAND: u16 = 32;

/// A switch that the driver does not have is sent as all ones.
const NOT_SUPPORTED: u32 = u32::MAX;

pub(super) fn list(link: &mut Link, list: &Attribute<'_>) {
    // Addresses are sent as 32 bytes whatever the link; how many count, only the PF's own tells.
    let address_length = match link.address.as_ref().map(|address| address.as_bytes().len()) {
        Some(length @ 1..=32) => length,
        _ if link.link_type == INFINIBAND => 20,
        _ => 6,
    };
    for (position, entry) in list.nested().enumerate() {
        let entry = match entry {
            Ok(entry) => entry,
            Err(reason) => {
                note(&mut link.undecoded, &[list.number], reason);
                return;
            }
        };
        let mut vf = Vf { index: u32::try_from(position).unwrap_or(u32::MAX), ..Vf::default() };
        for attribute in entry.nested() {
            let path =
                [list.number, entry.number, attribute.as_ref().map_or(0, |attribute| attribute.number)];
            if let Err(reason) = attribute.and_then(|attribute| apply(&mut vf, &attribute, address_length)) {
                note(&mut link.undecoded, &path, reason);
            }
        }
        link.vfs.push(vf);
    }
}

fn apply(vf: &mut Vf, attribute: &Attribute<'_>, address_length: usize) -> Result<(), Malformed> {
    if attribute.number == IFLA_VF_STATS {
        return Ok(());
    }
    if attribute.number == IFLA_VF_VLAN_LIST {
        return vlan(vf, attribute);
    }
    let cut = |bytes: &[u8]| bytes.get(..address_length).map(LinkAddress::from);
    let switch = |setting: u32| (setting != NOT_SUPPORTED).then_some(setting != 0);
    let rate = |rate: u32| (rate != 0).then_some(rate);
    match attribute.packet::<VfInfo>()? {
        VfInfo::Mac(mac) => {
            vf.index = mac.vf_id;
            vf.mac = cut(&mac.mac);
        }
        VfInfo::Broadcast(broadcast) => vf.broadcast = cut(&broadcast.addr),
        VfInfo::Vlan(vlan) => {
            vf.vlan = number(vlan.vlan_id).filter(|id| *id != 0);
            vf.qos = number(vlan.qos).filter(|qos| *qos != 0);
        }
        VfInfo::Rate(limits) => {
            vf.max_tx_rate = rate(limits.max_tx_rate);
            vf.min_tx_rate = rate(limits.min_tx_rate);
        }
        // Repeats the maximum of `Rate` for old readers; alone on old kernels.
        VfInfo::TxRate(limit) => vf.max_tx_rate = vf.max_tx_rate.or(rate(limit.rate)),
        VfInfo::SpoofCheck(_) | VfInfo::RssQueryEn(_) | VfInfo::Trust(_) | VfInfo::LinkState(_) => {
            // The packet crate turns "not supported" into "on"; the number is read here.
            let setting = attribute.value.get(4..8).and_then(|bytes| bytes.first_chunk());
            let setting = setting.map_or(NOT_SUPPORTED, |bytes| u32::from_ne_bytes(*bytes));
            match attribute.number {
                4 => vf.spoof_check = switch(setting),
                5 => vf.link_state = (setting != NOT_SUPPORTED).then(|| VfLinkState::from_number(setting)),
                7 => vf.rss_query = switch(setting),
                _ => vf.trust = switch(setting),
            }
        }
        VfInfo::IbNodeGuid(guid) => vf.node_guid = Some(LinkAddress::new(guid.guid.to_be_bytes())),
        VfInfo::IbPortGuid(guid) => vf.port_guid = Some(LinkAddress::new(guid.guid.to_be_bytes())),
        _ => {}
    }
    Ok(())
}

/// `struct ifla_vf_vlan_info`: VF, VLAN, QoS (u32 each), protocol (big-endian u16). Only the
/// outermost tag is reported by the kernel. Read here because the packet crate calls every
/// unknown protocol 802.1Q.
fn vlan(vf: &mut Vf, list: &Attribute<'_>) -> Result<(), Malformed> {
    for tag in list.nested() {
        let tag = tag?;
        let bytes: &[u8; 14] = tag
            .value
            .first_chunk()
            .ok_or_else(|| Malformed(format!("a VLAN tag of {} bytes", tag.value.len())))?;
        let &[_, _, _, _, v0, v1, v2, v3, q0, q1, q2, q3, p0, p1] = bytes;
        vf.vlan = number(u32::from_ne_bytes([v0, v1, v2, v3])).filter(|id| *id != 0);
        vf.qos = number(u32::from_ne_bytes([q0, q1, q2, q3])).filter(|qos| *qos != 0);
        let protocol = u16::from_be_bytes([p0, p1]);
        vf.vlan_protocol = vf.vlan.and((protocol != 0).then_some(protocol));
    }
    Ok(())
}

fn number<T: TryFrom<u32>>(value: u32) -> Option<T> {
    T::try_from(value).ok()
}
