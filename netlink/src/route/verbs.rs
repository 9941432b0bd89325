//! Signatures first.
#![allow(clippy::todo, reason = "bodies follow in the next commit")]
use std::net::IpAddr;
use std::os::fd::BorrowedFd;

use super::{Address, Link, Route, RouteHop, Rule};
use crate::{Error, Socket};

/// What a dump of links gave.
#[derive(Debug, Default)]
#[non_exhaustive]
pub struct Links {
    /// The links, in the kernel's order.
    pub links: Vec<Link>,
    /// Links whose message could not be read at all.
    pub failures: Vec<Error>,
}

/// All links of the socket's namespace, with their VFs (`ip -d link show`).
pub fn links(_socket: &mut Socket) -> Result<Links, Error> {
    todo!()
}

/// All links of the namespace that has this number here (`ip link show target-nsid`).
pub fn links_in(_socket: &mut Socket, _namespace_id: i32) -> Result<Links, Error> {
    todo!()
}

/// The link with this index; absent when there is none (`ip -d link show`).
pub fn link_by_index(_socket: &mut Socket, _index: u32) -> Result<Option<Link>, Error> {
    todo!()
}

/// The link with this name or alternative name; absent when there is none.
pub fn link_by_name(_socket: &mut Socket, _name: &str) -> Result<Option<Link>, Error> {
    todo!()
}

/// The numbers this namespace has for other namespaces (`ip netns list-id`).
pub fn namespace_ids(_socket: &mut Socket) -> Result<Vec<i32>, Error> {
    todo!()
}

/// The number this namespace has for the namespace behind `netns`; absent when it has none.
pub fn namespace_id_of(_socket: &mut Socket, _netns: BorrowedFd<'_>) -> Result<Option<i32>, Error> {
    todo!()
}

/// All IP addresses (`ip address show`).
pub fn addresses(_socket: &mut Socket) -> Result<Vec<Address>, Error> {
    todo!()
}

/// The default routes of all tables, IPv4 and IPv6 (`ip route show table all`, filtered).
pub fn default_routes(_socket: &mut Socket) -> Result<Vec<Route>, Error> {
    todo!()
}

/// All routes of one table, or of all tables (`ip route show table`).
pub fn routes(_socket: &mut Socket, _table: Option<u32>) -> Result<Vec<Route>, Error> {
    todo!()
}

/// Where a packet to this address would go (`ip route get`); absent when nowhere.
pub fn route_to(_socket: &mut Socket, _destination: IpAddr) -> Result<Option<RouteHop>, Error> {
    todo!()
}

/// Policy routing rules, IPv4 then IPv6, in order (`ip rule`).
pub fn rules(_socket: &mut Socket) -> Result<Vec<Rule>, Error> {
    todo!()
}
