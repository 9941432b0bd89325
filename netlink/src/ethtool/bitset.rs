//! Compact bit sets: words of value and mask.

use crate::attribute::{Attribute, Malformed};

const ETHTOOL_A_BITSET_SIZE: u16 = 2;
const ETHTOOL_A_BITSET_BITS: u16 = 3;
const ETHTOOL_A_BITSET_VALUE: u16 = 4;
const ETHTOOL_A_BITSET_MASK: u16 = 5;

/// Numbers of the set bits, ascending.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct BitSet {
    pub(super) value: Vec<u32>,
    /// Empty when the kernel sent a set without a mask.
    pub(super) mask: Vec<u32>,
}

pub(super) fn bit_set(attribute: &Attribute<'_>) -> Result<BitSet, Malformed> {
    let mut size = None;
    let mut value = None;
    let mut mask = None;
    for part in attribute.nested() {
        let part = part?;
        match part.number {
            ETHTOOL_A_BITSET_SIZE => size = Some(part.u32()?),
            ETHTOOL_A_BITSET_VALUE => value = Some(part.value),
            ETHTOOL_A_BITSET_MASK => mask = Some(part.value),
            // The request asks for compact sets; a kernel that sends names instead is not
            // understood, which must not look like an empty set.
            ETHTOOL_A_BITSET_BITS => {
                return Err(Malformed(format!("bit set {} is not compact", attribute.number)));
            }
            _ => {}
        }
    }
    let size = size.ok_or_else(|| Malformed(format!("bit set {} without a size", attribute.number)))?;
    let value = match value {
        Some(value) => value,
        None if size == 0 => &[],
        None => return Err(Malformed(format!("bit set {} without a value", attribute.number))),
    };
    let mut value = bits(value, size);
    let mask = mask.map(|mask| bits(mask, size));
    // A bit outside of the mask says nothing; drivers leave some set (8139cp and pause frames).
    if let Some(mask) = &mask {
        value.retain(|bit| mask.contains(bit));
    }
    Ok(BitSet { value, mask: mask.unwrap_or_default() })
}

fn bits(words: &[u8], size: u32) -> Vec<u32> {
    let (words, _) = words.as_chunks::<4>();
    (0..)
        .zip(words)
        .flat_map(|(position, word)| {
            let word = u32::from_ne_bytes(*word);
            (0..32).filter(move |bit| word & (1 << bit) != 0).map(move |bit| position * 32 + bit)
        })
        .filter(|bit| *bit < size)
        .collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::attribute::{Writer, attributes};

    fn read(fill: impl FnOnce(&mut Writer)) -> Result<BitSet, Malformed> {
        let mut writer = Writer::default();
        writer.nest(3, fill);
        bit_set(&attributes(&writer.0).next().unwrap().unwrap())
    }

    #[test]
    fn bits_of_the_second_word_count_from_32() {
        let set = read(|set| {
            set.put_u32(2, 40);
            set.put(4, &[0b101u32.to_ne_bytes(), 0b11u32.to_ne_bytes()].concat());
        });

        assert_eq!(set.unwrap(), BitSet { value: vec![0, 2, 32, 33], mask: vec![] });
    }

    #[test]
    fn bits_outside_of_the_mask_or_of_the_size_do_not_count() {
        let set = read(|set| {
            set.put_u32(2, 40);
            set.put(4, &[0b101u32.to_ne_bytes(), u32::MAX.to_ne_bytes()].concat());
            set.put(5, &[0b110u32.to_ne_bytes(), (1u32 << 7 | 1 << 8).to_ne_bytes()].concat());
        });

        assert_eq!(set.unwrap(), BitSet { value: vec![2, 39], mask: vec![1, 2, 39] });
    }

    #[test]
    fn a_set_with_names_is_refused_instead_of_read_as_empty() {
        let set = read(|set| {
            set.put_u32(2, 40);
            set.nest(3, |_| {});
        });

        assert!(set.is_err());
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_or_refused_without_panic(bytes in proptest::collection::vec(any::<u8>(), 0..80)) {
            let _ = read(|set| set.0.extend_from_slice(&bytes));
        }
    }
}
