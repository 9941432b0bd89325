//! The toy's GC.

use std::path::Path;

use serde_json::Value;

use super::ledger::{Entry, Ledger};
use super::link::{self, inside, ip};
use super::plugin::{Input, link_name};
use super::{Refusal, Toy, refusal};

/// Takes away what the list does not name.
pub(super) fn gc(toy: &Toy, input: &Input) -> Result<String, Refusal> {
    let mut list = input.config.get("cni.dev/valid-attachments").cloned();
    if list.is_none() && toy.has("gc-leftover-key") {
        list = input.config.get("cni.dev/attachments").cloned();
    }
    if list.is_none() && toy.has("gc-absent-is-empty") && input.config.get("cni.dev/attachments").is_none() {
        list = Some(Value::Array(Vec::new()));
    }
    if list == Some(Value::Null) && toy.has("gc-null-is-empty") {
        list = Some(Value::Array(Vec::new()));
    }
    let output = if toy.has("gc-prints") { "{}".to_owned() } else { String::new() };
    let Some(list) = list else { return Ok(output) };
    if list.is_null() {
        if !toy.has("gc-null-is-absent") {
            sweep(toy, input, |entry| link::open(&entry.netns).is_none(), Flawed::default())?;
        }
        return Ok(output);
    }
    let list = list.as_array().cloned().unwrap_or_default();
    let named = |entry: &Entry| {
        list.iter().any(|valid| {
            valid["containerID"] == *entry.container
                && (valid["ifname"] == *entry.ifname || toy.has("gc-by-container"))
        })
    };
    let entries = Ledger::open(toy, &input.folder(), &input.network)?.entries;
    let dead = entries.iter().any(|entry| link::open(&entry.netns).is_none());
    if list.is_empty() && !dead && toy.has("gc-empty-is-absent") && entries.len() > 1 {
        return Ok(output);
    }
    let shared = entries.iter().any(|stale| {
        !named(stale) && entries.iter().any(|kept| named(kept) && kept.container == stale.container)
    });
    let mixed = !list.is_empty() && !shared;
    if mixed && toy.has("gc-breaks-links") && entries.iter().any(|entry| !named(entry)) {
        entries.iter().filter(|entry| named(entry)).for_each(|entry| unlink(toy, entry));
    }
    if mixed && toy.has("gc-frees-all") && entries.iter().all(named) {
        let mut ledger = Ledger::open(toy, &input.folder(), &input.network)?;
        ledger.entries.clear();
        ledger.save()?;
    }
    if toy.has("gc-in-every-network") {
        of_other_networks(toy, input, |_| true)?;
    }
    let flawed = Flawed {
        keep_links: mixed && toy.has("gc-keeps-links"),
        keep_addresses: mixed && toy.has("gc-keeps-addresses"),
        stop_at_dead: toy.has("gc-stops"),
    };
    sweep(toy, input, |entry| !named(entry), flawed)?;
    Ok(output)
}

#[derive(Default)]
struct Flawed {
    keep_links: bool,
    keep_addresses: bool,
    stop_at_dead: bool,
}

fn sweep(toy: &Toy, input: &Input, stale: impl Fn(&Entry) -> bool, flawed: Flawed) -> Result<(), Refusal> {
    let mut ledger = Ledger::open(toy, &input.folder(), &input.network)?;
    for entry in ledger.entries.iter().filter(|entry| stale(entry)) {
        if flawed.stop_at_dead && link::open(&entry.netns).is_none() {
            return Err(refusal(999, "a namespace is gone"));
        }
        if !flawed.keep_links {
            unlink(toy, entry);
        }
    }
    if !flawed.keep_addresses {
        ledger.entries.retain(|entry| !stale(entry));
    }
    ledger.save()
}

fn unlink(toy: &Toy, entry: &Entry) {
    if let Some(netns) = link::open(&entry.netns) {
        drop(inside(&netns, || ip(&format!("link del {}", link_name(toy, &entry.ifname)))));
    }
}

/// A flaw: takes links of other networks away.
pub(super) fn of_other_networks(
    toy: &Toy,
    input: &Input,
    which: impl Fn(&Entry) -> bool,
) -> Result<(), Refusal> {
    let files = std::fs::read_dir(input.folder()).into_iter().flatten().flatten();
    for path in files.map(|file| file.path()) {
        let network = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        if path.extension() == Some("json".as_ref()) && network != input.network {
            let entries = Ledger::open(toy, Path::new(&input.folder()), &network)?.entries;
            entries.iter().filter(|entry| which(entry)).for_each(|entry| unlink(toy, entry));
        }
    }
    Ok(())
}
