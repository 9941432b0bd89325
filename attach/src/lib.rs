//! Gives NICs and addresses to pods and takes them back: one transaction for each pod and network.
//!
//! [`Engine::serve`] is the whole of it: a call of a CNI executable goes in, its answer comes out. What is decided
//! is written down before the kernel is touched, so a crash at any point is repaired on the next start.
#![forbid(unsafe_code)]

mod add;
mod adopted;
mod announcing;
mod book;
mod chained;
mod check;
mod collect;
mod debts;
mod delegated;
mod detach;
mod engine;
mod failpoint;
pub mod gate;
mod host_arp;
mod ipam_plugin;
mod leases;
mod links;
mod lost;
pub mod network;
mod plan;
pub mod record;
mod recover;
mod request;
pub mod select;
mod status;
mod sweep;
pub mod usage;
mod vf;

pub use adopted::{Adopted, Found, UNKNOWN_INTERFACE, unknown_container};
pub use chained::{Asking, Wanted};
pub use delegated::{Conversation, Gone, NoConversation};
pub use detach::is_about;
pub use engine::{Annotated, Answer, Engine, Event, GpusOf, Parts};
pub use failpoint::{STEPS, VF_STEPS};
pub use leases::Lease;
pub use recover::Recovered;
pub use sweep::Swept;
pub use vf::SriovParts;
