//! Names of the PCI id database. (The generated tables come with `cargo xtask codegen`.)

/// Name of a vendor.
pub fn vendor(_vendor: u16) -> Option<&'static str> {
    None
}

/// Name of a device.
pub fn device(_vendor: u16, _device: u16) -> Option<&'static str> {
    None
}

/// Name of a card.
pub fn subsystem(_vendor: u16, _device: u16, _sub_vendor: u16, _sub_device: u16) -> Option<&'static str> {
    None
}
