//! Arithmetic of blocks (CONTRACTS §5.1; IPv6 by TRAPS O2).

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::{IpNet, Ipv4Net, Ipv6Net};

/// Longest prefix of a pod block: IPv4 leaves four addresses, of which two are usable.
const LONGEST_V4: u8 = 30;

/// Longest prefix of a pod block: IPv6 reserves the first address and the last 128.
const LONGEST_V6: u8 = 120;

/// Addresses at the end of an IPv6 pod block that are never given.
const RESERVED_V6: u128 = 128;

/// Why a block cannot be computed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum BlockError {
    /// The index does not fit the bits.
    #[error("index {index} does not fit {bits} bits (0 to {})", largest(*bits))]
    Index {
        /// The index.
        index: u32,
        /// The bits.
        bits: u8,
    },
    /// The block would be longer than an address.
    #[error("{base} has no room for {bits} more bits")]
    TooLong {
        /// The block that is divided.
        base: IpNet,
        /// The bits.
        bits: u8,
    },
    /// Subnet and blocks together leave no addresses.
    #[error(
        "subnet {subnet}: {} + interfaceBlock {interface_block} + hostBlock {host_block} = /{}, \
         which leaves no addresses for pods; the sum may be at most {longest}",
        subnet.prefix_len(), u32::from(subnet.prefix_len()) + u32::from(*interface_block) + u32::from(*host_block)
    )]
    NoRoom {
        /// The subnet.
        subnet: IpNet,
        /// Bits that number interfaces.
        interface_block: u8,
        /// Bits that number hosts.
        host_block: u8,
        /// The largest sum.
        longest: u8,
    },
}

/// Largest index of so many bits. Indices have 32 bits: of more bits only so many blocks are used.
pub(crate) fn largest(bits: u8) -> u32 {
    u32::try_from((1u64 << bits.min(32)) - 1).unwrap_or(u32::MAX)
}

/// An address as a number.
pub(crate) fn number(address: IpAddr) -> u128 {
    match address {
        IpAddr::V4(v4) => u128::from(u32::from(v4)),
        IpAddr::V6(v6) => u128::from(v6),
    }
}

/// The address with this number, of the family of `like`.
pub(crate) fn address(number: u128, like: &IpNet) -> IpAddr {
    match like {
        // A number inside an IPv4 block has 32 bits.
        IpNet::V4(_) => IpAddr::V4(Ipv4Addr::from(number as u32)),
        IpNet::V6(_) => IpAddr::V6(Ipv6Addr::from(number)),
    }
}

/// Block `index` when `base` is divided by `bits` more bits (`ComputeNet`). Host bits of `base` do not count.
///
/// # Errors
/// When the index does not fit the bits, or the bits do not fit the family.
pub fn sub_block(base: IpNet, index: u32, bits: u8) -> Result<IpNet, BlockError> {
    if index > largest(bits) {
        return Err(BlockError::Index { index, bits });
    }
    let length = base.prefix_len().checked_add(bits).filter(|length| *length <= base.max_prefix_len());
    let length = length.ok_or(BlockError::TooLong { base, bits })?;
    let shift = u32::from(base.max_prefix_len() - length);
    let start = number(base.network()) | u128::from(index).checked_shl(shift).unwrap_or(0);
    Ok(with_length(address(start, &base), length))
}

fn with_length(address: IpAddr, length: u8) -> IpNet {
    match address {
        IpAddr::V4(v4) => IpNet::V4(Ipv4Net::new_assert(v4, length)),
        IpAddr::V6(v6) => IpNet::V6(Ipv6Net::new_assert(v6, length)),
    }
}

/// Whether subnet and blocks leave addresses for pods.
///
/// # Errors
/// [`BlockError::NoRoom`] when prefix + `interface_block` + `host_block` is above 30 (IPv4) or 120 (IPv6).
pub fn check_fit(subnet: IpNet, interface_block: u8, host_block: u8) -> Result<(), BlockError> {
    let longest = if matches!(subnet, IpNet::V4(_)) { LONGEST_V4 } else { LONGEST_V6 };
    let sum = u32::from(subnet.prefix_len()) + u32::from(interface_block) + u32::from(host_block);
    if sum > u32::from(longest) {
        return Err(BlockError::NoRoom { subnet, interface_block, host_block, longest });
    }
    Ok(())
}

/// Position of an address in a block; absent when it is outside.
pub fn index_of(block: IpNet, address: IpAddr) -> Option<u128> {
    block.contains(&address).then(|| number(address) - number(block.network()))
}

/// The positions of a pod block that may be given: first and last, both inclusive; excludes not looked at. Absent
/// when the block is too small.
///
/// IPv4: not the first (the network) and not the last (broadcast). IPv6: not the first (subnet-router anycast) and
/// not the last 128 (reserved anycast, RFC 2526).
pub fn usable_in(block: IpNet) -> Option<(u128, u128)> {
    let last = number(block.broadcast()) - number(block.network());
    let reserved_at_end = if matches!(block, IpNet::V4(_)) { 1 } else { RESERVED_V6 };
    let last = last.checked_sub(reserved_at_end)?;
    (last >= 1).then_some((1, last))
}

/// The same as numbers of addresses.
pub(crate) fn usable_numbers(block: IpNet) -> Option<(u128, u128)> {
    let start = number(block.network());
    usable_in(block).map(|(first, last)| (start + first, start + last))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn net(text: &str) -> IpNet {
        text.parse().unwrap()
    }

    #[test]
    fn blocks_are_the_predecessors() {
        let rows = [
            ("192.168.0.0/16", 0, 2, "192.168.0.0/18"),
            ("192.168.0.0/16", 1, 2, "192.168.64.0/18"),
            ("192.168.0.0/16", 3, 2, "192.168.192.0/18"),
            ("192.168.0.0/18", 1, 6, "192.168.1.0/24"),
            ("192.168.64.0/18", 1, 6, "192.168.65.0/24"),
            ("192.168.64.0/18", 63, 6, "192.168.127.0/24"),
            ("192.168.0.0/18", 5, 8, "192.168.1.64/26"),
            ("192.168.64.0/18", 1, 8, "192.168.64.64/26"),
            ("192.168.0.0/18", 255, 8, "192.168.63.192/26"),
            ("192.168.0.0/18", 511, 9, "192.168.63.224/27"),
            ("192.168.192.0/18", 1023, 10, "192.168.255.240/28"),
            ("172.30.0.0/16", 2, 3, "172.30.64.0/19"),
            ("172.30.64.0/19", 17, 6, "172.30.72.128/25"),
            ("10.0.0.0/8", 200, 8, "10.200.0.0/16"),
            ("10.0.1.0/24", 2, 4, "10.0.1.32/28"),
            ("10.0.1.0/24", 0, 0, "10.0.1.0/24"),
            ("fd10:20::/64", 0, 2, "fd10:20::/66"),
            ("fd10:20::/64", 1, 2, "fd10:20:0:0:4000::/66"),
            ("fd10:20::/66", 1, 6, "fd10:20:0:0:100::/72"),
            ("fd10:20:0:0:4000::/66", 0, 6, "fd10:20:0:0:4000::/72"),
            ("fd10:20:0:0:c000::/66", 63, 6, "fd10:20:0:0:ff00::/72"),
            ("fd10:20::/48", 5, 4, "fd10:20:0:5000::/52"),
            ("fd10:20:0:5000::/52", 257, 12, "fd10:20:0:5101::/64"),
            ("2001:db8:0:f000::/52", 0, 0, "2001:db8:0:f000::/52"),
            ("2001:db8:0:f000::/52", 255, 8, "2001:db8:0:fff0::/60"),
            // Host bits of the base do not shift the result.
            ("192.168.0.77/16", 1, 2, "192.168.64.0/18"),
        ];
        for (base, index, bits, wanted) in rows {
            assert_eq!(sub_block(net(base), index, bits).unwrap(), net(wanted), "{base} {index} {bits}");
        }
        let refused = [("192.168.0.0/16", 4, 2), ("192.168.0.0/30", 0, 3), ("192.168.0.0/24", 1, 0)];
        for (base, index, bits) in refused {
            assert!(sub_block(net(base), index, bits).is_err(), "{base} {index} {bits}");
        }
        assert_eq!(sub_block(net("fd10::/16"), u32::MAX, 104).unwrap(), net("fd10::ff:ffff:ff00/120"));
        assert_eq!(
            sub_block(net("192.168.0.0/16"), 4, 2).unwrap_err().to_string(),
            "index 4 does not fit 2 bits (0 to 3)"
        );
    }

    #[test]
    fn positions_are_counted_from_the_network() {
        let rows = [
            ("192.168.1.0/24", "192.168.1.100", Some(100)),
            ("192.168.1.0/24", "192.168.2.100", None),
            ("192.168.1.0/24", "192.168.1.0", Some(0)),
            ("10.0.0.0/8", "192.168.1.100", None),
            ("192.168.0.0/16", "192.168.0.10", Some(10)),
            ("192.168.0.0/16", "192.168.1.1", Some(257)),
            ("10.0.0.0/8", "10.1.1.1", Some(65793)),
            ("192.168.0.0/26", "192.168.1.1", None),
            ("fd10:20::/72", "fd10:20::ff", Some(255)),
        ];
        for (block, address, wanted) in rows {
            assert_eq!(index_of(net(block), address.parse().unwrap()), wanted, "{block} {address}");
        }
    }

    #[test]
    fn ends_of_a_block_are_reserved() {
        assert_eq!(usable_in(net("192.168.0.0/26")), Some((1, 62)));
        assert_eq!(usable_in(net("192.168.0.0/30")), Some((1, 2)));
        assert_eq!(usable_in(net("192.168.0.0/31")), None);
        assert_eq!(usable_in(net("192.168.0.0/32")), None);
        assert_eq!(usable_in(net("::/0")), Some((1, u128::MAX - 128)));
        assert_eq!(usable_in(net("fd10::/120")), Some((1, 127)));
        assert_eq!(usable_in(net("fd10::/121")), None);
    }

    #[test]
    fn what_does_not_fit_is_said_with_its_fields() {
        assert_eq!(check_fit(net("192.168.0.0/16"), 2, 6), Ok(()));
        assert_eq!(check_fit(net("fd10:20::/64"), 2, 6), Ok(()));
        assert!(check_fit(net("fd10:20::/112"), 2, 7).is_err());
        assert_eq!(
            check_fit(net("192.168.0.0/16"), 8, 8).unwrap_err().to_string(),
            "subnet 192.168.0.0/16: 16 + interfaceBlock 8 + hostBlock 8 = /32, which leaves no addresses for \
             pods; the sum may be at most 30"
        );
    }

    proptest! {
        #[test]
        fn blocks_of_a_base_are_inside_disjoint_and_cover_it(
            start in any::<u128>(), length in 0u8..100, bits in 0u8..7, v6 in any::<bool>())
        {
            let base = if v6 {
                IpNet::new(Ipv6Addr::from(start).into(), length).unwrap().trunc()
            } else {
                IpNet::new(Ipv4Addr::from(start as u32).into(), length % 25).unwrap().trunc()
            };
            let blocks: Vec<IpNet> = (0..1u32 << bits).map(|index| sub_block(base, index, bits).unwrap()).collect();
            prop_assert_eq!(blocks[0].network(), base.network());
            prop_assert_eq!(blocks[blocks.len() - 1].broadcast(), base.broadcast());
            for pair in blocks.windows(2) {
                prop_assert!(base.contains(&pair[0]) && base.contains(&pair[1]));
                prop_assert_eq!(number(pair[0].broadcast()) + 1, number(pair[1].network()));
            }
        }
    }
}
