//! The agent's durable memory: one redb file in the state folder, and the lock that keeps a second agent out.
//!
//! ```no_run
//! use store::{Identity, Lock, Store};
//!
//! let folder = std::path::Path::new("/var/lib/multi-nic");
//! let _lock = Lock::acquire(folder)?;
//! let (store, opening) = Store::open(folder, &Identity::of_this_machine())?;
//! println!("{opening:?}: {} protected NICs", store.protected::<serde_json::Value>()?.len());
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
#![forbid(unsafe_code)]

mod batch;
mod database;
mod group;
mod identity;
mod lock;
#[cfg(feature = "lossy")]
pub mod lossy;
mod record;

pub use batch::{Batch, Table, ValueError};
pub use database::{All, Opening, Store, StoreError};
pub use group::Counts;
pub use identity::Identity;
pub use lock::{Lock, LockError};
