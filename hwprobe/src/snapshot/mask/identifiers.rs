//! Masks for MAC addresses, GUIDs and other numbers that name one device in the world.
//!
//! The maker's part (the first three bytes) stays, the rest is numbered. GUIDs, device serial numbers and
//! switch ids are mostly made from a MAC address by putting two bytes in its middle, some in reverse order:
//! they get the mask of that address, so that what belongs together still does.

use std::collections::{BTreeMap, BTreeSet, HashMap};

type Mac = [u8; 6];

/// From original bytes to masked ones, in every form that was seen.
#[derive(Debug, Default)]
pub(crate) struct Identifiers {
    masks: HashMap<Vec<u8>, Vec<u8>>,
    /// Lengths of the originals in bytes, longest first.
    lengths: Vec<usize>,
}

impl Identifiers {
    /// Masks for these byte strings. Those of 6 bytes are MAC addresses; those of 20 are IPoIB addresses, of
    /// which the last 8 are a GUID; strings that name nobody (all bytes alike, multicast MACs) are left out.
    pub(crate) fn new(originals: &BTreeSet<Vec<u8>>) -> Self {
        let mut macs: BTreeSet<Mac> = BTreeSet::new();
        let mut guids: BTreeSet<[u8; 8]> = BTreeSet::new();
        let mut others: BTreeSet<Vec<u8>> = BTreeSet::new();
        for bytes in originals.iter().filter(|bytes| names_somebody(bytes)) {
            match bytes.as_slice() {
                [first, ..] if bytes.len() == 6 && first & 1 == 1 => {}
                &[a, b, c, d, e, f] => {
                    macs.insert([a, b, c, d, e, f]);
                }
                &[a, b, c, d, e, f, g, h] => {
                    guids.insert([a, b, c, d, e, f, g, h]);
                }
                bytes if bytes.len() == 20 => {
                    if let Some(guid) = bytes.last_chunk::<8>().filter(|guid| names_somebody(*guid)) {
                        guids.insert(*guid);
                    }
                }
                bytes if bytes.len() > 6 => {
                    others.insert(bytes.to_vec());
                }
                _ => {}
            }
        }
        let cores: Vec<([u8; 8], Core)> = guids.iter().map(|guid| (*guid, Core::of(*guid, &macs))).collect();
        let all: BTreeSet<Mac> = macs.iter().copied().chain(cores.iter().map(|(_, core)| core.mac)).collect();
        let numbered = numbered(&all);
        let mut found = Self::default();
        for mac in &macs {
            if let Some(mask) = numbered.get(mac) {
                found.add(mac, mask);
                // As IPv6 and RoCE make an interface part of it.
                found.add(&eui64(*mac), &eui64(*mask));
            }
        }
        for (guid, core) in &cores {
            if let Some(mask) = numbered.get(&core.mac) {
                found.add(guid, &core.with(*mask));
            }
        }
        let mut number: u32 = 0;
        for bytes in &others {
            let mask = loop {
                number += 1;
                let mut mask = vec![0; bytes.len()];
                let tail = number.to_be_bytes();
                let start = bytes.len() - tail.len();
                mask.iter_mut().zip(bytes).take(3).for_each(|(mask, byte)| *mask = *byte);
                mask.iter_mut().skip(start).zip(tail).for_each(|(mask, byte)| *mask = byte);
                if !others.contains(&mask) {
                    break mask;
                }
            };
            found.add(bytes, &mask);
        }
        let lengths: BTreeSet<usize> = found.masks.keys().map(Vec::len).collect();
        found.lengths = lengths.into_iter().rev().collect();
        found
    }

    fn add(&mut self, original: &[u8], mask: &[u8]) {
        let backwards = |bytes: &[u8]| bytes.iter().rev().copied().collect::<Vec<u8>>();
        self.masks.entry(backwards(original)).or_insert_with(|| backwards(mask));
        self.masks.insert(original.to_vec(), mask.to_vec());
    }

    /// Replaces the originals in bytes.
    pub(crate) fn mask_bytes(&self, bytes: &mut [u8]) {
        let mut at = 0;
        while at < bytes.len() {
            let hit = self.lengths.iter().find_map(|length| {
                let window = bytes.get(at..at + length)?;
                Some((*length, self.masks.get(window)?))
            });
            match hit {
                Some((length, mask)) => {
                    bytes.iter_mut().skip(at).zip(mask).for_each(|(byte, mask)| *byte = *mask);
                    at += length;
                }
                None => at += 1,
            }
        }
    }

    /// Replaces the originals in text, however their digits are written: with any separators or none, in
    /// either case. Length and separators stay.
    pub(crate) fn mask_text(&self, text: &str) -> String {
        let mut chars: Vec<char> = text.chars().collect();
        let mut start = 0;
        while start < chars.len() {
            let run = |at: &usize| chars.get(*at).is_some_and(|c| c.is_ascii_hexdigit() || is_separator(*c));
            let end = (start..chars.len()).find(|at| !run(at)).unwrap_or(chars.len());
            if let Some(run) = chars.get_mut(start..end) {
                self.mask_run(run);
            }
            start = end + 1;
        }
        chars.into_iter().collect()
    }

    fn mask_run(&self, run: &mut [char]) {
        let places: Vec<usize> =
            run.iter().enumerate().filter(|(_, c)| c.is_ascii_hexdigit()).map(|(at, _)| at).collect();
        let digit = |at: usize| run.get(*places.get(at)?)?.to_digit(16).map(|digit| digit as u8);
        let digits: Vec<u8> = (0..places.len()).filter_map(digit).collect();
        let mut at = 0;
        while at < digits.len() {
            let hit = self.lengths.iter().find_map(|length| {
                let window = digits.get(at..at + 2 * length)?;
                let bytes: Vec<u8> =
                    window.chunks(2).map(|pair| pair.iter().fold(0, |sum, d| sum << 4 | d)).collect();
                Some((*length, self.masks.get(&bytes)?))
            });
            let Some((length, mask)) = hit else {
                at += 1;
                continue;
            };
            let masked = mask.iter().flat_map(|byte| [byte >> 4, byte & 15]);
            for (place, digit) in places.iter().skip(at).zip(masked) {
                let (Some(c), Some(new)) = (run.get_mut(*place), char::from_digit(digit.into(), 16)) else {
                    continue;
                };
                *c = if c.is_ascii_uppercase() { new.to_ascii_uppercase() } else { new };
            }
            at += 2 * length;
        }
    }
}

fn is_separator(c: char) -> bool {
    matches!(c, ':' | '-' | '.' | '_')
}

fn names_somebody(bytes: &[u8]) -> bool {
    bytes.iter().any(|byte| Some(byte) != bytes.first())
}

/// Each address with its maker's part kept and its own part numbered, so that no mask is an original.
fn numbered(originals: &BTreeSet<Mac>) -> BTreeMap<Mac, Mac> {
    let mut number: u32 = 0;
    let mut masks = BTreeMap::new();
    for original in originals {
        let [a, b, c, ..] = *original;
        let mask = loop {
            number += 1;
            let [_, d, e, f] = number.to_be_bytes();
            if !originals.contains(&[a, b, c, d, e, f]) {
                break [a, b, c, d, e, f];
            }
        };
        masks.insert(*original, mask);
    }
    masks
}

/// `11:22:33:44:55:66` → `1322:33ff:fe44:5566` (RFC 4291, appendix A).
fn eui64([a, b, c, d, e, f]: Mac) -> [u8; 8] {
    [a ^ 2, b, c, 0xff, 0xfe, d, e, f]
}

/// The MAC address in a GUID, and how it lies there.
struct Core {
    mac: Mac,
    middle: [u8; 2],
    flipped: bool,
    backwards: bool,
}

impl Core {
    fn of(guid: [u8; 8], macs: &BTreeSet<Mac>) -> Self {
        let forwards = Self::read(guid, false);
        let mut turned = guid;
        turned.reverse();
        let backwards = Self::read(turned, true);
        let maker = |core: &Self| macs.iter().any(|mac| mac.get(..3) == core.mac.get(..3));
        let candidates = [forwards, backwards];
        let best = |is: &dyn Fn(&Self) -> bool| candidates.iter().position(is);
        let at = best(&|core| macs.contains(&core.mac))
            .or_else(|| best(&|core| core.is_usual() && maker(core)))
            .or_else(|| best(&Self::is_usual))
            .unwrap_or(0);
        let [forwards, backwards] = candidates;
        let mut core = if at == 1 { backwards } else { forwards };
        if !core.is_usual() {
            core.middle = [0, 0];
        }
        core
    }

    fn read([a, b, c, m, n, d, e, f]: [u8; 8], backwards: bool) -> Self {
        let flipped = [m, n] == [0xff, 0xfe];
        let first = if flipped { a ^ 2 } else { a };
        Self { mac: [first, b, c, d, e, f], middle: [m, n], flipped, backwards }
    }

    /// What makers put into the middle.
    fn is_usual(&self) -> bool {
        matches!(self.middle, [0xff, 0xff | 0xfe] | [0x03, 0x00])
    }

    fn with(&self, [a, b, c, d, e, f]: Mac) -> [u8; 8] {
        let [m, n] = self.middle;
        let first = if self.flipped { a ^ 2 } else { a };
        let mut guid = [first, b, c, m, n, d, e, f];
        if self.backwards {
            guid.reverse();
        }
        guid
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn identifiers(originals: &[&[u8]]) -> Identifiers {
        Identifiers::new(&originals.iter().map(|bytes| bytes.to_vec()).collect())
    }

    const MAC: &[u8] = &[0x0c, 0x42, 0xa1, 0x16, 0x05, 0x4c];
    const GUID: &[u8] = &[0x0c, 0x42, 0xa1, 0x03, 0x00, 0x16, 0x05, 0x4c];
    const SWITCH: &[u8] = &[0x4c, 0x05, 0x16, 0x00, 0x03, 0xa1, 0x42, 0x0c];

    #[test]
    fn every_way_to_write_an_address_gets_the_same_mask() {
        let masks = identifiers(&[MAC]);

        for (text, masked) in [
            ("0c:42:a1:16:05:4c", "0c:42:a1:00:00:01"),
            ("0C-42-A1-16-05-4C", "0C-42-A1-00-00-01"),
            ("enx0c42a116054c", "enx0c42a1000001"),
            ("0c42.a116.054c", "0c42.a100.0001"),
            ("fe80:0000:0000:0000:0e42:a1ff:fe16:054c", "fe80:0000:0000:0000:0e42:a1ff:fe00:0001"),
            ("0000:3b:00.0", "0000:3b:00.0"),
        ] {
            assert_eq!(masks.mask_text(text), masked);
        }
    }

    #[test]
    fn guids_and_switch_ids_keep_belonging_to_their_address() {
        let masks = identifiers(&[MAC, GUID, SWITCH]);

        assert_eq!(masks.mask_text("0c42:a103:0016:054c"), "0c42:a103:0000:0001");
        assert_eq!(masks.mask_text("4c05160003a1420c"), "0100000003a1420c");
        let mut config = [&[0x03, 0x00, 0x01, 0x00], SWITCH].concat();
        masks.mask_bytes(&mut config);
        assert_eq!(config[4..], [0x01, 0x00, 0x00, 0x00, 0x03, 0xa1, 0x42, 0x0c]);
    }

    #[test]
    fn no_mask_is_the_address_of_another() {
        let masks = identifiers(&[&[2, 0, 0, 0, 0, 1], &[2, 0, 0, 0, 0, 2], &[2, 0, 0, 0, 0, 9]]);

        for original in ["02:00:00:00:00:01", "02:00:00:00:00:02", "02:00:00:00:00:09"] {
            assert!(!["01", "02", "09"].iter().any(|end| masks.mask_text(original).ends_with(end)));
        }
    }

    #[test]
    fn numbers_that_name_nobody_stay() {
        let masks = identifiers(&[&[0; 6], &[0xff; 6], &[0x01, 0x80, 0xc2, 0, 0, 0x0e], &[0xff; 20]]);

        assert_eq!(
            masks.mask_text("01:80:c2:00:00:0e ff:ff:ff:ff:ff:ff"),
            "01:80:c2:00:00:0e ff:ff:ff:ff:ff:ff"
        );
    }
}
