//! Memory of a plugged module (`ETHTOOL_MSG_MODULE_EEPROM_GET`), raw.

use ethtool::EthtoolModuleEEPROMAttr;

use super::request::{self, FAMILY};
use crate::attribute::attributes;
use crate::error::Error;
use crate::generic::GENERIC_HEADER;
use crate::socket::Socket;

/// Which bytes of a plugged module's memory to read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ModulePage {
    /// Page, 0 for the lower one.
    pub page: u8,
    /// Bank, 0 on most modules.
    pub bank: u8,
    /// Address on the module's bus, 0x50 for the main memory.
    pub i2c_address: u8,
    /// First byte: 0–127 in the lower half, 128–255 in the page.
    pub offset: u32,
    /// Bytes to read, 1–128, within one half.
    pub length: u32,
}

/// Raw bytes of a plugged module's memory (`ethtool -m NAME hex on`).
///
/// [`Error::Kernel`] with `EOPNOTSUPP` where the driver cannot, `EINVAL` for bytes that cross a
/// half.
pub fn module_page(socket: &mut Socket, index: u32, page: ModulePage) -> Result<Vec<u8>, Error> {
    let family = socket.family(FAMILY)?;
    let request = request::module_page(family.id, index, page);
    let answers = socket.ask(&request)?;
    let decode = |reason: &dyn std::fmt::Display| Error::decode(&request.operation, reason);
    for (_, answer) in &answers {
        for attribute in attributes(answer.get(GENERIC_HEADER..).unwrap_or_default()) {
            let packet = attribute.and_then(|attribute| attribute.packet::<EthtoolModuleEEPROMAttr>());
            if let EthtoolModuleEEPROMAttr::Data(bytes) = packet.map_err(|reason| decode(&reason))? {
                return Ok(bytes);
            }
        }
    }
    Err(Error::NoAnswer { operation: request.operation })
}
