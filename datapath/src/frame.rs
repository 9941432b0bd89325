//! The few frames by which neighbours learn of an address or are asked about it: ARP (RFC 826, 5227) and neighbour
//! discovery (RFC 4861, 4862).

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use netlink::{LinkAddress, Packet};

pub(crate) const ETH_P_ARP: u16 = 0x0806;
pub(crate) const ETH_P_IPV6: u16 = 0x86dd;

const ARP_REQUEST: u16 = 1;
const ARP_REPLY: u16 = 2;
const NEXT_HEADER_ICMPV6: u8 = 58;
const NEIGHBOUR_SOLICITATION: u8 = 135;
const NEIGHBOUR_ADVERTISEMENT: u8 = 136;
/// The advertisement replaces what neighbours remember.
const OVERRIDE: u8 = 0x20;
const TARGET_LINK_LAYER_ADDRESS: u8 = 2;
const ALL_NODES: Ipv6Addr = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 1);
const IPV6_HEADER: usize = 40;

/// A frame without its link-layer header, and whom it is for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Frame {
    /// `ETH_P_*`.
    pub(crate) protocol: u16,
    pub(crate) destination: LinkAddress,
    pub(crate) payload: Vec<u8>,
}

/// What tells neighbours that `mac` has `address`. ARP in both forms: there are switches and hosts that learn from
/// one of them only.
pub(crate) fn announcements(mac: [u8; 6], address: IpAddr) -> Vec<Frame> {
    match address {
        IpAddr::V4(v4) => {
            vec![arp(ARP_REQUEST, mac, v4, [0; 6], v4), arp(ARP_REPLY, mac, v4, mac, v4)]
        }
        IpAddr::V6(v6) => vec![advertisement(mac, v6)],
    }
}

/// Asks whether somebody has `address`, without claiming it.
pub(crate) fn question(mac: [u8; 6], address: IpAddr) -> Frame {
    match address {
        IpAddr::V4(v4) => arp(ARP_REQUEST, mac, Ipv4Addr::UNSPECIFIED, [0; 6], v4),
        IpAddr::V6(v6) => solicitation(v6),
    }
}

fn arp(operation: u16, sender: [u8; 6], sender_ip: Ipv4Addr, target: [u8; 6], target_ip: Ipv4Addr) -> Frame {
    // Ethernet, IPv4, lengths 6 and 4.
    let mut payload = vec![0, 1, 8, 0, 6, 4];
    payload.extend_from_slice(&operation.to_be_bytes());
    payload.extend_from_slice(&sender);
    payload.extend_from_slice(&sender_ip.octets());
    payload.extend_from_slice(&target);
    payload.extend_from_slice(&target_ip.octets());
    Frame { protocol: ETH_P_ARP, destination: LinkAddress::new([0xff; 6]), payload }
}

fn advertisement(mac: [u8; 6], address: Ipv6Addr) -> Frame {
    let mut message = vec![NEIGHBOUR_ADVERTISEMENT, 0, 0, 0, OVERRIDE, 0, 0, 0];
    message.extend_from_slice(&address.octets());
    // Lengths of options count in eights of bytes.
    message.extend_from_slice(&[TARGET_LINK_LAYER_ADDRESS, 1]);
    message.extend_from_slice(&mac);
    icmpv6(address, ALL_NODES, message)
}

fn solicitation(address: Ipv6Addr) -> Frame {
    let mut message = vec![NEIGHBOUR_SOLICITATION, 0, 0, 0, 0, 0, 0, 0];
    message.extend_from_slice(&address.octets());
    let [.., a, b, c] = address.octets();
    let group = Ipv6Addr::from([0xff, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0xff, a, b, c]);
    icmpv6(Ipv6Addr::UNSPECIFIED, group, message)
}

fn icmpv6(source: Ipv6Addr, destination: Ipv6Addr, mut message: Vec<u8>) -> Frame {
    let length = u16::try_from(message.len()).unwrap_or(u16::MAX);
    let mut pseudo = Vec::with_capacity(IPV6_HEADER + message.len());
    pseudo.extend_from_slice(&source.octets());
    pseudo.extend_from_slice(&destination.octets());
    pseudo.extend_from_slice(&u32::from(length).to_be_bytes());
    pseudo.extend_from_slice(&[0, 0, 0, NEXT_HEADER_ICMPV6]);
    pseudo.extend_from_slice(&message);
    let sum = checksum(&pseudo).to_be_bytes();
    for (to, from) in message.iter_mut().skip(2).zip(sum) {
        *to = from;
    }
    let mut payload = vec![0x60, 0, 0, 0];
    payload.extend_from_slice(&length.to_be_bytes());
    // Neighbour discovery is only taken with the hop limit that no router has lowered.
    payload.extend_from_slice(&[NEXT_HEADER_ICMPV6, 255]);
    payload.extend_from_slice(&source.octets());
    payload.extend_from_slice(&destination.octets());
    payload.extend_from_slice(&message);
    let [.., a, b, c, d] = destination.octets();
    Frame { protocol: ETH_P_IPV6, destination: LinkAddress::new([0x33, 0x33, a, b, c, d]), payload }
}

/// The Internet checksum (RFC 1071).
fn checksum(bytes: &[u8]) -> u16 {
    let mut sum = 0u32;
    for pair in bytes.chunks(2) {
        let high = pair.first().copied().unwrap_or_default();
        let low = pair.get(1).copied().unwrap_or_default();
        sum += u32::from(u16::from_be_bytes([high, low]));
    }
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    !u16::try_from(sum).unwrap_or_default()
}

/// The address that the sender of a frame has or is about to take, if the frame says so. Bytes from the wire.
pub(crate) fn claimed(packet: &Packet) -> Option<IpAddr> {
    match packet.protocol {
        ETH_P_ARP => claimed_by_arp(&packet.payload).map(IpAddr::V4),
        ETH_P_IPV6 => claimed_by_discovery(&packet.payload).map(IpAddr::V6),
        _ => None,
    }
}

fn claimed_by_arp(payload: &[u8]) -> Option<Ipv4Addr> {
    if payload.get(..6)? != [0, 1, 8, 0, 6, 4] {
        return None;
    }
    let sender = Ipv4Addr::from(*payload.get(14..18)?.first_chunk::<4>()?);
    let target = Ipv4Addr::from(*payload.get(24..28)?.first_chunk::<4>()?);
    // From nobody: a probe by somebody who is about to take the target (RFC 5227 §2.1.1).
    Some(if sender.is_unspecified() { target } else { sender })
}

fn claimed_by_discovery(payload: &[u8]) -> Option<Ipv6Addr> {
    let source = Ipv6Addr::from(*payload.get(8..24)?.first_chunk::<16>()?);
    if payload.get(6..8)? != [NEXT_HEADER_ICMPV6, 255] {
        return None;
    }
    let message = payload.get(IPV6_HEADER..)?;
    let target = Ipv6Addr::from(*message.get(8..24)?.first_chunk::<16>()?);
    match *message.first()? {
        NEIGHBOUR_ADVERTISEMENT => Some(target),
        // From nobody: somebody else looks for duplicates of the same address (RFC 4862 §5.4.3).
        NEIGHBOUR_SOLICITATION if source.is_unspecified() => Some(target),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MAC: [u8; 6] = [2, 0, 0, 0, 0, 7];

    fn heard(frame: &Frame) -> Packet {
        Packet {
            link: 1,
            protocol: frame.protocol,
            source: LinkAddress::new(MAC),
            payload: frame.payload.clone(),
        }
    }

    #[test]
    fn what_is_announced_or_asked_is_understood_as_a_claim() {
        for address in ["192.0.2.7", "2001:db8::7"] {
            let address: IpAddr = address.parse().unwrap();
            let mut frames = announcements(MAC, address);
            frames.push(question(MAC, address));

            for frame in &frames {
                assert_eq!(claimed(&heard(frame)), Some(address), "{frame:?}");
            }
        }
    }

    #[test]
    fn other_peoples_questions_are_no_claims_of_what_they_ask_for() {
        let asked = arp(ARP_REQUEST, MAC, [192, 0, 2, 1].into(), [0; 6], [192, 0, 2, 7].into());

        assert_eq!(claimed(&heard(&asked)), Some("192.0.2.1".parse().unwrap()));
    }

    #[test]
    fn the_checksum_is_the_one_of_the_rfcs_example() {
        assert_eq!(checksum(&[0x00, 0x01, 0xf2, 0x03, 0xf4, 0xf5, 0xf6, 0xf7]), !0xddf2);
        assert_eq!(checksum(&[0xff]), 0x00ff);
    }

    #[test]
    fn frames_that_end_early_are_no_claims() {
        for frame in
            [question(MAC, "192.0.2.7".parse().unwrap()), question(MAC, "2001:db8::7".parse().unwrap())]
        {
            for length in 0..frame.payload.len() {
                let mut packet = heard(&frame);
                packet.payload.truncate(length);
                assert_eq!(claimed(&packet), None, "{length} bytes of {frame:?}");
            }
        }
    }
}
