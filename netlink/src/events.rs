//! What changes, as it changes: notifications of links, addresses, routes, NIC settings.

use std::os::fd::{AsFd, BorrowedFd};
use std::time::Duration;

use netlink_sys::protocols::{NETLINK_GENERIC, NETLINK_ROUTE};
use nix::sys::epoll::{Epoll, EpollCreateFlags, EpollEvent, EpollFlags};

use crate::attribute::{Malformed, attributes};
use crate::devlink::{self, DeviceHandle};
use crate::error::Error;
use crate::generic::GENERIC_HEADER;
use crate::message::{Message, messages};
use crate::route::{self, Address, Link, Route, Rule};
use crate::socket::{Failure, Family, Raw, Socket, in_namespace};

/// A burst of some 10,000 notifications fits while the reader is busy.
const RECEIVE_BUFFER: usize = 8 * 1024 * 1024;

// Bits of `RTMGRP_*`, which reach group 31 only.
const RTMGRP_LINK: u32 = 1;
const RTMGRP_IPV4_IFADDR: u32 = 0x10;
const RTMGRP_IPV4_ROUTE: u32 = 0x40;
const RTMGRP_IPV6_IFADDR: u32 = 0x100;
const RTMGRP_IPV6_ROUTE: u32 = 0x400;
const ROUTE_GROUPS: u32 =
    RTMGRP_LINK | RTMGRP_IPV4_IFADDR | RTMGRP_IPV4_ROUTE | RTMGRP_IPV6_IFADDR | RTMGRP_IPV6_ROUTE;
const RTNLGRP_NSID: u32 = 28;
const RTMGRP_IPV4_RULE: u32 = 0x80;
/// Group 19 as a bit.
const RTMGRP_IPV6_RULE: u32 = 1 << 18;

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
    /// A route appeared or changed ([`Route::is_default`] tells the default ones). The kernel
    /// does not tell of routes that vanish with their link.
    RouteChanged(Route),
    /// A route went away.
    RouteRemoved(Route),
    /// A policy routing rule appeared ([`EventSocket::open_routing`]).
    RuleAppeared(Rule),
    /// A policy routing rule went away ([`EventSocket::open_routing`]).
    RuleRemoved(Rule),
    /// A namespace got a number here.
    NamespaceAppeared(i32),
    /// A namespace lost its number here.
    NamespaceGone(i32),
    /// Somebody changed a NIC's settings.
    Ethtool {
        /// Index of the NIC; absent when the kernel did not say.
        index: Option<u32>,
        /// Number of the notification, `ETHTOOL_MSG_*_NTF`.
        command: u8,
    },
    /// A devlink device, port or parameter changed.
    Devlink {
        /// Device; absent when the notification names none.
        handle: Option<DeviceHandle>,
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
    route: Raw,
    generic: Option<Generic>,
    /// One descriptor to wait on for both.
    ready: Epoll,
}

#[derive(Debug)]
struct Generic {
    raw: Raw,
    ethtool: Option<u16>,
    devlink: Option<u16>,
}

impl EventSocket {
    /// Opens it in the current network namespace.
    ///
    /// Open first, read the state after: what changes in between is then an event.
    pub fn open() -> Result<Self, Error> {
        Self::open_with(RECEIVE_BUFFER)
    }

    /// Opens it in the current network namespace for what routing is made of: links, addresses, routes and rules.
    pub fn open_routing() -> Result<Self, Error> {
        let groups = ROUTE_GROUPS | RTMGRP_IPV4_RULE | RTMGRP_IPV6_RULE;
        Self::of(Raw::open(NETLINK_ROUTE, groups, RECEIVE_BUFFER)?, None)
    }

    /// Opens it in the namespace behind `netns`, as [`Socket::open_in`] does.
    pub fn open_in(netns: BorrowedFd<'_>) -> Result<Self, Error> {
        in_namespace(netns, Self::open)
    }

    /// Opens it with a receive buffer of this many bytes, for those who want an
    /// [`Event::Overrun`] sooner, or later, than with the usual 8 MiB.
    pub fn open_with(receive_buffer: usize) -> Result<Self, Error> {
        let mut route = Raw::open(NETLINK_ROUTE, ROUTE_GROUPS, receive_buffer)?;
        join(&mut route, RTNLGRP_NSID)?;
        Self::of(route, Generic::open(receive_buffer)?)
    }

    fn of(route: Raw, generic: Option<Generic>) -> Result<Self, Error> {
        let ready = Epoll::new(EpollCreateFlags::EPOLL_CLOEXEC)
            .map_err(|errno| Error::io("make an epoll descriptor", errno.into()))?;
        let readable = EpollEvent::new(EpollFlags::EPOLLIN, 0);
        for raw in std::iter::once(&route).chain(generic.as_ref().map(|generic| &generic.raw)) {
            ready.add(raw.as_fd(), readable).map_err(|errno| Error::io("watch a socket", errno.into()))?;
        }
        Ok(Self { route, generic, ready })
    }

    /// Everything that has arrived, without waiting, in order within a family.
    ///
    /// An [`Event::Overrun`] stands where notifications were lost.
    pub fn receive(&mut self) -> Result<Vec<Event>, Error> {
        let mut events = Vec::new();
        drain(&mut self.route, &mut events, route_event)?;
        if let Some(generic) = &mut self.generic {
            let (ethtool, devlink) = (generic.ethtool, generic.devlink);
            drain(&mut generic.raw, &mut events, |message| generic_event(message, ethtool, devlink))?;
        }
        Ok(events)
    }
}

/// Readable when [`EventSocket::receive`] has something to give.
impl AsFd for EventSocket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.ready.0.as_fd()
    }
}

impl Generic {
    /// Absent on a kernel that has neither family.
    fn open(receive_buffer: usize) -> Result<Option<Self>, Error> {
        let mut socket = Socket::open(Family::Generic)?;
        let mut groups = Vec::new();
        let mut id = |family: &str, group: &str| match socket.family(family) {
            Ok(info) => {
                groups.extend(info.group(group));
                Ok(Some(info.id))
            }
            Err(Error::FamilyAbsent { .. }) => Ok(None),
            Err(error) => Err(error),
        };
        let ethtool = id(crate::ethtool::FAMILY, "monitor")?;
        let devlink = id(devlink::FAMILY, "config")?;
        if groups.is_empty() {
            return Ok(None);
        }
        let mut raw = Raw::open(NETLINK_GENERIC, 0, receive_buffer)?;
        for group in groups {
            join(&mut raw, group)?;
        }
        Ok(Some(Self { raw, ethtool, devlink }))
    }
}

fn join(raw: &mut Raw, group: u32) -> Result<(), Error> {
    raw.socket
        .add_membership(group)
        .map_err(|error| Error::io(format!("join the notification group {group}"), error))
}

fn drain(
    raw: &mut Raw,
    events: &mut Vec<Event>,
    read: impl Fn(&Message<'_>) -> Result<Option<Event>, Malformed>,
) -> Result<(), Error> {
    loop {
        match raw.receive_now() {
            Ok(true) => {}
            Ok(false) => return Ok(()),
            // A datagram that did not fit is as lost as one that the queue had no room for.
            Err(Failure::Overrun | Failure::Truncated(_)) => {
                events.push(Event::Overrun);
                continue;
            }
            Err(failure) => return Err(failure.of("hear changes", Duration::ZERO)),
        }
        for message in messages(&raw.buffer) {
            match read(&message) {
                Ok(event) => events.extend(event),
                Err(reason) => events.push(Event::Undecoded { reason: reason.0 }),
            }
        }
    }
}

fn route_event(message: &Message<'_>) -> Result<Option<Event>, Malformed> {
    let body = message.body;
    Ok(match message.kind {
        route::RTM_NEWLINK => Some(Event::LinkChanged(Box::new(route::link(body)?))),
        route::RTM_DELLINK => Some(Event::LinkRemoved(Box::new(route::link(body)?))),
        route::RTM_NEWADDR => route::address(body)?.map(Event::AddressChanged),
        route::RTM_DELADDR => route::address(body)?.map(Event::AddressRemoved),
        route::RTM_NEWROUTE => route::route(body)?.map(Event::RouteChanged),
        route::RTM_DELROUTE => route::route(body)?.map(Event::RouteRemoved),
        route::RTM_NEWRULE => Some(Event::RuleAppeared(route::rule(body)?)),
        route::RTM_DELRULE => Some(Event::RuleRemoved(route::rule(body)?)),
        route::RTM_NEWNSID => route::id(body).map_err(Malformed)?.map(Event::NamespaceAppeared),
        route::RTM_DELNSID => route::id(body).map_err(Malformed)?.map(Event::NamespaceGone),
        _ => None,
    })
}

fn generic_event(
    message: &Message<'_>,
    ethtool: Option<u16>,
    devlink: Option<u16>,
) -> Result<Option<Event>, Malformed> {
    let kind = Some(message.kind);
    let command = message.body.first().copied().unwrap_or_default();
    if kind == ethtool {
        return Ok(Some(Event::Ethtool { index: header_index(message.body)?, command }));
    }
    if kind == devlink {
        return Ok(Some(Event::Devlink { handle: devlink::handle(message.body)?, command }));
    }
    Ok(None)
}

/// The NIC's index in the header that starts every ethtool notification.
fn header_index(body: &[u8]) -> Result<Option<u32>, Malformed> {
    const HEADER: u16 = 1;
    const ETHTOOL_A_HEADER_DEV_INDEX: u16 = 1;
    for attribute in attributes(body.get(GENERIC_HEADER..).unwrap_or_default()) {
        let attribute = attribute?;
        if attribute.number != HEADER {
            continue;
        }
        for field in attribute.nested() {
            let field = field?;
            if field.number == ETHTOOL_A_HEADER_DEV_INDEX {
                return field.u32().map(Some);
            }
        }
    }
    Ok(None)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn any_notification_is_read_or_refused_without_panic(
            kind in 16u16..110, body in proptest::collection::vec(any::<u8>(), 0..200))
        {
            let message = Message { kind, flags: 0, sequence: 0, body: &body };
            let _ = route_event(&message);
            let _ = generic_event(&message, Some(kind), None);
            let _ = generic_event(&message, None, Some(kind));
        }
    }
}
