//! How fast a NIC is, and how we know.

use std::fmt;
use std::num::NonZeroU32;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// A speed in Mb/s, at least 1. Unknown is an absent `SpeedMbps`, never 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct SpeedMbps(NonZeroU32);

/// Why a text is no speed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is no speed: want a number of Mb/s, or a number with M, G or T behind it, like 25G")]
pub struct SpeedParseError(String);

impl SpeedMbps {
    /// Takes what the kernel says: 0 and −1 (`SPEED_UNKNOWN`, `include/uapi/linux/ethtool.h`) are `None`.
    pub fn new(mbps: u32) -> Option<Self> {
        if mbps == u32::MAX { None } else { NonZeroU32::new(mbps).map(Self) }
    }

    /// Megabits a second.
    pub fn get(self) -> u32 {
        self.0.get()
    }
}

impl fmt::Display for SpeedMbps {
    /// `800 Mb/s`, `2.5 Gb/s`, `400 Gb/s`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.get() {
            mbps if mbps < 1000 => write!(f, "{mbps} Mb/s"),
            mbps if mbps % 1000 == 0 => write!(f, "{} Gb/s", mbps / 1000),
            mbps => write!(f, "{}.{} Gb/s", mbps / 1000, mbps % 1000 / 100),
        }
    }
}

impl FromStr for SpeedMbps {
    type Err = SpeedParseError;

    /// `10000`, `100M`, `2.5G`, `1T`; a trailing `b/s`, `bps` or `bit/s` is ignored.
    fn from_str(text: &str) -> Result<Self, SpeedParseError> {
        let wrong = || SpeedParseError(text.to_owned());
        let short = text.trim();
        let short =
            ["bit/s", "bps", "b/s"].iter().find_map(|unit| short.strip_suffix(unit)).unwrap_or(short).trim();
        let (number, factor) = match short.bytes().last() {
            Some(b'M' | b'm') => (&short[..short.len() - 1], 1.0),
            Some(b'G' | b'g') => (&short[..short.len() - 1], 1_000.0),
            Some(b'T' | b't') => (&short[..short.len() - 1], 1_000_000.0),
            _ => (short, 1.0),
        };
        let number = number.trim();
        if number.is_empty() || !number.bytes().all(|c| c.is_ascii_digit() || c == b'.') {
            return Err(wrong());
        }
        let mbps = number.parse::<f64>().map_err(|_| wrong())? * factor;
        if !(1.0..=f64::from(u32::MAX - 1)).contains(&mbps) {
            return Err(wrong());
        }
        Self::new(mbps.round() as u32).ok_or_else(wrong)
    }
}

/// Where a speed comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub enum SpeedSource {
    /// The running link says so (`ETHTOOL_A_LINKMODES_SPEED`, sysfs `speed`).
    Link,
    /// The rate of the InfiniBand port (`ports/N/rate`).
    InfinibandRate,
    /// The fastest mode that the port supports; the link is down.
    SupportedModes,
    /// The PCIe link lets less through than the port could do.
    PcieLimit,
    /// The device table knows the model; the kernel does not say.
    DeviceTable,
    /// A VF that does not say: its PF's speed.
    PhysicalFunction,
    /// What the driver says without a running link, or a constant in it (vmxnet3): no measure of anything.
    Nominal,
    /// Nobody says. Never guessed.
    Unknown,
}

/// Coarse class of a NIC's speed, by thresholds that the administrator can set.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(rename_all = "camelCase")]
pub enum SpeedClass {
    /// The speed is unknown.
    Unknown,
    /// Below `standardFrom` (default 10 Gb/s).
    Low,
    /// From `standardFrom` up to below `highFrom`.
    Standard,
    /// From `highFrom` (default 100 Gb/s) on.
    High,
}

impl SpeedClass {
    /// All classes, slowest first.
    pub const ALL: [Self; 4] = [Self::Unknown, Self::Low, Self::Standard, Self::High];

    /// The name that the API uses.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Unknown => "unknown",
            Self::Low => "low",
            Self::Standard => "standard",
            Self::High => "high",
        }
    }
}

impl fmt::Display for SpeedClass {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// Where the speed classes begin.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(rename_all = "camelCase")]
pub struct SpeedThresholds {
    /// First speed of class `standard`, in Mb/s.
    pub standard_from: SpeedMbps,
    /// First speed of class `high`, in Mb/s.
    pub high_from: SpeedMbps,
}

impl Default for SpeedThresholds {
    /// 10 Gb/s and 100 Gb/s.
    fn default() -> Self {
        let mbps = |value| SpeedMbps(NonZeroU32::new(value).unwrap_or(NonZeroU32::MIN));
        Self { standard_from: mbps(10_000), high_from: mbps(100_000) }
    }
}

/// Speed of the port itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(rename_all = "camelCase")]
pub struct PortSpeed {
    /// Mb/s.
    pub mbps: SpeedMbps,
    /// Where that comes from.
    pub source: SpeedSource,
}

/// How fast a NIC is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct Speed {
    /// What the NIC can deliver, in Mb/s: the port's speed, or what PCIe lets through when that is less.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mbps: Option<SpeedMbps>,
    /// Where `mbps` comes from.
    pub source: SpeedSource,
    /// Speed class of `mbps`.
    pub class: SpeedClass,
    /// The port's own speed, before PCIe is considered.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub port: Option<PortSpeed>,
    /// What the PCIe link as it runs now lets through, in Mb/s.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pcie_limit_mbps: Option<SpeedMbps>,
}

impl Default for Speed {
    fn default() -> Self {
        Self {
            mbps: None,
            source: SpeedSource::Unknown,
            class: SpeedClass::Unknown,
            port: None,
            pcie_limit_mbps: None,
        }
    }
}

#[cfg(feature = "schema")]
mod schema {
    use std::borrow::Cow;
    use utoipa::openapi::schema::{ObjectBuilder, SchemaType, Type};
    use utoipa::openapi::{RefOr, Schema};

    impl utoipa::PartialSchema for super::SpeedMbps {
        fn schema() -> RefOr<Schema> {
            ObjectBuilder::new()
                .schema_type(SchemaType::Type(Type::Integer))
                .description(Some("Speed in Mb/s."))
                .minimum(Some(1))
                .examples([100_000])
                .into()
        }
    }

    impl utoipa::ToSchema for super::SpeedMbps {
        fn name() -> Cow<'static, str> {
            "SpeedMbps".into()
        }
    }
}
