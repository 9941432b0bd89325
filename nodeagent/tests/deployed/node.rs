//! What of this node our parts may change: it is compared before they came and after they went.

use std::collections::BTreeMap;
use std::fs;

use super::run;

/// Folders in which we write, on the node.
const FOLDERS: [&str; 6] = [
    "/opt/cni/bin",
    "/etc/cni/net.d",
    "/etc/iproute2",
    "/run/systemd/network",
    "/var/lib/multi-nic",
    "/run/multi-nic",
];

/// The cluster network's links, which come with the first pod of any kind.
const OTHERS: [&str; 2] = ["lab0", "veth"];

/// Links, routes, rules, files and settings of the NICs, each with what is said of it.
pub(crate) fn state(nics: &[String]) -> BTreeMap<String, String> {
    let mut all = BTreeMap::new();
    let foreign = |line: &str| OTHERS.iter().any(|name| line.contains(name));
    for (what, arguments) in [
        ("link", "-o -d link"),
        ("route", "-o route show table all"),
        ("route of IPv6", "-6 -o route show table all"),
        ("rule", "rule"),
        ("rule of IPv6", "-6 rule"),
        ("address", "-o addr"),
    ] {
        for line in run("ip", arguments).lines().filter(|line| !foreign(line)) {
            all.insert(format!("{what} {}", plain(line)), String::new());
        }
    }
    for folder in FOLDERS {
        let files =
            std::process::Command::new("find").args([folder, "!", "-type", "d"]).output().expect("find");
        for file in String::from_utf8_lossy(&files.stdout).lines() {
            let content = fs::read(file).map_or(0, |bytes| {
                bytes.iter().fold(7_u64, |sum, byte| sum.wrapping_mul(31) + u64::from(*byte))
            });
            all.insert(format!("file {file}"), content.to_string());
        }
    }
    for nic in nics {
        for key in ["forwarding", "rp_filter", "arp_ignore", "arp_announce", "proxy_arp"] {
            let value =
                fs::read_to_string(format!("/proc/sys/net/ipv4/conf/{nic}/{key}")).unwrap_or_default();
            all.insert(format!("setting {nic} {key}"), value);
        }
    }
    all
}

/// A line without what changes by itself: lifetimes, counters of caches, an NIC's queue of the moment.
fn plain(line: &str) -> String {
    let mut words: Vec<&str> = Vec::new();
    let mut skip = false;
    for word in line.split_whitespace() {
        if !skip && !["expires", "valid_lft", "preferred_lft", "users", "used", "age"].contains(&word) {
            words.push(word);
        }
        skip = !skip && ["expires", "valid_lft", "preferred_lft", "users", "used", "age"].contains(&word);
    }
    words.join(" ")
}

/// What one has and the other has not, or has otherwise.
pub(crate) fn differences(
    before: &BTreeMap<String, String>,
    after: &BTreeMap<String, String>,
) -> Vec<String> {
    let gone = before
        .iter()
        .filter(|(key, value)| after.get(*key) != Some(value))
        .map(|(key, _)| format!("- {key}"));
    let new = after
        .iter()
        .filter(|(key, value)| before.get(*key) != Some(value))
        .map(|(key, _)| format!("+ {key}"));
    gone.chain(new).collect()
}
