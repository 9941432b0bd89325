//! The thread that owns our routes.

use std::collections::{BTreeMap, BTreeSet};
use std::os::fd::AsFd;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use datapath::DatapathError;
use datapath::host_routes::{Hop, RouteStep, apply, observe, tables_in_use};
use netlink::events::{Event, EventSocket};
use netlink::{Family, Socket};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use store::{Batch, Store, StoreError, Table};

use super::plan::{Delta, Wish, plan};
use super::tables::{Names, Place, choose, write_names};
use super::taken::{CULPRIT, Taken};
use super::{RouteParts, RouteState, Routes, Wanted};
use crate::agent::chain;
use crate::metrics::Metrics;

/// How long changes are gathered before routes are looked at.
const QUIET: Duration = Duration::from_millis(100);

/// How soon what failed is tried again, if nothing changes before.
const RETRY: Duration = Duration::from_secs(30);

/// Keys of our tables in the store.
const KEY: &str = "routes/";

/// The owner of our routes.
#[derive(Debug)]
pub(super) struct RouteKeeper {
    socket: Socket,
    events: EventSocket,
    store: Option<Arc<Store>>,
    names: PathBuf,
    places: BTreeMap<String, Place>,
    pub(super) wanted: Arc<Wanted>,
    /// Indexes of the links that routes leave by.
    links: BTreeSet<u32>,
    metrics: Arc<Metrics>,
    taken: Taken,
    told: String,
}

/// What came of a network's routes.
#[derive(Debug, Default)]
struct Tally {
    /// Routes whose link is away or down.
    waiting: usize,
    /// Routes that could not be made.
    routes: usize,
    /// The first thing that could not be done.
    first: Option<String>,
}

impl Tally {
    fn failed(&mut self, is_route: bool, why: String) {
        self.routes += usize::from(is_route);
        self.first.get_or_insert(why);
    }
}

/// What came of all of them.
#[derive(Debug)]
pub(super) struct Done {
    pub(super) states: BTreeMap<String, RouteState>,
    /// Steps that were tried.
    pub(super) changes: usize,
    /// Something failed that another try may heal.
    open: bool,
}

/// What woke the thread.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Woken {
    /// Something that routes depend on changed.
    changed: bool,
    /// A program removed a rule or route of ours.
    taken: bool,
    /// An IPv6 route of ours went: the kernel tells that also of those that it takes with a link or an address.
    lost: bool,
}

/// What each network has, as the store remembers it.
pub(super) fn places(store: &Store) -> Result<BTreeMap<String, Place>, StoreError> {
    let all = store.prefix::<Place>(Table::Cluster, KEY)?;
    Ok(all.records.into_iter().map(|(key, place)| (key.replacen(KEY, "", 1), place)).collect())
}

impl RouteKeeper {
    /// Opens its sockets in the network namespace of the caller.
    pub(super) fn open(parts: RouteParts) -> Result<Self, DatapathError> {
        let places = parts.store.as_ref().map_or_else(|| Ok(BTreeMap::new()), |store| places(store));
        let places = places.unwrap_or_else(|error| {
            tracing::error!(error = chain(&error), "read the numbers of routing tables");
            BTreeMap::new()
        });
        Ok(Self {
            socket: Socket::open(Family::Route)?,
            events: EventSocket::open_routing()?,
            store: parts.store,
            names: parts.names,
            places,
            wanted: Arc::default(),
            links: BTreeSet::new(),
            metrics: parts.metrics,
            taken: Taken::default(),
            told: String::new(),
        })
    }

    /// Keeps the routes until the end is wanted.
    pub(super) fn keep(mut self, routes: &Routes) {
        let mut retry: Option<Instant> = None;
        loop {
            let due = [retry, self.taken.until()].into_iter().flatten().min();
            self.wait(routes, due);
            let mut woken = self.woken(due.is_some_and(|due| due <= Instant::now()));
            if woken != Woken::default() {
                // Changes come in numbers; all state is read afterwards.
                std::thread::sleep(QUIET);
                let more = self.woken(false);
                woken.taken |= more.taken;
                woken.changed |= more.changed;
            }
            {
                let mut state = routes.state();
                if state.end {
                    return;
                }
                if std::mem::take(&mut state.new) {
                    self.wanted = Arc::clone(&state.wanted);
                    woken.changed = true;
                }
            }
            if woken == Woken::default() {
                continue;
            }
            if woken.taken || (woken.lost && !woken.changed) {
                self.was_taken();
            }
            match self.reconcile() {
                Ok(Done { states, changes, open }) => {
                    if changes > 0 {
                        tracing::info!(changes, "routes to other hosts changed");
                    }
                    retry = open.then(|| Instant::now() + RETRY);
                    self.metrics.routes(&states);
                    routes.0.states.send_if_modified(|before| {
                        let changed = *before != states;
                        *before = states;
                        changed
                    });
                }
                Err(error) => {
                    self.tell(error.sentence());
                    retry = Some(Instant::now() + RETRY);
                }
            }
        }
    }

    /// Waits for a notification, for somebody who wants something else, or for the time of another try.
    fn wait(&self, routes: &Routes, retry: Option<Instant>) {
        let wait =
            retry.map(|retry| retry.saturating_duration_since(Instant::now()) + Duration::from_millis(1));
        let wait =
            wait.map_or(PollTimeout::NONE, |wait| PollTimeout::try_from(wait).unwrap_or(PollTimeout::MAX));
        let mut ready = [
            PollFd::new(routes.0.wake.as_fd(), PollFlags::POLLIN),
            PollFd::new(self.events.as_fd(), PollFlags::POLLIN),
        ];
        let _ = poll(&mut ready, wait);
        let _ = routes.0.wake.read();
    }

    /// What the notifications say, as far as it is of concern.
    fn woken(&mut self, changed: bool) -> Woken {
        let mut woken = Woken { changed, ..Woken::default() };
        for event in self.events.receive().unwrap_or_else(|_| vec![Event::Overrun]) {
            match event {
                Event::LinkChanged(link) | Event::LinkRemoved(link) => {
                    woken.changed |= self.links.contains(&link.index) || self.is_wanted_link(&link.name);
                }
                Event::AddressChanged(address) | Event::AddressRemoved(address) => {
                    woken.changed |= self.links.contains(&address.index);
                }
                Event::RouteRemoved(route) => {
                    let ours = route.protocol == datapath::PROTOCOL
                        && self.places.values().any(|place| place.table == route.table);
                    let gone = ours && self.is_wanted_route(&route);
                    // What it takes itself of IPv4, the kernel does not tell.
                    let is_told = route.destination.is_ipv4();
                    woken.taken |= gone && is_told;
                    woken.lost |= gone && !is_told;
                }
                Event::RuleRemoved(rule) => {
                    woken.taken |= rule.protocol == datapath::PROTOCOL && self.is_wanted_rule(&rule);
                }
                Event::Overrun | Event::Undecoded { .. } => woken.changed = true,
                _ => {}
            }
        }
        woken
    }

    fn is_wanted_link(&self, name: &str) -> bool {
        self.wanted.networks.values().flat_map(|one| &one.routes).any(|route| &*route.link == name)
    }

    fn is_wanted_rule(&self, gone: &netlink::route::Rule) -> bool {
        let source = gone.source.and_then(|(address, length)| ipnet::IpNet::new(address, length).ok());
        let wants = |name: &String| self.wanted.networks.get(name).map(|network| &network.sources);
        self.places.iter().filter(|(_, place)| place.table == gone.table).any(|(name, _)| {
            wants(name).is_some_and(|sources| sources.iter().any(|one| Some(*one) == source))
        })
    }

    fn is_wanted_route(&self, gone: &netlink::route::Route) -> bool {
        self.wanted.networks.values().any(|network| {
            let at = network.routes.binary_search_by(|route| {
                (route.destination.addr(), route.destination.prefix_len())
                    .cmp(&(gone.destination, gone.prefix_len))
            });
            at.is_ok()
        })
    }

    /// Makes the kernel what is wanted.
    pub(super) fn reconcile(&mut self) -> Result<Done, DatapathError> {
        self.number()?;
        let wanted = Arc::clone(&self.wanted);
        let links = netlink::route::links(&mut self.socket)?.links;
        let up: BTreeMap<&str, u32> =
            links.iter().filter(|link| link.is_up()).map(|link| (link.name.as_str(), link.index)).collect();
        let mut wishes = Vec::new();
        let mut tallies: BTreeMap<u32, Tally> = BTreeMap::new();
        self.links.clear();
        for (name, network) in &wanted.networks {
            let Some(place) = self.places.get(name) else { continue };
            let mut wish = Wish {
                table: place.table,
                priority: place.priority,
                take_over: place.take_over,
                sources: network.sources.clone(),
                ..Wish::default()
            };
            for route in &network.routes {
                match up.get(&*route.link) {
                    Some(link) => {
                        self.links.insert(*link);
                        wish.hops.insert(route.destination, Hop { gateway: route.gateway, link: *link });
                    }
                    // Its routes went with it and come back with it.
                    None => drop(wish.waiting.insert(route.destination)),
                }
            }
            tallies.insert(place.table, Tally { waiting: wish.waiting.len(), ..Tally::default() });
            wishes.push(wish);
        }
        let tables = self.places.values().map(|place| place.table).collect();
        let observed = observe(&mut self.socket, &tables)?;
        let Delta { steps, foreign } = plan(&observed, &wishes, wanted.complete);
        let mut refused = 0;
        for (step, verdict) in steps.iter().zip(apply(&mut self.socket, &steps)) {
            if let Err(error) = verdict {
                refused += 1;
                let is_route = !matches!(step, RouteStep::AddRule(_) | RouteStep::RemoveRule(_));
                tallies.entry(table_of(step)).or_default().failed(is_route, error.sentence());
            }
        }
        self.metrics.routes_refused(refused);
        for (table, destination) in foreign {
            let why = format!("another program's route to {destination} stands in table {table}");
            tallies.entry(table).or_default().failed(true, why);
        }
        self.tell(tallies.values().find_map(|tally| tally.first.clone()).unwrap_or_default());
        let open = tallies.values().any(|tally| tally.first.is_some());
        let states = self.states(&wanted, &tallies);
        if wanted.complete {
            self.forget(&wanted);
        }
        Ok(Done { states, changes: steps.len(), open })
    }

    fn states(&mut self, wanted: &Wanted, tallies: &BTreeMap<u32, Tally>) -> BTreeMap<String, RouteState> {
        let often = self.taken.message(Instant::now());
        let of = |(name, network): (&String, &super::NetworkRoutes)| {
            let wanted = network.routes.len();
            let tally = self.places.get(name).and_then(|place| tallies.get(&place.table));
            let Some(tally) = tally else {
                let message = "every place for a rule is taken".to_owned();
                return (name.clone(), RouteState { wanted, present: 0, message });
            };
            let waits = match tally.waiting {
                0 => String::new(),
                some => format!("{some} wait for their link"),
            };
            let parts = [waits.as_str(), tally.first.as_deref().unwrap_or_default(), often];
            let message = parts.into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>().join("; ");
            let present = wanted.saturating_sub(tally.waiting + tally.routes);
            (name.clone(), RouteState { wanted, present, message })
        };
        wanted.networks.iter().map(of).collect()
    }

    /// Gives a table to each network that has none, written down first.
    fn number(&mut self) -> Result<(), DatapathError> {
        let without: Vec<String> =
            self.wanted.networks.keys().filter(|name| !self.places.contains_key(*name)).cloned().collect();
        if without.is_empty() {
            return Ok(());
        }
        let used = tables_in_use(&mut self.socket)?;
        let names = Names::read(&self.names);
        let mut places = self.places.clone();
        let mut batch = Batch::new();
        for name in without {
            match choose(&name, &names, &used, &places) {
                Some(place) => {
                    if let Err(error) = batch.put(Table::Cluster, &format!("{KEY}{name}"), &place) {
                        tracing::error!(network = name, error = chain(&error), "its table cannot be kept");
                    }
                    places.insert(name, place);
                }
                None => tracing::error!(network = name, "has no routes: all places for rules are taken"),
            }
        }
        self.commit(batch);
        self.places = places;
        write_names(&self.names, &self.places);
        Ok(())
    }

    /// Forgets the tables of networks that are gone; the routes are, too.
    fn forget(&mut self, wanted: &Wanted) {
        let gone: Vec<String> =
            self.places.keys().filter(|name| !wanted.networks.contains_key(*name)).cloned().collect();
        if gone.is_empty() {
            return;
        }
        let mut batch = Batch::new();
        for name in gone {
            batch.delete(Table::Cluster, &format!("{KEY}{name}"));
            self.places.remove(&name);
        }
        self.commit(batch);
        write_names(&self.names, &self.places);
    }

    /// A table that is not written down is found again by its rule: the worst is another number after a restart.
    fn commit(&self, batch: Batch) {
        let Some(store) = &self.store else { return };
        if let Err(error) = store.commit(batch) {
            tracing::error!(error = chain(&error), "the numbers of routing tables cannot be written down");
        }
    }

    /// Somebody took routes or rules of ours away.
    fn was_taken(&mut self) {
        self.metrics.routes_were_taken();
        if self.taken.note(Instant::now()) {
            tracing::warn!("{CULPRIT}");
        } else {
            tracing::info!("another program removed routes or rules of ours; they are put back");
        }
    }

    /// Logs what is wrong, when it is something else than before.
    fn tell(&mut self, error: String) {
        if !error.is_empty() && error != self.told {
            tracing::warn!(error, "a route to another host is missing");
        }
        self.told = error;
    }
}

fn table_of(step: &RouteStep) -> u32 {
    match step {
        RouteStep::Add(table, ..) | RouteStep::Replace(table, ..) | RouteStep::Remove(table, _) => *table,
        RouteStep::AddRule(rule) | RouteStep::RemoveRule(rule) => rule.table,
    }
}
