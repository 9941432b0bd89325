//! Addresses: arithmetic of blocks, the plan of who has which block, and the allocator inside a block.
//!
//! Pure: no input, no output, no clock. Both families by one scheme on 128 bits.
//!
//! ```
//! use ipam::{Addresses, Allocator, Nic, Owner, Plan, Subnet, Wish};
//!
//! let subnet = Subnet::new("192.168.0.0/16".parse()?, 2, 6);
//! let addresses = Addresses::Subnets(vec![subnet]);
//! let mut plan = Plan::default();
//! plan.add_host(&addresses, &Nic::named("eth1"), "node-1")?;
//! let blocks = &plan.host(&addresses, "eth1", "node-1").ok_or("no blocks")?[0];
//! assert_eq!(blocks.pod.to_string(), "192.168.0.0/24");
//!
//! let mut allocator = Allocator::default();
//! allocator.set_block("red", blocks.pod, &blocks.excludes);
//! let owner = Owner { network: "red".into(), container_id: "c1".into(), ifname: "net1".into(), index: 0 };
//! let reserved = allocator.reserve(blocks.pod, &owner, Wish::Any, 1_700_000_000)?;
//! assert_eq!(reserved.change.address.to_string(), "192.168.0.1");
//! // Write `reserved.change` down; on failure `allocator.cancel(&reserved)`.
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
#![forbid(unsafe_code)]
#![deny(missing_docs)]

mod allocator;
mod bitmap;
mod block;
mod division;
mod durable;
mod exclude;
mod ledger;
mod network;
mod plan;
mod pool;
mod quarantine;
mod subnet;

pub use allocator::{Allocator, Reservation, ReserveError, Wish};
pub use block::{BlockError, check_fit, index_of, sub_block, usable_in};
pub use durable::{DurableAllocator, DurableError};
pub use exclude::{ExcludeError, excluded, givable, parse_exclude};
pub use ledger::{Change, Ledger, Owner, State};
pub use plan::{HostPlan, InterfacePlan, Nic, Plan, PlanError, first_free_index};
pub use pool::{Full, Usage};
pub use subnet::{Addresses, Subnet, SubnetError};
