//! The conversation between executable and agent over a SEQPACKET socket (DESIGN §4, TRAPS P2, P13).
//!
//! ```text
//! executable → agent   Call (with the descriptor of the namespace)
//! agent → executable   Run [calls]        any number of times
//! executable → agent   Ran [outcomes]
//! agent → executable   Done or Failed, with debts to pay
//! executable → agent   Ran [outcomes of the debts]
//! ```
//! The end of the stream before Done or Failed means that the other one is gone. A message is JSON; one that does
//! not fit a packet comes in several, each with a first byte that says whether more follow.

use std::io::{self, IoSlice, IoSliceMut};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::path::Path;
use std::time::Duration;

use nix::errno::Errno;
use nix::sys::socket::{
    AddressFamily, Backlog, ControlMessage, ControlMessageOwned, MsgFlags, SockFlag, SockType, UnixAddr,
    accept4, bind, connect, getsockopt, listen, recvmsg, sendmsg, setsockopt, socket, sockopt,
};
use nix::sys::time::{TimeVal, TimeValLike};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::environment::Environment;
use crate::error::Error;

/// Version of the protocol that this program speaks. An agent also serves the one before.
pub const PROTOCOL: u32 = 1;

/// Bytes of a message in one packet.
const PACKET: usize = 64 * 1024;

/// Bytes of a whole message at most.
const MESSAGE: usize = 4 * 1024 * 1024;

/// Which executable calls.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Tool {
    /// The main plugin.
    MultiNic,
    /// The IPAM plugin.
    MultiNicIpam,
}

/// The first message.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Call {
    /// Version of the protocol.
    pub protocol: u32,
    /// Which executable.
    pub tool: Tool,
    /// The environment.
    pub environment: Environment,
    /// Standard input, as it came.
    pub config: String,
    /// `--pay-debts`: nothing but debts is wanted.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub pay_debts: bool,
}

/// What the executable says after its call.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Ran {
    /// How each call ended; those that were not begun are left out.
    pub outcomes: Vec<Outcome>,
}

/// What the agent says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Answer {
    /// Run these plugins, one after the other, and tell how they ended. ADDs end at the first failure.
    Run(Vec<DelegateCall>),
    /// It is done.
    #[serde(rename_all = "camelCase")]
    Done {
        /// What to print.
        output: Option<String>,
        /// DELs that nobody could run before.
        #[serde(default)]
        debts: Vec<DelegateCall>,
    },
    /// It failed, and is undone.
    #[serde(rename_all = "camelCase")]
    Failed {
        /// Why.
        error: Error,
        /// DELs that nobody could run before.
        #[serde(default)]
        debts: Vec<DelegateCall>,
    },
}

/// A call of another plugin.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct DelegateCall {
    /// Number of the call.
    pub id: u32,
    /// Executable.
    pub plugin: String,
    /// Its environment; `CNI_PATH` is the caller's own when empty.
    pub environment: Environment,
    /// Its standard input.
    pub config: String,
    /// Milliseconds that it may take.
    pub timeout_ms: u64,
    /// Name of the file that remembers it ([`crate::delegate_file`]).
    pub file: String,
}

/// How a call ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Outcome {
    /// Number of the call.
    pub id: u32,
    /// What it printed; absent when it failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub output: Option<String>,
    /// Why it failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<Error>,
}

/// One end of a conversation.
#[derive(Debug)]
pub struct Connection {
    socket: OwnedFd,
}

/// Who is at the other end, as the kernel says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Peer {
    /// Process.
    pub pid: i32,
    /// User.
    pub uid: u32,
}

impl Connection {
    /// Connects to the agent.
    ///
    /// # Errors
    /// As `connect(2)`.
    pub fn connect(path: &Path) -> io::Result<Self> {
        let socket = socket(AddressFamily::Unix, SockType::SeqPacket, SockFlag::SOCK_CLOEXEC, None)?;
        connect(socket.as_raw_fd(), &UnixAddr::new(path)?)?;
        Ok(Self { socket })
    }

    /// The end that is behind a descriptor.
    pub fn from_socket(socket: OwnedFd) -> Self {
        Self { socket }
    }

    /// Bounds every later wait; a wait that is over is an error of kind `WouldBlock`.
    ///
    /// # Errors
    /// As `setsockopt(2)`.
    pub fn set_deadline(&self, deadline: Duration) -> io::Result<()> {
        let micros = i64::try_from(deadline.as_micros().max(1)).unwrap_or(i64::MAX);
        let time = TimeVal::microseconds(micros);
        setsockopt(&self.socket, sockopt::ReceiveTimeout, &time)?;
        setsockopt(&self.socket, sockopt::SendTimeout, &time)?;
        Ok(())
    }

    /// Who is at the other end.
    ///
    /// # Errors
    /// As `getsockopt(2)`.
    pub fn peer(&self) -> io::Result<Peer> {
        let found = getsockopt(&self.socket, sockopt::PeerCredentials)?;
        Ok(Peer { pid: found.pid(), uid: found.uid() })
    }

    /// Sends a message, with a descriptor where one is given.
    ///
    /// # Errors
    /// When the other end is gone, the wait is over or the message is over 4 MiB.
    pub fn send<T: Serialize>(&self, message: &T, fd: Option<BorrowedFd<'_>>) -> io::Result<()> {
        let bytes = serde_json::to_vec(message)?;
        if bytes.len() > MESSAGE {
            let words = format!("a message of {} bytes is over the limit of {MESSAGE}", bytes.len());
            return Err(io::Error::new(io::ErrorKind::InvalidInput, words));
        }
        let mut parts = bytes.chunks(PACKET).peekable();
        let mut fd = fd;
        while let Some(part) = parts.next() {
            let more = [u8::from(parts.peek().is_some())];
            let descriptors: Vec<i32> = fd.take().iter().map(AsRawFd::as_raw_fd).collect();
            let control = [ControlMessage::ScmRights(&descriptors)];
            let control = if descriptors.is_empty() { &[][..] } else { &control[..] };
            let slices = [IoSlice::new(&more), IoSlice::new(part)];
            sendmsg::<()>(self.socket.as_raw_fd(), &slices, control, MsgFlags::MSG_NOSIGNAL, None)?;
        }
        Ok(())
    }

    /// Receives a message and a descriptor that came with it.
    ///
    /// # Errors
    /// `UnexpectedEof` when the other end is gone, `WouldBlock` when the wait is over, `InvalidData` when it is none
    /// of ours.
    pub fn receive<T: DeserializeOwned>(&self) -> io::Result<(T, Option<OwnedFd>)> {
        let mut whole = Vec::new();
        let mut descriptor = None;
        let mut packet = vec![0; PACKET + 1];
        loop {
            let mut control = nix::cmsg_space!([i32; 4]);
            let (length, flags, descriptors) = {
                let mut slices = [IoSliceMut::new(&mut packet)];
                let flags = MsgFlags::MSG_CMSG_CLOEXEC;
                let got = loop {
                    match recvmsg::<()>(self.socket.as_raw_fd(), &mut slices, Some(&mut control), flags) {
                        Err(Errno::EINTR) => {}
                        other => break other?,
                    }
                };
                let mut descriptors: Vec<OwnedFd> = Vec::new();
                for message in got.cmsgs()? {
                    if let ControlMessageOwned::ScmRights(fds) = message {
                        descriptors.extend(fds.into_iter().map(crate::sys::own));
                    }
                }
                (got.bytes, got.flags, descriptors)
            };
            // Those beyond the first are closed here: nobody asked for them.
            descriptor = descriptor.or(descriptors.into_iter().next());
            if flags.contains(MsgFlags::MSG_TRUNC) || whole.len() + length > MESSAGE + PACKET {
                return Err(io::Error::new(io::ErrorKind::InvalidData, "a message is over the limit"));
            }
            let Some((more, part)) = packet.get(..length).and_then(<[u8]>::split_first) else {
                return Err(io::ErrorKind::UnexpectedEof.into());
            };
            whole.extend_from_slice(part);
            match *more {
                0 => break,
                1 => {}
                _ => {
                    return Err(io::Error::new(
                        io::ErrorKind::InvalidData,
                        "a packet begins with neither 0 nor 1",
                    ));
                }
            }
        }
        let message = serde_json::from_slice(&whole)
            .map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))?;
        Ok((message, descriptor))
    }
}

impl AsFd for Connection {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

/// Listens at a path, which must be free.
///
/// # Errors
/// As `bind(2)` and `listen(2)`.
pub fn listen_at(path: &Path) -> io::Result<OwnedFd> {
    let socket = socket(AddressFamily::Unix, SockType::SeqPacket, SockFlag::SOCK_CLOEXEC, None)?;
    bind(socket.as_raw_fd(), &UnixAddr::new(path)?)?;
    listen(&socket, Backlog::new(1024)?)?;
    Ok(socket)
}

/// Waits for the next caller.
///
/// # Errors
/// As `accept4(2)`.
pub fn accept(listener: BorrowedFd<'_>) -> io::Result<Connection> {
    let fd = accept4(listener.as_raw_fd(), SockFlag::SOCK_CLOEXEC)?;
    Ok(Connection { socket: crate::sys::own(fd) })
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};

    use nix::sys::socket::socketpair;
    use proptest::prelude::*;

    use super::*;

    fn pair() -> (Connection, Connection) {
        let (one, other) =
            socketpair(AddressFamily::Unix, SockType::SeqPacket, None, SockFlag::SOCK_CLOEXEC).unwrap();
        (Connection::from_socket(one), Connection::from_socket(other))
    }

    #[test]
    fn a_message_of_many_packets_arrives_whole_with_its_descriptor() {
        let (one, other) = pair();
        let text = "x".repeat(300_000);
        let (mut reader, writer) = std::io::pipe().unwrap();
        let sent = text.clone();
        let thread = std::thread::spawn(move || one.send(&sent, Some(writer.as_fd())).unwrap());

        let (got, fd) = other.receive::<String>().unwrap();
        thread.join().unwrap();

        assert!(got == text);
        let mut file = std::fs::File::from(fd.unwrap());
        file.write_all(b"hello").unwrap();
        drop(file);
        let mut heard = String::new();
        reader.read_to_string(&mut heard).unwrap();
        assert_eq!(heard, "hello");
    }

    #[test]
    fn the_end_and_a_wait_that_is_over_are_told_apart() {
        let (one, other) = pair();
        other.set_deadline(Duration::from_millis(5)).unwrap();
        assert_eq!(other.receive::<String>().unwrap_err().kind(), io::ErrorKind::WouldBlock);
        drop(one);
        assert_eq!(other.receive::<String>().unwrap_err().kind(), io::ErrorKind::UnexpectedEof);
    }

    #[test]
    fn a_message_over_the_limit_is_not_sent() {
        let (one, _other) = pair();
        let error = one.send(&"x".repeat(MESSAGE + 1), None).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::InvalidInput);
    }

    #[test]
    fn the_peer_is_who_the_kernel_says() {
        let (one, _other) = pair();
        let peer = one.peer().unwrap();
        assert_eq!(peer.pid, i32::try_from(std::process::id()).unwrap());
    }

    proptest! {
        #[test]
        fn garbage_is_an_error_and_nothing_else(packets in proptest::collection::vec(
            proptest::collection::vec(any::<u8>(), 0..60), 0..4))
        {
            let (one, other) = pair();
            for packet in &packets {
                let slices = [IoSlice::new(packet)];
                sendmsg::<()>(one.socket.as_raw_fd(), &slices, &[], MsgFlags::empty(), None).unwrap();
            }
            drop(one);
            prop_assert!(other.receive::<Call>().is_err());
        }
    }
}
