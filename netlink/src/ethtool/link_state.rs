//! Whether there is link, how good it is, and if not, why (`ETHTOOL_MSG_LINKSTATE_GET`).

use serde::{Deserialize, Serialize};

/// State of the physical link.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
#[non_exhaustive]
pub struct LinkState {
    /// Whether there is link.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub link: Option<bool>,
    /// Signal quality, 0 to [`sqi_max`](Self::sqi_max).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sqi: Option<u32>,
    /// Best signal quality that the PHY reports.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sqi_max: Option<u32>,
    /// Why the link is down, `ETHTOOL_LINK_EXT_STATE_*`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ext_state: Option<u8>,
    /// More exactly why, `ETHTOOL_LINK_EXT_SUBSTATE_*`; its meaning depends on the state.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ext_substate: Option<u8>,
    /// How often the link went down, as the PHY counts (kernel 6.4 and newer).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ext_down_count: Option<u32>,
}

impl LinkState {
    /// Why the link is down in words (`linux/ethtool.h`, kernel 6.12), absent when not said.
    pub fn ext_state_name(&self) -> Option<&'static str> {
        Some(match self.ext_state? {
            0 => "Autoneg",
            1 => "Link training failure",
            2 => "Logical mismatch",
            3 => "Bad signal integrity",
            4 => "No cable",
            5 => "Cable issue",
            6 => "EEPROM issue",
            7 => "Calibration failure",
            8 => "Power budget exceeded",
            9 => "Overheat",
            10 => "Module",
            _ => return None,
        })
    }
}
