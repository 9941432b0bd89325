//! The kernel's own words about NICs, read and changed over netlink.
//!
//! One synchronous [`Socket`] sends batches of requests, matches answers by sequence number,
//! bounds every wait and keeps the kernel's own sentence in its errors. On it stand the
//! families [`route`], [`ethtool`], [`devlink`] and [`rdma`]; [`uevent`] and [`events`] tell what
//! changes. [`PacketSocket`] sends and receives frames. No policy, no threads of its own (but one short one in
//! [`Socket::open_in`]).
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
mod packet;
pub mod rdma;
pub mod route;
mod socket;
mod sys;
pub mod uevent;

pub use error::{Error, ErrorAttribute, KernelError};
pub use link_address::{LinkAddress, ParseLinkAddressError};
pub use packet::{Packet, PacketSocket};
pub use socket::{Family, Recording, Socket};
