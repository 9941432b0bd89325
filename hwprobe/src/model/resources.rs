//! What a netdev offers: queues, rings, offloads, clock.

use serde::{Deserialize, Serialize};

/// Queues, rings, offloads and clock of a netdev.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct Resources {
    /// Transmit queues of the netdev (`IFLA_NUM_TX_QUEUES`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tx_queues: Option<u32>,
    /// Receive queues of the netdev (`IFLA_NUM_RX_QUEUES`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rx_queues: Option<u32>,
    /// Channels in use and the most there can be (`ETHTOOL_MSG_CHANNELS_GET`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub channels: Option<QueueCounts>,
    /// Ring sizes (`ETHTOOL_MSG_RINGS_GET`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rings: Option<RingSizes>,
    /// Interrupt coalescing (`ETHTOOL_MSG_COALESCE_GET`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub coalesce: Option<Coalesce>,
    /// Offloads that the device has, by kernel name, and whether each is on (`ETHTOOL_MSG_FEATURES_GET`).
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub offloads: Vec<Offload>,
    /// Hardware clock for time stamping (`ETHTOOL_MSG_TSINFO_GET`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ptp_clock: Option<PtpClock>,
    /// MSI-X vectors that the function has (configuration space, capability 0x11).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub msix_vectors: Option<u16>,
}

/// Channel counts.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct QueueCounts {
    /// Receive channels in use.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rx: Option<u32>,
    /// Transmit channels in use.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tx: Option<u32>,
    /// Combined channels in use.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub combined: Option<u32>,
    /// Other channels in use (link interrupts).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub other: Option<u32>,
    /// Most receive channels.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rx_max: Option<u32>,
    /// Most transmit channels.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tx_max: Option<u32>,
    /// Most combined channels.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub combined_max: Option<u32>,
    /// Most other channels.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub other_max: Option<u32>,
}

/// Ring sizes in descriptors.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct RingSizes {
    /// Receive ring now.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rx: Option<u32>,
    /// Transmit ring now.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tx: Option<u32>,
    /// Greatest receive ring.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rx_max: Option<u32>,
    /// Greatest transmit ring.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tx_max: Option<u32>,
}

/// Interrupt coalescing.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct Coalesce {
    /// Microseconds to wait after a received packet.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rx_usecs: Option<u32>,
    /// Microseconds to wait after a sent packet.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tx_usecs: Option<u32>,
    /// The driver adapts the receive side.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub adaptive_rx: Option<bool>,
    /// The driver adapts the transmit side.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub adaptive_tx: Option<bool>,
}

/// One offload.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct Offload {
    /// Kernel name, like `tx-tcp-segmentation` (`net/ethtool/common.c`, `netdev_features_strings`).
    pub name: String,
    /// It is on.
    pub on: bool,
    /// It cannot be switched.
    pub fixed: bool,
}

impl Offload {
    /// The offload `name`.
    pub fn new(name: String, on: bool, fixed: bool) -> Self {
        Self { name, on, fixed }
    }
}

/// A PTP hardware clock.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct PtpClock {
    /// Number of the clock: `/dev/ptp<N>`.
    pub index: u32,
}

impl PtpClock {
    /// The clock `/dev/ptp<index>`.
    pub fn new(index: u32) -> Self {
        Self { index }
    }
}
