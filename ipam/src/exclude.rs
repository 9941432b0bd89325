//! `excludeCIDRs`: how they are read and what they leave of a block.

use std::net::IpAddr;

use ipnet::IpNet;
use serde::{Deserialize, Deserializer};

use crate::block::{number, usable_numbers};

/// First and last number of a range of addresses, both inclusive.
pub(crate) type Range = (u128, u128);

/// A text is no exclude.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("excludeCIDRs: `{text}` is neither a range (10.0.1.0/24) nor an address (10.0.1.7)")]
pub struct ExcludeError {
    text: String,
}

/// Reads an exclude: a range, or a single address when the length is missing (CONTRACTS §5.6).
///
/// # Errors
/// When it is neither.
pub fn parse_exclude(text: &str) -> Result<IpNet, ExcludeError> {
    let range = text.parse::<IpNet>().ok();
    let single = || text.parse::<IpAddr>().ok().map(IpNet::from);
    range.or_else(single).map(|net| net.trunc()).ok_or_else(|| ExcludeError { text: text.to_owned() })
}

/// Reads a list of excludes with [`parse_exclude`].
pub(crate) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<IpNet>, D::Error> {
    let texts = Vec::<String>::deserialize(deserializer)?;
    texts.iter().map(|text| parse_exclude(text).map_err(serde::de::Error::custom)).collect()
}

/// Whether excludes take out the block whole ("tabu"), one alone or several together. Those that cover a part of it
/// only take addresses out of it, see [`givable`].
pub fn excluded(block: IpNet, excludes: &[IpNet]) -> bool {
    excluded_ranges(block, excludes) == [whole(block)]
}

/// How many addresses of a pod block can be given: without the reserved ends and the excludes. The largest number
/// when there are more.
pub fn givable(block: IpNet, excludes: &[IpNet]) -> u128 {
    count(&givable_ranges(block, excludes))
}

/// The ranges of a block that excludes cover: ascending, apart from one another.
pub(crate) fn excluded_ranges(block: IpNet, excludes: &[IpNet]) -> Vec<Range> {
    let (start, end) = whole(block);
    let mut ranges: Vec<Range> = excludes
        .iter()
        .filter(|exclude| matches!(exclude, IpNet::V4(_)) == matches!(block, IpNet::V4(_)))
        .map(|exclude| whole(*exclude))
        .filter(|(first, last)| *first <= end && *last >= start)
        .map(|(first, last)| (first.max(start), last.min(end)))
        .collect();
    ranges.sort_unstable();
    let mut merged: Vec<Range> = Vec::new();
    for (first, last) in ranges {
        match merged.last_mut() {
            Some(previous) if first <= previous.1.saturating_add(1) => previous.1 = previous.1.max(last),
            _ => merged.push((first, last)),
        }
    }
    merged
}

/// The ranges of a pod block that can be given: ascending, apart from one another.
pub(crate) fn givable_ranges(block: IpNet, excludes: &[IpNet]) -> Vec<Range> {
    let Some((mut first, last)) = usable_numbers(block) else { return Vec::new() };
    let mut left = Vec::new();
    for (low, high) in excluded_ranges(block, excludes) {
        if first < low {
            left.push((first, last.min(low - 1)));
        }
        first = first.max(high.saturating_add(1));
        if high >= last {
            return left;
        }
    }
    left.push((first, last));
    left
}

/// How many numbers are in the ranges.
pub(crate) fn count(ranges: &[Range]) -> u128 {
    ranges.iter().fold(0, |sum: u128, (first, last)| sum.saturating_add((last - first).saturating_add(1)))
}

fn whole(block: IpNet) -> Range {
    (number(block.network()), number(block.broadcast()))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::block::sub_block;

    fn net(text: &str) -> IpNet {
        text.parse().unwrap()
    }

    fn nets(texts: &[&str]) -> Vec<IpNet> {
        texts.iter().map(|text| net(text)).collect()
    }

    #[test]
    fn an_exclude_without_length_is_one_address() {
        assert_eq!(parse_exclude("10.0.1.7").unwrap(), net("10.0.1.7/32"));
        assert_eq!(parse_exclude("fd10::7").unwrap(), net("fd10::7/128"));
        assert_eq!(parse_exclude("10.0.1.7/24").unwrap(), net("10.0.1.0/24"));
        assert_eq!(
            parse_exclude("10.0.1").unwrap_err().to_string(),
            "excludeCIDRs: `10.0.1` is neither a range (10.0.1.0/24) nor an address (10.0.1.7)"
        );
    }

    #[test]
    fn a_block_is_excluded_by_what_covers_it_whole() {
        let candidate = sub_block(net("192.168.0.0/16"), 0, 8).unwrap();
        let rows: [(&[&str], bool); 8] = [
            (&[], false),
            (&["192.168.0.0/24"], true),
            (&["192.168.0.0/8"], true),
            (&["192.168.1.0/24"], false),
            (&["192.168.0.0/25"], false),
            // Neither alone covers it, both together do; and in any order, with what overlaps.
            (&["192.168.0.128/25", "192.168.0.0/25"], true),
            (&["192.168.0.128/25", "192.168.0.0/26", "192.168.0.64/26", "192.168.0.192/26"], true),
            (&["192.168.0.128/25", "192.168.0.0/26"], false),
        ];
        for (excludes, wanted) in rows {
            assert_eq!(excluded(candidate, &nets(excludes)), wanted, "{excludes:?}");
        }
    }

    #[test]
    fn what_excludes_leave_is_counted_without_the_ends() {
        // The block, the excludes (§5.6, §5.7: wider, equal, narrower, single, of the other family), what is left.
        let rows: [(&str, &[&str], u128); 10] = [
            ("10.0.0.0/16", &[], 65534),
            ("10.0.0.0/16", &["10.0.0.0/24"], 65279),
            ("10.0.0.0/16", &["10.0.0.0/24", "10.0.1.1/32"], 65278),
            ("10.0.0.0/24", &["10.0.0.0/23"], 0),
            ("10.0.2.0/24", &["10.0.1.0/24"], 254),
            ("10.0.1.128/25", &["10.0.1.0/24"], 0),
            ("10.0.0.0/28", &["10.0.0.0/30", "10.0.0.2/31", "10.0.0.12/30", "fd00::/8"], 8),
            ("10.0.0.0/30", &["10.0.0.1/32"], 1),
            ("fd10::/120", &["fd10::/121"], 0),
            ("fd10::/119", &["fd10::100/120"], 255),
        ];
        for (block, excludes, wanted) in rows {
            assert_eq!(givable(net(block), &nets(excludes)), wanted, "{block} {excludes:?}");
        }
    }

    #[test]
    fn ranges_are_the_predecessors() {
        let of = |excludes: &[&str]| -> Vec<Range> {
            let start = number("10.0.0.0".parse().unwrap());
            let ranges = excluded_ranges(net("10.0.0.0/16"), &nets(excludes));
            ranges.iter().map(|(first, last)| (first - start, last - start)).collect()
        };

        assert_eq!(of(&["10.0.0.0/24"]), [(0, 255)]);
        assert_eq!(of(&["10.0.0.0/24", "10.0.1.1/32"]), [(0, 255), (257, 257)]);
    }

    proptest! {
        #[test]
        fn every_address_is_givable_or_not_as_the_rule_says(
            length in 24u8..=32, excludes in proptest::collection::vec((0u32..512, 23u8..=32), 0..6))
        {
            let base = u32::from_be_bytes([10, 0, 0, 0]);
            let block = IpNet::new(IpAddr::from((base + 64).to_be_bytes()), length).unwrap().trunc();
            let excludes: Vec<IpNet> = excludes.into_iter()
                .map(|(offset, length)| IpNet::new(IpAddr::from((base + offset).to_be_bytes()), length).unwrap())
                .collect();
            let ranges = givable_ranges(block, &excludes);
            prop_assert!(ranges.windows(2).all(|pair| pair[0].1 + 1 < pair[1].0), "{ranges:?}");
            for offset in 0..512u32 {
                let address = IpAddr::from((base + offset).to_be_bytes());
                let wanted = block.contains(&address) && length <= 30
                    && address != block.network() && address != block.broadcast()
                    && !excludes.iter().any(|exclude| exclude.contains(&address));
                let found = ranges.iter().any(|(first, last)| (*first..=*last).contains(&number(address)));
                prop_assert_eq!(found, wanted, "{}", address);
            }
        }
    }
}
