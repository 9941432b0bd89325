//! Frames on a link, beside its IP stack (packet(7)): how neighbours are told of an address or asked about it.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use nix::sys::socket::{AddressFamily, SockFlag, SockType, socket};

use crate::error::Error;
use crate::link_address::LinkAddress;
use crate::sys;

/// Longest payload that is received; longer ones are cut.
const BUFFER: usize = 2048;

/// A packet socket (`AF_PACKET`, `SOCK_DGRAM`). Needs `CAP_NET_RAW`.
///
/// It belongs to the network namespace it was opened in. Opening costs microseconds, but *closing waits for an RCU
/// grace period* (16 ms measured): drop it where nobody waits.
#[derive(Debug)]
pub struct PacketSocket {
    fd: OwnedFd,
}

/// A frame without its link-layer header.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Packet {
    /// Index of the link that it came in by.
    pub link: u32,
    /// `ETH_P_*`: 0x0800 IPv4, 0x0806 ARP, 0x86dd IPv6.
    pub protocol: u16,
    /// Who sent it.
    pub source: LinkAddress,
    /// What it carries, at most 2048 bytes.
    pub payload: Vec<u8>,
}

impl PacketSocket {
    /// Opens a socket that sends on any link and receives nothing.
    pub fn open() -> Result<Self, Error> {
        let flags = SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK;
        // Protocol 0: the kernel need not look at each frame of the namespace for it.
        let fd = socket(AddressFamily::Packet, SockType::Datagram, flags, None)
            .map_err(|errno| Error::io("open a packet socket", errno.into()))?;
        Ok(Self { fd })
    }

    /// Opens a socket that also receives what comes in by one link with one protocol (`ETH_P_*`).
    pub fn listen(link: u32, protocol: u16) -> Result<Self, Error> {
        let socket = Self::open()?;
        sys::bind_packet(socket.as_fd(), link, protocol)
            .map_err(|error| Error::io(format!("listen on link {link}"), error))?;
        Ok(socket)
    }

    /// Sends on a link that is up; the kernel writes the link-layer header with the link's own address as source.
    ///
    /// `ENETDOWN` while the link is down, `ENXIO` when it is gone.
    pub fn send(
        &self,
        link: u32,
        protocol: u16,
        destination: &LinkAddress,
        payload: &[u8],
    ) -> Result<(), Error> {
        let operation = || format!("send a frame on link {link}");
        if destination.as_bytes().len() > sys::PACKET_ADDRESS_BYTES {
            return Err(Error::io(operation(), io::ErrorKind::InvalidInput.into()));
        }
        sys::send_packet(self.as_fd(), link, protocol, destination.as_bytes(), payload)
            .map_err(|error| Error::io(operation(), error))
    }

    /// The next frame, if one has come. To wait for one, poll the descriptor.
    pub fn receive(&self) -> Result<Option<Packet>, Error> {
        let mut payload = vec![0; BUFFER];
        loop {
            return match sys::receive_packet(self.as_fd(), &mut payload) {
                Ok((length, from)) => {
                    payload.truncate(length);
                    let halen = usize::from(from.sll_halen).min(from.sll_addr.len());
                    Ok(Some(Packet {
                        link: from.sll_ifindex.unsigned_abs(),
                        protocol: u16::from_be(from.sll_protocol),
                        source: from.sll_addr.get(..halen).unwrap_or_default().into(),
                        payload,
                    }))
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(None),
                Err(error) => Err(Error::io("receive a frame", error)),
            };
        }
    }
}

impl AsFd for PacketSocket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}
