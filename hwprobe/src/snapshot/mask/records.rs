//! Files and memories with a form of their own: cut down to what the probe reads, then masked.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use crate::read::virtual_topology::{self, VirtualTopology};
use crate::source::FileTree;

/// Drops what no probe reads: local mounts, mount options, routes that are no default, LLDP beyond its names, GUIDs in
/// a file of topology.
pub(super) fn reduce(tree: &mut FileTree) {
    for path in ["proc/1/mounts", "proc/mounts"] {
        if let Some(text) = tree.files.get_mut(path) {
            *text = text.lines().filter_map(mount).collect();
        }
    }
    if let Some(text) = tree.files.get_mut("proc/net/route") {
        let keep = |(at, line): &(usize, &str)| *at == 0 || word(line, 1) == Some("00000000");
        *text = text.lines().enumerate().filter(keep).map(|(_, line)| format!("{line}\n")).collect();
    }
    if let Some(text) = tree.files.get_mut("proc/net/ipv6_route") {
        let keep = |line: &&str| word(line, 0).is_some_and(|word| word.bytes().all(|digit| digit == b'0'));
        *text = text.lines().filter(keep).map(|line| format!("{line}\n")).collect();
    }
    if let Some(text) = tree.files.get_mut(virtual_topology::FILE) {
        *text = VirtualTopology::parse(text).map(|read| read.to_text()).unwrap_or_default();
    }
    for (path, hex) in &mut tree.binary {
        if path.starts_with(super::LLDP_FOLDER) {
            let file = super::from_hex(hex).unwrap_or_default();
            *hex = super::to_hex(&lldp(&file).unwrap_or_default());
        }
    }
}

fn word(line: &str, at: usize) -> Option<&str> {
    line.split_whitespace().nth(at)
}

/// A mount over a network with its server; a name before the mount point's says nothing to the probe.
fn mount(line: &str) -> Option<String> {
    let words: Vec<&str> = line.split_whitespace().collect();
    let [source, place, kind, options, ..] = words.as_slice() else { return None };
    if !crate::read::storage::is_network_file_system(kind) {
        return None;
    }
    let address = options.split(',').find(|option| option.starts_with("addr=")).unwrap_or("rw");
    Some(format!("{source} {place} {kind} {address} 0 0\n"))
}

/// The servers of mounts that are named, not numbered.
pub(super) fn mount_hosts(text: &str) -> Vec<String> {
    let host = |line: &str| {
        let source = word(line, 0)?.trim_start_matches('/');
        let host = source.split([':', '/', ',', '@']).next()?;
        (!host.is_empty() && host.parse::<IpAddr>().is_err() && !source.starts_with('['))
            .then(|| host.to_owned())
    };
    text.lines().filter_map(host).collect()
}

/// The addresses in `/proc/net/route`.
pub(super) fn route_addresses(text: &str) -> Vec<IpAddr> {
    let words = text.lines().skip(1).flat_map(|line| [word(line, 1), word(line, 2)]).flatten();
    words.filter_map(four).collect()
}

fn four(hex: &str) -> Option<IpAddr> {
    Some(Ipv4Addr::from_bits(u32::from_str_radix(hex, 16).ok()?.swap_bytes()).into())
}

/// `/proc/net/route` with masked gateways.
pub(super) fn route(text: &str, masks: &BTreeMap<IpAddr, IpAddr>) -> String {
    words_replaced(text, |hex| match masks.get(&four(hex).filter(|_| hex.len() == 8)?)? {
        IpAddr::V4(mask) => Some(format!("{:08X}", mask.to_bits().swap_bytes())),
        IpAddr::V6(_) => None,
    })
}

/// The addresses in `/proc/net/if_inet6` and `/proc/net/ipv6_route`.
pub(super) fn inet6_addresses(text: &str) -> Vec<IpAddr> {
    text.split_whitespace().filter_map(six).collect()
}

fn six(hex: &str) -> Option<IpAddr> {
    (hex.len() == 32).then_some(())?;
    Some(Ipv6Addr::from_bits(u128::from_str_radix(hex, 16).ok()?).into())
}

/// Those files with masked addresses.
pub(super) fn inet6(text: &str, masks: &BTreeMap<IpAddr, IpAddr>) -> String {
    words_replaced(text, |hex| match masks.get(&six(hex)?)? {
        IpAddr::V6(mask) => Some(format!("{:032x}", mask.to_bits())),
        IpAddr::V4(_) => None,
    })
}

fn words_replaced(text: &str, mask: impl Fn(&str) -> Option<String>) -> String {
    let line = |line: &str| {
        let words: Vec<String> =
            line.split([' ', '\t']).map(|word| mask(word).unwrap_or_else(|| word.to_owned())).collect();
        let separator = if line.contains('\t') { "\t" } else { " " };
        words.join(separator) + "\n"
    };
    text.lines().map(line).collect()
}

/// The first frame with its chassis id, port id, port description and system name alone.
fn lldp(file: &[u8]) -> Option<Vec<u8>> {
    let length = usize::try_from(u64::from_le_bytes(file.get(..8)?.try_into().ok()?)).ok()?;
    let frame = file.get(8..8usize.checked_add(length)?)?;
    let mut kept = frame.get(..14)?.to_vec();
    let mut rest = frame.get(14..)?;
    while let [high, low, after @ ..] = rest {
        let header = u16::from_be_bytes([*high, *low]);
        let (kind, length) = (header >> 9, usize::from(header & 0x1ff));
        if matches!(kind, 1 | 2 | 4) {
            kept.extend(rest.get(..2 + length)?);
        } else if kind == 5 {
            // A name of the same length cannot be promised: the switch gets one of ours.
            let name = b"switch";
            kept.extend((5u16 << 9 | name.len() as u16).to_be_bytes());
            kept.extend(name);
        } else if kind == 0 {
            break;
        }
        rest = after.get(length..)?;
    }
    kept.extend([0, 0]);
    let mut file = (kept.len() as u64).to_le_bytes().to_vec();
    file.extend(kept);
    Some(file)
}

/// The MAC addresses in a file of LLDP frames: sender, chassis, port.
pub(super) fn lldp_macs(file: &[u8]) -> Vec<Vec<u8>> {
    let mut found: Vec<Vec<u8>> = file.get(14..20).map(<[u8]>::to_vec).into_iter().collect();
    if let Some(neighbour) = crate::read::lldp::first_neighbour(file) {
        let ids = [neighbour.chassis_id, neighbour.port_id];
        found.extend(ids.iter().filter_map(|id| super::link_address(id)));
    }
    found
}

/// Overwrites all fields of vital product data but name, part number, serial number and engineering change:
/// makers put asset tags and addresses into the others.
pub(super) fn blank_vpd(data: &mut [u8]) {
    let mut at = 0;
    while let Some(tag) = data.get(at).copied() {
        let (kind, start, length) = if tag & 0x80 != 0 {
            let Some(&[low, high]) = data.get(at + 1..at + 3) else { return };
            (tag & 0x7f, at + 3, usize::from(u16::from_le_bytes([low, high])))
        } else {
            ((tag >> 3) & 0x0f, at + 1, usize::from(tag & 0x07))
        };
        if tag & 0x80 == 0 && kind == 0x0f {
            return;
        }
        let end = (start + length).min(data.len());
        if tag & 0x80 != 0 && matches!(kind, 0x10 | 0x11) {
            let mut field = start;
            while let Some(&[a, b, size]) = data.get(field..field + 3) {
                let content = field + 3..(field + 3 + usize::from(size)).min(end);
                if field >= end {
                    break;
                }
                if !matches!(&[a, b], b"PN" | b"SN" | b"EC" | b"RV" | b"RW") {
                    data.get_mut(content.clone()).into_iter().flatten().for_each(|byte| *byte = b' ');
                }
                field = field + 3 + usize::from(size);
            }
        }
        at = start + length;
    }
}

/// Overwrites what the maker of a module may use as it likes (SFF-8472 and SFF-8636, vendor specific bytes).
pub(super) fn blank_module(memory: &mut [u8]) {
    let own = match memory.first() {
        Some(0x03) => 96..128,
        Some(0x0c | 0x0d | 0x11) => 224..256,
        _ => return,
    };
    memory.get_mut(own).into_iter().flatten().for_each(|byte| *byte = 0);
}
