//! What changes, as it changes: notifications of links, addresses, routes, NIC settings.

use std::os::fd::{AsFd, BorrowedFd};

use crate::error::Error;
use crate::route::{Address, Link, Route};

/// A change that the kernel told of.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Event {
    /// A link appeared or changed. VFs are not in it: ask again when they matter.
    LinkChanged(Box<Link>),
    /// A link went away, for good or into another namespace ([`Link::new_netnsid`]).
    LinkRemoved(Box<Link>),
    /// An address appeared or changed.
    AddressChanged(Address),
    /// An address went away.
    AddressRemoved(Address),
    /// A route appeared or changed.
    RouteChanged(Route),
    /// A route went away.
    RouteRemoved(Route),
    /// A namespace got a number here.
    NamespaceAppeared(i32),
    /// A namespace lost its number here.
    NamespaceGone(i32),
    /// Somebody changed a NIC's settings.
    Ethtool {
        /// Index of the NIC, 0 when the kernel did not say.
        index: u32,
        /// Number of the notification, `ETHTOOL_MSG_*_NTF`.
        command: u8,
    },
    /// A devlink device, port or parameter changed.
    Devlink {
        /// Device, absent when the notification names none.
        handle: Option<crate::devlink::DeviceHandle>,
        /// Number of the notification, `DEVLINK_CMD_*`.
        command: u8,
    },
    /// A notification that could not be read: something changed, nobody knows what.
    Undecoded {
        /// What is wrong with it.
        reason: String,
    },
    /// Notifications were lost: read everything again.
    Overrun,
}

/// A socket that hears changes of its network namespace.
#[derive(Debug)]
pub struct EventSocket {
    route: crate::socket::Raw,
}

impl EventSocket {
    /// Opens it in the current network namespace.
    pub fn open() -> Result<Self, Error> {
        todo!()
    }

    /// Opens it in another network namespace.
    pub fn open_in(_netns: BorrowedFd<'_>) -> Result<Self, Error> {
        todo!()
    }

    /// Everything that has arrived, without waiting.
    pub fn receive(&mut self) -> Result<Vec<Event>, Error> {
        todo!()
    }
}

/// Readable when [`EventSocket::receive`] has something to give.
impl AsFd for EventSocket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.route.as_fd()
    }
}
