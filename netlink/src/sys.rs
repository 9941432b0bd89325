//! The system calls that no crate wraps safely: `SIOCETHTOOL`, the name of an index, the cookie of a namespace,
//! addresses of packet sockets.
#![expect(unsafe_code, reason = "ioctl on struct ifreq, getsockopt, struct sockaddr_ll")]

use std::io;
use std::os::fd::{AsRawFd, BorrowedFd};

use nix::libc;

const ETHTOOL_GDRVINFO: u32 = 0x3;

/// `struct ethtool_drvinfo`: a command, five texts of 32 bytes, 12 reserved, five numbers.
pub(crate) const DRVINFO_BYTES: usize = 4 + 5 * 32 + 12 + 5 * 4;

fn request(name: &[libc::c_char; libc::IFNAMSIZ]) -> libc::ifreq {
    libc::ifreq { ifr_name: *name, ifr_ifru: libc::__c_anonymous_ifr_ifru { ifru_ifindex: 0 } }
}

/// Name of the interface with this index in the socket's namespace (`SIOCGIFNAME`).
pub(crate) fn interface_name(
    socket: BorrowedFd<'_>,
    index: u32,
) -> io::Result<[libc::c_char; libc::IFNAMSIZ]> {
    let mut ifreq = request(&[0; libc::IFNAMSIZ]);
    ifreq.ifr_ifru.ifru_ifindex = i32::try_from(index).map_err(|_| io::ErrorKind::InvalidInput)?;
    // SAFETY: SIOCGIFNAME reads and writes one `struct ifreq`, which `ifreq` is and outlives.
    let result = unsafe { libc::ioctl(socket.as_raw_fd(), libc::SIOCGIFNAME as _, &raw mut ifreq) };
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(ifreq.ifr_name) }
}

/// Index of the interface with this name in the socket's namespace (`SIOCGIFINDEX`).
pub(crate) fn interface_index(
    socket: BorrowedFd<'_>,
    name: &[libc::c_char; libc::IFNAMSIZ],
) -> io::Result<u32> {
    let mut ifreq = request(name);
    // SAFETY: SIOCGIFINDEX reads and writes one `struct ifreq`, which `ifreq` is and outlives.
    let result = unsafe { libc::ioctl(socket.as_raw_fd(), libc::SIOCGIFINDEX as _, &raw mut ifreq) };
    if result < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the call succeeded and wrote this member; every bit pattern is a valid integer.
    let index = unsafe { ifreq.ifr_ifru.ifru_ifindex };
    u32::try_from(index).map_err(|_| io::ErrorKind::InvalidData.into())
}

/// `ETHTOOL_GDRVINFO` of the interface with this name, raw.
pub(crate) fn driver_info(
    socket: BorrowedFd<'_>,
    name: &[libc::c_char; libc::IFNAMSIZ],
) -> io::Result<[u8; DRVINFO_BYTES]> {
    let mut info = [0; DRVINFO_BYTES];
    for (byte, command) in info.iter_mut().zip(ETHTOOL_GDRVINFO.to_ne_bytes()) {
        *byte = command;
    }
    let mut ifreq = request(name);
    ifreq.ifr_ifru.ifru_data = info.as_mut_ptr().cast();
    // SAFETY: SIOCETHTOOL reads one `struct ifreq` and, for ETHTOOL_GDRVINFO, reads and writes
    // one `struct ethtool_drvinfo` where `ifru_data` points. `info` has that struct's size, is
    // not touched otherwise during the call, and the kernel copies without alignment.
    let result = unsafe { libc::ioctl(socket.as_raw_fd(), libc::SIOCETHTOOL as _, &raw mut ifreq) };
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(info) }
}

/// Cookie of the network namespace of a socket (`SO_NETNS_COOKIE`).
pub(crate) fn namespace_cookie(socket: BorrowedFd<'_>) -> io::Result<u64> {
    let mut cookie = 0u64;
    let mut length = size_of::<u64>() as libc::socklen_t;
    // SAFETY: the option writes a `u64` to `cookie`, whose size `length` tells; both outlive the call.
    let result = unsafe {
        libc::getsockopt(
            socket.as_raw_fd(),
            libc::SOL_SOCKET,
            libc::SO_NETNS_COOKIE,
            (&raw mut cookie).cast(),
            &raw mut length,
        )
    };
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(cookie) }
}

/// Longest link-layer address that `struct sockaddr_ll` holds.
pub(crate) const PACKET_ADDRESS_BYTES: usize = 8;

/// `struct sockaddr_ll`; `protocol` is an `ETH_P_*` in host order. Bytes of `address` beyond the eighth are left out.
fn packet_address(index: u32, protocol: u16, address: &[u8]) -> io::Result<libc::sockaddr_ll> {
    let mut sll_addr = [0; PACKET_ADDRESS_BYTES];
    for (to, from) in sll_addr.iter_mut().zip(address) {
        *to = *from;
    }
    Ok(libc::sockaddr_ll {
        sll_family: libc::AF_PACKET as libc::c_ushort,
        sll_protocol: protocol.to_be(),
        sll_ifindex: i32::try_from(index).map_err(|_| io::ErrorKind::InvalidInput)?,
        sll_hatype: 0,
        sll_pkttype: 0,
        sll_halen: u8::try_from(address.len().min(PACKET_ADDRESS_BYTES)).unwrap_or_default(),
        sll_addr,
    })
}

/// Lets a packet socket receive `protocol` from the link `index` (`bind(2)`, packet(7)).
pub(crate) fn bind_packet(socket: BorrowedFd<'_>, index: u32, protocol: u16) -> io::Result<()> {
    let address = packet_address(index, protocol, &[])?;
    // SAFETY: `bind` reads `sockaddr_ll`, whose size is told and which outlives the call.
    let result = unsafe {
        libc::bind(
            socket.as_raw_fd(),
            (&raw const address).cast(),
            size_of::<libc::sockaddr_ll>() as libc::socklen_t,
        )
    };
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}

/// Sends `payload` to `destination` on the link `index`; the kernel writes the link-layer header.
pub(crate) fn send_packet(
    socket: BorrowedFd<'_>,
    index: u32,
    protocol: u16,
    destination: &[u8],
    payload: &[u8],
) -> io::Result<()> {
    let address = packet_address(index, protocol, destination)?;
    // SAFETY: `sendto` reads `payload` and `address`, whose sizes are told and which outlive the call.
    let sent = unsafe {
        libc::sendto(
            socket.as_raw_fd(),
            payload.as_ptr().cast(),
            payload.len(),
            0,
            (&raw const address).cast(),
            size_of::<libc::sockaddr_ll>() as libc::socklen_t,
        )
    };
    if sent < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}

/// Takes a packet into `buffer`: its length, and who sent it on which link.
pub(crate) fn receive_packet(
    socket: BorrowedFd<'_>,
    buffer: &mut [u8],
) -> io::Result<(usize, libc::sockaddr_ll)> {
    let mut address = packet_address(0, 0, &[])?;
    let mut length = size_of::<libc::sockaddr_ll>() as libc::socklen_t;
    // SAFETY: `recvfrom` writes at most `buffer.len()` bytes to `buffer` and at most `length` bytes to `address`,
    // in which every bit pattern is valid; all outlive the call.
    let received = unsafe {
        libc::recvfrom(
            socket.as_raw_fd(),
            buffer.as_mut_ptr().cast(),
            buffer.len(),
            libc::MSG_DONTWAIT,
            (&raw mut address).cast(),
            &raw mut length,
        )
    };
    usize::try_from(received).map(|received| (received, address)).map_err(|_| io::Error::last_os_error())
}
