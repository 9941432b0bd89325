//! Plans the networks: what is wanted and the NICs that are here become what attaching sees, written down first.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use attach::network::{DeviceClass, Network, Networks};
use hwprobe::Inventory;
use ipnet::IpNet;
use openapi::{NetworkReport, ReportGravity};
use serde_json::Value;
use store::{Batch, Store, Table};

use super::folder;
use super::report::{Gravity, Report};
use super::settle::{Wanted, WantedClass, WantedNetwork, settle};
use crate::agent::chain;
use crate::current_networks::Current;
use crate::planning::candidates::own_addresses;
use crate::planning::record::Record;
use crate::planning::{Numbered, candidates_of, network, number};

/// How long the numbers of a network that is gone are kept, in case an editor is only replacing its file.
const GRACE: Duration = Duration::from_secs(60);

/// How soon a write that failed is tried again.
const RETRY: Duration = Duration::from_secs(10);

/// What the planner works with.
#[derive(Debug)]
pub(crate) struct PlannerParts {
    pub(crate) folder: PathBuf,
    /// Device classes of the agent's configuration; files may add others.
    pub(crate) classes: BTreeMap<String, DeviceClass>,
    /// Without one, numbers are forgotten with the process.
    pub(crate) store: Option<Arc<Store>>,
    /// Where the networks go.
    pub(crate) networks: Current,
}

/// The planner.
#[derive(Debug)]
pub(crate) struct Planner {
    parts: PlannerParts,
    wanted: Wanted,
    records: BTreeMap<String, Record>,
    /// Since when a network with a record has not been wanted.
    gone: BTreeMap<String, Instant>,
    /// Something could not be written down.
    unsaved: bool,
    /// What has been logged and still holds.
    told: BTreeSet<String>,
    /// By network, why NICs have no blocks.
    left_out: BTreeMap<String, String>,
    reports: Vec<Report>,
}

impl Planner {
    /// Takes up what is remembered: each network goes on as it was when it was right last.
    pub(crate) fn new(parts: PlannerParts) -> Self {
        let mut records = BTreeMap::new();
        match parts.store.as_ref().map(|store| store.all::<Record>(Table::Networks)) {
            None => {}
            Some(Ok(all)) => {
                records.extend(all.records);
                for (network, error) in all.unreadable {
                    tracing::error!(
                        network,
                        error = chain(&error),
                        "its numbers cannot be read; it gets new ones"
                    );
                }
            }
            Some(Err(error)) => tracing::error!(error = chain(&error), "read the numbers of networks"),
        }
        let mut wanted = Wanted::default();
        for (name, record) in &records {
            let network = WantedNetwork { file: record.file.clone(), spec: record.spec.clone() };
            wanted.networks.insert(name.clone(), network);
        }
        Self {
            parts,
            wanted,
            records,
            gone: BTreeMap::new(),
            unsaved: false,
            told: BTreeSet::new(),
            left_out: BTreeMap::new(),
            reports: Vec::new(),
        }
    }

    /// The folder.
    pub(crate) fn folder(&self) -> &std::path::Path {
        &self.parts.folder
    }

    /// Reads the folder anew.
    pub(crate) fn read(&mut self) {
        let mut reading = folder::read(&self.parts.folder);
        let some = !self.wanted.networks.is_empty() || !self.wanted.policies.is_empty();
        if some && !reading.there {
            // A folder that is not mounted is no order to take everything down.
            let message = format!("{} is not there", self.parts.folder.display());
            reading
                .reports
                .push(folder::report_of_folder(message, "bring it back, empty if no network is wanted"));
        }
        let wanted = settle(&reading, &self.wanted);
        for name in self.wanted.networks.keys().filter(|name| !wanted.networks.contains_key(*name)) {
            tracing::info!(network = name, "is gone; pods that have it keep it");
        }
        for (name, new) in
            wanted.networks.iter().filter(|(name, new)| self.wanted.networks.get(*name) != Some(new))
        {
            tracing::info!(network = name, file = new.file, "is taken up as its file says");
        }
        self.wanted = wanted;
        self.reports = reading.reports;
        self.parts
            .networks
            .set_policies(self.wanted.policies.values().map(|one| one.policy.clone()).collect());
        self.tell();
        self.show();
    }

    /// Plans for the NICs that are here now and publishes the networks when they are others than before.
    pub(crate) fn plan(&mut self, inventory: &Inventory) {
        let classes = self.classes();
        let own: Vec<IpAddr> = own_addresses(inventory).collect();
        let mut networks = Networks { networks: BTreeMap::new(), classes };
        let mut batch = Batch::new();
        let mut all_numbered: BTreeMap<String, Numbered> = BTreeMap::new();
        let mut changed: BTreeMap<String, Record> = BTreeMap::new();
        for (name, wanted) in &self.wanted.networks {
            let before = self.records.get(name);
            let mut record = before.cloned().unwrap_or_default();
            (record.file, record.spec) = (wanted.file.clone(), wanted.spec.clone());
            let found = candidates_of(&record.spec, &networks.classes, inventory);
            let numbered = match &found {
                Ok(found) => number(&mut record, found, &mut |block| self.has_addresses(name, block)),
                Err(_) => Numbered::default(),
            };
            let mut made = network(name, &record, &numbered, &own);
            if let Err(refused) = found {
                made.refused = Some(refused);
            }
            networks.networks.insert(name.clone(), Arc::new(made));
            all_numbered.insert(name.clone(), numbered);
            if before != Some(&record) {
                if let Err(error) = batch.put(Table::Networks, name, &record) {
                    tracing::error!(network = name, error = chain(&error), "its numbers cannot be kept");
                }
                changed.insert(name.clone(), record);
            }
        }
        for (name, why) in &self.wanted.refused {
            let refused = Network { name: name.clone(), refused: Some(why.clone()), ..Network::default() };
            networks.networks.insert(name.clone(), Arc::new(refused));
        }
        let forgotten = self.forgotten();
        forgotten.iter().for_each(|name| batch.delete(Table::Networks, name));
        match self.commit(batch) {
            Ok(()) => {
                self.unsaved = false;
                forgotten.iter().for_each(|name| drop(self.records.remove(name)));
                self.records.extend(changed);
            }
            Err(why) => {
                self.unsaved = true;
                for name in changed.into_keys() {
                    let numbered = all_numbered.entry(name.clone()).or_default();
                    let made = self.unwritten(&name, numbered, &own, &why);
                    networks.networks.insert(name, Arc::new(made));
                }
            }
        }
        self.tell_left_out(&all_numbered);
        self.show();
        if *self.parts.networks.get() != networks {
            tracing::info!(networks = networks.networks.len(), "the networks changed");
            self.parts.networks.set(networks);
        }
    }

    /// When to plan again though nothing has changed.
    pub(crate) fn due(&self) -> Option<Instant> {
        let forget = self.gone.values().min().map(|since| *since + GRACE);
        let retry = self.unsaved.then(|| Instant::now() + RETRY);
        forget.into_iter().chain(retry).min()
    }

    /// A network whose new numbers could not be written down: what was written before goes on.
    fn unwritten(&self, name: &str, numbered: &Numbered, own: &[IpAddr], why: &str) -> Network {
        match self.records.get(name) {
            Some(before) => {
                let known = |key: &&String| before.nics.contains_key(*key);
                let served = numbered.served.iter().filter(known).cloned().collect();
                network(
                    name,
                    before,
                    &Numbered { served, errors: Vec::new(), smallest_mtu: numbered.smallest_mtu },
                    own,
                )
            }
            None => {
                let refused = Some(format!("its numbers cannot be written down: {why}"));
                Network { name: name.to_owned(), refused, ..Network::default() }
            }
        }
    }

    /// Networks whose numbers nobody needs any more.
    fn forgotten(&mut self) -> Vec<String> {
        let unwanted: Vec<String> =
            self.records.keys().filter(|name| !self.wanted.networks.contains_key(*name)).cloned().collect();
        self.gone.retain(|name, _| unwanted.contains(name));
        let now = Instant::now();
        let mut forgotten = Vec::new();
        for name in unwanted {
            let since = *self.gone.entry(name.clone()).or_insert(now);
            if now.saturating_duration_since(since) < GRACE {
                continue;
            }
            if self.has_pods(&name) {
                // Looked at again later.
                self.gone.insert(name, now);
            } else {
                self.gone.remove(&name);
                forgotten.push(name);
            }
        }
        forgotten
    }

    fn has_pods(&self, network: &str) -> bool {
        let Some(store) = &self.parts.store else { return false };
        let all = store.prefix::<Value>(Table::Attachments, &format!("{network}/"));
        all.map_or(true, |all| !all.records.is_empty() || !all.unreadable.is_empty())
    }

    /// Whether an address of the block is held or rests.
    fn has_addresses(&self, network: &str, block: &IpNet) -> bool {
        let Some(store) = &self.parts.store else { return false };
        let all = store.prefix::<Value>(Table::Addresses, &format!("{network}/{block}/"));
        all.map_or(true, |all| !all.records.is_empty() || !all.unreadable.is_empty())
    }

    fn commit(&self, batch: Batch) -> Result<(), String> {
        match &self.parts.store {
            Some(store) if !batch.is_empty() => store.commit(batch).map_err(|error| {
                tracing::error!(error = chain(&error), "the numbers of networks cannot be written down");
                chain(&error)
            }),
            _ => Ok(()),
        }
    }

    /// Device classes: those of files over those of the configuration.
    fn classes(&self) -> BTreeMap<String, DeviceClass> {
        let mut classes = self.parts.classes.clone();
        let files = &self.wanted.classes;
        classes.extend(files.iter().map(|(name, WantedClass { class, .. })| (name.clone(), class.clone())));
        classes
    }

    /// Shows in the API what is wrong.
    fn show(&self) {
        let left_out = self.left_out.iter().filter(|(_, text)| !text.is_empty());
        let left_out = left_out.map(|(network, text)| NetworkReport {
            gravity: ReportGravity::Warning,
            network: Some(network.clone()),
            policy: None,
            file: self.wanted.networks.get(network).map(|wanted| wanted.file.clone()),
            document: None,
            field: None,
            message: format!("NICs without blocks: {text}"),
            fix: None,
        });
        let reports: Vec<NetworkReport> = self.reports.iter().map(Report::shown).chain(left_out).collect();
        if *self.parts.networks.reports() != reports {
            self.parts.networks.set_reports(reports);
        }
    }

    /// Logs what is new.
    fn tell(&mut self) {
        let mut now = BTreeSet::new();
        for report in &self.reports {
            let text = report.to_string();
            if !self.told.contains(&text) {
                match report.gravity {
                    Gravity::Error => tracing::error!(folder = %self.parts.folder.display(), "{text}"),
                    Gravity::Warning => tracing::warn!(folder = %self.parts.folder.display(), "{text}"),
                }
            }
            now.insert(text);
        }
        if now.is_empty() && !self.told.is_empty() {
            tracing::info!(folder = %self.parts.folder.display(), "all files are right now");
        }
        self.told = now;
    }

    /// Logs which NICs get no blocks, when that changes.
    fn tell_left_out(&mut self, all: &BTreeMap<String, Numbered>) {
        let texts = |numbered: &Numbered| {
            numbered.errors.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ")
        };
        let now: BTreeMap<String, String> =
            all.iter().map(|(name, numbered)| (name.clone(), texts(numbered))).collect();
        for (network, text) in
            now.iter().filter(|(name, text)| !text.is_empty() && self.left_out.get(*name) != Some(text))
        {
            tracing::warn!(network, "NICs without blocks: {text}");
        }
        self.left_out = now;
    }
}

#[cfg(test)]
mod tests;
