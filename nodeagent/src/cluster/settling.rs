//! A flap is not a departure (TRAPS O3): what goes down is published late, what is gone stays for a day. Pure.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use crds::{Interface, SUSPENDED};

use super::host_interface::{Found, key};

/// How long an address or carrier must be away before anybody is told.
const DOWN: Duration = Duration::from_secs(10);

/// How long a NIC must be away from the machine before it is no longer one of the node's.
const GONE: Duration = Duration::from_secs(24 * 3600);

/// Since when NICs have been down, or away from the machine.
#[derive(Debug, Default)]
pub(super) struct Settling {
    down: BTreeMap<String, Instant>,
    away: BTreeMap<String, Instant>,
}

/// What is to be published.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Settled {
    pub(super) interfaces: Vec<Interface>,
    /// When to look again though nothing has changed.
    pub(super) due: Option<Instant>,
}

impl Settling {
    /// What is to be published, by key: what came up at once, what went down not before its time.
    pub(super) fn settle(&mut self, published: &[Interface], found: &Found, now: Instant) -> Settled {
        let mut all: BTreeMap<String, Interface> = BTreeMap::new();
        let mut due = None;
        let mut wait = |until: Instant| due = Some(due.map_or(until, |due: Instant| due.min(until)));
        let before: BTreeMap<&str, &Interface> = published.iter().map(|one| (key(one), one)).collect();
        self.down.retain(|key, _| before.contains_key(key.as_str()));
        self.away.retain(|key, _| before.contains_key(key.as_str()) && !found.present.contains(key));
        for (key, now_there) in &found.interfaces {
            let Some(old) = before.get(key.as_str()) else {
                all.insert(key.clone(), now_there.clone());
                continue;
            };
            let lost = lost(old, now_there);
            if lost == Lost::Nothing {
                self.down.remove(key);
                all.insert(key.clone(), now_there.clone());
                continue;
            }
            let since = *self.down.entry(key.clone()).or_insert(now);
            let told = old.state == SUSPENDED && lost == Lost::All;
            if !told && now < since + DOWN {
                wait(since + DOWN);
                all.insert(key.clone(), (*old).clone());
            } else if lost == Lost::Part {
                all.insert(key.clone(), now_there.clone());
            } else {
                all.insert(key.clone(), suspended(old, Some(now_there)));
            }
        }
        for (key, old) in before {
            if found.interfaces.contains_key(key) || found.excluded.contains(key) {
                continue;
            }
            if !found.present.contains(key) {
                let since = *self.away.entry(key.to_owned()).or_insert(now);
                if now >= since + GONE {
                    continue;
                }
                wait(since + GONE);
            }
            let since = *self.down.entry(key.to_owned()).or_insert(now);
            if old.state != SUSPENDED && now < since + DOWN {
                wait(since + DOWN);
                all.insert(key.to_owned(), old.clone());
            } else {
                all.insert(key.to_owned(), suspended(old, None));
            }
        }
        Settled { interfaces: all.into_values().collect(), due }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Lost {
    Nothing,
    /// An address of several.
    Part,
    /// The carrier, or every address.
    All,
}

fn lost(old: &Interface, now: &Interface) -> Lost {
    let had = |one: &Interface| !one.net_addresses.is_empty() || !one.net_address.is_empty();
    if now.state == SUSPENDED || (had(old) && !had(now)) {
        return Lost::All;
    }
    let family = |nets: &[String], v6: bool| nets.iter().any(|net| net.contains(':') == v6);
    let part = |v6| family(&old.net_addresses, v6) && !family(&now.net_addresses, v6);
    if part(false) || part(true) { Lost::Part } else { Lost::Nothing }
}

/// A NIC that is down: it keeps the addresses that it is known by, so that nothing is freed.
fn suspended(old: &Interface, now: Option<&Interface>) -> Interface {
    let mut interface = now.unwrap_or(old).clone();
    SUSPENDED.clone_into(&mut interface.state);
    if interface.net_addresses.is_empty() && interface.net_address.is_empty() {
        interface.net_address.clone_from(&old.net_address);
        interface.host_ip.clone_from(&old.host_ip);
        interface.net_addresses.clone_from(&old.net_addresses);
        interface.host_ips.clone_from(&old.host_ips);
    }
    if interface.link_local.is_empty() {
        interface.link_local.clone_from(&old.link_local);
    }
    if interface.speed_mbps.is_none() {
        interface.speed_mbps = old.speed_mbps;
        interface.class.clone_from(&old.class);
    }
    interface
}

#[cfg(test)]
mod tests;
