//! PF and VF lifecycle: count, drivers, VF attributes, eswitch mode, give and take back.
//!
//! Nothing in the kernel protects a VF in use, and a write to it may never return. So every change of a PF runs under
//! its own lock ([`PfLocks`]), on a thread of its own with a deadline ([`Works`]), after a look at who holds what.
//! Who gets which VF is decided elsewhere.
#![forbid(unsafe_code)]

pub mod allocation;
mod control;
mod count;
mod desired;
pub mod driver;
mod error;
mod holders;
mod host_units;
mod manager;
mod pf;
mod pf_lock;
mod plan;
mod policy;
pub mod rdma;
mod roots;
mod stuck;
pub mod vf;
pub mod vfio;

pub use control::{Applied, Deadlines, PfControl};
pub use count::{VfOutcome, VfTrouble, WriteError};
pub use desired::{DesiredPf, EswitchMode, LinkType, UnknownWord, VfDriver, VfGroup};
pub use error::SriovError;
pub use holders::{Claim, Claims, Holder, HolderKind, NoClaims};
pub use host_units::HostUnitError;
pub use manager::Manager;
pub use pf::{ObservedPf, ObservedVf, from_inventory};
pub use pf_lock::{Changing, PfChange, PfLocks, PfUse};
pub use plan::{Action, Blocked, Disturbs, Plan, PlanProblem, Step, plan};
pub use policy::{PfName, PfNameError, PfPolicy, PfSelector, WEAKEST_PRIORITY, desired};
pub use roots::Roots;
pub use stuck::{Stuck, StuckWork, Works};
