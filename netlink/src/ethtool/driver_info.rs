//! Driver, firmware and bus (`ETHTOOL_GDRVINFO`; there is no netlink message for it).

use serde::{Deserialize, Serialize};

use crate::attribute::text;
use crate::error::{Error, libc_errno};
use crate::socket::Socket;
use crate::sys::{self, DRVINFO_BYTES};

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

/// How often a NIC is asked anew when it was renamed in the middle.
const ATTEMPTS: usize = 4;

/// What the driver of this NIC says of itself; absent when there is no such NIC or it says
/// nothing.
///
/// The question goes by name. The name is looked up before and compared after, so that a rename
/// in between does not answer for another NIC. Works on a socket of any family.
pub fn driver_info(socket: &mut Socket, index: u32) -> Result<Option<DriverInfo>, Error> {
    let operation = || format!("ask ethtool driver of link {index}");
    for _ in 0..ATTEMPTS {
        let answer = sys::interface_name(socket.as_fd(), index).and_then(|name| {
            let info = sys::driver_info(socket.as_fd(), &name)?;
            Ok((sys::interface_index(socket.as_fd(), &name)? == index).then_some(info))
        });
        match answer {
            Ok(Some(info)) => return Ok(Some(decode(&info))),
            Ok(None) => {}
            Err(error) => match error.raw_os_error() {
                // Gone by the second question, or by the first.
                Some(libc_errno::ENODEV | libc_errno::ENXIO) => {
                    if sys::interface_name(socket.as_fd(), index).is_err() {
                        return Ok(None);
                    }
                }
                Some(libc_errno::EOPNOTSUPP) => return Ok(None),
                _ => return Err(Error::io(operation(), error)),
            },
        }
    }
    Err(Error::io(operation(), std::io::Error::other("the link is being renamed again and again")))
}

fn decode(info: &[u8; DRVINFO_BYTES]) -> DriverInfo {
    // struct ethtool_drvinfo: cmd, then five texts of 32 bytes, 12 bytes, five numbers.
    let string = |position: usize| text(info.get(4 + position * 32..36 + position * 32).unwrap_or_default());
    let some = |position| Some(string(position)).filter(|text| !text.is_empty());
    let number = |position: usize| {
        info.get(176 + position * 4..)
            .and_then(|bytes| bytes.first_chunk())
            .map_or(0, |bytes| u32::from_ne_bytes(*bytes))
    };
    DriverInfo {
        driver: string(0),
        version: some(1),
        firmware_version: some(2),
        bus_info: some(3),
        expansion_rom_version: some(4),
        private_flags: number(0),
        statistics: number(1),
        self_tests: number(2),
        eeprom_bytes: number(3),
        register_bytes: number(4),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_field_is_read_from_its_own_bytes() {
        let mut bytes = [0; DRVINFO_BYTES];
        for (position, text) in ["drv", "1.0", "fw 2", "0000:01:00.0", "rom"].iter().enumerate() {
            bytes[4 + position * 32..][..text.len()].copy_from_slice(text.as_bytes());
        }
        for position in 0..5u8 {
            bytes[176 + usize::from(position) * 4..][..4]
                .copy_from_slice(&u32::from(position + 1).to_ne_bytes());
        }

        let info = decode(&bytes);

        assert_eq!(
            info,
            DriverInfo {
                driver: "drv".to_owned(),
                version: Some("1.0".to_owned()),
                firmware_version: Some("fw 2".to_owned()),
                expansion_rom_version: Some("rom".to_owned()),
                bus_info: Some("0000:01:00.0".to_owned()),
                private_flags: 1,
                statistics: 2,
                self_tests: 3,
                eeprom_bytes: 4,
                register_bytes: 5,
            }
        );
    }
}
