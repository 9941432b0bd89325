//! Configuration space and vital product data.

use crate::model::Vpd;

/// Device serial number (extended capability 0x0003, PCI Express base specification §7.9.3), as lspci prints it.
pub(crate) fn device_serial(config: &[u8]) -> Option<String> {
    let at = extended_capability(config, 0x0003)?;
    let bytes = config.get(at + 4..at + 12)?;
    let pairs: Vec<String> = bytes.iter().rev().map(|byte| format!("{byte:02x}")).collect();
    (bytes != [0; 8] && bytes != [0xff; 8]).then(|| pairs.join("-"))
}

/// Size of the MSI-X table (capability 0x11, PCI specification §6.8.2).
pub(crate) fn msix_vectors(config: &[u8]) -> Option<u16> {
    let at = capability(config, 0x11)?;
    Some((word(config, at + 2)? & 0x7ff) + 1)
}

fn word(config: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_le_bytes(config.get(at..at + 2)?.try_into().ok()?))
}

fn capability(config: &[u8], id: u8) -> Option<usize> {
    const STATUS_CAPABILITIES: u16 = 0x10;
    if word(config, 0x06)? & STATUS_CAPABILITIES == 0 {
        return None;
    }
    let mut at = usize::from(*config.get(0x34)? & !3);
    // 48 capabilities fill the 192 bytes behind the header: more is a circle.
    for _ in 0..48 {
        match config.get(at..at + 2)? {
            _ if at < 0x40 => return None,
            [found, _] if *found == id => return Some(at),
            [0xff, _] => return None,
            [_, next] => at = usize::from(*next & !3),
            _ => return None,
        }
    }
    None
}

fn extended_capability(config: &[u8], id: u16) -> Option<usize> {
    let mut at = 0x100;
    for _ in 0..(4096 - 256) / 8 {
        let header = u32::from_le_bytes(config.get(at..at + 4)?.try_into().ok()?);
        if header == 0 || header == u32::MAX {
            return None;
        }
        if header & 0xffff == u32::from(id) {
            return Some(at);
        }
        at = (header >> 20) as usize & !3;
        if at < 0x100 {
            return None;
        }
    }
    None
}

/// Parses vital product data: resources of large and small type, PCI specification appendix I.
pub(crate) fn parse(data: &[u8]) -> Option<Vpd> {
    let mut vpd = Vpd::default();
    let mut rest = data;
    while let [tag, after @ ..] = rest {
        let (kind, body, next) = if tag & 0x80 != 0 {
            let length = usize::from(u16::from_le_bytes(after.get(..2)?.try_into().ok()?));
            (tag & 0x7f, after.get(2..2 + length), after.get(2 + length..))
        } else {
            let length = usize::from(tag & 0x07);
            ((tag >> 3) & 0x0f, after.get(..length), after.get(length..))
        };
        match (kind, body) {
            (0x02, Some(body)) if tag & 0x80 != 0 => vpd.product = printable(body),
            (0x10, Some(body)) if tag & 0x80 != 0 => fields(body, &mut vpd),
            // 0x0f small = end.
            (0x0f, _) if tag & 0x80 == 0 => break,
            _ => {}
        }
        match next {
            Some(next) => rest = next,
            None => break,
        }
    }
    (vpd != Vpd::default()).then_some(vpd)
}

fn fields(mut body: &[u8], vpd: &mut Vpd) {
    while let [a, b, length, rest @ ..] = body {
        let Some(content) = rest.get(..usize::from(*length)) else { return };
        match &[*a, *b] {
            b"PN" => vpd.part_number = printable(content),
            b"SN" => vpd.serial = printable(content),
            b"EC" => vpd.engineering_change = printable(content),
            _ => {}
        }
        body = rest.get(usize::from(*length)..).unwrap_or_default();
    }
}

/// Text without padding; `None` when empty or not printable.
pub(crate) fn printable(bytes: &[u8]) -> Option<String> {
    let text: String = bytes.iter().map(|byte| char::from(*byte)).collect();
    let text = text.trim_matches(|c: char| c == '\0' || c.is_whitespace());
    (!text.is_empty() && text.chars().all(|c| c.is_ascii_graphic() || c == ' ')).then(|| text.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn vital_product_data_gives_part_and_serial_number() {
        let mut data = vec![0x82, 5, 0];
        data.extend(b"A NIC");
        data.extend([0x90, 14, 0]);
        data.extend(b"PN\x04X-12SN\x04S 99");
        data.push(0x78);

        let vpd = parse(&data).unwrap();

        assert_eq!(vpd.product.as_deref(), Some("A NIC"));
        assert_eq!(vpd.part_number.as_deref(), Some("X-12"));
        assert_eq!(vpd.serial.as_deref(), Some("S 99"));
    }

    #[test]
    fn a_circle_of_capabilities_ends() {
        let mut config = vec![0; 256];
        config[6] = 0x10;
        config[0x34] = 0x40;
        config[0x40] = 0x05;
        config[0x41] = 0x40;

        assert_eq!(msix_vectors(&config), None);
    }

    #[test]
    fn the_serial_number_is_read_from_the_chain() {
        let mut config = vec![0; 4096];
        config[0x100..0x104].copy_from_slice(&0x1401_0001u32.to_le_bytes());
        config[0x140..0x144].copy_from_slice(&0x0001_0003u32.to_le_bytes());
        config[0x144..0x14c].copy_from_slice(&[0x56, 0x34, 0x12, 0xff, 0xff, 0xa1, 0x42, 0x0c]);

        assert_eq!(device_serial(&config).as_deref(), Some("0c-42-a1-ff-ff-12-34-56"));
    }
}
