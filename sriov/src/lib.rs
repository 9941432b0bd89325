//! PF and VF lifecycle: count, drivers, VF attributes, eswitch mode, give and take back.
//!
//! Nothing in the kernel protects a VF in use, and a write to it may never return. So every change of a PF runs under
//! its own lock ([`PfLocks`]), on a thread of its own with a deadline ([`Works`]), after a look at who holds what.
//! Who gets which VF is decided elsewhere.
#![forbid(unsafe_code)]

pub mod allocation;
pub mod driver;
mod error;
mod pf_lock;
mod roots;
mod stuck;
pub mod vf;
pub mod vfio;

pub use error::SriovError;
pub use pf_lock::{Changing, PfChange, PfLocks, PfUse};
pub use roots::Roots;
pub use stuck::{Stuck, StuckWork, Works};
