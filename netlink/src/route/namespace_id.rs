//! The numbers a namespace has for others (`RTM_GETNSID`).

use std::os::fd::{AsRawFd, BorrowedFd};

use netlink_packet_core::Parseable;
use netlink_packet_route::RouteNetlinkMessage;
use netlink_packet_route::nsid::{NsidAttribute, NsidMessage};

use crate::error::{Error, libc_errno};
use crate::message::Request;
use crate::socket::Socket;

pub(crate) const RTM_NEWNSID: u16 = 88;
pub(crate) const RTM_DELNSID: u16 = 89;

/// The numbers this namespace has for other namespaces, ascending (`ip netns list-id`).
pub fn namespace_ids(socket: &mut Socket) -> Result<Vec<i32>, Error> {
    let operation = "list namespace ids";
    let request = Request::route(operation, &RouteNetlinkMessage::GetNsId(NsidMessage::default()));
    let ids = socket.dump(&request, |ids, kind, body| {
        if kind == RTM_NEWNSID {
            ids.push(id(body));
        }
    })?;
    let mut ids = ids
        .into_iter()
        .filter_map(Result::transpose)
        .collect::<Result<Vec<i32>, String>>()
        .map_err(|reason| Error::decode(operation, reason))?;
    ids.sort_unstable();
    Ok(ids)
}

/// The number this namespace has for the namespace behind `netns`; absent when it has none.
///
/// The kernel gives a number when something is moved between the two or when asked to.
pub fn namespace_id_of(socket: &mut Socket, netns: BorrowedFd<'_>) -> Result<Option<i32>, Error> {
    let operation = "read the id of a namespace";
    let mut message = NsidMessage::default();
    message.attributes.push(NsidAttribute::Fd(netns.as_raw_fd().unsigned_abs()));
    let request = Request::route(operation, &RouteNetlinkMessage::GetNsId(message));
    let answers = socket.ask(&request)?;
    let (_, body) = answers
        .iter()
        .find(|(kind, _)| *kind == RTM_NEWNSID)
        .ok_or_else(|| Error::NoAnswer { operation: operation.to_owned() })?;
    id(body).map_err(|reason| Error::decode(operation, reason))
}

/// Gives the namespace behind `netns` a number here, the kernel's choice, and returns it; the one it has when it
/// has one (`ip netns set NAME auto`). With it [`links_in`](super::links_in) sees that namespace without anything
/// being held open; the number ends with the namespace.
pub fn number_namespace(socket: &mut Socket, netns: BorrowedFd<'_>) -> Result<Option<i32>, Error> {
    let mut message = NsidMessage::default();
    message.attributes.push(NsidAttribute::Fd(netns.as_raw_fd().unsigned_abs()));
    message.attributes.push(NsidAttribute::Id(-1));
    let operation = "give a namespace a number";
    let request = Request::route(operation, &RouteNetlinkMessage::NewNsId(message));
    match socket.ask(&request) {
        Err(Error::Kernel { source, .. }) if source.errno == libc_errno::EEXIST => {}
        other => drop(other?),
    }
    namespace_id_of(socket, netns)
}

/// The number in a message; −1 is the kernel's way to say that there is none.
pub(crate) fn id(body: &[u8]) -> Result<Option<i32>, String> {
    let message = NsidMessage::parse(body).map_err(|error| error.to_string())?;
    let id = message.attributes.iter().find_map(|attribute| match attribute {
        NsidAttribute::Id(id) => Some(*id),
        _ => None,
    });
    Ok(id.filter(|id| *id >= 0))
}
