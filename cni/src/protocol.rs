//! The conversation between executable and agent over a SEQPACKET socket (DESIGN §4, TRAPS P2, P13).
//!
//! ```text
//! executable → agent   Call (with the descriptor of the namespace)
//! agent → executable   Run [calls]        any number of times
//! executable → agent   Ran [outcomes]
//! agent → executable   Done or Failed, with debts to pay
//! executable → agent   Ran [outcomes of the debts]
//! ```
//! The end of the stream before Done or Failed means that the other one is gone. A message is JSON; one that does
//! not fit a packet comes in several, each with a first byte that says whether more follow.
//!
//! Each side serves its own version of the protocol and the one before: an older agent answers the Call with Speak,
//! and gets the Call again in its own version.

mod connection;
#[cfg(test)]
mod version_1;

use serde::{Deserialize, Serialize};

use crate::environment::Environment;
use crate::error::{Error, code};

pub use self::connection::{Connection, Peer, accept, listen_at};

/// Version of the protocol that this program speaks. An agent also serves the one before.
pub const PROTOCOL: u32 = 1;

/// The oldest version that this program still speaks: the one before, and 0 was never used.
pub const OLDEST_PROTOCOL: u32 = if PROTOCOL > 1 { PROTOCOL - 1 } else { 1 };

/// Whether this program speaks a version of the protocol.
///
/// # Errors
/// Code 11, since it ends when both sides are of one release.
pub fn served(protocol: u32) -> Result<(), Error> {
    if (OLDEST_PROTOCOL..=PROTOCOL).contains(&protocol) {
        return Ok(());
    }
    let words =
        format!("protocol {protocol} of the other side is not spoken, only {OLDEST_PROTOCOL} to {PROTOCOL}");
    Err(Error::new(code::TRY_AGAIN, words).with_details("install multi-nic and multi-nicd of one release"))
}

/// Which executable calls.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Tool {
    /// The main plugin.
    MultiNic,
    /// The IPAM plugin.
    MultiNicIpam,
}

/// The first message.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Call {
    /// Version of the protocol.
    pub protocol: u32,
    /// Which executable.
    pub tool: Tool,
    /// The environment.
    pub environment: Environment,
    /// Standard input, as it came.
    pub config: String,
    /// `--pay-debts`: nothing but debts is wanted.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub pay_debts: bool,
}

/// What the executable says after its call.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Ran {
    /// How each call ended; those that were not begun are left out.
    pub outcomes: Vec<Outcome>,
}

/// What the agent says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Answer {
    /// The call was in a newer version than this one; the executable calls again in it.
    #[serde(rename_all = "camelCase")]
    Speak {
        /// Newest version of the agent.
        protocol: u32,
    },
    /// Run these plugins, one after the other, and tell how they ended. ADDs end at the first failure.
    Run(Vec<DelegateCall>),
    /// It is done.
    #[serde(rename_all = "camelCase")]
    Done {
        /// What to print.
        output: Option<String>,
        /// DELs that nobody could run before.
        #[serde(default)]
        debts: Vec<DelegateCall>,
    },
    /// It failed, and is undone.
    #[serde(rename_all = "camelCase")]
    Failed {
        /// Why.
        error: Error,
        /// DELs that nobody could run before.
        #[serde(default)]
        debts: Vec<DelegateCall>,
    },
}

/// A call of another plugin.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct DelegateCall {
    /// Number of the call.
    pub id: u32,
    /// Executable.
    pub plugin: String,
    /// Its environment; `CNI_PATH` is the caller's own when empty, as in all calls but debts.
    pub environment: Environment,
    /// Its standard input.
    pub config: String,
    /// Milliseconds that it may take; it is killed then, with all that it started.
    pub timeout_ms: u64,
    /// Name of the file that remembers it ([`crate::delegate_file`]); empty: that of the call being served.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub file: String,
}

/// How a call ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Outcome {
    /// Number of the call.
    pub id: u32,
    /// What it printed; absent when it failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub output: Option<String>,
    /// Why it failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<Error>,
}
