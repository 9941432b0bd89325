//! Addresses: arithmetic of blocks, the plan of who has which block, and the allocator inside a block.
//!
//! Pure: no input, no output, no clock. Both families by one scheme on 128 bits.
#![forbid(unsafe_code)]

mod allocator;
mod bitmap;
mod block;
mod ledger;
mod plan;
mod pool;

pub use allocator::{Allocator, Reservation, ReserveError, Wish};
pub use block::{BlockError, check_fit, excluded, index_of, sub_block, usable_in};
pub use ledger::{Change, DurableAllocator, DurableError, Ledger, Owner, State};
pub use plan::{HostPlan, InterfacePlan, Plan, PlanError, Subnet, first_free_index};
pub use pool::{Full, Usage};
