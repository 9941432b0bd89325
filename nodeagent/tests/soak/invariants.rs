//! Invariants 1 to 3 of the design: store (as the API shows it), kernel and model say the same.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::net::IpAddr;
use std::path::Path;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use serde_json::Value;

use super::model::{Model, Stand};
use super::networks::Network;
use super::pod::{Links, links_here};
use crate::harness::{Lab, http};

/// What was compared.
#[derive(Debug, Default)]
pub(crate) struct Compared {
    /// Attachments.
    pub(crate) attachments: usize,
    /// Of pods that are gone: their DEL was answered, the agent was killed before that was on the disk, and the next
    /// sweep takes them. They hold up nobody.
    pub(crate) to_be_swept: usize,
    /// DELs of plugins that nobody could run yet.
    pub(crate) owed: usize,
    /// Pods left out, since their ADD waits for those who are at their debts.
    pub(crate) slow: usize,
}

impl Compared {
    /// Keeps the larger number of each.
    pub(crate) fn take_most(&mut self, other: &Self) {
        self.attachments = self.attachments.max(other.attachments);
        self.to_be_swept = self.to_be_swept.max(other.to_be_swept);
        self.owed = self.owed.max(other.owed);
        self.slow = self.slow.max(other.slow);
    }
}

/// Compares. Everybody has to rest. An error means that the agent died meanwhile. `seen` holds pods that wait for the
/// sweep.
pub(crate) fn compare(
    lab: &Lab,
    model: &Model,
    host: &Links,
    seen: &mut BTreeSet<String>,
) -> io::Result<Compared> {
    let api = lab.path("run/api.sock");
    wait_for_notes(lab, &api, model)?;
    let slow = model.slow.lock().unwrap().clone();
    let attachments = get(&api, "/v1/attachments")?;
    let used = get(&api, "/v1/addresses")?;
    let mut by_container = BTreeMap::new();
    let mut holders: BTreeMap<(String, IpAddr), String> = BTreeMap::new();
    let mut held: BTreeMap<String, u64> = BTreeMap::new();
    for attachment in attachments["attachments"].as_array().unwrap() {
        let container = attachment["containerId"].as_str().unwrap().to_owned();
        if slow.contains(&container) {
            continue;
        }
        let network = attachment["network"].as_str().unwrap();
        for (position, address, from_block) in addresses(attachment) {
            *held.entry(network.to_owned()).or_default() += u64::from(from_block);
            let other = holders.insert((Network::pool(network, position), address), container.clone());
            if let Some(other) = other {
                model.is_wrong(format!("{address} of {network} is held by {other} and by {container}"));
            }
        }
        by_container.insert(container, attachment);
    }
    for network in used["networks"].as_array().unwrap() {
        let name = network["network"].as_str().unwrap();
        let (told, sum) = (network["totals"]["used"].as_u64().unwrap(), held.get(name).copied().unwrap_or(0));
        if told != sum {
            model.is_wrong(format!("{told} addresses of {name} are held, {sum} by attachments"));
        }
    }
    let mut compared = Compared { attachments: by_container.len(), ..Compared::default() };
    for place in &model.places {
        // One whose call goes on has it locked.
        let Some(place) = place.try_lock().ok().filter(|place| !slow.contains(&place.container)) else {
            compared.slow += 1;
            continue;
        };
        let known = by_container.remove(&place.container);
        let there = place.pod.as_ref().map(super::pod::Pod::links);
        let none = Links::new();
        let (stored, kernel) = match &place.stand {
            Stand::Attached { links, .. } => {
                if known.is_none_or(|known| known["phase"] != "attached") {
                    model.is_wrong(format!("{} was attached and is {known:?}", place.container));
                }
                (known.map(links_of).unwrap_or_default(), links.clone())
            }
            Stand::Asked | Stand::Gone => match known {
                Some(known) if known["phase"] == "detaching" => {
                    compared.owed += 1;
                    (none.clone(), none)
                }
                Some(known) if matches!(place.stand, Stand::Asked) => (links_of(known), links_of(known)),
                Some(_) if place.pod.is_none() => {
                    seen.insert(place.container.clone());
                    compared.to_be_swept += 1;
                    (none.clone(), none)
                }
                Some(known) => {
                    model.is_wrong(format!("{} was taken away and is {known}", place.container));
                    (none.clone(), none)
                }
                None => (none.clone(), none),
            },
        };
        let is_there = there.as_ref().is_none_or(|there| *there == kernel);
        if !is_there || stored != kernel && !kernel.is_empty() {
            model.is_wrong(format!(
                "{} ({:?}): in the kernel {there:?}, in the store {stored:?}, promised {kernel:?}",
                place.container, place.stand
            ));
        }
    }
    let last = model.compared.fetch_add(1, Ordering::SeqCst);
    let mut seen_now = BTreeSet::new();
    for (container, attachment) in by_container {
        let buried = model.gone.lock().unwrap().get(&container).copied();
        if attachment["phase"] == "detaching" {
            compared.owed += 1;
        } else if buried.is_none_or(|number| number < last && !seen.contains(&container)) {
            model.is_wrong(format!("{container} was taken away long ago and is {attachment}"));
        } else {
            compared.to_be_swept += 1;
            seen_now.insert(container);
        }
    }
    seen_now.extend(seen.iter().filter(|one| model.is_place(one)).cloned());
    *seen = seen_now;
    let now = links_here();
    if now.keys().collect::<BTreeSet<_>>() != host.keys().collect() {
        model.is_wrong(format!("the host has {:?}, had {:?}", now.keys(), host.keys()));
    }
    Ok(compared)
}

/// Notes of DELs are taken in right after a start.
fn wait_for_notes(lab: &Lab, api: &Path, model: &Model) -> io::Result<()> {
    let end = Instant::now() + Duration::from_secs(20);
    loop {
        let left = notes(lab);
        if left.is_empty() {
            return Ok(());
        }
        get(api, "/readyz")?;
        if Instant::now() > end {
            model.is_wrong(format!("notes that the agent does not take in: {left:?}"));
            return Ok(());
        }
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// Names of the notes that lie there.
pub(crate) fn notes(lab: &Lab) -> Vec<String> {
    names(&lab.path("state/pending-del"))
}

/// Names of a folder's files.
pub(crate) fn names(folder: &Path) -> Vec<String> {
    let files = std::fs::read_dir(folder).into_iter().flatten().flatten();
    files.map(|file| file.file_name().to_string_lossy().into_owned()).collect()
}

/// An answer of the API.
pub(crate) fn get(api: &Path, path: &str) -> io::Result<Value> {
    Ok(http::unix(api, "GET", path, &[])?.json())
}

/// An attachment's links as the API shows them.
fn links_of(attachment: &Value) -> Links {
    let mut links = Links::new();
    for link in attachment["links"].as_array().unwrap() {
        let addresses = link["addresses"].as_array().unwrap().iter().map(|one| parse(&one["address"]));
        links.insert(link["name"].as_str().unwrap().to_owned(), addresses.collect());
    }
    links
}

/// An attachment's addresses with the position of their link, and whether each is from a block of ours.
fn addresses(attachment: &Value) -> Vec<(usize, IpAddr, bool)> {
    let links = attachment["links"].as_array().unwrap().iter().enumerate();
    let of = |link: &Value| link["addresses"].as_array().unwrap().clone();
    let all = links.flat_map(|(position, link)| of(link).into_iter().map(move |one| (position, one)));
    all.map(|(position, one)| (position, parse(&one["address"]), one["block"].is_string())).collect()
}

fn parse(address: &Value) -> IpAddr {
    address.as_str().unwrap().split('/').next().unwrap().parse().unwrap()
}
