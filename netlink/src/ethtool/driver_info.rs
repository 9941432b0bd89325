//! Driver, firmware and bus (`ETHTOOL_GDRVINFO`; there is no netlink message for it).

use serde::{Deserialize, Serialize};

/// What the driver says of itself (`ethtool -i`). Empty answers are absent.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
#[non_exhaustive]
pub struct DriverInfo {
    /// Name of the driver.
    pub driver: String,
    /// Version of the driver, for drivers in the kernel the kernel's own.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    /// Version of the firmware.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub firmware_version: Option<String>,
    /// Version of the option ROM.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub expansion_rom_version: Option<String>,
    /// The device's name on its bus, e.g. a PCI address.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bus_info: Option<String>,
    /// How many private switches there are.
    pub private_flags: u32,
    /// How many statistics there are.
    pub statistics: u32,
    /// How many self tests there are.
    pub self_tests: u32,
    /// Bytes of the NIC's EEPROM.
    pub eeprom_bytes: u32,
    /// Bytes of the register dump.
    pub register_bytes: u32,
}
