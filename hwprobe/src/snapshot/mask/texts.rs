//! IP addresses, serial numbers and host names in texts.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

/// The name of every masked machine.
pub(super) const HOST_NAME: &str = "host-1";

/// A shorter serial number names nobody, and its digits are everywhere.
pub(super) const SHORTEST_SERIAL: usize = 5;

/// The telling IP addresses in a text.
pub(super) fn ip_tokens(text: &str) -> Vec<IpAddr> {
    let found = tokens(text).filter_map(|(_, token)| address(token));
    found.filter(super::addresses::is_telling).collect()
}

/// The text with masked addresses. One that is written out in full stays in full.
pub(super) fn replace_ips(text: &str, masks: &BTreeMap<IpAddr, IpAddr>) -> String {
    let mut masked = String::with_capacity(text.len());
    let mut done = 0;
    for (at, token) in tokens(text) {
        let Some(mask) = address(token).and_then(|address| masks.get(&address)) else { continue };
        masked.push_str(text.get(done..at).unwrap_or_default());
        match mask {
            IpAddr::V6(mask) if token.len() == 39 => {
                let groups = mask.segments().map(|group| format!("{group:04x}"));
                masked.push_str(&groups.join(":"));
            }
            mask => masked.push_str(&mask.to_string()),
        }
        done = at + token.len();
    }
    masked.push_str(text.get(done..).unwrap_or_default());
    masked
}

fn address(token: &str) -> Option<IpAddr> {
    // Eight pairs are a GUID.
    if token.split(':').all(|group| group.len() == 2) {
        return None;
    }
    token.parse().ok()
}

/// Parts of a text that may be addresses, with their places: with a port behind it, an address is tried alone.
fn tokens(text: &str) -> impl Iterator<Item = (usize, &str)> {
    let is_part = |c: char| c.is_ascii_hexdigit() || matches!(c, '.' | ':');
    let mut runs: Vec<(usize, &str)> = Vec::new();
    let mut at = 0;
    for run in text.split(|c| !is_part(c)) {
        let start = at;
        at += run.len()
            + text.get(at + run.len()..).and_then(|rest| rest.chars().next()).map_or(0, char::len_utf8);
        let trimmed = run.trim_end_matches('.');
        if address(trimmed).is_some() {
            runs.push((start, trimmed));
            continue;
        }
        let mut inner = start;
        for part in run.split(':') {
            runs.push((inner, part));
            inner += part.len() + 1;
        }
        // `fd00::7:` before a path.
        if let Some(shorter) = trimmed.strip_suffix(':').filter(|shorter| shorter.contains(':')) {
            runs.retain(|(place, _)| *place < start);
            runs.push((start, shorter));
        }
    }
    runs.into_iter()
}

/// Serial numbers and host names with their masks, longest first.
pub(super) struct Words {
    serials: Vec<(String, String)>,
    hosts: Vec<(String, String)>,
}

impl Words {
    /// Masks for serial numbers, of the same length, and for host names: their first label too. `masked`:
    /// serial numbers that have a mask.
    pub(super) fn new(
        serials: &BTreeSet<String>,
        hosts: &BTreeSet<String>,
        masked: Vec<(String, String)>,
    ) -> Self {
        let mut number = 0;
        let mut masked_serials = masked;
        for serial in serials {
            let mask = loop {
                number += 1;
                let width = serial.len() - 1;
                let mask = format!("S{number:0>width$}");
                if !serials.contains(&mask) {
                    break mask;
                }
            };
            masked_serials.push((serial.clone(), mask));
        }
        let mut masked_hosts: Vec<(String, String)> = Vec::new();
        for (at, host) in hosts.iter().filter(|host| is_host_name(host)).enumerate() {
            let mask = format!("host-{}", at + 2);
            let label = host.split('.').next().filter(|label| *label != host && is_host_name(label));
            masked_hosts.extend(label.map(|label| (label.to_owned(), mask.clone())));
            masked_hosts.push((host.clone(), mask));
        }
        let longest_first = |pair: &(String, String)| std::cmp::Reverse(pair.0.len());
        masked_serials.sort_by_key(longest_first);
        masked_hosts.sort_by_key(longest_first);
        Self { serials: masked_serials, hosts: masked_hosts }
    }

    /// Replaces both in a text, in any case; host names only as whole words.
    pub(super) fn replace(&self, text: &str) -> String {
        let mut text = text.to_owned();
        for (serial, mask) in &self.serials {
            text = replaced(&text, serial, mask, |_, _| true);
        }
        for (host, mask) in &self.hosts {
            let is_word = |c: Option<char>| c.is_some_and(|c| c.is_alphanumeric() || c == '-' || c == '_');
            text = replaced(&text, host, mask, |before, after| !is_word(before) && !is_word(after));
        }
        text
    }

    /// Replaces serial numbers in bytes.
    pub(super) fn replace_serials(&self, bytes: &mut [u8]) {
        for (serial, mask) in &self.serials {
            let mut at = 0;
            while let Some(window) = bytes.get_mut(at..at + serial.len()) {
                if window.eq_ignore_ascii_case(serial.as_bytes()) {
                    window.copy_from_slice(mask.as_bytes());
                }
                at += 1;
            }
        }
    }
}

/// A name that somebody gave to one machine, not a word such as `vm` or `localhost` that has other meanings.
fn is_host_name(name: &str) -> bool {
    name.len() >= 4 && name.contains(|c: char| c.is_ascii_digit() || matches!(c, '-' | '.'))
}

fn replaced(text: &str, old: &str, new: &str, fits: impl Fn(Option<char>, Option<char>) -> bool) -> String {
    let (lower, old_lower) = (text.to_ascii_lowercase(), old.to_ascii_lowercase());
    let mut masked = String::with_capacity(text.len());
    let mut done = 0;
    for (at, _) in lower.match_indices(&old_lower) {
        let before = text.get(..at).and_then(|text| text.chars().next_back());
        let after = text.get(at + old.len()..).and_then(|text| text.chars().next());
        if fits(before, after) {
            masked.push_str(text.get(done..at).unwrap_or_default());
            masked.push_str(new);
            done = at + old.len();
        }
    }
    masked.push_str(text.get(done..).unwrap_or_default());
    masked
}
