//! Links, addresses, routes, rules and namespace numbers (`NETLINK_ROUTE`).
//!
//! Each function names its message and the `ip` line that asks the same.

mod address;
mod change;
mod entry;
mod link;
mod link_decode;
mod link_detail;
mod link_detail_decode;
mod links;
mod namespace_id;
mod routes;
mod vf;
mod vf_decode;

pub use address::{Address, addresses};
pub use change::{
    AddressChange, Change, Ipv4Conf, IpvlanFlag, LinkSettings, NewLink, NewLinkKind, RouteChange,
    RouteNextHop, RuleChange, VfAttribute, VlanProtocol, add_address, add_alt_name, add_route, add_rule,
    append_route, create_link, delete_address, delete_alt_name, delete_group, delete_link, delete_route,
    delete_rule, replace_route, set_link, set_vf,
};
pub use entry::{NextHop, Route, RouteHop, RouteKind, Rule};
pub use link::{AddrGenMode, DevlinkPortHandle, Link, LinkEvent, LinkMode, OperState, Undecoded, Xdp};
pub use link_detail::{
    Bond, BondAdInfo, BondMode, BondSlave, BondSlaveMiiStatus, BondSlaveState, BondXmitHashPolicy, Bridge,
    BridgePort, Ipvlan, IpvlanMode, LinkDetail, Macvlan, MacvlanMode, SlaveDetail, Tun, TunMode, Vlan, Vrf,
    Vxlan,
};
pub use links::{Links, link_by_index, link_by_name, links, links_in};
pub use namespace_id::{namespace_id_of, namespace_ids, number_namespace};
pub use routes::{default_routes, route_to, routes, routes_as, rules};
pub use vf::{Vf, VfLinkState};

// What notifications are read with.
pub(crate) use address::{RTM_DELADDR, RTM_NEWADDR, address};
pub(crate) use link_decode::link;
pub(crate) use links::{RTM_DELLINK, RTM_NEWLINK};
pub(crate) use namespace_id::{RTM_DELNSID, RTM_NEWNSID, id};
pub(crate) use routes::{RTM_DELROUTE, RTM_DELRULE, RTM_NEWROUTE, RTM_NEWRULE, route, rule};
