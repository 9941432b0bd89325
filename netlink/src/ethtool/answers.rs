//! Everything that ethtool says of a NIC, in one value.

use serde::{Deserialize, Serialize};

use super::driver_info::DriverInfo;
use super::features::{Features, Fec, PrivateFlag, TimestampInfo};
use super::link_info::LinkInfo;
use super::link_modes::LinkModes;
use super::link_state::LinkState;
use super::queues::{Channels, Coalesce, Pause, Rings};
use crate::error::KernelError;

/// The answers of one NIC; absent where its driver does not know the question.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
#[non_exhaustive]
pub struct Answers {
    /// Driver, firmware, bus.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub driver: Option<DriverInfo>,
    /// Port and transceiver.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub link_info: Option<LinkInfo>,
    /// Speed, duplex, modes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub link_modes: Option<LinkModes>,
    /// Link and its quality.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub link_state: Option<LinkState>,
    /// Ring sizes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rings: Option<Rings>,
    /// Queue counts.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub channels: Option<Channels>,
    /// Interrupt moderation.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub coalesce: Option<Coalesce>,
    /// Flow control.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pause: Option<Pause>,
    /// Forward error correction.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fec: Option<Fec>,
    /// Offloads.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub features: Option<Features>,
    /// Time stamping.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub timestamps: Option<TimestampInfo>,
    /// The driver's private switches.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub private_flags: Option<Vec<PrivateFlag>>,
    /// Questions that failed otherwise than by "not supported" or "no such device".
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub errors: Vec<AnswerError>,
}

/// A question that failed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct AnswerError {
    /// The command, as in `linkModes`.
    pub command: String,
    /// What went wrong, in words.
    pub reason: String,
    /// The kernel's error, when it was the kernel that refused.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kernel: Option<KernelError>,
}
