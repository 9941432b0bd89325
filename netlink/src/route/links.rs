//! Reading links (`RTM_GETLINK`).

use netlink_packet_core::DefaultNla;
use netlink_packet_route::RouteNetlinkMessage;
use netlink_packet_route::link::{LinkAttribute, LinkExtentMask, LinkMessage};

use super::link::Link;
use super::link_decode;
use crate::error::{Error, libc_errno};
use crate::message::Request;
use crate::socket::Socket;

pub(crate) const RTM_NEWLINK: u16 = 16;
pub(crate) const RTM_DELLINK: u16 = 17;

/// The packet crate puts alternative names into a list, where the kernel does not look.
const IFLA_ALT_IFNAME: u16 = 53;

const IFNAMSIZ: usize = 16;

/// What a dump of links gave.
#[derive(Debug, Default)]
#[non_exhaustive]
pub struct Links {
    /// The links, in the kernel's order.
    pub links: Vec<Link>,
    /// Messages that could not be read as a link at all.
    pub failures: Vec<Error>,
}

/// All links of the socket's namespace, with their VFs (`ip -d link show`).
pub fn links(socket: &mut Socket) -> Result<Links, Error> {
    dump(socket, "list links", Vec::new())
}

/// All links of the namespace that has this number here (`ip link show target-nsid`).
///
/// [`Error::Kernel`] with `EINVAL` when no namespace has the number. Needs a capability over
/// that namespace (`CAP_NET_ADMIN`).
pub fn links_in(socket: &mut Socket, namespace_id: i32) -> Result<Links, Error> {
    dump(
        socket,
        &format!("list links of namespace {namespace_id}"),
        vec![LinkAttribute::IfNetnsId(namespace_id)],
    )
}

/// The link with this index; absent when there is none (`ip -d link show`).
pub fn link_by_index(socket: &mut Socket, index: u32) -> Result<Option<Link>, Error> {
    let mut message = LinkMessage::default();
    message.header.index = index;
    let link = get(socket, &format!("read link {index}"), message)?;
    Ok(link.filter(|link| link.index == index))
}

/// The link with this name or alternative name; absent when there is none.
///
/// `ip link show NAME`. The kernel ignores a filter that it does not know and answers with
/// another link, so the name in the answer is compared.
pub fn link_by_name(socket: &mut Socket, name: &str) -> Result<Option<Link>, Error> {
    let operation = format!("read link `{name}`");
    if name.is_empty() || name.contains('\0') {
        return Ok(None);
    }
    if name.len() < IFNAMSIZ {
        let mut message = LinkMessage::default();
        message.attributes.push(LinkAttribute::IfName(name.to_owned()));
        let link = get(socket, &operation, message)?;
        if let Some(link) = link.filter(|link| has_name(link, name)) {
            return Ok(Some(link));
        }
    }
    let mut message = LinkMessage::default();
    let mut bytes = name.as_bytes().to_vec();
    bytes.push(0);
    message.attributes.push(LinkAttribute::Other(DefaultNla::new(IFLA_ALT_IFNAME, bytes)));
    let link = get(socket, &operation, message)?;
    Ok(link.filter(|link| has_name(link, name)))
}

fn has_name(link: &Link, name: &str) -> bool {
    link.name == name || link.alt_names.iter().any(|alternative| alternative == name)
}

fn with_mask(mut attributes: Vec<LinkAttribute>) -> Vec<LinkAttribute> {
    // Without the mask no VFs; with statistics, a PF of many VFs outgrows an attribute.
    attributes.push(LinkAttribute::ExtMask(vec![LinkExtentMask::Vf, LinkExtentMask::SkipStats]));
    attributes
}

fn get(socket: &mut Socket, operation: &str, mut message: LinkMessage) -> Result<Option<Link>, Error> {
    message.attributes = with_mask(message.attributes);
    let request = Request::route(operation, &RouteNetlinkMessage::GetLink(message));
    match socket.ask(&request) {
        Ok(answers) => answers
            .iter()
            .find(|(kind, _)| *kind == RTM_NEWLINK)
            .map(|(_, body)| link_decode::link(body).map_err(|reason| Error::decode(operation, reason)))
            .transpose(),
        // ENODEV: no such link. EINVAL, ERANGE: a name that no link can have.
        Err(Error::Kernel { source, .. })
            if [libc_errno::ENODEV, libc_errno::ERANGE, libc_errno::EINVAL].contains(&source.errno) =>
        {
            Ok(None)
        }
        Err(error) => Err(error),
    }
}

fn dump(socket: &mut Socket, operation: &str, attributes: Vec<LinkAttribute>) -> Result<Links, Error> {
    let mut message = LinkMessage::default();
    message.attributes = with_mask(attributes);
    let request = Request::route(operation, &RouteNetlinkMessage::GetLink(message));
    let items = socket.dump(&request, |items, kind, body| {
        if kind == RTM_NEWLINK {
            items.push(link_decode::link(body));
        }
    })?;
    let mut links = Links::default();
    for item in items {
        match item {
            Ok(link) => links.links.push(link),
            Err(reason) => links.failures.push(Error::decode(operation, reason)),
        }
    }
    Ok(links)
}
