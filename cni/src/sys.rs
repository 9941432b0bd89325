//! System calls that no crate wraps safely: descriptors that arrive by socket, the cookie of a namespace.
#![expect(unsafe_code, reason = "ownership of received descriptors, getsockopt")]

use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};

use nix::libc;

/// Takes a descriptor that the kernel has just put into this process.
pub(crate) fn own(fd: RawFd) -> OwnedFd {
    // SAFETY: `fd` comes out of a control message that was received now, so it is open, and nobody else knows it.
    unsafe { OwnedFd::from_raw_fd(fd) }
}

/// Cookie of the network namespace of a socket (`SO_NETNS_COOKIE`, Linux 5.14).
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
