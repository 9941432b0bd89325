//! Netlink messages (`struct nlmsghdr`): requests, the walk through a datagram, refusals.

use netlink_packet_core::NetlinkSerializable;
use netlink_packet_route::RouteNetlinkMessage;

use crate::attribute::{attributes, text};
use crate::error::{ErrorAttribute, KernelError};

pub(crate) const HEADER: usize = 16;

pub(crate) const NLMSG_ERROR: u16 = 2;
pub(crate) const NLMSG_DONE: u16 = 3;
/// Lowest type that is a family's own.
pub(crate) const NLMSG_MIN_TYPE: u16 = 16;

pub(crate) const NLM_F_REQUEST: u16 = 0x1;
pub(crate) const NLM_F_ACK: u16 = 0x4;
pub(crate) const NLM_F_DUMP_INTR: u16 = 0x10;
pub(crate) const NLM_F_DUMP: u16 = 0x300;
const NLM_F_CAPPED: u16 = 0x100;
const NLM_F_ACK_TLVS: u16 = 0x200;

// enum nlmsgerr_attrs
const NLMSGERR_ATTR_MSG: u16 = 1;
const NLMSGERR_ATTR_OFFS: u16 = 2;
const NLMSGERR_ATTR_MISS_TYPE: u16 = 5;

/// A question to the kernel.
#[derive(Debug, Clone)]
pub(crate) struct Request {
    /// What is asked, for error messages.
    pub(crate) operation: String,
    /// Message type.
    pub(crate) kind: u16,
    /// Flags beside those that every request has.
    pub(crate) flags: u16,
    /// What follows the header.
    pub(crate) body: Vec<u8>,
}

impl Request {
    pub(crate) fn new(operation: impl Into<String>, kind: u16, body: Vec<u8>) -> Self {
        Self { operation: operation.into(), kind, flags: 0, body }
    }

    pub(crate) fn route(operation: impl Into<String>, message: &RouteNetlinkMessage) -> Self {
        let mut body = vec![0; message.buffer_len()];
        message.serialize(&mut body);
        Self::new(operation, message.message_type(), body)
    }

    /// Appends the message to `datagram`, padded.
    pub(crate) fn emit(&self, flags: u16, sequence: u32, datagram: &mut Vec<u8>) {
        let length = u32::try_from(HEADER + self.body.len()).unwrap_or(u32::MAX);
        datagram.extend_from_slice(&length.to_ne_bytes());
        datagram.extend_from_slice(&self.kind.to_ne_bytes());
        datagram.extend_from_slice(&(flags | self.flags).to_ne_bytes());
        datagram.extend_from_slice(&sequence.to_ne_bytes());
        datagram.extend_from_slice(&[0; 4]);
        datagram.extend_from_slice(&self.body);
        datagram.resize(datagram.len().next_multiple_of(4), 0);
    }
}

/// The answers to a question: type and body of each message.
pub(crate) type Answers = Vec<(u16, Vec<u8>)>;

/// A message as it arrived.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Message<'a> {
    pub(crate) kind: u16,
    pub(crate) flags: u16,
    pub(crate) sequence: u32,
    pub(crate) body: &'a [u8],
}

/// The messages of a datagram; the walk ends where the bytes end to be one.
pub(crate) fn messages(datagram: &[u8]) -> Messages<'_> {
    Messages { rest: datagram }
}

pub(crate) struct Messages<'a> {
    rest: &'a [u8],
}

impl<'a> Iterator for Messages<'a> {
    type Item = Message<'a>;

    fn next(&mut self) -> Option<Self::Item> {
        let header: &[u8; HEADER] = self.rest.first_chunk()?;
        let &[l0, l1, l2, l3, k0, k1, f0, f1, s0, s1, s2, s3, ..] = header;
        let length = usize::try_from(u32::from_ne_bytes([l0, l1, l2, l3])).ok()?;
        let body = self.rest.get(HEADER..length)?;
        self.rest = self.rest.get(length.next_multiple_of(4)..).unwrap_or_default();
        Some(Message {
            kind: u16::from_ne_bytes([k0, k1]),
            flags: u16::from_ne_bytes([f0, f1]),
            sequence: u32::from_ne_bytes([s0, s1, s2, s3]),
            body,
        })
    }
}

/// What an `NLMSG_ERROR` or `NLMSG_DONE` says: nothing, or the refusal.
///
/// `request` is the body of the question, from which the number of a refused attribute is read.
pub(crate) fn verdict(message: &Message<'_>, request: &[u8]) -> Result<(), KernelError> {
    // The kernel may leave NLMSG_DONE empty.
    let code = message.body.first_chunk().map_or(0, |bytes| i32::from_ne_bytes(*bytes));
    if code >= 0 {
        return Ok(());
    }
    let mut error = KernelError::new(code.saturating_neg());
    if message.flags & NLM_F_ACK_TLVS != 0 {
        let details = match message.kind {
            NLMSG_DONE => message.body.get(4..),
            _ => message.body.get(4 + quoted_length(message)..),
        };
        explain(&mut error, details.unwrap_or_default(), request);
    }
    Err(error)
}

/// How much of the question an `NLMSG_ERROR` quotes: its header, or all of it.
fn quoted_length(message: &Message<'_>) -> usize {
    if message.flags & NLM_F_CAPPED != 0 {
        return HEADER;
    }
    let quoted = message.body.get(4..8).and_then(|bytes| bytes.first_chunk());
    let length = quoted.map_or(0, |bytes| u32::from_ne_bytes(*bytes));
    usize::try_from(length).map_or(HEADER, |length| length.next_multiple_of(4))
}

fn explain(error: &mut KernelError, details: &[u8], request: &[u8]) {
    // A detail that cannot be read takes nothing from the refusal itself.
    for detail in attributes(details).flatten() {
        match detail.number {
            NLMSGERR_ATTR_MSG => error.message = Some(detail.string()),
            NLMSGERR_ATTR_OFFS => {
                error.attribute = detail
                    .u32()
                    .ok()
                    .and_then(|offset| number_at(request, offset))
                    .map(ErrorAttribute::Refused);
            }
            NLMSGERR_ATTR_MISS_TYPE => error.attribute = detail.u32().ok().map(ErrorAttribute::Missing),
            _ => {}
        }
    }
}

/// Number of the attribute that starts `offset` bytes after the start of the request's header.
fn number_at(request: &[u8], offset: u32) -> Option<u16> {
    let start = usize::try_from(offset).ok()?.checked_sub(HEADER)?;
    attributes(request.get(start..)?).next()?.ok().map(|attribute| attribute.number)
}

/// The first text after the fixed part of a message, for a family without attributes.
pub(crate) fn text_fields(bytes: &[u8]) -> impl Iterator<Item = String> + '_ {
    bytes.split(|byte| *byte == 0).filter(|field| !field.is_empty()).map(text)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn any_datagram_is_walked_to_an_end(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
            for message in messages(&bytes) {
                let _ = verdict(&message, &bytes);
            }
        }

        #[test]
        fn a_refusal_is_read_whole_or_not_at_all(
            flags in any::<u16>(), body in proptest::collection::vec(any::<u8>(), 0..100), kind in 2u16..4)
        {
            let message = Message { kind, flags, sequence: 1, body: &body };
            let code = body.first_chunk().map_or(0, |bytes| i32::from_ne_bytes(*bytes));

            prop_assert_eq!(verdict(&message, &[]).is_err(), code < 0);
        }
    }

    #[test]
    fn the_refused_attribute_is_named_by_its_number() {
        let mut request = vec![0; 16];
        request.extend_from_slice(&[8, 0, 29, 0x80, 9, 0, 0, 0]);

        assert_eq!(number_at(&request, 32), Some(29));
        assert_eq!(number_at(&request, 31_000), None);
        assert_eq!(number_at(&request, 3), None);
    }
}
