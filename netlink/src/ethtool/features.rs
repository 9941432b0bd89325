//! Offloads, forward error correction, time stamping and private switches.

use serde::{Deserialize, Serialize};

/// Offload features by name (`ETHTOOL_MSG_FEATURES_GET`, `ethtool -k`), each list in the
/// kernel's order.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
#[non_exhaustive]
pub struct Features {
    /// Features that may be switched.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub hardware: Vec<String>,
    /// Features that somebody asked for.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub wanted: Vec<String>,
    /// Features in use.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub active: Vec<String>,
    /// Features that can never be switched on this NIC.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub no_change: Vec<String>,
}

/// Forward error correction (`ETHTOOL_MSG_FEC_GET`, `ethtool --show-fec`).
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
#[non_exhaustive]
pub struct Fec {
    /// Configured modes as link mode bits: 49 none, 50 RS, 51 BASER, 74 LLRS.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub configured: Vec<u32>,
    /// Whether the NIC chooses by the module.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub auto: Option<bool>,
    /// Mode in use, a link mode bit; absent without link.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub active: Option<u32>,
}

/// Time stamping (`ETHTOOL_MSG_TSINFO_GET`, `ethtool -T`).
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
#[non_exhaustive]
pub struct TimestampInfo {
    /// `SOF_TIMESTAMPING_*` bits that work, ascending.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub timestamping: Vec<u32>,
    /// `HWTSTAMP_TX_*` modes, ascending.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub tx_types: Vec<u32>,
    /// `HWTSTAMP_FILTER_*` filters, ascending.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub rx_filters: Vec<u32>,
    /// Number of the PTP clock `/dev/ptpN`, absent without one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub phc_index: Option<u32>,
}

/// One of the driver's private switches (`ETHTOOL_MSG_PRIVFLAGS_GET`).
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
#[non_exhaustive]
pub struct PrivateFlag {
    /// The driver's name for it.
    pub name: String,
    /// Whether it is on.
    pub on: bool,
}
