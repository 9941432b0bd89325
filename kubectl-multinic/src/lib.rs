//! The person's tool: nodes, NICs, networks, why a pod has what it has, checks with their fixes, support bundles.
//!
//! [`Facts`] is all that is known of a cluster, or of one machine, at one moment: gathering it is the only thing that
//! asks somebody; what is shown, checked and explained are functions of it. So a support bundle, which holds it, answers
//! the same questions later (`--facts`).
#![forbid(unsafe_code)]

mod annotation;
mod bundle;
mod cli;
mod doctor;
mod explain;
mod facts;
mod gather;
mod guide;
mod output;
mod view;
mod way;
mod why;

pub use cli::Cli;
pub use doctor::{CHECKS, Verdict, examine};
pub use facts::Facts;

/// Exit code: what was asked is answered, and all is well.
pub const FINE: u8 = 0;
/// Exit code: `doctor` found a problem, `why` a cause, `explain` a refusal.
pub const PROBLEM: u8 = 1;
/// Exit code: what was asked could not be asked, or makes no sense.
pub const COULD_NOT_ASK: u8 = 2;

/// Does what the command line says, and writes the answer to `out`. Gives the exit code.
///
/// # Errors
/// When what has to be asked could not be.
pub fn run(cli: &Cli, out: &mut dyn std::io::Write) -> anyhow::Result<u8> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(cli::carry_out(cli, out))
}
