//! Why the kernel's state could not be changed.

use std::io;

/// Why the kernel's state could not be changed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DatapathError {
    /// The kernel refused a step.
    #[error("{step}{}", hint.as_deref().map(|hint| format!(" ({hint})")).unwrap_or_default())]
    Step {
        /// What was being done, with the link's name.
        step: String,
        /// What that usually means.
        hint: Option<String>,
        /// The kernel's answer.
        #[source]
        source: netlink::Error,
    },
    /// A name is taken in the pod.
    #[error("the pod already has an interface `{name}`; nothing was changed")]
    NameTaken {
        /// The name.
        name: String,
    },
    /// A link that should be there is not.
    #[error("there is no link {what}")]
    NoLink {
        /// Name or index.
        what: String,
    },
    /// The namespace cannot be entered or looked at.
    #[error("{action}")]
    Namespace {
        /// What was being done.
        action: String,
        /// The system's answer.
        #[source]
        source: io::Error,
    },
    /// A setting below `/proc/sys` cannot be written.
    #[error("write {value} to {file}")]
    Sysctl {
        /// The file.
        file: String,
        /// What should have been written.
        value: String,
        /// The system's answer.
        #[source]
        source: io::Error,
    },
    /// The kernel was asked and did not answer.
    #[error(transparent)]
    Netlink(#[from] netlink::Error),
}

impl DatapathError {
    /// The kernel's error number, where it gave one.
    pub fn errno(&self) -> Option<i32> {
        match self {
            Self::Step { source: netlink::Error::Kernel { source, .. }, .. }
            | Self::Netlink(netlink::Error::Kernel { source, .. }) => Some(source.errno),
            Self::Namespace { source, .. } | Self::Sysctl { source, .. } => source.raw_os_error(),
            _ => None,
        }
    }
}

/// The error number of a kernel's refusal.
pub(crate) fn errno(error: &netlink::Error) -> Option<i32> {
    match error {
        netlink::Error::Kernel { source, .. } => Some(source.errno),
        _ => None,
    }
}
