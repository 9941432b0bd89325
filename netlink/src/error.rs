//! What can go wrong, with the kernel's own words where it gave some.

use std::fmt;
use std::io;
use std::time::Duration;

use serde::{Deserialize, Serialize};

/// What a netlink exchange can fail with.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The kernel refused the request.
    #[error("{operation}")]
    Kernel {
        /// What was asked, in words and with the object's name or number.
        operation: String,
        /// The kernel's answer.
        #[source]
        source: KernelError,
    },
    /// No answer came within the socket's deadline.
    #[error("{operation}: no answer within {after:?}")]
    Deadline {
        /// What was asked.
        operation: String,
        /// The deadline that passed.
        after: Duration,
    },
    /// The receive buffer overflowed and answers were lost (`ENOBUFS`): ask again.
    #[error("{operation}: the receive buffer overflowed and answers were lost")]
    Overrun {
        /// What was asked.
        operation: String,
    },
    /// The kernel's tables changed during each of several dumps (`NLM_F_DUMP_INTR`).
    #[error("{operation}: the tables changed during each of {attempts} dumps")]
    DumpInterrupted {
        /// What was asked.
        operation: String,
        /// How many dumps were tried.
        attempts: u32,
    },
    /// A message was longer than the receive buffer, and a larger one did not help.
    #[error("{operation}: a message of {length} bytes does not fit the receive buffer")]
    Truncated {
        /// What was asked.
        operation: String,
        /// The message's full length in bytes.
        length: usize,
    },
    /// The kernel said that the request is done but sent no answer to it.
    #[error("{operation}: the kernel sent no answer")]
    NoAnswer {
        /// What was asked.
        operation: String,
    },
    /// A message is not what its type says.
    #[error("{operation}: cannot decode: {reason}")]
    Decode {
        /// What was asked.
        operation: String,
        /// What is wrong with the message.
        reason: String,
    },
    /// A system call failed.
    #[error("{operation}")]
    Io {
        /// The call and what it was for.
        operation: String,
        /// The system's error.
        #[source]
        source: io::Error,
    },
    /// The kernel has no generic netlink family of this name (module not loaded or not built).
    #[error("the kernel has no generic netlink family `{name}`")]
    FamilyAbsent {
        /// The family's name, e.g. `devlink`.
        name: String,
    },
}

impl Error {
    /// The kernel's error number, when the kernel or a system call gave one.
    pub fn errno(&self) -> Option<i32> {
        match self {
            Self::Kernel { source, .. } => Some(source.errno),
            Self::Io { source, .. } => source.raw_os_error(),
            _ => None,
        }
    }

    /// Whether the same call may succeed when it is simply made again.
    pub fn retryable(&self) -> bool {
        match self {
            Self::Deadline { .. } | Self::Overrun { .. } | Self::DumpInterrupted { .. } => true,
            Self::Kernel { source, .. } => {
                [libc_errno::EAGAIN, libc_errno::EINTR, libc_errno::EBUSY].contains(&source.errno)
            }
            Self::Io { source, .. } => source.kind() == io::ErrorKind::Interrupted,
            _ => false,
        }
    }

    /// Whether the object that was asked about does not exist (`ENODEV`, `ENXIO`, `ENOENT`).
    pub fn is_absent(&self) -> bool {
        self.errno()
            .is_some_and(|errno| [libc_errno::ENODEV, libc_errno::ENXIO, libc_errno::ENOENT].contains(&errno))
    }

    pub(crate) fn decode(operation: &str, reason: impl fmt::Display) -> Self {
        Self::Decode { operation: operation.to_owned(), reason: reason.to_string() }
    }

    pub(crate) fn io(operation: impl Into<String>, source: io::Error) -> Self {
        Self::Io { operation: operation.into(), source }
    }
}

/// The error numbers this crate compares with, under their C names.
pub(crate) mod libc_errno {
    use nix::errno::Errno;

    pub(crate) const ENOENT: i32 = Errno::ENOENT as i32;
    pub(crate) const EINTR: i32 = Errno::EINTR as i32;
    pub(crate) const ENXIO: i32 = Errno::ENXIO as i32;
    pub(crate) const EAGAIN: i32 = Errno::EAGAIN as i32;
    pub(crate) const EBUSY: i32 = Errno::EBUSY as i32;
    pub(crate) const EEXIST: i32 = Errno::EEXIST as i32;
    pub(crate) const ENODEV: i32 = Errno::ENODEV as i32;
    pub(crate) const EINVAL: i32 = Errno::EINVAL as i32;
    pub(crate) const ERANGE: i32 = Errno::ERANGE as i32;
    pub(crate) const ENETUNREACH: i32 = Errno::ENETUNREACH as i32;
    pub(crate) const EHOSTUNREACH: i32 = Errno::EHOSTUNREACH as i32;
    pub(crate) const EPROTONOSUPPORT: i32 = Errno::EPROTONOSUPPORT as i32;
    pub(crate) const EACCES: i32 = Errno::EACCES as i32;
    pub(crate) const ENOBUFS: i32 = Errno::ENOBUFS as i32;
    pub(crate) const EOPNOTSUPP: i32 = Errno::EOPNOTSUPP as i32;
}

/// A refusal by the kernel, with its own sentence when it gave one.
///
/// Source: `NLMSG_ERROR` (or the end of a dump) with the extended acknowledgement attributes
/// `NLMSGERR_ATTR_MSG`, `_OFFS`, `_MISS_TYPE`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct KernelError {
    /// The positive error number, e.g. 95 for `EOPNOTSUPP`.
    pub errno: i32,
    /// The kernel's sentence, absent when it gave none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
    /// The attribute of the request that the kernel objects to or misses, when it named one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub attribute: Option<ErrorAttribute>,
}

/// The attribute that a [`KernelError`] is about, as a number of the request's family.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub enum ErrorAttribute {
    /// The request carried this attribute and the kernel refuses it.
    Refused(u16),
    /// The request should have carried this attribute.
    Missing(u32),
}

impl KernelError {
    /// An error of this number without a sentence.
    pub fn new(errno: i32) -> Self {
        Self { errno, message: None, attribute: None }
    }

    /// The C name of the error number, e.g. `EOPNOTSUPP`; `UnknownErrno` when it has none.
    pub fn errno_name(&self) -> String {
        format!("{:?}", nix::errno::Errno::from_raw(self.errno))
    }
}

impl fmt::Display for KernelError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let errno = nix::errno::Errno::from_raw(self.errno);
        match &self.message {
            Some(message) => write!(f, "{message} ({errno:?})")?,
            None => write!(f, "{} ({errno:?})", errno.desc())?,
        }
        match self.attribute {
            Some(ErrorAttribute::Refused(number)) => write!(f, ", attribute {number}"),
            Some(ErrorAttribute::Missing(number)) => write!(f, ", attribute {number} is missing"),
            None => Ok(()),
        }
    }
}
