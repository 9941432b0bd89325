//! Makes a snapshot that may be shown to strangers: it names no device, address or machine of the original.
//!
//! First all that names somebody is collected from the places where it is known to be; then each occurrence
//! anywhere is replaced, in texts and in bytes, so that what was equal stays equal. Files that hold more than
//! the probe reads (mounts, routes, LLDP frames, vital product data) are cut down to what it reads.

mod addresses;
mod identifiers;
mod records;
mod texts;

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use serde_json::Value;

use super::{Snapshot, SnapshotError};
use crate::read;
use crate::source::FileTree;
use identifiers::Identifiers;
use texts::{Words, ip_tokens, replace_ips};

/// The boot id of every masked machine.
const BOOT_ID: &str = "00000000-0000-4000-8000-000000000000";
const BOOT_ID_FILE: &str = "proc/sys/kernel/random/boot_id";
const HOST_NAME_FILE: &str = "proc/sys/kernel/hostname";
const LLDP_FOLDER: &str = "run/systemd/netif/lldp/";

impl Snapshot {
    /// The same machine with made-up MAC addresses, GUIDs, serial numbers, IP addresses, host names and boot
    /// id. Equal ones stay equal; makers' parts of MAC addresses, prefixes and the order of IP addresses are
    /// kept. Gives the same inventory but for those.
    ///
    /// # Errors
    /// [`SnapshotError::Mask`] when the masked answers are none any more; the original is never given back.
    pub fn masked(mut self) -> Result<Self, SnapshotError> {
        records::reduce(&mut self.tree);
        let kernel = serde_json::to_value(&self.kernel).map_err(SnapshotError::Mask)?;
        let masks = Masks::of(&self.tree, &kernel);
        self.kernel = serde_json::from_value(masks.value(kernel)).map_err(SnapshotError::Mask)?;
        for hex in self.kernel.modules.values_mut() {
            if let Some(mut memory) = from_hex(hex) {
                records::blank_module(&mut memory);
                masks.bytes(&mut memory);
                *hex = to_hex(&memory);
            }
        }
        self.note = masks.text(&self.note);
        self.tree = masks.tree(self.tree);
        Ok(self)
    }
}

/// What replaces what.
struct Masks {
    identifiers: Identifiers,
    addresses: BTreeMap<IpAddr, IpAddr>,
    words: Words,
}

impl Masks {
    fn of(tree: &FileTree, kernel: &Value) -> Self {
        let mut seen = Seen::default();
        seen.kernel(kernel, "");
        seen.tree(tree);
        let makers: BTreeSet<Vec<u8>> =
            seen.identifiers.iter().filter_map(|bytes| bytes.get(..3).map(<[u8]>::to_vec)).collect();
        let (mut serials, mut hexadecimal) = (BTreeSet::new(), Vec::new());
        for serial in seen.serials {
            // Often a MAC address or a GUID in other clothes.
            let digits: String = serial.chars().filter(|c| !matches!(c, '-' | ':' | '.')).collect();
            let bytes = from_hex(&digits).filter(|bytes| matches!(bytes.len(), 6 | 8));
            match bytes.filter(|bytes| bytes.get(..3).is_some_and(|start| makers.contains(start))) {
                Some(bytes) => {
                    seen.identifiers.insert(bytes);
                    hexadecimal.push(serial);
                }
                None => {
                    serials.insert(serial);
                }
            }
        }
        let identifiers = Identifiers::new(&seen.identifiers);
        // As texts they are in memories too.
        let hexadecimal = hexadecimal.into_iter().map(|text| (identifiers.mask_text(&text), text));
        let words = Words::new(&serials, &seen.hosts, hexadecimal.map(|(mask, text)| (text, mask)).collect());
        Self { identifiers, addresses: addresses::masks(&seen.addresses), words }
    }

    fn text(&self, text: &str) -> String {
        if let Some(mask) = tunnel_end(text.trim()).and_then(|end| self.addresses.get(&end)) {
            return tunnel_text(*mask);
        }
        let text = replace_ips(text, &self.addresses);
        self.words.replace(&self.identifiers.mask_text(&text))
    }

    fn bytes(&self, bytes: &mut [u8]) {
        self.identifiers.mask_bytes(bytes);
        self.words.replace_serials(bytes);
    }

    fn value(&self, value: Value) -> Value {
        match value {
            Value::String(text) => Value::String(self.text(&text)),
            Value::Array(items) => Value::Array(items.into_iter().map(|item| self.value(item)).collect()),
            Value::Object(map) => Value::Object(
                map.into_iter().map(|(key, item)| (self.text(&key), self.value(item))).collect(),
            ),
            other => other,
        }
    }

    fn tree(&self, tree: FileTree) -> FileTree {
        let pairs = |map: BTreeMap<String, String>| -> BTreeMap<String, String> {
            map.into_iter().map(|(path, text)| (self.text(&path), self.text(&text))).collect()
        };
        let mut masked = FileTree {
            links: pairs(tree.links),
            unreadable: pairs(tree.unreadable),
            inodes: tree.inodes.into_iter().map(|(path, inode)| (self.text(&path), inode)).collect(),
            ..FileTree::default()
        };
        for (path, names) in tree.folders {
            let names = names.iter().map(|name| self.text(name)).collect();
            masked.folders.insert(self.text(&path), names);
        }
        for (path, text) in tree.files {
            let content = match path.as_str() {
                BOOT_ID_FILE => format!("{BOOT_ID}\n"),
                HOST_NAME_FILE => format!("{}\n", texts::HOST_NAME),
                "proc/net/route" => records::route(&text, &self.addresses),
                "proc/net/if_inet6" | "proc/net/ipv6_route" => records::inet6(&text, &self.addresses),
                // A GID is made of a GUID first, and of an address only when it is not.
                _ if is_gid(&path) => {
                    let masked = self.identifiers.mask_text(&text);
                    if masked == text { self.text(&text) } else { masked }
                }
                _ => self.text(&text),
            };
            masked.files.insert(self.text(&path), content);
        }
        for (path, hex) in tree.binary {
            // Not hexadecimal: nothing that a reader could use.
            let mut bytes = from_hex(&hex).unwrap_or_default();
            if is_vpd(&path) {
                records::blank_vpd(&mut bytes);
            }
            self.bytes(&mut bytes);
            masked.binary.insert(self.text(&path), to_hex(&bytes));
        }
        masked
    }
}

/// All that names somebody.
#[derive(Default)]
struct Seen {
    identifiers: BTreeSet<Vec<u8>>,
    addresses: BTreeSet<IpAddr>,
    serials: BTreeSet<String>,
    hosts: BTreeSet<String>,
}

impl Seen {
    fn kernel(&mut self, value: &Value, key: &str) {
        match value {
            Value::String(text) => match key {
                "serial" | "boardSerial" => self.serial(text),
                // Versions may look like addresses.
                "value" | "firmwareVersion" | "version" | "expansionRomVersion" => {}
                _ => {
                    self.identifiers.extend(link_address(text));
                    self.addresses.extend(ip_tokens(text));
                    self.addresses.extend(tunnel_end(text).filter(addresses::is_telling));
                }
            },
            Value::Array(items) => items.iter().for_each(|item| self.kernel(item, key)),
            Value::Object(map) => {
                for (name, item) in map {
                    self.addresses.extend(ip_tokens(name));
                    match (name.as_str(), item) {
                        ("modules", Value::Object(modules)) if key.is_empty() => {
                            for memory in modules.values().filter_map(|hex| from_hex(hex.as_str()?)) {
                                let module = read::module::decode(&memory);
                                module.and_then(|module| module.serial).iter().for_each(|s| self.serial(s));
                            }
                        }
                        _ => self.kernel(item, name),
                    }
                }
            }
            _ => {}
        }
    }

    fn serial(&mut self, text: &str) {
        let text = text.trim();
        // `N/A`, `0`, `none`: nobody's.
        if text.len() >= texts::SHORTEST_SERIAL && text.chars().any(|c| c.is_ascii_digit() && c != '0') {
            self.serials.insert(text.to_owned());
        }
    }

    fn tree(&mut self, tree: &FileTree) {
        for (path, text) in &tree.files {
            let (text, name) = (text.trim(), path.rsplit('/').next().unwrap_or(path));
            match path.as_str() {
                HOST_NAME_FILE => {
                    self.hosts.insert(text.to_owned());
                }
                BOOT_ID_FILE => {
                    self.serials.insert(text.to_owned());
                }
                "proc/1/mounts" | "proc/mounts" => {
                    self.addresses.extend(ip_tokens(text));
                    self.hosts.extend(records::mount_hosts(text));
                }
                "proc/net/route" => self.addresses.extend(records::route_addresses(text)),
                "proc/net/if_inet6" | "proc/net/ipv6_route" => {
                    self.addresses.extend(records::inet6_addresses(text));
                }
                _ if is_gid(path) => self.gid(text),
                _ if matches!(name, "node_guid" | "port_guid" | "phys_switch_id" | "phys_port_id") => {
                    let digits: String = text.chars().filter(|c| *c != ':').collect();
                    self.identifiers.extend(from_hex(&digits));
                }
                _ if matches!(name, "address" | "persistent_address" | "broadcast") => {
                    self.addresses.extend(tunnel_end(text).filter(addresses::is_telling));
                    self.identifiers.extend(link_address(text));
                    self.addresses.extend(ip_tokens(text));
                }
                _ if name == "ifalias" => {
                    self.identifiers.extend(text.split_whitespace().filter_map(link_address));
                    self.addresses.extend(ip_tokens(text));
                }
                _ => {}
            }
            self.bytes(path, text.as_bytes());
        }
        for (path, bytes) in tree.binary.iter().filter_map(|(path, hex)| Some((path, from_hex(hex)?))) {
            self.bytes(path, &bytes);
        }
    }

    fn bytes(&mut self, path: &str, bytes: &[u8]) {
        if is_vpd(path) {
            let serial = read::vpd::parse(bytes).and_then(|vpd| vpd.serial);
            serial.iter().for_each(|serial| self.serial(serial));
        } else if path.ends_with("/config") {
            let serial = read::vpd::device_serial(bytes).map(|text| text.replace('-', ""));
            self.identifiers.extend(serial.and_then(|digits| from_hex(&digits)));
        } else if path.starts_with(LLDP_FOLDER) {
            self.identifiers.extend(records::lldp_macs(bytes));
            let name = read::lldp::first_neighbour(bytes).and_then(|neighbour| neighbour.system_name);
            self.hosts.extend(name);
        }
    }

    fn gid(&mut self, text: &str) {
        let Ok(IpAddr::V6(address)) = text.parse() else { return };
        if let Some(four) = address.to_ipv4_mapped() {
            self.addresses.extend([IpAddr::V4(four), IpAddr::V6(address)]);
        } else if address.is_unicast_link_local() {
            self.identifiers.extend(address.octets().last_chunk::<8>().map(|guid| guid.to_vec()));
        } else {
            self.addresses.insert(IpAddr::V6(address));
        }
    }
}

/// The bytes of a link-layer address, port or switch id that is long enough to name one device.
fn link_address(text: &str) -> Option<Vec<u8>> {
    let address: netlink::LinkAddress = text.parse().ok()?;
    let length = address.as_bytes().len();
    (length >= 6 && length != 16).then(|| address.as_bytes().to_vec())
}

/// The IP address that is the link-layer address of a tunnel.
fn tunnel_end(text: &str) -> Option<IpAddr> {
    let address: netlink::LinkAddress = text.parse().ok()?;
    let four = address.as_bytes().try_into().map(|bytes: [u8; 4]| bytes.into());
    four.or_else(|_| address.as_bytes().try_into().map(|bytes: [u8; 16]| bytes.into())).ok()
}

fn tunnel_text(address: IpAddr) -> String {
    match address {
        IpAddr::V4(address) => netlink::LinkAddress::new(address.octets()).to_string(),
        IpAddr::V6(address) => netlink::LinkAddress::new(address.octets()).to_string(),
    }
}

fn is_gid(path: &str) -> bool {
    path.rsplit('/').nth(1) == Some("gids")
}

fn is_vpd(path: &str) -> bool {
    path.ends_with("/vpd")
}

fn from_hex(hex: &str) -> Option<Vec<u8>> {
    let byte = |at: usize| hex.get(at..at + 2).and_then(|pair| u8::from_str_radix(pair, 16).ok());
    (!hex.is_empty()).then(|| (0..hex.len()).step_by(2).map(byte).collect()).flatten()
}

fn to_hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
