//! Why the kernel's state could not be changed.

use std::io;
use std::net::IpAddr;

use netlink::LinkAddress;

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
    /// What is asked cannot be, which was seen before anything was changed.
    #[error("{link}: {reason}")]
    Refused {
        /// The link's name in the pod.
        link: String,
        /// Why, and what to do about it.
        reason: String,
    },
    /// A name is taken in the pod.
    #[error("the pod already has an interface `{name}`; nothing was changed")]
    NameTaken {
        /// The name.
        name: String,
    },
    /// A link's number is taken in the pod, or on the host: kernels before 6.14 look there, too. Another number does.
    #[error("number {index} is taken {place} by `{name}`; nothing was changed")]
    IndexTaken {
        /// The number.
        index: u32,
        /// `in the pod` or `on this host`.
        place: &'static str,
        /// Who has it.
        name: String,
    },
    /// Somebody else has an address.
    #[error("{address} is in use by {holder} on the wire of {link}; exclude it from the network's addresses")]
    AddressTaken {
        /// The address.
        address: IpAddr,
        /// The link's name in the pod.
        link: String,
        /// Who has it; all zero: this host.
        holder: LinkAddress,
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
    #[error("write {value} to {file}{}", read_only(source))]
    Sysctl {
        /// The file.
        file: String,
        /// What should have been written.
        value: String,
        /// The system's answer.
        #[source]
        source: io::Error,
    },
    /// A failed work could not be taken back whole.
    #[error("{source}; left behind: {}", left.join(", "))]
    NotUndone {
        /// Why it failed.
        source: Box<DatapathError>,
        /// What is still there, in words.
        left: Vec<String>,
    },
    /// The kernel was asked and did not answer.
    #[error(transparent)]
    Netlink(#[from] netlink::Error),
}

fn read_only(error: &io::Error) -> &'static str {
    match error.kind() {
        io::ErrorKind::ReadOnlyFilesystem | io::ErrorKind::PermissionDenied => {
            " (this program needs a /proc whose sys/net it may write)"
        }
        _ => "",
    }
}

impl DatapathError {
    /// The kernel's error number, where it gave one.
    pub fn errno(&self) -> Option<i32> {
        match self {
            Self::Step { source, .. } | Self::Netlink(source) => source.errno(),
            Self::Namespace { source, .. } | Self::Sysctl { source, .. } => source.raw_os_error(),
            Self::NotUndone { source, .. } => source.errno(),
            _ => None,
        }
    }

    /// Whether an ipvlan link on the same master has the address (`EADDRINUSE`): maybe one of a namespace that is
    /// ending, and then only for a moment. All is undone.
    pub fn is_address_on_master(&self) -> bool {
        matches!(self, Self::Step { source, .. } if source.errno() == Some(nix::libc::EADDRINUSE))
    }

    /// The whole story in one line: what was being done, what it usually means, the kernel's own words.
    pub fn sentence(&self) -> String {
        sentence(self)
    }
}

/// An error with all that is behind it in one line. A source that is already in the sentence is not said twice.
pub fn sentence(error: &(dyn std::error::Error + 'static)) -> String {
    let mut words = error.to_string();
    for cause in std::iter::successors(error.source(), |cause| cause.source()) {
        let more = cause.to_string();
        if !words.contains(&more) {
            words.push_str(&format!(": {more}"));
        }
    }
    words
}

/// The error number of a kernel's refusal.
pub(crate) fn errno(error: &netlink::Error) -> Option<i32> {
    match error {
        netlink::Error::Kernel { source, .. } => Some(source.errno),
        _ => None,
    }
}
