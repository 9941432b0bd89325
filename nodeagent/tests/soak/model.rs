//! What a runtime may rely on: a plain model of what was answered, kept by those who call.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Condvar, Mutex};
use std::time::{Duration, Instant};

use serde_json::Value;

use super::caller::{Caller, Failure, promised};
use super::networks::Network;
use super::pod::{Links, Pod};

/// The network with another plugin's addresses.
const OTHER: usize = 2;

/// Where the attachment of a place stands, as far as answers tell.
#[derive(Debug)]
pub(crate) enum Stand {
    /// Never asked for, or its DEL was answered.
    Gone,
    /// Asked for without a good answer: it may be there or not.
    Asked,
    /// Its ADD was answered.
    Attached { links: Links, result: Value, checked: bool },
}

/// One pod after the other, each with one attachment.
#[derive(Debug)]
pub(crate) struct Place {
    pub(crate) network: usize,
    pub(crate) container: String,
    /// Absent once it is deleted; the next one gets a name of its own, as its container does.
    pub(crate) pod: Option<Pod>,
    pub(crate) path: PathBuf,
    pub(crate) stand: Stand,
    /// What was called and answered, for when something is wrong.
    pub(crate) story: Vec<String>,
    random: Random,
    serial: u64,
}

/// Counts of what happened.
#[derive(Debug, Default)]
pub(crate) struct Counts {
    /// ADD to DEL.
    pub(crate) cycles: AtomicU64,
    pub(crate) adds: AtomicU64,
    pub(crate) repeats: AtomicU64,
    pub(crate) checks: AtomicU64,
    pub(crate) dels: AtomicU64,
    /// Calls that were told that the agent is away.
    pub(crate) away: AtomicU64,
    /// DELs after the namespace.
    pub(crate) late: AtomicU64,
    /// Calls by the executable; the others were made from here.
    pub(crate) executables: AtomicU64,
}

/// All who call, and what they know.
pub(crate) struct Model {
    pub(crate) caller: Caller,
    pub(crate) networks: Vec<Network>,
    pub(crate) places: Vec<Mutex<Place>>,
    pub(crate) counts: Counts,
    /// What was wrong.
    pub(crate) wrong: Mutex<Vec<String>>,
    begun: Instant,
    folder: PathBuf,
    /// Containers that are gone, by the number of the comparison before their end.
    pub(crate) gone: Mutex<BTreeMap<String, u64>>,
    /// Number of the last comparison.
    pub(crate) compared: AtomicU64,
    /// Who was answered which address and has not asked for its DEL.
    holders: Mutex<BTreeMap<(String, IpAddr), String>>,
    /// Containers whose ADD may wait for seconds until nobody is at their debts: not waited for.
    pub(crate) slow: Mutex<BTreeSet<String>>,
    resting: AtomicBool,
    /// Take apart, begin nothing new.
    ending: AtomicBool,
    over: AtomicBool,
    rested: (Mutex<usize>, Condvar),
}

impl Model {
    pub(crate) fn new(
        caller: Caller,
        networks: Vec<Network>,
        folder: PathBuf,
        width: u64,
        seed: u64,
    ) -> Self {
        std::fs::create_dir_all(&folder).unwrap();
        let place = |number: u64| {
            let random = Random(seed.wrapping_mul(1000) + number);
            let (container, path) = (String::new(), PathBuf::new());
            Mutex::new(Place {
                network: 0,
                container,
                pod: None,
                path,
                stand: Stand::Gone,
                story: Vec::new(),
                random,
                serial: 0,
            })
        };
        Self {
            caller,
            networks,
            places: (0..width).map(place).collect(),
            begun: Instant::now(),
            folder,
            gone: Mutex::default(),
            compared: AtomicU64::new(0),
            counts: Counts::default(),
            wrong: Mutex::default(),
            holders: Mutex::default(),
            slow: Mutex::default(),
            resting: AtomicBool::new(false),
            ending: AtomicBool::new(false),
            over: AtomicBool::new(false),
            rested: Default::default(),
        }
    }

    /// Works on a place until all is over.
    pub(crate) fn work(&self, number: usize) {
        while !self.over.load(Ordering::SeqCst) {
            if self.resting.load(Ordering::SeqCst) {
                self.rest();
                continue;
            }
            let mut place = self.places[number].lock().unwrap();
            if self.ending.load(Ordering::SeqCst) && matches!(place.stand, Stand::Gone) {
                drop(place);
                std::thread::sleep(Duration::from_millis(5));
                continue;
            }
            self.step(&mut place, number);
        }
    }

    fn rest(&self) {
        *self.rested.0.lock().unwrap() += 1;
        self.rested.1.notify_all();
        while self.resting.load(Ordering::SeqCst) && !self.over.load(Ordering::SeqCst) {
            std::thread::sleep(Duration::from_millis(1));
        }
        *self.rested.0.lock().unwrap() -= 1;
    }

    /// Asks everybody to rest after the call that they are at.
    pub(crate) fn ask_to_rest(&self) {
        self.resting.store(true, Ordering::SeqCst);
    }

    /// Whether everybody rests now; waits a little for it.
    pub(crate) fn is_at_rest(&self) -> bool {
        let resting = self.rested.0.lock().unwrap();
        let few = |resting: &mut usize| *resting + self.slow.lock().unwrap().len() < self.places.len();
        let (resting, _) = self.rested.1.wait_timeout_while(resting, Duration::from_millis(5), few).unwrap();
        *resting + self.slow.lock().unwrap().len() >= self.places.len()
    }

    pub(crate) fn go_on(&self) {
        self.resting.store(false, Ordering::SeqCst);
        // Nobody may be counted twice.
        while *self.rested.0.lock().unwrap() > 0 {
            std::thread::sleep(Duration::from_millis(1));
        }
    }

    /// Takes everything apart; true when that is done in time.
    pub(crate) fn take_apart(&self) -> bool {
        self.ending.store(true, Ordering::SeqCst);
        let end = Instant::now() + Duration::from_secs(60);
        let is_gone = |place: &Mutex<Place>| matches!(place.lock().unwrap().stand, Stand::Gone);
        while !self.places.iter().all(is_gone) {
            if Instant::now() > end {
                return false;
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        true
    }

    /// What was called for the places that a complaint names.
    pub(crate) fn stories(&self) -> String {
        let wrong = self.wrong.lock().unwrap().join("\n");
        let mut all = String::new();
        for place in &self.places {
            let place = place.lock().unwrap();
            let is_named = wrong
                .split(|c: char| !c.is_ascii_alphanumeric() && c != '-')
                .any(|word| word == place.container);
            if is_named {
                all += &format!("{}:\n  {}\n", place.container, place.story.join("\n  "));
            }
        }
        all
    }

    pub(crate) fn finish(&self) {
        self.over.store(true, Ordering::SeqCst);
    }

    pub(crate) fn is_wrong(&self, words: String) {
        self.wrong.lock().unwrap().push(words);
    }

    /// The next call of a place.
    fn step(&self, place: &mut Place, number: usize) {
        match &place.stand {
            Stand::Gone => {
                // Mostly the same pod is attached once more: the kernel takes its time with namespaces.
                if place.pod.is_none() || place.random.below(6) == 0 {
                    drop(place.pod.take());
                    self.bury(&place.container);
                    place.serial += 1;
                    place.story.clear();
                    place.container = format!("p{number}-{}", place.serial);
                    place.path = self.folder.join(&place.container);
                    place.pod = Some(Pod::new(place.path.clone()));
                    let luck = place.random.below(8);
                    // Plugins of others take their time: fewer of those.
                    place.network = if luck == 0 { OTHER } else { usize::try_from(luck % 2).unwrap() };
                }
                self.add(place);
            }
            Stand::Asked if place.random.below(2) == 0 && !self.ending.load(Ordering::SeqCst) => {
                self.add(place)
            }
            Stand::Asked => self.del(place),
            Stand::Attached { checked: false, result, .. } => {
                let config = self.networks[place.network].with("prevResult", result.clone());
                self.counts.checks.fetch_add(1, Ordering::Relaxed);
                let answer = self.call(place, "CHECK", &config);
                self.note("CHECK", place, answer.err());
                if let Stand::Attached { checked, .. } = &mut place.stand {
                    *checked = true;
                }
            }
            Stand::Attached { result, .. } if place.random.below(5) == 0 => {
                let before = result.clone();
                self.counts.repeats.fetch_add(1, Ordering::Relaxed);
                let config = self.networks[place.network].config.to_string();
                match self.call(place, "ADD", &config) {
                    Ok(again) if again != before => self.is_wrong(format!(
                        "{}: a repeated ADD was answered {again}, not {before}",
                        place.container
                    )),
                    other => self.note("repeated ADD", place, other.err()),
                }
            }
            Stand::Attached { .. } => {
                if place.random.below(12) == 0 {
                    self.counts.late.fetch_add(1, Ordering::Relaxed);
                    drop(place.pod.take());
                }
                self.del(place);
            }
        }
    }

    /// Whether a container is the last one of its place.
    pub(crate) fn is_place(&self, container: &str) -> bool {
        let is_it = |place: &Mutex<Place>| place.try_lock().is_ok_and(|place| place.container == container);
        self.slow.lock().unwrap().contains(container) || self.places.iter().any(is_it)
    }

    /// A call about a place, kept in its story.
    fn call(&self, place: &mut Place, command: &str, config: &str) -> Result<Value, Failure> {
        let from = self.begun.elapsed().as_millis();
        let (container, path) = (&place.container, &place.path);
        // The same way to the agent; the executable costs more than all the rest.
        let answer = if place.network == OTHER || place.random.below(8) == 0 {
            self.counts.executables.fetch_add(1, Ordering::Relaxed);
            self.caller.call(command, config, container, path)
        } else {
            self.caller.call_from_here(command, config, container, path)
        };
        let words = match &answer {
            Ok(result) => result["ips"].to_string(),
            Err(failure) => failure.text.trim().to_owned(),
        };
        place.story.push(format!("{from}-{} ms {command}: {words}", self.begun.elapsed().as_millis()));
        answer
    }

    fn bury(&self, container: &str) {
        let compared = self.compared.load(Ordering::SeqCst);
        self.gone.lock().unwrap().insert(container.to_owned(), compared);
    }

    fn add(&self, place: &mut Place) {
        let may_wait = place.network == OTHER && matches!(place.stand, Stand::Asked);
        place.stand = Stand::Asked;
        self.counts.adds.fetch_add(1, Ordering::Relaxed);
        let config = self.networks[place.network].config.to_string();
        if may_wait {
            self.slow.lock().unwrap().insert(place.container.clone());
        }
        let answer = self.call(place, "ADD", &config);
        if may_wait {
            self.slow.lock().unwrap().remove(&place.container);
        }
        match answer {
            Ok(result) => {
                let links = promised(&result);
                let mut holders = self.holders.lock().unwrap();
                let network = &self.networks[place.network].name;
                for (position, addresses) in links.values().enumerate() {
                    for address in addresses {
                        let held = (Network::pool(network, position), *address);
                        let before = holders.insert(held, place.container.clone());
                        if let Some(other) = before.filter(|other| *other != place.container) {
                            self.is_wrong(format!(
                                "{address} was given to {} and is {other}'s",
                                place.container
                            ));
                        }
                    }
                }
                if links.len() != 2 || links.values().any(|addresses| addresses.is_empty()) {
                    self.is_wrong(format!("{}: the answer is {result}", place.container));
                }
                let checked = place.random.below(2) == 0;
                place.stand = Stand::Attached { links, result, checked };
            }
            Err(failure) => self.note("ADD", place, Some(failure)),
        }
    }

    fn del(&self, place: &mut Place) {
        let container = place.container.clone();
        self.holders.lock().unwrap().retain(|_, holder| *holder != container);
        self.counts.dels.fetch_add(1, Ordering::Relaxed);
        let config = self.networks[place.network].config.to_string();
        match self.call(place, "DEL", &config) {
            Ok(_) => {
                place.stand = Stand::Gone;
                self.counts.cycles.fetch_add(1, Ordering::Relaxed);
            }
            // A runtime tries again; but a DEL fails only where not even a note could be written.
            Err(failure) => {
                place.stand = Stand::Asked;
                self.is_wrong(format!("DEL {}: {}", place.container, failure.text));
            }
        }
    }

    /// A failure counts, unless it says that the agent is away.
    fn note(&self, what: &str, place: &Place, failure: Option<Failure>) {
        let Some(failure) = failure else { return };
        if failure.is_of_absence() {
            self.counts.away.fetch_add(1, Ordering::Relaxed);
        } else {
            self.is_wrong(format!("{what} {}: {}", place.container, failure.text));
        }
    }
}

/// Numbers that look random and are the same for the same seed (splitmix64).
#[derive(Debug)]
pub(crate) struct Random(pub(crate) u64);

impl Random {
    /// Below a bound.
    pub(crate) fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % bound
    }
}
