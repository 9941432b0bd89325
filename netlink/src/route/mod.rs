//! Links, addresses, routes, rules and namespace numbers (`NETLINK_ROUTE`).
//!
//! Each function names its message and the `ip` line that asks the same.

mod address;
mod entry;
mod link;
mod link_detail;
mod verbs;
mod vf;

pub use address::Address;
pub use entry::{NextHop, Route, RouteHop, RouteKind, Rule};
pub use link::{AddrGenMode, DevlinkPortHandle, Link, LinkEvent, LinkMode, OperState, Undecoded, Xdp};
pub use link_detail::{
    Bond, BondAdInfo, BondMode, BondSlave, BondSlaveMiiStatus, BondSlaveState, BondXmitHashPolicy, Bridge,
    BridgePort, Ipvlan, IpvlanMode, LinkDetail, Macvlan, MacvlanMode, SlaveDetail, Tun, TunMode, Vlan, Vrf,
    Vxlan,
};
pub use verbs::*;
pub use vf::{Vf, VfLinkState};
