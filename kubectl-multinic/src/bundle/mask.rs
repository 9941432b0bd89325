//! Replaces what names somebody: MAC addresses, what is made of them, serial numbers, nodes, pods.
//!
//! As in the recordings of `hwprobe`, equal ones stay equal and the maker's half of a MAC address is kept.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::net::Ipv6Addr;

use serde_json::Value;

use crate::facts::Facts;

/// Members whose text is a serial number or names a machine or an object.
const SECRET_KEYS: [&str; 8] =
    ["serial", "serialNumber", "uid", "nodeUID", "machineId", "bootId", "containerId", "netns"];

/// What replaces what.
pub(super) struct Masks {
    /// Names, longest first.
    names: Vec<(String, String)>,
    macs: RefCell<BTreeMap<String, usize>>,
    secrets: RefCell<BTreeMap<String, usize>>,
}

impl Masks {
    pub(super) fn of(facts: &Facts) -> Self {
        let mut names: BTreeMap<String, String> = BTreeMap::new();
        let mut add = |name: &str, kind: &str| {
            let number = names.len() + 1;
            if !name.is_empty() {
                names.entry(name.to_owned()).or_insert_with(|| format!("{kind}-{number}"));
            }
        };
        for node in &facts.nodes {
            add(&node.name, "node");
            if let Some(says) = &node.agent {
                add(&says.host_name, "node");
                says.attachments
                    .iter()
                    .filter_map(|one| one.pod.as_ref())
                    .for_each(|pod| add(&pod.name, "pod"));
                let holders = says.nics.iter().flat_map(|nic| &nic.held_by);
                holders.filter_map(|one| one.pod.as_ref()).for_each(|pod| add(pod, "pod"));
            }
            node.program.iter().for_each(|program| add(&program.name, "agent"));
        }
        facts.pods.iter().for_each(|pod| add(&pod.name, "pod"));
        facts.events.iter().filter(|event| event.kind == "Pod").for_each(|event| add(&event.name, "pod"));
        let held = facts.pools.iter().flat_map(|pool| &pool.spec.allocations);
        held.for_each(|held| add(&held.pod, "pod"));
        let mut names: Vec<(String, String)> = names.into_iter().collect();
        names.sort_by_key(|(name, _)| std::cmp::Reverse(name.len()));
        Self { names, macs: RefCell::default(), secrets: RefCell::default() }
    }

    /// Every text in a value, and what stands under a name that tells.
    pub(super) fn value(&self, value: Value) -> Value {
        match value {
            Value::String(text) => Value::String(self.text(&text)),
            Value::Array(items) => items.into_iter().map(|item| self.value(item)).collect(),
            Value::Object(members) => {
                let masked = |(key, value): (String, Value)| match value {
                    Value::String(text) if SECRET_KEYS.contains(&key.as_str()) && !text.is_empty() => {
                        let masked = self.secret(&text);
                        (key, Value::String(masked))
                    }
                    value => (self.text(&key), self.value(value)),
                };
                Value::Object(members.into_iter().map(masked).collect())
            }
            other => other,
        }
    }

    /// A text.
    pub(super) fn text(&self, text: &str) -> String {
        let text = self.addresses(text);
        self.names.iter().fold(text, |text, (name, masked)| replace_word(&text, name, masked))
    }

    fn secret(&self, text: &str) -> String {
        let mut secrets = self.secrets.borrow_mut();
        let number = secrets.len() + 1;
        format!("masked-{}", secrets.entry(text.to_owned()).or_insert(number))
    }

    /// MAC addresses, also those in IPv6 addresses that are made of one.
    fn addresses(&self, text: &str) -> String {
        let inside = |letter: char| letter.is_ascii_hexdigit() || letter == ':';
        let mut masked = String::with_capacity(text.len());
        let mut rest = text;
        while let Some(start) = rest.find(inside) {
            let (before, from) = rest.split_at(start);
            let (token, after) = from.split_at(from.find(|letter| !inside(letter)).unwrap_or(from.len()));
            masked.push_str(before);
            masked.push_str(&self.token(token));
            rest = after;
        }
        masked + rest
    }

    fn token(&self, token: &str) -> String {
        let parts: Vec<&str> = token.split(':').collect();
        // Six bytes are an Ethernet address, eight a GUID, twenty that of IP over InfiniBand.
        if matches!(parts.len(), 6 | 8 | 20) && parts.iter().all(|part| part.len() == 2) {
            let mut macs = self.macs.borrow_mut();
            let number = macs.len() + 1;
            let number = *macs.entry(token.to_lowercase()).or_insert(number);
            let kept = parts.iter().take(parts.len() - 3).map(|part| (*part).to_lowercase());
            let kept = if parts.len() == 6 {
                kept.collect::<Vec<_>>()
            } else {
                vec!["00".to_owned(); parts.len() - 3]
            };
            let made = [number >> 16, number >> 8, number].map(|byte| format!("{:02x}", byte & 0xff));
            return [kept, made.to_vec()].concat().join(":");
        }
        match token.parse::<Ipv6Addr>().map(|address| address.octets()) {
            Ok(octets) if octets[11..13] == [0xff, 0xfe] => {
                let mut made = octets;
                let mut macs = self.macs.borrow_mut();
                let number = macs.len() + 1;
                let number = *macs.entry(token.to_lowercase()).or_insert(number) as u64;
                made[8..].copy_from_slice(&number.to_be_bytes());
                Ipv6Addr::from(made).to_string()
            }
            _ => token.to_owned(),
        }
    }
}

/// Replaces a name where it is no part of a longer one.
fn replace_word(text: &str, name: &str, by: &str) -> String {
    let within =
        |letter: Option<char>| letter.is_some_and(|letter| letter.is_ascii_alphanumeric() || letter == '-');
    let mut replaced = String::with_capacity(text.len());
    let mut rest = text;
    let mut last = None;
    while let Some(place) = rest.find(name) {
        let (before, from) = rest.split_at(place);
        let after = &from[name.len()..];
        let whole = !within(before.chars().next_back().or(last)) && !within(after.chars().next());
        replaced.push_str(before);
        replaced.push_str(if whole { by } else { name });
        last = name.chars().next_back();
        rest = after;
    }
    replaced + rest
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::Masks;
    use crate::facts::{Facts, NodeFacts, PodFacts};

    fn masks() -> Masks {
        let node = NodeFacts { name: "rack7".to_owned(), ..NodeFacts::default() };
        let pod = PodFacts { name: "trainer-0".to_owned(), ..PodFacts::default() };
        Masks::of(&Facts { nodes: vec![node], pods: vec![pod], ..Facts::default() })
    }

    #[test]
    fn nothing_is_left_of_macs_and_names_and_equal_ones_stay_equal() {
        let masks = masks();
        let text = masks.text("rack7: B8:CE:F6:01:02:03 of trainer-0, b8:ce:f6:01:02:03 (fe80::bace:f6ff:fe01:203), trainer-01 at 10:20");

        assert_eq!(
            text,
            "node-1: b8:ce:f6:00:00:01 of pod-2, b8:ce:f6:00:00:01 (fe80::2), trainer-01 at 10:20"
        );
    }

    #[test]
    fn serials_and_uids_are_made_up() {
        let value = masks().value(json!({"serial": "MT2129X", "more": [{"uid": "MT2129X", "rack7": 1}]}));

        assert_eq!(value, json!({"serial": "masked-1", "more": [{"uid": "masked-1", "node-1": 1}]}));
    }
}
