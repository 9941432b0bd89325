//! Changes as they were sent, to be sent again: the bare kernel work of something larger, for benches.

use std::os::fd::{AsRawFd, BorrowedFd};

use super::{Failure, Socket, refusal};
use crate::attribute::attributes;
use crate::error::Error;
use crate::message::{NLMSG_DONE, NLMSG_ERROR, Request, messages};

/// `RTM_NEWLINK` and `RTM_SETLINK`, the messages that name a namespace.
const LINK_KINDS: [u16; 2] = [16, 19];
const IFINFOMSG: usize = 16;
const IFLA_NET_NS_FD: u16 = 28;

/// The two low bits of a route message's type: 2 asks, the others change.
const KIND_MASK: u16 = 3;
const KIND_GET: u16 = 2;

/// The bytes of changes, one entry a send.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Recording {
    sends: Vec<Vec<u8>>,
}

impl Recording {
    /// The datagrams, in the order they were sent.
    pub fn sends(&self) -> &[Vec<u8>] {
        &self.sends
    }

    /// How many messages they hold.
    pub fn count(&self) -> usize {
        self.sends.iter().map(|datagram| messages(datagram).count()).sum()
    }

    /// The same with another namespace for the links that were made in or moved to one: a descriptor's number means
    /// nothing later. The descriptor must stay open until it is sent.
    pub fn in_namespace(&self, namespace: BorrowedFd<'_>) -> Self {
        let number = namespace.as_raw_fd().to_ne_bytes();
        let sends = self.sends.iter().map(|datagram| {
            let mut bytes = datagram.clone();
            for place in namespace_places(datagram) {
                if let Some(value) = bytes.get_mut(place..place + number.len()) {
                    value.copy_from_slice(&number);
                }
            }
            bytes
        });
        Self { sends: sends.collect() }
    }
}

/// Where the descriptors stand in a datagram.
fn namespace_places(datagram: &[u8]) -> Vec<usize> {
    let offset = |part: &[u8]| part.as_ptr().addr() - datagram.as_ptr().addr();
    messages(datagram)
        .filter(|message| LINK_KINDS.contains(&message.kind))
        .flat_map(|message| attributes(message.body.get(IFINFOMSG..).unwrap_or_default()))
        .flatten()
        .filter(|attribute| attribute.number == IFLA_NET_NS_FD)
        .map(|attribute| offset(attribute.value))
        .collect()
}

impl Socket {
    /// From now on the bytes of every change are kept, until [`Socket::take_recording`].
    pub fn start_recording(&mut self) {
        self.recording = Some(Recording::default());
    }

    /// What was sent since [`Socket::start_recording`]; nothing when that was not called.
    pub fn take_recording(&mut self) -> Recording {
        self.recording.take().unwrap_or_default()
    }

    pub(super) fn record(&mut self, requests: &[Request], datagram: &[u8]) {
        if let Some(recording) = &mut self.recording
            && requests.iter().any(|request| request.kind & KIND_MASK != KIND_GET)
        {
            recording.sends.push(datagram.to_vec());
        }
    }

    /// Sends a recording again and returns the kernel's verdict on each message. Nothing else is done.
    ///
    /// # Errors
    /// When the bytes cannot be sent or an answer does not come.
    pub fn send_again(&mut self, recording: &Recording) -> Result<Vec<Result<(), Error>>, Error> {
        self.settle();
        let operation = "send a recording again";
        let mut verdicts = Vec::new();
        for datagram in &recording.sends {
            let mut open = messages(datagram).count();
            self.unsettled = true;
            self.raw.send(datagram).map_err(|error| Failure::Send(error).of(operation, self.deadline))?;
            while open > 0 {
                self.raw.receive(self.deadline).map_err(|failure| failure.of(operation, self.deadline))?;
                for answer in messages(&self.raw.buffer) {
                    if matches!(answer.kind, NLMSG_ERROR | NLMSG_DONE) {
                        open = open.saturating_sub(1);
                        let asked = messages(datagram).find(|message| message.sequence == answer.sequence);
                        let request = match asked {
                            Some(message) => Request::new(operation, message.kind, message.body.to_vec()),
                            None => Request::new(operation, 0, Vec::new()),
                        };
                        verdicts.push(refusal(&answer, &request));
                    }
                }
            }
            self.unsettled = false;
        }
        Ok(verdicts)
    }
}
