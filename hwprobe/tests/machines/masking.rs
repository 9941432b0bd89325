//! A masked machine names nobody and is otherwise the same.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use hwprobe::{FileTree, Inventory, Probe, ProbeSettings, Snapshot};
use netlink::LinkAddress;
use proptest::prelude::*;
use proptest::test_runner::{Config, RngSeed, TestRunner};
use serde_json::Value;

use crate::collection::machines;

/// Fields that a mask may change, by name.
const MASKED: &[&str] = &[
    "mac",
    "permanentMac",
    "serial",
    "address",
    "peer",
    "nodeGuid",
    "portGuid",
    "physPortId",
    "physSwitchId",
    "hostname",
    "bootId",
    "chassisId",
    "portId",
    "systemName",
];

/// All values of the masked fields, in the order of the document.
fn telling(value: &Value, key: &str, found: &mut Vec<(String, String)>) {
    match value {
        // The other end of a veth pair is a name, that of a tunnel an address.
        Value::String(text) if key == "peer" && text.parse::<IpAddr>().is_err() => {}
        Value::String(text) if MASKED.contains(&key) => found.push((key.to_owned(), text.clone())),
        Value::Array(items) => items.iter().for_each(|item| telling(item, key, found)),
        Value::Object(map) => {
            // The PCI address of a function is the same on many machines.
            let is_place = |name: &str| {
                name == "address"
                    && matches!(map.get(name), Some(Value::String(text)) if text.contains('.') && text.contains(':') && text.len() == 12)
            };
            map.iter()
                .filter(|(name, _)| !is_place(name))
                .for_each(|(name, item)| telling(item, name, found));
        }
        _ => {}
    }
}

fn telling_of(inventory: &Inventory) -> Vec<(String, String)> {
    let mut found = Vec::new();
    telling(&serde_json::to_value(inventory).unwrap(), "", &mut found);
    found
}

/// The document without what names somebody: in its own fields, and in the sentences of paths and warnings.
fn anonymous(value: &mut Value, key: &str, words: &BTreeSet<String>) {
    match value {
        Value::String(text) if MASKED.contains(&key) => *text = "…".to_owned(),
        Value::String(text) => {
            for word in words.iter().rev() {
                *text = text.replace(word.as_str(), "…");
            }
        }
        Value::Array(items) => items.iter_mut().for_each(|item| anonymous(item, key, words)),
        Value::Object(map) => map.iter_mut().for_each(|(name, item)| anonymous(item, name, words)),
        _ => {}
    }
}

fn anonymous_of(inventory: &Inventory, snapshot: &Snapshot) -> Value {
    // Storage servers are named in the paths of what they protect.
    let servers = snapshot.kernel.routes_to.keys().map(ToString::to_string);
    let words = telling_of(inventory).into_iter().map(|(_, word)| word).chain(servers);
    // Hyper-V makes the id of a NIC from its MAC address.
    let of_vmbus = inventory.nics.iter().filter_map(|nic| nic.bus.as_ref()).filter(|bus| bus.kind == "vmbus");
    let words = words.chain(of_vmbus.map(|bus| bus.device.clone()));
    // Interfaces are named after their MAC address without the colons.
    let words = words.flat_map(|word| [word.replace(':', ""), word]);
    let words = words.filter(|word| word.len() > 4).collect();
    let mut value = serde_json::to_value(inventory).unwrap();
    anonymous(&mut value, "", &words);
    value
}

/// All that is in the snapshot, in lower case: texts with and without what separates digits, and bytes.
fn content(snapshot: &Snapshot) -> String {
    let json = serde_json::to_string(snapshot).unwrap().to_lowercase();
    let digits: String = json.chars().filter(|c| !matches!(c, ':' | '-' | '.')).collect();
    format!("{json}\n{digits}")
}

/// The ways in which a fact may be written.
fn forms(key: &str, text: &str) -> Vec<String> {
    let lower = text.to_lowercase();
    let mut forms = vec![lower.clone()];
    if let Ok(address) = text.parse::<IpAddr>() {
        match address {
            IpAddr::V4(v4) => forms.push(format!("\t{:08x}\t", v4.to_bits().swap_bytes())),
            IpAddr::V6(v6) => forms.push(format!("{:032x}", v6.to_bits())),
        }
        return forms;
    }
    let plain: String = lower.chars().filter(|c| !matches!(c, ':' | '-')).collect();
    if plain.len() >= 12 && plain.bytes().all(|digit| digit.is_ascii_hexdigit()) {
        let pairs: Vec<&str> = (0..plain.len() / 2).map(|at| &plain[2 * at..2 * at + 2]).collect();
        forms.push(pairs.iter().rev().copied().collect());
        forms.push(plain.clone());
    }
    if key.contains("serial") || key == "systemName" {
        forms.push(text.bytes().map(|byte| format!("{byte:02x}")).collect());
    }
    forms
}

fn names_nobody(key: &str, text: &str) -> bool {
    let digits: BTreeSet<char> = text.chars().filter(|c| !matches!(c, ':' | '-')).collect();
    let common = text.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback() || ip.is_unspecified());
    // What a masked machine of the collection has already.
    let made_up = text == "host-1" || text == "00000000-0000-4000-8000-000000000000";
    // Short host names are words of many meanings; a port id is mostly the name of a port.
    made_up || digits.len() == 1 || common || text.len() < 5 || key == "portId"
}

/// Facts of the original that are still to be seen in the masked snapshot.
fn left(facts: &[(String, String)], masked: &Snapshot) -> Vec<String> {
    let content = content(masked);
    let telling = facts.iter().filter(|(key, text)| !names_nobody(key, text));
    let seen = telling.filter(|(key, text)| {
        forms(key, text).iter().any(|form| match text.parse::<IpAddr>() {
            // `10.0.0.1` is not in `10.0.0.12`.
            Ok(_) => content.match_indices(form.as_str()).any(|(at, _)| {
                let end = content[at + form.len()..].chars().next();
                let start = content[..at].chars().next_back();
                [start, end].into_iter().flatten().all(|c| !c.is_ascii_hexdigit() && c != '.' && c != ':')
            }),
            Err(_) => content.contains(form.as_str()),
        })
    });
    seen.map(|(key, text)| format!("{key} {text}")).collect()
}

#[test]
fn a_masked_machine_keeps_no_name_of_the_original() {
    let mut seen = 0;
    let mut wrong = Vec::new();
    for machine in machines() {
        let facts = telling_of(&machine.inventory());
        seen += facts.len();

        let masked = machine.snapshot().masked().unwrap();

        let left = left(&facts, &masked);
        if !left.is_empty() {
            wrong.push(format!("{}: {left:?}", machine.name));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(seen > 500, "{seen} facts");
}

#[test]
fn a_masked_machine_has_the_same_inventory_but_for_its_names() {
    for machine in machines() {
        let snapshot = machine.snapshot();
        let settings = machine.settings();
        let original = Probe::of_snapshot(snapshot.clone(), settings.clone()).inventory();

        let masked_snapshot = snapshot.clone().masked().unwrap();
        let masked = Probe::of_snapshot(masked_snapshot.clone(), settings).inventory();

        let (want, got) = (anonymous_of(&original, &snapshot), anonymous_of(&masked, &masked_snapshot));
        let [got, want] = [got, want].map(|value| serde_json::to_string_pretty(&value).unwrap());
        let difference = got.lines().zip(want.lines()).find(|(got, want)| got != want);
        assert_eq!(difference, None, "{}", machine.name);
        assert_eq!(got.len(), want.len(), "{}", machine.name);
        let mut masks: BTreeMap<String, String> = BTreeMap::new();
        for ((key, from), (_, to)) in telling_of(&original).into_iter().zip(telling_of(&masked)) {
            assert_eq!(masks.entry(from.clone()).or_insert(to.clone()), &to, "{} {key} {from}", machine.name);
        }
        let different: BTreeSet<&String> = masks.values().collect();
        assert_eq!(different.len(), masks.len(), "{}: two names became one: {masks:?}", machine.name);
    }
}

#[test]
fn masking_twice_is_possible_and_a_mask_is_no_original() {
    for machine in machines() {
        let masked = machine.snapshot().masked().unwrap();
        let facts = telling_of(&Probe::of_snapshot(masked.clone(), machine.settings()).inventory());

        let again = masked.masked().unwrap();

        // A mask of a zero maker's part is mostly zeros, which are in other masks as well.
        let facts: Vec<_> = facts.into_iter().filter(|(_, text)| !text.starts_with("00:00:00:")).collect();
        // The made-up host name and boot id are everybody's.
        let facts: Vec<_> =
            facts.into_iter().filter(|(key, _)| key != "hostname" && key != "bootId").collect();
        let names: Vec<_> = facts.into_iter().filter(|(key, _)| key != "systemName").collect();
        assert_eq!(left(&names, &again), [""; 0], "{}", machine.name);
    }
}

/// What a random machine is called, written all over it.
#[derive(Debug, Clone)]
struct Names {
    macs: Vec<[u8; 6]>,
    serial: String,
    host: String,
    four: [u8; 4],
    six: [u16; 8],
}

fn names() -> impl Strategy<Value = Names> {
    let mac = any::<[u8; 6]>().prop_map(|mut mac| {
        mac[0] &= 0xfe;
        mac
    });
    let four = (11u8..223, any::<[u8; 3]>()).prop_filter("loopback", |(first, _)| *first != 127);
    (
        prop::collection::vec(mac, 24).prop_filter("made of one digit", |macs| {
            macs.iter().all(|mac| mac.iter().filter(|byte| **byte == 0).count() < 3)
        }),
        "[A-Z]{2}[1-9][0-9A-Z]{5,12}",
        "[a-z]{3,8}-[0-9]{2}",
        four.prop_map(|(first, [b, c, d])| [first, b, c, d]),
        (0x2001u16..0x2fff, any::<[u16; 7]>())
            .prop_map(|(first, [b, c, d, e, f, g, h])| [first, b, c, d, e, f, g, h]),
    )
        .prop_map(|(macs, serial, host, four, six)| Names { macs, serial, host, four, six })
}

fn hex(bytes: &[u8], separator: &str) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect::<Vec<_>>().join(separator)
}

/// Gives the machine these names; says which facts that are.
fn name(machine: &mut Snapshot, names: &Names) -> Vec<(String, String)> {
    let mut facts =
        vec![("hostname".to_owned(), names.host.clone()), ("serial".to_owned(), names.serial.clone())];
    let (four, six) = (IpAddr::from(names.four), IpAddr::from(names.six));
    let kernel = &mut machine.kernel;
    let links = kernel.links.as_mut().unwrap();
    for (at, (link, mac)) in links.iter_mut().zip(&names.macs).enumerate() {
        facts.push(("mac".to_owned(), hex(mac, ":")));
        link.address = Some(LinkAddress::new(mac.to_vec()));
        link.alias = Some(format!(
            "{} {} {} via {four} [{six}]:80 {four}:80",
            hex(mac, "-").to_uppercase(),
            hex(mac, ""),
            hex(mac, ":")
        ));
        link.alt_names.push(format!("enx{}", hex(mac, "")));
        for vf in &mut link.vfs {
            let mut of_vf = *mac;
            of_vf[5] ^= 0x40 | vf.index as u8;
            facts.push(("mac".to_owned(), hex(&of_vf, ":")));
            vf.mac = Some(LinkAddress::new(of_vf.to_vec()));
        }
        let [a, b, c, d, e, f] = *mac;
        let guid = [a, b, c, 0xff, 0xff, d, e, f];
        machine.tree.insert(format!("sys/class/net/none{at}/phys_switch_id"), hex(&guid, "").as_bytes());
        machine.tree.insert(format!("sys/class/net/none{at}/address"), (hex(mac, ":") + "\n").as_bytes());
        facts.push(("mac".to_owned(), hex(&guid, "")));
    }
    for address in kernel.addresses.as_mut().unwrap() {
        address.address = if address.address.is_ipv4() { four } else { six };
    }
    kernel.routes_to.insert(four, Ok(None));
    kernel.routes_to.insert(six, Ok(None));
    for path in machine.tree.files.keys().chain(machine.tree.binary.keys()).cloned().collect::<Vec<_>>() {
        if path.ends_with("/vpd") {
            let serial = names.serial.as_bytes();
            let size = serial.len() as u8;
            let mut vpd = vec![0x90, size * 2 + 6, 0];
            for key in [b"SN", b"V1"] {
                vpd.extend(key);
                vpd.push(size);
                vpd.extend(serial);
            }
            vpd.push(0x78);
            put(&mut machine.tree, &path, &vpd);
        }
    }
    put(&mut machine.tree, "proc/sys/kernel/hostname", format!("{}\n", names.host).as_bytes());
    let mounts = format!(
        "/dev/sda /{0} ext4 rw 0 0\n{0}.corp:/v /data nfs4 rw,addr={four},clientaddr={four} 0 0\n[{six}]:/w /w nfs rw 0 0\n",
        names.host
    );
    put(&mut machine.tree, "proc/1/mounts", mounts.as_bytes());
    facts.extend([("address".to_owned(), four.to_string()), ("address".to_owned(), six.to_string())]);
    facts
}

fn put(tree: &mut FileTree, path: &str, content: &[u8]) {
    tree.files.remove(path);
    tree.binary.remove(path);
    tree.insert(path.to_owned(), content);
}

#[test]
fn whatever_the_names_none_is_left() {
    let machine = machines().into_iter().find(|machine| machine.name == "cx6dx-dual").unwrap().snapshot();
    let config =
        Config { cases: 60, rng_seed: RngSeed::Fixed(11), failure_persistence: None, ..Config::default() };
    let mut runner = TestRunner::new(config);

    let outcome = runner.run(&names(), |names| {
        let mut named = machine.clone();
        let facts = name(&mut named, &names);
        let count = Probe::of_snapshot(named.clone(), ProbeSettings::default()).inventory().nics.len();
        let storage = facts.iter().filter(|(key, _)| key == "address").count();
        prop_assert!(left(&facts, &named).len() > storage, "the names are there before");

        let masked = named.masked().unwrap();

        prop_assert_eq!(left(&facts, &masked), Vec::<String>::new());
        let found = Probe::of_snapshot(masked, ProbeSettings::default()).inventory();
        prop_assert_eq!(found.nics.len(), count, "every NIC is still there");
        Ok(())
    });

    assert!(outcome.is_ok(), "{}", outcome.unwrap_err());
}
