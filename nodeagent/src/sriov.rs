//! SR-IOV: makes the PFs of this node what policies, or a call of the API, want of them.
//!
//! ```text
//! agent.yaml, files,
//! plans of the operator ─► policy ─┐                       ┌─► view (API), events, metrics
//! POST ─► store ───────────────────┼─► wish ─► keeper: look ┤
//! inventory, claims ───────────────┘           (pure)       └─► one thread a PF: PfControl::apply ─► done ─┐
//!                                                 ▲────────────────────────────────────────────────────────┘
//! ```
//! A PF that nobody wants anything of any more is left as it is: VFs go only when somebody asks for none.

mod claims;
mod desired;
mod dry_run;
mod handle;
mod keeper;
mod policy;
mod task;
mod wish;

pub(crate) use claims::{attachment_words, holder_words};
pub(crate) use desired::{
    eswitch as eswitch_shown, from_posted, group as group_shown, link_type as link_type_shown,
    shown as desired_shown,
};
pub use dry_run::{SriovPlanError, sriov_plan};
pub(crate) use handle::{PfHandle, View};
pub(crate) use keeper::Status;
pub(crate) use policy::NodePolicy;
pub(crate) use task::{PfParts, PfTask, shown as shown_only};
pub(crate) use wish::Wish;
