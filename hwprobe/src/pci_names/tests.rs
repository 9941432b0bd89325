use super::{CARDS, DEVICES, VENDORS, device, find, subsystem, vendor};

/// Asks the search for every line of a table, and for the keys beside it that are not there.
fn every_line_is_found_and_no_other(table: &'static str, digits: usize) {
    let lines: Vec<&str> = table.lines().filter(|line| !line.starts_with('#')).collect();
    let keys: std::collections::BTreeSet<&str> = lines.iter().map(|line| &line[..digits]).collect();
    assert_eq!(keys.len(), lines.len(), "a key stands twice");

    for line in &lines {
        let (key, name) = line.split_once(' ').unwrap();
        assert_eq!(key.len(), digits, "{line}");
        assert_eq!(find(table, &format_args!("{key}")), Some(name));
        let beside = format!("{:0digits$x}", u64::from_str_radix(key, 16).unwrap().wrapping_add(1));
        if beside.len() == digits && !keys.contains(beside.as_str()) {
            assert_eq!(find(table, &format_args!("{beside}")), None);
        }
    }
}

#[test]
fn every_vendor_is_found() {
    every_line_is_found_and_no_other(VENDORS, 4);
}

#[test]
fn every_device_is_found() {
    every_line_is_found_and_no_other(DEVICES, 8);
}

#[test]
fn every_card_is_found() {
    every_line_is_found_and_no_other(CARDS, 16);
}

#[test]
fn every_device_and_card_has_a_named_vendor() {
    for line in DEVICES.lines().chain(CARDS.lines()).filter(|line| !line.starts_with('#')) {
        let id = u16::from_str_radix(&line[..4], 16).unwrap();
        assert!(vendor(id).is_some(), "{line}");
    }
}

#[test]
fn the_cards_of_a_gpu_cluster_have_names() {
    let known = [
        (0x15b3, 0x101d, "ConnectX-6 Dx"),
        (0x15b3, 0x101e, "Virtual Function"),
        (0x15b3, 0x1021, "ConnectX-7"),
        (0x15b3, 0xa2dc, "BlueField-3"),
        (0x8086, 0x1592, "E810-C for QSFP"),
        (0x8086, 0x1889, "Virtual Function"),
        (0x8086, 0x10d3, "82574L"),
        (0x14e4, 0x1750, "BCM57508"),
        (0x1d0f, 0xec20, "Elastic Network Adapter"),
        (0x1d0f, 0xefa1, "Elastic Fabric Adapter"),
        (0x1af4, 0x1041, "network"),
        (0x15ad, 0x07b0, "VMXNET3"),
        (0x10ec, 0x8139, "8139"),
        (0x10de, 0x2330, "H100"),
        (0x1002, 0x74a1, "MI300X"),
        (0x1da3, 0x1060, "Gaudi"),
        (0x10b5, 0x8747, "PCI Express"),
    ];

    for (vendor, id, part) in known {
        let name = device(vendor, id);
        assert!(name.is_some_and(|name| name.contains(part)), "{vendor:04x}:{id:04x}: {name:?}");
    }
}

#[test]
fn what_is_no_network_device_is_left_out() {
    assert_eq!(device(0x8086, 0x1c20), None, "an audio controller");
    assert_eq!(device(0xffff, 0xffff), None);
    assert_eq!(subsystem(0, 0, 0, 0), None);
}

#[test]
fn a_search_ends_on_any_table() {
    for table in ["", "\n", "# only a comment\n", "8086", "8086 Intel", "\n\n\n"] {
        let _ = find(table, &format_args!("8086"));
        let _ = find(table, &format_args!("0000"));
    }
    assert_eq!(find("8086 Intel", &format_args!("8086")), Some("Intel"));
}
