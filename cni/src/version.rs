//! Versions of the specification.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::environment::Command;
use crate::error::{Error, code};

/// A version that we speak, in order of age.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Version {
    /// 0.3.0; the same on the wire as 0.3.1.
    #[serde(rename = "0.3.0")]
    V0_3_0,
    /// 0.3.1.
    #[serde(rename = "0.3.1")]
    V0_3_1,
    /// 0.4.0: CHECK, and `prevResult` on DEL.
    #[serde(rename = "0.4.0")]
    V0_4_0,
    /// 1.0.0: no `ips[].version`.
    #[serde(rename = "1.0.0")]
    V1_0_0,
    /// 1.1.0: GC, STATUS, more fields.
    #[serde(rename = "1.1.0")]
    V1_1_0,
}

impl Version {
    /// All, oldest first.
    pub const ALL: [Self; 5] = [Self::V0_3_0, Self::V0_3_1, Self::V0_4_0, Self::V1_0_0, Self::V1_1_0];

    /// As it is written.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::V0_3_0 => "0.3.0",
            Self::V0_3_1 => "0.3.1",
            Self::V0_4_0 => "0.4.0",
            Self::V1_0_0 => "1.0.0",
            Self::V1_1_0 => "1.1.0",
        }
    }

    /// The version with this text; an empty one counts as 0.1.0, which we do not speak.
    ///
    /// # Errors
    /// Code 1 when it is none of ours.
    pub fn parse(text: &str) -> Result<Self, Error> {
        Self::ALL.into_iter().find(|version| version.as_str() == text).ok_or_else(|| {
            let asked = if text.is_empty() { "0.1.0 (cniVersion is missing)" } else { text };
            let spoken = Self::ALL.map(Self::as_str).join(", ");
            Error::new(code::INCOMPATIBLE_VERSION, format!("cniVersion: {asked} is not supported"))
                .with_details(format!("use one of {spoken}"))
        })
    }

    /// Whether a command exists in this version.
    ///
    /// # Errors
    /// Code 1 when it does not.
    pub fn allow(self, command: Command) -> Result<(), Error> {
        let since = match command {
            Command::Check => Self::V0_4_0,
            Command::Gc | Command::Status => Self::V1_1_0,
            Command::Add | Command::Del | Command::Version => Self::V0_3_0,
        };
        if self >= since {
            return Ok(());
        }
        let message =
            format!("cniVersion: {} has no {}; it needs {} or newer", self, command.as_str(), since);
        Err(Error::new(code::INCOMPATIBLE_VERSION, message))
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// What VERSION prints.
pub fn supported() -> String {
    let versions = Version::ALL.map(|version| format!("\"{version}\"")).join(",");
    format!("{{\"cniVersion\":\"{}\",\"supportedVersions\":[{versions}]}}", Version::V1_1_0)
}
