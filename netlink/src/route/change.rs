//! Changes: links, addresses, routes and rules made, altered and removed.
//!
//! A [`Change`] is one message; [`Socket::apply`](crate::Socket::apply) sends many in one call and tells the
//! verdict of each. The kernel works through all of them, also after one that it refused.

mod address;
mod link;
mod route;
mod vf;

use std::os::fd::BorrowedFd;

pub use address::{AddressChange, add_address, delete_address};
pub use link::{
    Ipv4Conf, IpvlanFlag, LinkSettings, NewLink, NewLinkKind, VlanProtocol, add_alt_name, create_link,
    delete_alt_name, delete_group, delete_link, set_link,
};
pub use route::{
    RouteChange, RouteNextHop, RuleChange, add_route, add_rule, append_route, delete_route, delete_rule,
    replace_route,
};
pub use vf::{VfAttribute, set_vf};

use crate::message::Request;

/// Take the place of what is there.
const NLM_F_REPLACE: u16 = 0x100;
/// Create, and refuse what is already there.
const NLM_F_EXCL: u16 = 0x200;
const NLM_F_CREATE: u16 = 0x400;
/// Behind what is there.
const NLM_F_APPEND: u16 = 0x800;

/// One message that changes something.
///
/// Holds a namespace descriptor's number where one is named, so it is to be applied while that descriptor is open.
#[derive(Debug, Clone)]
pub struct Change<'fd> {
    pub(crate) request: Request,
    namespace: std::marker::PhantomData<BorrowedFd<'fd>>,
}

impl Change<'_> {
    fn new(operation: String, kind: u16, flags: u16, body: Vec<u8>) -> Self {
        let mut request = Request::new(operation, kind, body);
        request.flags = flags;
        Self { request, namespace: std::marker::PhantomData }
    }

    /// What is asked, in words.
    pub fn operation(&self) -> &str {
        &self.request.operation
    }

    /// Type, flags and body of the message, for who wants to send the very same again.
    pub fn message(&self) -> (u16, u16, &[u8]) {
        (self.request.kind, self.request.flags, &self.request.body)
    }

    /// A message that [`Change::message`] told.
    pub fn from_message(operation: &str, kind: u16, flags: u16, body: &[u8]) -> Change<'static> {
        Change::new(operation.to_owned(), kind, flags, body.to_vec())
    }
}
