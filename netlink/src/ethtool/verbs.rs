//! Signatures first.
#![allow(clippy::todo, reason = "bodies follow in the next commit")]
use super::Answers;
use crate::{Error, Socket};

/// All answers of these NICs, in few sends; same order as `indexes`.
pub fn answers(_socket: &mut Socket, _indexes: &[u32]) -> Result<Vec<(u32, Answers)>, Error> {
    todo!()
}

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
pub fn module_page(_socket: &mut Socket, _index: u32, _page: ModulePage) -> Result<Vec<u8>, Error> {
    todo!()
}
