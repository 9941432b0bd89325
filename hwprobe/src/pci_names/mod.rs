//! Names out of the PCI ID database: vendors, and the devices and cards that an inventory of NICs meets
//! (network controllers, bridges and switches, GPUs and accelerators).
//!
//! The tables are sorted text, written by `cargo xtask codegen` from `hwprobe/data/pci.ids`, and are
//! searched as they are: no index, no allocation, nothing to set up. Every answer may be absent; the ids
//! themselves always say more than a name.

/// `vvvv name`, sorted.
const VENDORS: &str = include_str!("vendors.txt");
/// `vvvvdddd name`, sorted.
const DEVICES: &str = include_str!("devices.txt");
/// `vvvvddddssssuuuu name`, sorted.
const CARDS: &str = include_str!("cards.txt");

/// Name of a vendor (`/sys/bus/pci/devices/*/vendor`, or `subsystem_vendor`).
///
/// ```
/// assert_eq!(hwprobe::pci_names::vendor(0x8086), Some("Intel Corporation"));
/// ```
pub fn vendor(vendor: u16) -> Option<&'static str> {
    find(VENDORS, &format_args!("{vendor:04x}"))
}

/// Name of a device of a vendor (`/sys/bus/pci/devices/*/device`).
///
/// ```
/// assert_eq!(hwprobe::pci_names::device(0x8086, 0x10ca), Some("82576 Virtual Function"));
/// ```
pub fn device(vendor: u16, device: u16) -> Option<&'static str> {
    find(DEVICES, &format_args!("{vendor:04x}{device:04x}"))
}

/// Name of the card that a network controller sits on (`subsystem_vendor` and `subsystem_device`).
///
/// ```
/// let card = hwprobe::pci_names::subsystem(0x8086, 0x10c9, 0x8086, 0xa03c);
/// assert_eq!(card, Some("Gigabit ET Dual Port Server Adapter"));
/// ```
pub fn subsystem(vendor: u16, device: u16, sub_vendor: u16, sub_device: u16) -> Option<&'static str> {
    find(CARDS, &format_args!("{vendor:04x}{device:04x}{sub_vendor:04x}{sub_device:04x}"))
}

/// The rest of the line that begins with the key and a space. Lines of comment sort before every key.
fn find(table: &'static str, key: &std::fmt::Arguments<'_>) -> Option<&'static str> {
    let key = key.to_string();
    // Invariant: the line, if there is one, begins in `low..high`; both are beginnings of lines or the end.
    let (mut low, mut high) = (0, table.len());
    while low < high {
        let middle = low + (high - low) / 2;
        let start = table.get(low..middle)?.rfind('\n').map_or(low, |newline| low + newline + 1);
        let line = table.get(start..)?;
        match line.as_bytes().iter().take(key.len()).cmp(key.as_bytes()) {
            std::cmp::Ordering::Equal => return line.get(key.len() + 1..)?.split('\n').next(),
            std::cmp::Ordering::Less => low = line.find('\n').map_or(high, |newline| start + newline + 1),
            std::cmp::Ordering::Greater => high = start,
        }
    }
    None
}

#[cfg(test)]
mod tests;
