//! `RTM_NEWLINK` → [`Link`], attribute by attribute: one that cannot be read is noted in the
//! link and takes nothing else with it.

use netlink_packet_core::ParseableParametrized;
use netlink_packet_route::AddressFamily;
use netlink_packet_route::link::{DevlinkPort, LinkAttribute, LinkPhysId, LinkXdp, Prop, XdpAttached};

use super::link::{AddrGenMode, DevlinkPortHandle, Link, LinkEvent, LinkMode, OperState, Undecoded, Xdp};
use super::{link_detail_decode, vf_decode};
use crate::attribute::{Attribute, Malformed, attributes};
use crate::link_address::LinkAddress;

/// `struct ifinfomsg`.
pub(crate) const HEADER: usize = 16;

const IFLA_STATS: u16 = 7;
const IFLA_MAP: u16 = 14;
const IFLA_LINKINFO: u16 = 18;
const IFLA_VFINFO_LIST: u16 = 22;
const IFLA_STATS64: u16 = 23;
const IFLA_VF_PORTS: u16 = 24;
const IFLA_PORT_SELF: u16 = 25;
const IFLA_AF_SPEC: u16 = 26;
const IFLA_EVENT: u16 = 44;
const IFLA_PROTO_DOWN_REASON: u16 = 55;
const IFLA_WIRELESS: u16 = 11;

/// Key of IPv6 in `IFLA_AF_SPEC`.
const AF_INET6: u16 = 10;
const IFLA_INET6_ADDR_GEN_MODE: u16 = 8;

pub(crate) fn link(message: &[u8]) -> Result<Link, Malformed> {
    let header: &[u8; HEADER] = message
        .first_chunk()
        .ok_or_else(|| Malformed(format!("a link message of {} bytes", message.len())))?;
    let &[_, _, t0, t1, i0, i1, i2, i3, f0, f1, f2, f3, ..] = header;
    let mut link = Link {
        index: u32::from_ne_bytes([i0, i1, i2, i3]),
        link_type: u16::from_ne_bytes([t0, t1]),
        flags: u32::from_ne_bytes([f0, f1, f2, f3]),
        ..Link::default()
    };
    for attribute in attributes(message.get(HEADER..).unwrap_or_default()) {
        match attribute {
            Ok(attribute) => {
                if let Err(reason) = apply(&mut link, &attribute) {
                    note(&mut link.undecoded, &[attribute.number], reason);
                }
            }
            Err(reason) => note(&mut link.undecoded, &[], reason),
        }
    }
    Ok(link)
}

/// Remembers an attribute that could not be read.
pub(super) fn note(undecoded: &mut Vec<Undecoded>, path: &[u16], reason: Malformed) {
    undecoded.push(Undecoded { path: path.to_vec(), reason: reason.0 });
}

fn apply(link: &mut Link, attribute: &Attribute<'_>) -> Result<(), Malformed> {
    match attribute.number {
        // Counters change with every packet and are another question; the rest of this line
        // describes hardware of the last century or switches that nobody here reads.
        IFLA_STATS
        | IFLA_STATS64
        | IFLA_MAP
        | IFLA_WIRELESS
        | IFLA_VF_PORTS
        | IFLA_PORT_SELF
        | IFLA_PROTO_DOWN_REASON => Ok(()),
        // These nest deep and the packet crate gives up on the whole for one bad leaf.
        IFLA_LINKINFO => {
            link_detail_decode::link_info(link, attribute);
            Ok(())
        }
        IFLA_VFINFO_LIST => {
            vf_decode::list(link, attribute);
            Ok(())
        }
        IFLA_AF_SPEC => {
            link.addr_gen_mode = addr_gen_mode(attribute)?.or(link.addr_gen_mode);
            Ok(())
        }
        IFLA_EVENT => {
            link.event = Some(LinkEvent::from_number(attribute.u32()?));
            Ok(())
        }
        _ => {
            set(link, LinkAttribute::parse_with_param(&attribute.buffer()?, AddressFamily::Unspec)?);
            Ok(())
        }
    }
}

fn set(link: &mut Link, attribute: LinkAttribute) {
    match attribute {
        LinkAttribute::IfName(name) => link.name = name,
        LinkAttribute::PropList(properties) => {
            link.alt_names = properties
                .into_iter()
                .filter_map(|property| match property {
                    Prop::AltIfName(name) => Some(name),
                    _ => None,
                })
                .collect();
        }
        LinkAttribute::Mtu(value) => link.mtu = Some(value),
        LinkAttribute::MinMtu(value) => link.min_mtu = Some(value),
        LinkAttribute::MaxMtu(value) => link.max_mtu = Some(value),
        LinkAttribute::Address(bytes) => link.address = address(bytes),
        LinkAttribute::Broadcast(bytes) => link.broadcast = address(bytes),
        LinkAttribute::PermAddress(bytes) => link.permanent_address = address(bytes),
        LinkAttribute::OperState(state) => link.oper_state = Some(OperState::from_number(state.into())),
        LinkAttribute::Carrier(value) => link.carrier = Some(value != 0),
        LinkAttribute::CarrierChanges(value) => link.carrier_changes = Some(value),
        LinkAttribute::CarrierUpCount(value) => link.carrier_up_count = Some(value),
        LinkAttribute::CarrierDownCount(value) => link.carrier_down_count = Some(value),
        LinkAttribute::ProtoDown(value) => link.proto_down = Some(value != 0),
        LinkAttribute::Link(value) => link.lower = (value != 0).then_some(value),
        LinkAttribute::LinkNetNsId(value) => link.lower_netnsid = Some(value),
        LinkAttribute::Controller(value) => link.master = (value != 0).then_some(value),
        LinkAttribute::Group(value) => link.group = Some(value),
        LinkAttribute::NumTxQueues(value) => link.tx_queues = Some(value),
        LinkAttribute::NumRxQueues(value) => link.rx_queues = Some(value),
        LinkAttribute::TxQueueLen(value) => link.tx_queue_len = Some(value),
        LinkAttribute::Qdisc(name) => link.qdisc = Some(name),
        LinkAttribute::Mode(mode) => link.link_mode = Some(LinkMode::from_number(mode.into())),
        LinkAttribute::Promiscuity(value) => link.promiscuity = Some(value),
        LinkAttribute::AllMulticast(value) => link.all_multi = Some(value),
        LinkAttribute::GsoMaxSize(value) => link.gso_max_size = Some(value),
        LinkAttribute::GsoMaxSegs(value) => link.gso_max_segs = Some(value),
        LinkAttribute::GsoIpv4MaxSize(value) => link.gso_ipv4_max_size = Some(value),
        LinkAttribute::GroMaxSize(value) => link.gro_max_size = Some(value),
        LinkAttribute::GroIpv4MaxSize(value) => link.gro_ipv4_max_size = Some(value),
        LinkAttribute::TsoMaxSize(value) => link.tso_max_size = Some(value),
        LinkAttribute::TsoMaxSegs(value) => link.tso_max_segs = Some(value),
        LinkAttribute::ParentDevBusName(name) => link.parent_bus = Some(name),
        LinkAttribute::ParentDevName(name) => link.parent_device = Some(name),
        LinkAttribute::PhysPortId(id) => link.phys_port_id = phys_id(&id),
        LinkAttribute::PhysPortName(name) => link.phys_port_name = Some(name),
        LinkAttribute::PhysSwitchId(id) => link.phys_switch_id = phys_id(&id),
        LinkAttribute::IfAlias(text) => link.alias = Some(text),
        LinkAttribute::Xdp(attributes) => link.xdp = xdp(attributes),
        LinkAttribute::NumVf(value) => link.num_vf = Some(value),
        LinkAttribute::DevlinkPort(attributes) => link.devlink_port = devlink_port(attributes),
        LinkAttribute::NetnsImmutable(value) => link.netns_immutable = Some(value),
        LinkAttribute::NewNetnsId(value) => link.new_netnsid = Some(value),
        LinkAttribute::NewIfIndex(value) => link.new_index = u32::try_from(value).ok(),
        // Attributes that a newer kernel adds, and those that say nothing of the link itself.
        _ => {}
    }
}

fn address(bytes: Vec<u8>) -> Option<LinkAddress> {
    (!bytes.is_empty()).then(|| LinkAddress::new(bytes))
}

fn phys_id(id: &LinkPhysId) -> Option<LinkAddress> {
    id.id.get(..id.len).and_then(|bytes| address(bytes.to_vec()))
}

fn xdp(attributes: Vec<LinkXdp>) -> Option<Xdp> {
    let mut xdp = Xdp::default();
    for attribute in attributes {
        match attribute {
            LinkXdp::Attached(attached) => {
                xdp.attached = match attached {
                    XdpAttached::None => 0,
                    XdpAttached::Driver => 1,
                    XdpAttached::SocketBuffer => 2,
                    XdpAttached::Hardware => 3,
                    XdpAttached::Multiple => 4,
                    XdpAttached::Other(other) => other,
                    _ => u8::MAX,
                }
            }
            LinkXdp::ProgId(id) => xdp.program = Some(id),
            LinkXdp::DrvProgId(id) => xdp.driver_program = Some(id),
            LinkXdp::SkbProgId(id) => xdp.generic_program = Some(id),
            LinkXdp::HwProgId(id) => xdp.hardware_program = Some(id),
            _ => {}
        }
    }
    (xdp.attached != 0).then_some(xdp)
}

/// The kernel sends an empty nest for a link without a port.
fn devlink_port(attributes: Vec<DevlinkPort>) -> Option<DevlinkPortHandle> {
    let mut port = DevlinkPortHandle::default();
    for attribute in attributes {
        match attribute {
            DevlinkPort::BusName(name) => port.bus = name,
            DevlinkPort::DevName(name) => port.device = name,
            DevlinkPort::PortIndex(index) => port.port = index,
            _ => {}
        }
    }
    (!port.device.is_empty()).then_some(port)
}

fn addr_gen_mode(af_spec: &Attribute<'_>) -> Result<Option<AddrGenMode>, Malformed> {
    for family in af_spec.nested() {
        let family = family?;
        if family.number != AF_INET6 {
            continue;
        }
        for attribute in family.nested() {
            let attribute = attribute?;
            if attribute.number == IFLA_INET6_ADDR_GEN_MODE {
                return Ok(Some(AddrGenMode::from_number(attribute.u8()?)));
            }
        }
    }
    Ok(None)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::attribute::Writer;

    proptest! {
        // Malformed attributes of every number, alone and in nests: the packet crate is in here too.
        #[test]
        fn any_attributes_are_read_or_noted_without_panic(
            items in proptest::collection::vec((0u16..72, proptest::collection::vec(any::<u8>(), 0..64)), 0..12))
        {
            let mut writer = Writer(vec![0; HEADER]);
            for (number, value) in &items {
                writer.put(*number, value);
            }
            prop_assert!(link(&writer.0).is_ok());
        }

        #[test]
        fn any_bytes_are_read_or_refused_without_panic(bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
            prop_assert_eq!(link(&bytes).is_ok(), bytes.len() >= HEADER);
        }
    }

    #[test]
    fn a_short_attribute_is_noted_and_the_link_keeps_the_rest() {
        let mut writer = Writer(vec![0; HEADER]);
        writer.put_string(3, "eth0");
        writer.put(4, &[1]);
        writer.put_u32(10, 7);

        let link = link(&writer.0).unwrap();

        assert_eq!((link.name.as_str(), link.mtu, link.master), ("eth0", None, Some(7)));
        assert_eq!(link.undecoded.len(), 1);
        assert_eq!(link.undecoded[0].path, [4]);
    }

    #[test]
    fn a_hand_written_link_of_three_fields_is_enough() {
        let link: Link = serde_json::from_str(r#"{"index": 2, "name": "eth0", "operState": "up"}"#).unwrap();

        assert_eq!(link.oper_state, Some(OperState::Up));
        assert_eq!(
            serde_json::to_string(&link).unwrap(),
            r#"{"index":2,"name":"eth0","linkType":0,"flags":0,"operState":"up"}"#
        );
    }
}
