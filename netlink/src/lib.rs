//! The kernel's own words about NICs, read over netlink.
//!
//! One synchronous [`Socket`] sends batches of requests, matches answers by sequence number,
//! bounds every wait and keeps the kernel's own sentence in its errors. On it stand the
//! families [`route`], [`ethtool`] and [`devlink`]; [`uevent`] and [`events`] tell what
//! changes. No policy, no threads of its own (but one short one in [`Socket::open_in`]).
//!
//! ```
//! let mut socket = netlink::Socket::open(netlink::Family::Route)?;
//! for link in netlink::route::links(&mut socket)?.links {
//!     println!("{}: {} {:?}", link.index, link.name, link.address);
//! }
//! # Ok::<(), netlink::Error>(())
//! ```

mod attribute;
pub mod devlink;
mod error;
pub mod ethtool;
pub mod events;
mod generic;
mod link_address;
mod message;
mod open_enum;
pub mod route;
mod socket;
mod sys;
pub mod uevent;

pub use error::{Error, ErrorAttribute, KernelError};
pub use link_address::{LinkAddress, ParseLinkAddressError};
pub use socket::{Family, Socket};
