//! Settings of the physical link and of the NIC (generic netlink family `ethtool`).
//!
//! NICs are named by index, never by name: a rename between two questions would ask another one.

mod answers;
mod driver_info;
mod features;
mod link_info;
mod link_mode_table;
mod link_modes;
mod link_state;
mod queues;
mod verbs;

pub use answers::{AnswerError, Answers};
pub use driver_info::DriverInfo;
pub use features::{Features, Fec, PrivateFlag, TimestampInfo};
pub use link_info::{LinkInfo, Mdi, Port, Transceiver};
pub use link_mode_table::{MODES, Medium, Mode, mode};
pub use link_modes::{Duplex, LinkModes};
pub use link_state::LinkState;
pub use queues::{Channels, Coalesce, Pause, Rings};
pub use verbs::*;
