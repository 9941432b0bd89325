//! The neighbour that systemd-networkd heard over LLDP (IEEE 802.1AB).
//!
//! networkd keeps the last frames of a link in `/run/systemd/netif/lldp/<ifindex>`: for each a length (64
//! bits, little endian) and the ethernet frame.

use crate::model::LldpNeighbour;

/// The first neighbour in a file of networkd's.
pub(crate) fn first_neighbour(file: &[u8]) -> Option<LldpNeighbour> {
    let length = usize::try_from(u64::from_le_bytes(file.get(..8)?.try_into().ok()?)).ok()?;
    frame(file.get(8..8usize.checked_add(length)?)?)
}

fn frame(frame: &[u8]) -> Option<LldpNeighbour> {
    const ETHERTYPE: [u8; 2] = [0x88, 0xcc];
    if frame.get(12..14)? != ETHERTYPE {
        return None;
    }
    let mut found = LldpNeighbour::default();
    let mut rest = frame.get(14..)?;
    while let [high, low, after @ ..] = rest {
        let header = u16::from_be_bytes([*high, *low]);
        let (kind, length) = (header >> 9, usize::from(header & 0x1ff));
        let body = after.get(..length)?;
        match kind {
            0 => break,
            1 => found.chassis_id = identifier(body, 4)?,
            2 => found.port_id = identifier(body, 3)?,
            4 => found.port_description = super::vpd::printable(body),
            5 => found.system_name = super::vpd::printable(body),
            _ => {}
        }
        rest = after.get(length..)?;
    }
    (!found.chassis_id.is_empty() && !found.port_id.is_empty()).then_some(found)
}

/// An id with its subtype in front: a MAC address (`mac_subtype`), else text.
fn identifier(body: &[u8], mac_subtype: u8) -> Option<String> {
    let (subtype, id) = body.split_first()?;
    match id {
        mac if *subtype == mac_subtype && mac.len() == 6 => {
            crate::model::HwAddr::new(mac).ok().map(|mac| mac.to_string())
        }
        text => super::vpd::printable(text),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_frame_names_switch_and_port() {
        let mut frame = vec![0; 12];
        frame.extend([0x88, 0xcc]);
        frame.extend([0x02, 7, 4, 0x02, 0, 0x5e, 0x10, 0, 1]);
        frame.extend([0x04, 5, 5]);
        frame.extend(b"Et12");
        frame.extend([0x0a, 6]);
        frame.extend(b"leaf-1");
        frame.extend([0, 0]);
        let mut file = (frame.len() as u64).to_le_bytes().to_vec();
        file.extend(frame);

        let neighbour = first_neighbour(&file).unwrap();

        assert_eq!(neighbour.chassis_id, "02:00:5e:10:00:01");
        assert_eq!(neighbour.port_id, "Et12");
        assert_eq!(neighbour.system_name.as_deref(), Some("leaf-1"));
        assert_eq!(first_neighbour(&file[..20]), None);
    }
}
