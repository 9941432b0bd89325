//! RDMA devices beside the netdevs.

use serde::{Deserialize, Serialize};

use super::SpeedMbps;

/// An RDMA device (`/sys/class/infiniband/<name>`).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct RdmaDevice {
    /// Name, like `mlx5_0`.
    pub name: String,
    /// Node GUID, as in `0c42:a103:0016:054c`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub node_guid: Option<String>,
    /// Firmware version.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub firmware: Option<String>,
    /// Its ports, by number.
    pub ports: Vec<RdmaPort>,
}

impl RdmaDevice {
    /// A device of which only the name is known.
    pub fn new(name: String) -> Self {
        Self { name, node_guid: None, firmware: None, ports: Vec::new() }
    }
}

/// A port of an RDMA device.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct RdmaPort {
    /// Number, from 1.
    pub number: u32,
    /// `InfiniBand` or `Ethernet`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub link_layer: Option<String>,
    /// State, like `ACTIVE`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub state: Option<String>,
    /// Physical state, like `LinkUp`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub physical_state: Option<String>,
    /// Rate, Mb/s (`400 Gb/sec (4X NDR)` is 400000).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rate_mbps: Option<SpeedMbps>,
    /// Port GUID (lower half of GID 0), as in `0c42:a103:0016:054c`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub port_guid: Option<String>,
}

impl RdmaPort {
    /// Port `number` of which nothing else is known.
    pub fn new(number: u32) -> Self {
        Self { number, link_layer: None, state: None, physical_state: None, rate_mbps: None, port_guid: None }
    }
}
