//! The inventory: plain data, no reading and no policy.
//!
//! These types are also the wire types of the REST API and the output of `hwprobe --json`, so a fact
//! is described once (docs/decisions/0003). Unknown is a value: a fact that could not be read is absent,
//! never 0, −1 or empty text.

mod address;
mod gpu;
mod link;
mod nic;
mod node;
mod pci;
mod rdma;
mod resources;
mod speed;
mod sriov;
mod stacking;
mod usage;
mod warning;

pub use address::{HwAddr, HwAddrError, IpInterface};
pub use gpu::{Gpu, GpuRelation, Relation};
pub use link::{DevlinkPort, Driver, Duplex, Fec, LinkFacts, LldpNeighbour, Module, OperState, Pause, Xdp};
pub use nic::{Bus, Generation, Nic, NicId, NicKind};
pub use node::{Failure, Inventory, Iommu, Node, NumaNode, Uplink, UplinkBasis};
pub use pci::{PciAddress, PciAddressError, PciFunction, PciName, PcieLink, PcieSpeed, Vpd};
pub use rdma::{RdmaDevice, RdmaPort};
pub use resources::{Coalesce, Offload, PtpClock, QueueCounts, Resources, RingSizes};
pub use speed::{PortSpeed, Speed, SpeedClass, SpeedMbps, SpeedParseError, SpeedSource, SpeedThresholds};
pub use sriov::{Eswitch, Sriov, SriovCapacity, SriovZeroReason, VfEntry, VfLinkState, VfOf};
pub use stacking::{Stacking, StackingDetail};
pub use usage::{
    ExtraMacs, ExtraMacsAnswer, ExtraMacsSource, Held, HeldBy, NamespaceRef, NotSecondary, PodHolder,
    Protection, ProtectionReason, Secondary, Unusable, UsableFor,
};
pub use warning::{Warning, WarningCode};
