//! Link-layer addresses: 6 bytes on Ethernet, 20 on IPoIB, 8 for a GUID.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A link-layer address of any length, written as lower-case `aa:bb:cc:…`.
///
/// Source: `IFLA_ADDRESS`, `IFLA_BROADCAST`, `IFLA_PERM_ADDRESS` and their like. The same type
/// carries the other short byte strings that are written this way (port and switch ids).
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub struct LinkAddress(Vec<u8>);

impl LinkAddress {
    /// An address of these bytes, in the order they travel on the wire.
    pub fn new(bytes: impl Into<Vec<u8>>) -> Self {
        Self(bytes.into())
    }

    /// The bytes, in the order they travel on the wire.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// Whether there is no byte at all.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether all bytes are zero (also true without bytes).
    pub fn is_zero(&self) -> bool {
        self.0.iter().all(|byte| *byte == 0)
    }
}

impl From<&[u8]> for LinkAddress {
    fn from(bytes: &[u8]) -> Self {
        Self(bytes.to_vec())
    }
}

impl fmt::Display for LinkAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (position, byte) in self.0.iter().enumerate() {
            let separator = if position == 0 { "" } else { ":" };
            write!(f, "{separator}{byte:02x}")?;
        }
        Ok(())
    }
}

impl fmt::Debug for LinkAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "LinkAddress({self})")
    }
}

/// A text that is not a link-layer address.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a link-layer address: expected pairs of hexadecimal digits joined by `:`")]
pub struct ParseLinkAddressError(String);

impl FromStr for LinkAddress {
    type Err = ParseLinkAddressError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text.is_empty() {
            return Ok(Self::default());
        }
        text.split(':')
            .map(|pair| {
                let digits = pair.len() == 2 && pair.bytes().all(|digit| digit.is_ascii_hexdigit());
                digits.then(|| u8::from_str_radix(pair, 16).ok()).flatten()
            })
            .collect::<Option<Vec<u8>>>()
            .map(Self)
            .ok_or_else(|| ParseLinkAddressError(text.to_owned()))
    }
}

impl Serialize for LinkAddress {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for LinkAddress {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn what_is_printed_parses_back(bytes in proptest::collection::vec(any::<u8>(), 0..32)) {
            let address = LinkAddress::new(bytes);

            let parsed: LinkAddress = address.to_string().parse().unwrap();

            prop_assert_eq!(&parsed, &address);
            let json = serde_json::to_string(&address).unwrap();
            prop_assert_eq!(serde_json::from_str::<LinkAddress>(&json).unwrap(), address);
        }

        #[test]
        fn any_text_is_refused_or_parsed_without_panic(text in "\\PC{0,40}") {
            let _ = text.parse::<LinkAddress>();
        }
    }

    #[test]
    fn upper_case_is_read_and_lower_case_is_written() {
        assert_eq!("AA:0B:ff".parse::<LinkAddress>().unwrap().to_string(), "aa:0b:ff");
    }

    #[test]
    fn signs_single_digits_and_gaps_are_refused() {
        for text in ["+a:00", "a:b", "00:", ":", "00::11", "001", "0g"] {
            assert!(text.parse::<LinkAddress>().is_err(), "{text}");
        }
    }
}
