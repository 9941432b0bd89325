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
mod error;
mod group;
mod handle;
mod identity;
mod lock;
#[cfg(feature = "lossy")]
pub mod lossy;
mod opening;
mod record;
mod rows;

pub use batch::{Batch, KEY_LIMIT, RECORD_LIMIT, Table, ValueError};
pub use database::{All, Store};
pub use error::StoreError;
pub use group::Counts;
pub use identity::Identity;
pub use lock::{Lock, LockError};
pub use opening::Opening;
pub use record::RecordError;
