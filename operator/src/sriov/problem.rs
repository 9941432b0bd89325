//! Why a network has no SR-IOV objects, or not those that it wants.

use std::fmt;

use crate::condition::Reason;

/// Why, and what to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// For programs; docs/conditions.md has each.
    pub reason: Reason,
    /// For people: what is the matter and what to do.
    pub message: String,
}

impl Problem {
    pub(super) fn new(reason: Reason, message: impl Into<String>) -> Self {
        Self { reason, message: message.into() }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.reason.word(), self.message)
    }
}
