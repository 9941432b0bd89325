//! Errors as runtimes read them (FOREIGN §1.5).

use std::fmt;

use serde::{Deserialize, Serialize};

/// Error codes.
///
/// From 100 on they are ours: 100 a delegated plugin failed, 101 no address is left, 102 no NIC fits, 103 a NIC's
/// present use excludes the wanted one.
pub mod code {
    /// The version is not spoken, or has no such command.
    pub const INCOMPATIBLE_VERSION: u32 = 1;
    /// A field is not supported.
    pub const UNSUPPORTED_FIELD: u32 = 2;
    /// Environment variables are missing or wrong.
    pub const BAD_ENVIRONMENT: u32 = 4;
    /// Input or output failed.
    pub const IO: u32 = 5;
    /// The input is no JSON of the wanted form.
    pub const DECODE: u32 = 6;
    /// The configuration is wrong.
    pub const INVALID_CONFIG: u32 = 7;
    /// The namespace cannot be used.
    pub const INVALID_NAMESPACE: u32 = 8;
    /// Try again later.
    pub const TRY_AGAIN: u32 = 11;
    /// STATUS: no ADD can be served.
    pub const NOT_AVAILABLE: u32 = 50;
    /// STATUS: as 50, and running containers may be impaired.
    pub const NOT_AVAILABLE_IMPAIRED: u32 = 51;
    /// A delegated plugin failed.
    pub const DELEGATE: u32 = 100;
    /// No address is left.
    pub const NO_ADDRESS: u32 = 101;
    /// No NIC fits.
    pub const NO_NIC: u32 = 102;
    /// A NIC's present use excludes the wanted one.
    pub const NIC_IN_USE: u32 = 103;
    /// Anything else.
    pub const INTERNAL: u32 = 999;
}

/// An error.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Error {
    /// Version of the answer; the configuration's.
    #[serde(rename = "cniVersion", default, skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    /// One of [`code`].
    pub code: u32,
    /// What is wrong: the field or thing, and why.
    pub msg: String,
    /// More, like what would be right.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub details: String,
}

impl Error {
    /// An error with a message.
    pub fn new(code: u32, msg: impl Into<String>) -> Self {
        Self { version: None, code, msg: msg.into(), details: String::new() }
    }

    /// The same with details.
    pub fn with_details(mut self, details: impl Into<String>) -> Self {
        self.details = details.into();
        self
    }

    /// As it is printed, in the version of the configuration.
    pub fn print(&self, version: Option<&str>) -> String {
        let mut error = self.clone();
        error.version = Some(version.unwrap_or("1.1.0").to_owned());
        serde_json::to_string(&error).unwrap_or_default()
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.msg)?;
        if self.details.is_empty() { Ok(()) } else { write!(f, " ({})", self.details) }
    }
}

impl std::error::Error for Error {}
