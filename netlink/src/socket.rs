//! Sockets.

use std::os::fd::{AsFd, BorrowedFd};
use std::time::Duration;

use crate::error::Error;

/// A netlink protocol.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Family {
    /// Links, addresses, routes (`NETLINK_ROUTE`).
    Route,
    /// Ethtool, devlink and other families by name (`NETLINK_GENERIC`).
    Generic,
}

/// A socket for requests and their answers.
#[derive(Debug)]
pub struct Socket {
    raw: Raw,
}

#[derive(Debug)]
pub(crate) struct Raw(netlink_sys::Socket);

impl Raw {
    pub(crate) fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

impl Socket {
    /// Opens a socket in the current network namespace.
    pub fn open(_family: Family) -> Result<Self, Error> {
        todo!()
    }

    /// Opens a socket in the namespace behind `netns`.
    pub fn open_in(_netns: BorrowedFd<'_>, _family: Family) -> Result<Self, Error> {
        todo!()
    }

    /// How long a call waits for the kernel at most; 5 s unless set.
    pub fn set_deadline(&mut self, _deadline: Duration) {
        todo!()
    }
}
