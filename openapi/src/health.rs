//! Whether the agent lives and is ready.

use hwprobe::Warning;
use serde::{Deserialize, Serialize};

/// The agent's process answers and its inventory thread runs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Liveness {
    /// Always true; an agent whose inventory thread has ended answers with a problem.
    pub live: bool,
}

/// Whether the agent can serve, and what keeps it from serving fully.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Readiness {
    /// The inventory has been read at least once.
    pub ready: bool,
    /// Generation of the inventory; 0 before the first.
    pub generation: u64,
    /// Where it listens, and where it would like to.
    pub listeners: Vec<Listener>,
    /// The durable memory.
    pub store: StoreStatus,
    /// Warnings about the agent itself (not about NICs).
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub warnings: Vec<Warning>,
}

/// A place where the API is offered.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Listener {
    /// `address:port`, or the path of a Unix socket.
    pub address: String,
    /// Whether it is open.
    pub state: ListenerState,
    /// Why it is not open, in the kernel's words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
}

/// Whether a place where the API is offered is open.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
pub enum ListenerState {
    /// Takes connections.
    Open,
    /// Taken by somebody else; tried again.
    Busy,
    /// Cannot be opened; tried again.
    Failed,
}

/// State of the agent's durable memory.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct StoreStatus {
    /// Whether it works.
    pub state: StoreState,
    /// What is wrong, or what was set aside at the start.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
}

/// Whether the durable memory works.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
pub enum StoreState {
    /// Read and written.
    Open,
    /// Read and written; an older file was of no use and lies beside it under another name.
    OpenedAnew,
    /// Cannot be written: what is learnt now is forgotten with the process.
    Unavailable,
    /// The agent shows a recorded machine and keeps nothing.
    NotUsed,
}
