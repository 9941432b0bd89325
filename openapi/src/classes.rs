//! Speed classes and device classes, each with its members.

use hwprobe::{NicId, SpeedClass, SpeedMbps, SpeedThresholds};
use serde::{Deserialize, Serialize};

/// How NICs are sorted into classes on this node.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Classes {
    /// Generation of the inventory.
    pub generation: u64,
    /// Where the speed classes begin.
    pub thresholds: SpeedThresholds,
    /// Speed classes, slowest first.
    pub speed_classes: Vec<SpeedClassMembers>,
    /// Device classes of the configuration, by name.
    pub device_classes: Vec<DeviceClassMembers>,
}

/// A speed class and the hardware NICs in it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct SpeedClassMembers {
    /// The class.
    pub class: SpeedClass,
    /// First speed in it, Mb/s; absent when it has no lower end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from_mbps: Option<SpeedMbps>,
    /// First speed above it, Mb/s; absent when it has no upper end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub below_mbps: Option<SpeedMbps>,
    /// Ids of the hardware NICs in it.
    pub nics: Vec<NicId>,
}

/// A device class of the configuration and the hardware NICs in it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct DeviceClassMembers {
    /// Name of the class.
    pub name: String,
    /// PCI ids that fit, `vendor:device` in hexadecimal; none = every id fits.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub ids: Vec<String>,
    /// Least speed that fits, Mb/s.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub min_speed_mbps: Option<SpeedMbps>,
    /// Speed class that fits.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub class: Option<SpeedClass>,
    /// CEL expression over the NIC that must be true.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expression: Option<String>,
    /// Ids of the hardware NICs that fit everything above.
    pub nics: Vec<NicId>,
}
