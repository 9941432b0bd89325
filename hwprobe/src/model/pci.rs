//! PCI functions: address, ids, PCIe link.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::SpeedMbps;

/// The address of a PCI function, `dddd:bb:dd.f`. Domains exceed 16 bits behind Intel VMD.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PciAddress {
    domain: u32,
    bus: u8,
    device: u8,
    function: u8,
}

/// Why a text is no PCI address.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is no PCI address: want domain:bus:device.function in hexadecimal, like 0000:3b:00.0")]
pub struct PciAddressError(String);

impl PciAddress {
    /// Domain, bus, device (0 to 31) and function (0 to 7).
    pub fn new(domain: u32, bus: u8, device: u8, function: u8) -> Result<Self, PciAddressError> {
        if device > 31 || function > 7 {
            return Err(PciAddressError(format!("{domain:04x}:{bus:02x}:{device:02x}.{function}")));
        }
        Ok(Self { domain, bus, device, function })
    }

    /// The address without its function: what the functions of one card share.
    pub fn slot(&self) -> (u32, u8, u8) {
        (self.domain, self.bus, self.device)
    }
}

impl fmt::Display for PciAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:04x}:{:02x}:{:02x}.{:x}", self.domain, self.bus, self.device, self.function)
    }
}

impl fmt::Debug for PciAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for PciAddress {
    type Err = PciAddressError;

    /// Upper case and the 8-digit domains of GPU libraries are taken too.
    fn from_str(text: &str) -> Result<Self, PciAddressError> {
        fn number(part: &str, digits: std::ops::RangeInclusive<usize>) -> Option<u32> {
            let fits = digits.contains(&part.len()) && part.bytes().all(|c| c.is_ascii_hexdigit());
            fits.then(|| u32::from_str_radix(part, 16).ok()).flatten()
        }
        let parse = || {
            let (rest, function) = text.rsplit_once('.')?;
            let (rest, device) = rest.rsplit_once(':')?;
            let (domain, bus) = rest.rsplit_once(':')?;
            let [bus, device, function] =
                [number(bus, 2..=2)?, number(device, 2..=2)?, number(function, 1..=1)?];
            Self::new(number(domain, 4..=8)?, bus as u8, device as u8, function as u8).ok()
        };
        parse().ok_or_else(|| PciAddressError(text.to_owned()))
    }
}

impl Serialize for PciAddress {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for PciAddress {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

/// A number of the PCI id database with its name.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(rename_all = "camelCase")]
pub struct PciName {
    /// Four lower-case hexadecimal digits, without `0x`.
    pub id: String,
    /// Name from the embedded PCI id database; absent when it does not list the id.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
}

/// A PCI function: what it is and how it is attached.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct PciFunction {
    /// Address of the function.
    pub address: PciAddress,
    /// Vendor id and name; absent when it cannot be read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub vendor: Option<PciName>,
    /// Device id and name; absent when it cannot be read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub device: Option<PciName>,
    /// Vendor of the card (subsystem vendor).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subsystem_vendor: Option<PciName>,
    /// Card model (subsystem device).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subsystem_device: Option<PciName>,
    /// Class code, six hexadecimal digits: `020000` Ethernet, `020700` InfiniBand; absent when it cannot be read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub class: Option<String>,
    /// Revision, two hexadecimal digits.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub revision: Option<String>,
    /// The PCIe link as it runs now; absent for conventional PCI, for VFs and where the platform hides it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub link: Option<PcieLink>,
    /// The most that the function itself can do on its PCIe link.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub link_maximum: Option<PcieLink>,
    /// The most that the slot (the port above) can do.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub slot_maximum: Option<PcieLink>,
    /// Device serial number of the PCIe extended capability 0x0003, eight bytes as `00-11-22-33-44-55-66-77`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub serial: Option<String>,
    /// Vital product data where the card has it and we may read it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub vpd: Option<Vpd>,
    /// `driver_override`: the only driver that may bind; absent when not set.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub driver_override: Option<String>,
}

/// Vital product data of a card (PCI specification, appendix I; sysfs `vpd`).
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct Vpd {
    /// Product name (identifier string).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub product: Option<String>,
    /// Part number (`PN`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub part_number: Option<String>,
    /// Serial number (`SN`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub serial: Option<String>,
    /// Engineering change level (`EC`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub engineering_change: Option<String>,
}

/// Transfer rate of a PCIe lane.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub enum PcieSpeed {
    /// Generation 1, 8b/10b coded.
    #[serde(rename = "2.5 GT/s")]
    Gen1,
    /// Generation 2, 8b/10b coded.
    #[serde(rename = "5 GT/s")]
    Gen2,
    /// Generation 3, 128b/130b coded.
    #[serde(rename = "8 GT/s")]
    Gen3,
    /// Generation 4, 128b/130b coded.
    #[serde(rename = "16 GT/s")]
    Gen4,
    /// Generation 5, 128b/130b coded.
    #[serde(rename = "32 GT/s")]
    Gen5,
    /// Generation 6, 242 of 256 bytes of a flit are payload (1b/1b coding).
    #[serde(rename = "64 GT/s")]
    Gen6,
}

impl PcieSpeed {
    /// Reads sysfs text: `16.0 GT/s PCIe`, `8 GT/s`; `Unknown` is `None`.
    pub fn from_sysfs(text: &str) -> Option<Self> {
        match text.split_whitespace().next()? {
            "2.5" => Some(Self::Gen1),
            "5" | "5.0" => Some(Self::Gen2),
            "8" | "8.0" => Some(Self::Gen3),
            "16" | "16.0" => Some(Self::Gen4),
            "32" | "32.0" => Some(Self::Gen5),
            "64" | "64.0" => Some(Self::Gen6),
            _ => None,
        }
    }

    /// Payload of one lane in kb/s once the line coding is taken off, like the kernel's
    /// `PCIE_SPEED2MBS_ENC` (`drivers/pci/pci.h`). Packet headers are not taken off.
    pub fn lane_kbps(self) -> u64 {
        match self {
            Self::Gen1 => 2_500_000 * 8 / 10,
            Self::Gen2 => 5_000_000 * 8 / 10,
            Self::Gen3 => 8_000_000 * 128 / 130,
            Self::Gen4 => 16_000_000 * 128 / 130,
            Self::Gen5 => 32_000_000 * 128 / 130,
            Self::Gen6 => 64_000_000 * 242 / 256,
        }
    }

    /// Generation number, 1 to 6.
    pub fn generation(self) -> u8 {
        self as u8 + 1
    }
}

impl fmt::Display for PcieSpeed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Gen1 => "2.5 GT/s",
            Self::Gen2 => "5 GT/s",
            Self::Gen3 => "8 GT/s",
            Self::Gen4 => "16 GT/s",
            Self::Gen5 => "32 GT/s",
            Self::Gen6 => "64 GT/s",
        })
    }
}

/// Speed and width of a PCIe link, and what fits through it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct PcieLink {
    /// Transfer rate of a lane.
    pub speed: PcieSpeed,
    /// Lanes, 1 to 32.
    pub width: u8,
    /// Bandwidth in Mb/s with the line coding taken off.
    pub bandwidth_mbps: SpeedMbps,
}

impl PcieLink {
    /// A link of this speed and width; `None` when the width is no PCIe width (0 = no link).
    pub fn new(speed: PcieSpeed, width: u8) -> Option<Self> {
        if !matches!(width, 1 | 2 | 4 | 8 | 12 | 16 | 32) {
            return None;
        }
        let mbps = u32::try_from(speed.lane_kbps() * u64::from(width) / 1000).ok()?;
        Some(Self { speed, width, bandwidth_mbps: SpeedMbps::new(mbps)? })
    }
}

impl PciFunction {
    /// A function of which only the address is known.
    pub fn new(address: PciAddress) -> Self {
        Self {
            address,
            vendor: None,
            device: None,
            subsystem_vendor: None,
            subsystem_device: None,
            class: None,
            revision: None,
            link: None,
            link_maximum: None,
            slot_maximum: None,
            serial: None,
            vpd: None,
            driver_override: None,
        }
    }
}

#[cfg(feature = "schema")]
mod schema {
    use std::borrow::Cow;
    use utoipa::openapi::schema::{ObjectBuilder, SchemaType, Type};
    use utoipa::openapi::{RefOr, Schema};

    impl utoipa::PartialSchema for super::PciAddress {
        fn schema() -> RefOr<Schema> {
            ObjectBuilder::new()
                .schema_type(SchemaType::Type(Type::String))
                .description(Some("PCI address, domain:bus:device.function, lower-case hexadecimal."))
                .pattern(Some("^[0-9a-f]{4,8}:[0-9a-f]{2}:[01][0-9a-f]\\.[0-7]$"))
                .examples(["0000:3b:00.0"])
                .into()
        }
    }

    impl utoipa::ToSchema for super::PciAddress {
        fn name() -> Cow<'static, str> {
            "PciAddress".into()
        }
    }
}
