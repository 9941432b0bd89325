//! What a pluggable module says of itself: SFF-8472 (SFP), SFF-8636 (QSFP), CMIS (QSFP-DD, OSFP).

use super::vpd::printable;
use crate::model::Module;

/// Decodes the first 256 bytes of a module's memory (lower half and page 0).
pub(crate) fn decode(memory: &[u8]) -> Option<Module> {
    let field = |at: usize, length: usize| memory.get(at..at + length).and_then(printable);
    // SFF-8024, table 4-1: the identifier, and where each standard keeps vendor, part and serial number.
    let (form_factor, vendor, part, serial) = match memory.first()? {
        0x03 => ("SFP", 20, 40, 68),
        0x0c => ("QSFP", 148, 168, 196),
        0x0d => ("QSFP+", 148, 168, 196),
        0x11 => ("QSFP28", 148, 168, 196),
        0x18 => ("QSFP-DD", 129, 148, 166),
        0x19 => ("OSFP", 129, 148, 166),
        0x1a => ("SFP-DD", 129, 148, 166),
        0x1b => ("DSFP", 129, 148, 166),
        0x1e => ("QSFP with CMIS", 129, 148, 166),
        0x1f => ("SFP-DD with CMIS", 129, 148, 166),
        _ => return None,
    };
    let mut module = Module::default();
    module.form_factor = form_factor.to_owned();
    module.vendor = field(vendor, 16);
    module.part_number = field(part, 16);
    module.serial = field(serial, 16);
    Some(module)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_standard_keeps_the_part_number_elsewhere() {
        for (identifier, at, form_factor) in [(0x03, 40, "SFP"), (0x11, 168, "QSFP28"), (0x19, 148, "OSFP")] {
            let mut memory = vec![0; 256];
            memory[0] = identifier;
            memory[at..at + 9].copy_from_slice(b"PART-123 ");

            let module = decode(&memory).unwrap();

            assert_eq!(
                (module.form_factor.as_str(), module.part_number.as_deref()),
                (form_factor, Some("PART-123"))
            );
        }
    }
}
