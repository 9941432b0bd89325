//! One end of a conversation: whole messages over SEQPACKET packets, with descriptors and deadlines.

use std::io::{self, IoSlice, IoSliceMut};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::sys::socket::{
    AddressFamily, Backlog, ControlMessage, ControlMessageOwned, MsgFlags, SockFlag, SockType, UnixAddr,
    accept4, bind, connect, getsockopt, listen, recvmsg, sendmsg, setsockopt, socket, sockopt,
};
use nix::sys::time::{TimeVal, TimeValLike};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::{Answer, Call, PROTOCOL, served};
use crate::error::Error;

/// Bytes of a message in one packet; with the first byte it fits the kernel's smallest usual send buffer.
const PACKET: usize = 64 * 1024;

/// Bytes of a whole message at most.
const MESSAGE: usize = 4 * 1024 * 1024;

/// First byte of a packet after which the message goes on.
const MORE: u8 = 1;

/// First byte of a message's last packet.
const LAST: u8 = 0;

/// Between two looks at an agent that is away.
const LOOK_AGAIN: Duration = Duration::from_millis(20);

/// One end of a conversation.
#[derive(Debug)]
pub struct Connection {
    socket: OwnedFd,
    /// Microseconds that one message may take; 0: no bound.
    deadline: AtomicU64,
}

/// Who is at the other end, as the kernel says, in this process's own user namespace: root of another one is not 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Peer {
    /// Process.
    pub pid: i32,
    /// User.
    pub uid: u32,
    /// Group.
    pub gid: u32,
}

impl Connection {
    /// Connects to the agent; a full queue of others is waited for.
    ///
    /// # Errors
    /// As `connect(2)`.
    pub fn connect(path: &Path) -> io::Result<Self> {
        Self::connect_within(path, Duration::ZERO)
    }

    /// Connects to the agent, and looks again until `patience` is over when it is away.
    ///
    /// # Errors
    /// As the last `connect(2)`.
    pub fn connect_within(path: &Path, patience: Duration) -> io::Result<Self> {
        let address = UnixAddr::new(path)?;
        let end = Instant::now() + patience;
        loop {
            let socket = socket(AddressFamily::Unix, SockType::SeqPacket, SockFlag::SOCK_CLOEXEC, None)?;
            let connection = Self::from_socket(socket);
            let left = end.saturating_duration_since(Instant::now());
            // The time to send is also the time that a connect may wait in the queue.
            connection.set_deadline(left.max(LOOK_AGAIN))?;
            match connect(connection.socket.as_raw_fd(), &address) {
                Ok(()) => {
                    connection.forget_deadline()?;
                    return Ok(connection);
                }
                Err(error) if left.is_zero() => return Err(error.into()),
                Err(_) => std::thread::sleep(LOOK_AGAIN.min(left)),
            }
        }
    }

    /// The end that is behind a descriptor.
    pub fn from_socket(socket: OwnedFd) -> Self {
        Self { socket, deadline: AtomicU64::new(0) }
    }

    /// Bounds every later message as a whole; one that is too late is an error of kind `WouldBlock`.
    ///
    /// # Errors
    /// As `setsockopt(2)`.
    pub fn set_deadline(&self, deadline: Duration) -> io::Result<()> {
        let micros = deadline.as_micros().max(1);
        self.deadline.store(u64::try_from(micros).unwrap_or(u64::MAX), Ordering::Relaxed);
        self.set_wait(i64::try_from(micros).unwrap_or(i64::MAX))
    }

    fn forget_deadline(&self) -> io::Result<()> {
        self.deadline.store(0, Ordering::Relaxed);
        self.set_wait(0)
    }

    /// Bounds a single system call, in microseconds; 0: not at all.
    fn set_wait(&self, micros: i64) -> io::Result<()> {
        let time = TimeVal::microseconds(micros);
        setsockopt(&self.socket, sockopt::ReceiveTimeout, &time)?;
        setsockopt(&self.socket, sockopt::SendTimeout, &time)?;
        Ok(())
    }

    /// When a message that begins now has to be through.
    fn end(&self) -> Option<Instant> {
        let micros = self.deadline.load(Ordering::Relaxed);
        (micros > 0).then(|| Instant::now().checked_add(Duration::from_micros(micros))).flatten()
    }

    /// Who is at the other end.
    ///
    /// # Errors
    /// As `getsockopt(2)`.
    pub fn peer(&self) -> io::Result<Peer> {
        let found = getsockopt(&self.socket, sockopt::PeerCredentials)?;
        Ok(Peer { pid: found.pid(), uid: found.uid(), gid: found.gid() })
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
        let end = self.end();
        let mut parts = bytes.chunks(PACKET).peekable();
        let mut fd = fd.map(|fd| [fd.as_raw_fd()]);
        while let Some(part) = parts.next() {
            in_time(end)?;
            let first = [if parts.peek().is_some() { MORE } else { LAST }];
            let descriptor = fd.take();
            let control = descriptor.as_ref().map(|fds| ControlMessage::ScmRights(fds));
            let slices = [IoSlice::new(&first), IoSlice::new(part)];
            let sent = retried(|| {
                let flags = MsgFlags::MSG_NOSIGNAL;
                sendmsg::<()>(self.socket.as_raw_fd(), &slices, control.as_slice(), flags, None)
            })?;
            // The kernel sends a packet whole or not at all.
            debug_assert_eq!(sent, part.len() + 1);
        }
        Ok(())
    }

    /// Receives a message and a descriptor that came with it.
    ///
    /// # Errors
    /// `UnexpectedEof` when the other end is gone, `WouldBlock` when the wait is over, `InvalidData` when it is none
    /// of ours.
    pub fn receive<T: DeserializeOwned>(&self) -> io::Result<(T, Option<OwnedFd>)> {
        let (bytes, descriptor) = self.receive_bytes()?;
        Ok((decode(&bytes)?, descriptor))
    }

    /// The agent's first step: receives a call, and brings an executable that is newer to speak as we do.
    ///
    /// # Errors
    /// As [`Connection::receive`]; the inner error (code 11) is to be sent back in [`Answer::Failed`]: executable and
    /// agent are too far apart.
    pub fn receive_call(&self) -> io::Result<Result<(Call, Option<OwnedFd>), Error>> {
        #[derive(Deserialize)]
        struct Greeting {
            protocol: u32,
        }
        let (mut bytes, mut descriptor) = self.receive_bytes()?;
        let mut greeting: Greeting = decode(&bytes)?;
        if greeting.protocol > PROTOCOL {
            self.send(&Answer::Speak { protocol: PROTOCOL }, None)?;
            let again = self.receive_bytes()?;
            bytes = again.0;
            descriptor = again.1.or(descriptor);
            greeting = decode(&bytes)?;
        }
        if let Err(error) = served(greeting.protocol) {
            return Ok(Err(error));
        }
        Ok(Ok((decode(&bytes)?, descriptor)))
    }

    fn receive_bytes(&self) -> io::Result<(Vec<u8>, Option<OwnedFd>)> {
        let end = self.end();
        let mut whole = Vec::new();
        let mut descriptor = None;
        let mut packet = vec![0; PACKET + 1];
        loop {
            in_time(end)?;
            let (length, descriptors) = self.receive_packet(&mut packet)?;
            // Those beyond the first are closed here: nobody asked for them.
            descriptor = descriptor.or(descriptors.into_iter().next());
            let Some((first, part)) = packet.get(..length).and_then(<[u8]>::split_first) else {
                return Err(io::ErrorKind::UnexpectedEof.into());
            };
            if whole.len() + part.len() > MESSAGE {
                return Err(invalid("a message is over the limit of 4 MiB"));
            }
            whole.extend_from_slice(part);
            match *first {
                LAST => return Ok((whole, descriptor)),
                MORE => {}
                _ => return Err(invalid("a packet begins with neither 0 nor 1")),
            }
        }
    }

    fn receive_packet(&self, packet: &mut [u8]) -> io::Result<(usize, Vec<OwnedFd>)> {
        let mut control = nix::cmsg_space!([i32; 4]);
        let mut slices = [IoSliceMut::new(packet)];
        let mut reset = false;
        let got = loop {
            let flags = MsgFlags::MSG_CMSG_CLOEXEC;
            match recvmsg::<()>(self.socket.as_raw_fd(), &mut slices, Some(&mut control), flags) {
                Err(Errno::EINTR) => {}
                // The other end went without reading all; what it said before comes after this.
                Err(Errno::ECONNRESET) if !reset => reset = true,
                other => break other?,
            }
        };
        let mut descriptors = Vec::new();
        for message in got.cmsgs()? {
            if let ControlMessageOwned::ScmRights(fds) = message {
                descriptors.extend(fds.into_iter().map(crate::sys::own));
            }
        }
        if got.flags.contains(MsgFlags::MSG_TRUNC) {
            return Err(invalid("a packet is over the limit of 64 KiB"));
        }
        Ok((got.bytes, descriptors))
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
    let fd = retried(|| accept4(listener.as_raw_fd(), SockFlag::SOCK_CLOEXEC))?;
    Ok(Connection::from_socket(crate::sys::own(fd)))
}

fn retried<T>(mut call: impl FnMut() -> nix::Result<T>) -> nix::Result<T> {
    loop {
        match call() {
            Err(Errno::EINTR) => {}
            other => return other,
        }
    }
}

fn in_time(end: Option<Instant>) -> io::Result<()> {
    if end.is_some_and(|end| Instant::now() > end) {
        return Err(io::ErrorKind::WouldBlock.into());
    }
    Ok(())
}

fn decode<T: DeserializeOwned>(bytes: &[u8]) -> io::Result<T> {
    serde_json::from_slice(bytes).map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))
}

fn invalid(words: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, words)
}

#[cfg(test)]
mod tests;
