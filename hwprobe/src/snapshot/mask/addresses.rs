//! Masks for IP addresses: what two addresses have in common, they have in common afterwards.
//!
//! Of each address only those bits stay in which it parts from another address of the machine; the others
//! come from a template. So prefixes and the order of addresses are kept, and nothing else.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// How many templates are tried until no masked address is one of the originals.
const TEMPLATES: u8 = 50;

/// The masks of all addresses that say where a machine is. Loopback, unspecified, multicast and broadcast
/// addresses stay as they are.
pub(crate) fn masks(originals: &BTreeSet<IpAddr>) -> BTreeMap<IpAddr, IpAddr> {
    let mut four = BTreeSet::new();
    let mut six = BTreeSet::new();
    let mut local = BTreeSet::new();
    for address in originals.iter().filter(|address| is_telling(address)) {
        match address {
            IpAddr::V4(address) => {
                four.insert(u128::from(address.to_bits()));
            }
            IpAddr::V6(address) if is_link_local(*address) => {
                local.insert(u128::from(address.to_bits() as u64));
            }
            IpAddr::V6(address) => {
                six.insert(address.to_bits());
            }
        }
    }
    let v4 = |bits: u128| IpAddr::V4(Ipv4Addr::from_bits(bits as u32));
    let v6 = |bits: u128| IpAddr::V6(Ipv6Addr::from_bits(bits));
    // The interface part of a link-local address, which holds the MAC address or a secret of the machine.
    let link_local = |bits: u128| v6((0xfe80 << 112) | bits);
    let mut all = BTreeMap::new();
    for (bits, template, address) in [
        (
            &four,
            (|k| 0x0a00_0001 | (u128::from(k) + 200) << 16) as fn(u8) -> u128,
            &v4 as &dyn Fn(u128) -> IpAddr,
        ),
        (&six, |k| (0x2001_0db8 << 96) | (u128::from(k) << 80) | 1, &v6),
        (&local, |k| (u128::from(k) << 48) | 1, &link_local),
    ] {
        let masked = fresh(bits, template);
        all.extend(masked.into_iter().map(|(from, to)| (address(from), address(to))));
    }
    all
}

/// Says where a machine is or which one it is.
pub(crate) fn is_telling(address: &IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => {
            !address.is_loopback() && address.octets()[0] != 0 && address.octets()[0] < 224
        }
        IpAddr::V6(address) => !address.is_loopback() && !address.is_unspecified() && !address.is_multicast(),
    }
}

fn is_link_local(address: Ipv6Addr) -> bool {
    address.segments()[..4] == [0xfe80, 0, 0, 0]
}

fn fresh(originals: &BTreeSet<u128>, template: fn(u8) -> u128) -> BTreeMap<u128, u128> {
    let mut masked = BTreeMap::new();
    for attempt in 1..=TEMPLATES {
        masked = masked_by(originals, template(attempt));
        if masked.values().all(|mask| !originals.contains(mask)) {
            break;
        }
    }
    masked
}

fn masked_by(originals: &BTreeSet<u128>, template: u128) -> BTreeMap<u128, u128> {
    let mut kept: BTreeMap<u128, u128> = originals.iter().map(|bits| (*bits, 0)).collect();
    // Neighbours in order part where any two addresses part first.
    let sorted: Vec<u128> = originals.iter().copied().collect();
    for pair in sorted.windows(2) {
        if let [one, other] = pair {
            let bit = 1 << (127 - (one ^ other).leading_zeros());
            // Everybody below that branch has the bit, not only these two.
            let above = !(bit | (bit - 1));
            for (_, kept) in kept.iter_mut().filter(|(address, _)| **address & above == one & above) {
                *kept |= bit;
            }
        }
    }
    kept.into_iter().map(|(bits, keep)| (bits, (bits & keep) | (template & !keep))).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn common(one: u32, other: u32) -> u32 {
        (one ^ other).leading_zeros()
    }

    proptest! {
        #[test]
        fn prefix_lengths_and_order_are_kept(addresses in proptest::collection::btree_set(0x0100_0000u32..0x7f00_0000, 1..20)) {
            let originals = addresses.iter().map(|bits| IpAddr::V4(Ipv4Addr::from_bits(*bits))).collect();

            let masks = masks(&originals);

            let bits = |address: IpAddr| match address { IpAddr::V4(v4) => v4.to_bits(), IpAddr::V6(_) => 0 };
            for one in &addresses {
                for other in &addresses {
                    let [a, b] = [one, other].map(|x| bits(masks[&IpAddr::V4(Ipv4Addr::from_bits(*x))]));
                    prop_assert_eq!(common(*one, *other), common(a, b));
                    prop_assert_eq!(one.cmp(other), a.cmp(&b));
                }
            }
        }
    }

    #[test]
    fn a_lone_address_keeps_nothing() {
        let masks = masks(&BTreeSet::from([
            "198.51.100.77".parse().unwrap(),
            "fe80::20d:3aff:fe4f:1122".parse().unwrap(),
        ]));

        assert_eq!(masks[&"198.51.100.77".parse().unwrap()].to_string(), "10.201.0.1");
        assert_eq!(masks[&"fe80::20d:3aff:fe4f:1122".parse().unwrap()].to_string(), "fe80::1:0:0:1");
    }

    #[test]
    fn addresses_that_every_machine_has_stay() {
        let all = ["127.0.0.1", "0.0.0.0", "255.255.255.255", "224.0.0.1", "::1", "::", "ff02::1"];

        assert!(masks(&all.map(|text| text.parse().unwrap()).into()).is_empty());
    }
}
