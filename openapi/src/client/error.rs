//! Why a call gave no answer.

use crate::Problem;

/// Why a call gave no answer.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ClientError {
    /// The agent could not be reached.
    #[error("connect to {address}")]
    Connect {
        /// Where to.
        address: String,
        /// The kernel's word.
        #[source]
        source: std::io::Error,
    },
    /// The connection broke or did not speak HTTP.
    #[error("ask {address} for {path}")]
    Transport {
        /// Whom.
        address: String,
        /// What for.
        path: String,
        /// What HTTP said.
        #[source]
        source: hyper::Error,
    },
    /// No answer in time.
    #[error("no answer from {address} to {path} within {seconds} s")]
    Timeout {
        /// Whom.
        address: String,
        /// What for.
        path: String,
        /// How long it was waited for.
        seconds: u64,
    },
    /// The agent refused.
    #[error("{} ({})", .0.detail.as_deref().unwrap_or(&.0.title), .0.status)]
    Problem(Box<Problem>),
    /// The answer is not what the contract says.
    #[error("answer to {path} does not fit the contract")]
    Answer {
        /// What was asked.
        path: String,
        /// Where it does not fit.
        #[source]
        source: serde_json::Error,
    },
    /// The answer has a status that the contract does not have, and no problem in it.
    #[error("answer to {path} has status {status}")]
    Status {
        /// What was asked.
        path: String,
        /// The status code.
        status: u16,
    },
    /// A path or query that cannot stand in a request line.
    #[error("`{0}` cannot be asked for")]
    Path(String),
}
