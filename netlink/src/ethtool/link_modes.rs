//! Speed, duplex, lanes and what the NIC could do (`ETHTOOL_MSG_LINKMODES_GET`).

use serde::{Deserialize, Serialize};

use crate::open_enum::open_enum;

/// The link as it was negotiated and the modes it chose from.
///
/// Modes are bit numbers of `enum ethtool_link_mode_bit_indices`; [`mode`](super::mode) tells
/// what each means. Bits without a meaning here are kept.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
#[non_exhaustive]
pub struct LinkModes {
    /// Whether the link negotiates.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub autoneg: Option<bool>,
    /// Modes the hardware can do, ascending.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub supported: Vec<u32>,
    /// Modes offered to the partner, ascending.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub advertised: Vec<u32>,
    /// Modes the partner offers, ascending.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub peer: Vec<u32>,
    /// Speed in Mb/s; absent when the kernel says unknown (no link, or a virtual NIC).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub speed: Option<u32>,
    /// Absent when the kernel says unknown.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub duplex: Option<Duplex>,
    /// Lanes in use.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub lanes: Option<u32>,
    /// Clock role asked for, `MASTER_SLAVE_CFG_*`: 0 unsupported, 1 unknown, 2 and 3 preferred
    /// master and slave, 4 and 5 forced.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub master_slave_config: Option<u8>,
    /// Clock role in use, `MASTER_SLAVE_STATE_*`: 0 unsupported, 1 unknown, 2 master, 3 slave,
    /// 4 error.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub master_slave_state: Option<u8>,
    /// How the PHY bridges unequal rates: 0 none, 1 pause frames, 2 CRS, 3 open loop.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rate_matching: Option<u8>,
}

open_enum! {
    /// Whether both sides may send at once, `DUPLEX_*`.
    Duplex(u8) {
        /// One at a time.
        Half = 0, "Half";
        /// Both at once.
        Full = 1, "Full";
    }
}
