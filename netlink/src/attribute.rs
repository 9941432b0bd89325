//! Netlink attributes (`struct nlattr`): reading without trust, writing without copies of state.

use netlink_packet_core::{DecodeError, NlaBuffer, Parseable};

const HEADER: usize = 4;
const NESTED: u16 = 0x8000;
const NUMBER_MASK: u16 = 0x3fff;

/// Bytes that are not what their type says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Malformed(pub(crate) String);

impl std::fmt::Display for Malformed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

impl From<DecodeError> for Malformed {
    fn from(error: DecodeError) -> Self {
        Self(error.to_string())
    }
}

/// One attribute: number without the flag bits, value without padding.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Attribute<'a> {
    pub(crate) number: u16,
    pub(crate) value: &'a [u8],
    whole: &'a [u8],
}

/// The attributes in `bytes`, in order. Bytes that cannot be one end the walk with an error.
pub(crate) fn attributes(bytes: &[u8]) -> Attributes<'_> {
    Attributes { rest: bytes }
}

pub(crate) struct Attributes<'a> {
    rest: &'a [u8],
}

impl<'a> Iterator for Attributes<'a> {
    type Item = Result<Attribute<'a>, Malformed>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.rest.is_empty() {
            return None;
        }
        let header: Option<&[u8; HEADER]> = self.rest.first_chunk();
        let length = header.map_or(0, |&[low, high, ..]| usize::from(u16::from_ne_bytes([low, high])));
        let (Some(&[_, _, low, high]), Some(whole), Some(value)) =
            (header, self.rest.get(..length), self.rest.get(HEADER..length))
        else {
            let left = self.rest.len();
            self.rest = &[];
            return Some(Err(Malformed(format!("attribute of {length} bytes where {left} are left"))));
        };
        self.rest = self.rest.get(length.next_multiple_of(4)..).unwrap_or_default();
        Some(Ok(Attribute { number: u16::from_ne_bytes([low, high]) & NUMBER_MASK, value, whole }))
    }
}

impl<'a> Attribute<'a> {
    fn array<const N: usize>(&self) -> Result<[u8; N], Malformed> {
        self.value.first_chunk().copied().ok_or_else(|| {
            Malformed(format!("attribute {} has {} bytes, expected {N}", self.number, self.value.len()))
        })
    }

    pub(crate) fn u8(&self) -> Result<u8, Malformed> {
        self.array::<1>().map(|[byte]| byte)
    }

    pub(crate) fn flag(&self) -> Result<bool, Malformed> {
        self.u8().map(|byte| byte != 0)
    }

    pub(crate) fn u16(&self) -> Result<u16, Malformed> {
        self.array().map(u16::from_ne_bytes)
    }

    pub(crate) fn u32(&self) -> Result<u32, Malformed> {
        self.array().map(u32::from_ne_bytes)
    }

    /// Text up to the first NUL. Names are bytes to the kernel; what is not UTF-8 is replaced.
    pub(crate) fn string(&self) -> String {
        text(self.value)
    }

    pub(crate) fn nested(&self) -> Attributes<'a> {
        attributes(self.value)
    }

    /// The attribute as a packet crate's type.
    pub(crate) fn packet<T: Parseable<NlaBuffer<&'a [u8]>>>(&self) -> Result<T, Malformed> {
        Ok(T::parse(&self.buffer()?)?)
    }

    /// The attribute in the packet crates' clothes.
    pub(crate) fn buffer(&self) -> Result<NlaBuffer<&'a [u8]>, Malformed> {
        Ok(NlaBuffer::new_checked(self.whole)?)
    }
}

/// Text up to the first NUL, trailing white space removed.
pub(crate) fn text(bytes: &[u8]) -> String {
    let end = bytes.iter().position(|byte| *byte == 0).unwrap_or(bytes.len());
    String::from_utf8_lossy(bytes.get(..end).unwrap_or_default()).trim_end().to_owned()
}

/// Attributes under construction.
#[derive(Debug, Default)]
pub(crate) struct Writer(pub(crate) Vec<u8>);

impl Writer {
    pub(crate) fn put(&mut self, number: u16, value: &[u8]) {
        // The length field has 16 bits. No request of ours comes near; a caller's name could.
        let length = u16::try_from(HEADER + value.len()).unwrap_or(u16::MAX);
        let value = value.get(..usize::from(length) - HEADER).unwrap_or(value);
        self.0.extend_from_slice(&length.to_ne_bytes());
        self.0.extend_from_slice(&number.to_ne_bytes());
        self.0.extend_from_slice(value);
        self.0.resize(self.0.len().next_multiple_of(4), 0);
    }

    pub(crate) fn put_u32(&mut self, number: u16, value: u32) {
        self.put(number, &value.to_ne_bytes());
    }

    pub(crate) fn put_string(&mut self, number: u16, value: &str) {
        let mut bytes = value.as_bytes().to_vec();
        bytes.push(0);
        self.put(number, &bytes);
    }

    pub(crate) fn nest(&mut self, number: u16, fill: impl FnOnce(&mut Self)) {
        let mut inner = Self::default();
        fill(&mut inner);
        self.put(number | NESTED, &inner.0);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn what_is_written_reads_back(items in proptest::collection::vec(
            (0u16..0x3fff, proptest::collection::vec(any::<u8>(), 0..40)), 0..10))
        {
            let mut writer = Writer::default();
            for (number, value) in &items {
                writer.put(*number, value);
            }

            let read: Vec<(u16, Vec<u8>)> = attributes(&writer.0)
                .map(|attribute| attribute.map(|a| (a.number, a.value.to_vec())).unwrap())
                .collect();

            prop_assert_eq!(read, items);
        }

        #[test]
        fn any_bytes_are_walked_to_an_end(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let count = attributes(&bytes).count();
            prop_assert!(count <= bytes.len());
        }
    }

    #[test]
    fn an_attribute_that_is_longer_than_its_message_is_an_error_and_the_last() {
        let bytes = [8, 0, 1, 0, 1, 2, 3, 4, 200, 0, 2, 0, 1];

        let read: Vec<_> = attributes(&bytes).map(|attribute| attribute.is_ok()).collect();

        assert_eq!(read, [true, false]);
    }

    #[test]
    fn a_length_below_the_header_does_not_loop() {
        assert_eq!(attributes(&[0, 0, 1, 0, 0, 0, 0, 0]).count(), 1);
    }
}
