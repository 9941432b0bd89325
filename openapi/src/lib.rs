//! The REST contract of multi-nicd: wire types, the generated document, a typed client.
//!
//! The NIC model itself is `hwprobe`'s (docs/decisions/0003); here is what only the API has. The document
//! `multi-nicd.v1.json` beside this crate is made from the agent's handlers by `multi-nicd openapi`.
//!
//! ```no_run
//! # async fn example() -> Result<(), openapi::ClientError> {
//! let client = openapi::Client::unix("/run/multi-nic/api.sock");
//! for nic in client.nics("class=high&state=up").await?.nics {
//!     println!("{} {:?}", nic.label(), nic.speed.mbps);
//! }
//! # Ok(())
//! # }
//! ```
#![forbid(unsafe_code)]

mod attachment;
mod classes;
mod client;
mod document;
mod event;
mod health;
mod network;
mod nic_list;
mod node_view;
mod pf;
mod pool;
mod problem;
mod selection;
mod sriov_summary;
mod topology;

pub use attachment::{
    AttachedAddress, AttachedLink, AttachedPod, Attachment, AttachmentFailure, AttachmentList,
    AttachmentPhase, AttachmentRef, AttachmentRequest, AttachmentTool, MasterArp, StepTiming,
};
pub use classes::{Classes, DeviceClassMembers, SpeedClassMembers};
pub use client::{Client, ClientError, EventStream, Tagged};
pub use document::{Examples, example_inventory};
pub use event::{Event, EventCause, EventId, EventIdError, EventType, FieldChange};
pub use health::{Listener, ListenerState, Liveness, Readiness, StoreState, StoreStatus};
pub use network::{
    AddressCounts, AddressList, BlockAddresses, Network, NetworkAddresses, NetworkBlock, NetworkInterface,
    NetworkList, NetworkReport, ReportGravity,
};
pub use nic_list::{NicList, VfList, WarningList};
pub use node_view::{Agent, NodeCounts, NodeView};
pub use pf::{
    Pf, PfBlocked, PfDesired, PfDeviceType, PfEswitchMode, PfLinkType, PfList, PfObserved, PfPlan, PfState,
    PfStep, PfVf, PfVfGroup, PfVfList, StuckWrite, VfState,
};
pub use pool::{Pool, PoolCounts, PoolDevice, PoolError, PoolKind, PoolList, PoolState, PoolUse};
pub use problem::{PROBLEM_MEDIA_TYPE, Problem, ProblemCode};
pub use selection::{ChosenNic, LeftOutNic, SelectAnswer, SelectPlugin, SelectRequest};
pub use sriov_summary::{SriovPf, SriovSummary, SriovTotals};
pub use topology::{Topology, TopologyNic};

/// The OpenAPI 3.1 document of the API, as it is checked in.
pub const DOCUMENT: &str = include_str!("../multi-nicd.v1.json");
