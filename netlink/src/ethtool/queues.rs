//! Rings, channels, interrupt moderation and pause frames.

use serde::{Deserialize, Serialize};

/// Descriptor ring sizes (`ETHTOOL_MSG_RINGS_GET`, `ethtool -g`), in descriptors.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
#[non_exhaustive]
pub struct Rings {
    /// Largest receive ring.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rx_max: Option<u32>,
    /// Largest receive ring for small frames.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rx_mini_max: Option<u32>,
    /// Largest receive ring for large frames.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rx_jumbo_max: Option<u32>,
    /// Largest transmit ring.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tx_max: Option<u32>,
    /// Receive ring.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rx: Option<u32>,
    /// Receive ring for small frames.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rx_mini: Option<u32>,
    /// Receive ring for large frames.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rx_jumbo: Option<u32>,
    /// Transmit ring.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tx: Option<u32>,
    /// Bytes of a receive buffer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rx_buf_len: Option<u32>,
    /// Whether headers and data are received apart: 0 unknown, 1 off, 2 on.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tcp_data_split: Option<u8>,
    /// Bytes of a completion entry.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cqe_size: Option<u32>,
    /// Whether descriptors are pushed into the NIC.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tx_push: Option<bool>,
    /// Whether receive descriptors are pushed into the NIC.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rx_push: Option<bool>,
}

/// Queue counts (`ETHTOOL_MSG_CHANNELS_GET`, `ethtool -l`).
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
#[non_exhaustive]
pub struct Channels {
    /// Receive-only channels at most.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rx_max: Option<u32>,
    /// Transmit-only channels at most.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tx_max: Option<u32>,
    /// Other channels at most.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub other_max: Option<u32>,
    /// Two-way channels at most.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub combined_max: Option<u32>,
    /// Receive-only channels.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rx: Option<u32>,
    /// Transmit-only channels.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tx: Option<u32>,
    /// Channels for other purposes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub other: Option<u32>,
    /// Two-way channels.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub combined: Option<u32>,
}

/// Interrupt moderation (`ETHTOOL_MSG_COALESCE_GET`, `ethtool -c`). Times in µs.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
#[non_exhaustive]
pub struct Coalesce {
    /// Receive delay.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rx_usecs: Option<u32>,
    /// Receive frames before an interrupt.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rx_max_frames: Option<u32>,
    /// Receive delay while an interrupt is served.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rx_usecs_irq: Option<u32>,
    /// Receive frames while an interrupt is served.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rx_max_frames_irq: Option<u32>,
    /// Transmit delay.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tx_usecs: Option<u32>,
    /// Transmit frames before an interrupt.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tx_max_frames: Option<u32>,
    /// Transmit delay while an interrupt is served.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tx_usecs_irq: Option<u32>,
    /// Transmit frames while an interrupt is served.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tx_max_frames_irq: Option<u32>,
    /// How often statistics are written to memory.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stats_block_usecs: Option<u32>,
    /// Whether the receive delay adapts.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub adaptive_rx: Option<bool>,
    /// Whether the transmit delay adapts.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub adaptive_tx: Option<bool>,
    /// Packets per second below which the low values hold.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub packet_rate_low: Option<u32>,
    /// Receive delay at low rate.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rx_usecs_low: Option<u32>,
    /// Receive frames at low rate.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rx_max_frames_low: Option<u32>,
    /// Transmit delay at low rate.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tx_usecs_low: Option<u32>,
    /// Transmit frames at low rate.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tx_max_frames_low: Option<u32>,
    /// Packets per second above which the high values hold.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub packet_rate_high: Option<u32>,
    /// Receive delay at high rate.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rx_usecs_high: Option<u32>,
    /// Receive frames at high rate.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rx_max_frames_high: Option<u32>,
    /// Transmit delay at high rate.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tx_usecs_high: Option<u32>,
    /// Transmit frames at high rate.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tx_max_frames_high: Option<u32>,
    /// How often the rate is sampled, in seconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rate_sample_interval: Option<u32>,
    /// Whether the transmit delay restarts with each completion.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cqe_mode_tx: Option<bool>,
    /// Whether the receive delay restarts with each completion.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cqe_mode_rx: Option<bool>,
}

/// Flow control (`ETHTOOL_MSG_PAUSE_GET`, `ethtool -a`).
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
#[non_exhaustive]
pub struct Pause {
    /// Whether it is negotiated.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub autoneg: Option<bool>,
    /// Whether received pause frames are obeyed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rx: Option<bool>,
    /// Whether pause frames are sent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tx: Option<bool>,
}
