//! Settings of the physical link and of the NIC (generic netlink family `ethtool`).
//!
//! NICs are named by index, never by name: a rename between two questions would ask another one.

mod answers;
mod bitset;
mod decode;
mod driver_info;
mod features;
mod link_info;
mod link_mode_table;
mod link_modes;
mod link_state;
mod module;
mod queues;
mod request;

pub use answers::{AnswerError, Answers, answers};
pub use driver_info::{DriverInfo, driver_info};
pub use features::{Features, Fec, PrivateFlag, TimestampInfo};
pub use link_info::{LinkInfo, Mdi, Port, Transceiver};
pub use link_mode_table::{MODES, Medium, Mode, mode};
pub use link_modes::{Duplex, LinkModes};
pub use link_state::LinkState;
pub use module::{ModulePage, module_page};
pub use queues::{Channels, Coalesce, Pause, Rings};

pub(crate) use request::FAMILY;
