//! The task that owns the index: takes in what happens, plans, has it written, takes in what came of it.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use k8s_openapi::jiff::Timestamp;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;

use crate::index::{Index, News};
use crate::metrics::Metrics;
use crate::network::{self, Failures};
use crate::seen::Key;
use crate::sriov::SriovSettings;
use crate::write::Write;
use crate::writer::{Refusal, Writer};

/// How long news is collected before anything is planned: a list of a thousand hosts is planned once.
const SETTLE: Duration = Duration::from_millis(20);

/// Least time between two statuses of a network: a thousand agents that tell of their routes one after the other are told
/// of together.
const STATUS_PAUSE: Duration = Duration::from_secs(2);

/// What belongs to no network.
const REST: &str = "";

/// The task.
pub(crate) struct Control {
    index: Index,
    writer: Writer,
    metrics: Metrics,
    complete: watch::Sender<bool>,
    jobs: JoinSet<Done>,
    /// Subjects (names of networks, or [`REST`]) that a job works on.
    busy: BTreeSet<String>,
    trouble: BTreeMap<String, Trouble>,
    /// When the status of a network may be written again.
    pauses: BTreeMap<String, Instant>,
    /// Networks whose status waits for that.
    waiting: BTreeSet<String>,
    /// When what has come in lately is planned.
    settled: Option<Instant>,
}

/// What went wrong with a subject.
#[derive(Debug, Default)]
struct Trouble {
    failures: Failures,
    tries: u32,
    retry: Option<Instant>,
}

/// What a job has done.
struct Done {
    subject: String,
    results: Vec<(Write, Result<Option<News>, Refusal>)>,
}

impl Control {
    pub(crate) fn new(
        writer: Writer,
        metrics: Metrics,
        complete: watch::Sender<bool>,
        sriov_settings: SriovSettings,
        without_multus: bool,
    ) -> Self {
        let mut index = Index::default();
        index.sriov_settings = sriov_settings;
        index.without_multus = without_multus;
        Self {
            index,
            writer,
            metrics,
            complete,
            jobs: JoinSet::new(),
            busy: BTreeSet::new(),
            trouble: BTreeMap::new(),
            pauses: BTreeMap::new(),
            waiting: BTreeSet::new(),
            settled: None,
        }
    }

    /// Works until no news can come any more.
    pub(crate) async fn run(mut self, mut news: mpsc::Receiver<News>, mut leading: watch::Receiver<bool>) {
        loop {
            let next = self.next_look();
            tokio::select! {
                one = news.recv() => {
                    let Some(one) = one else { return };
                    self.index.take(one);
                    while let Ok(more) = news.try_recv() {
                        self.index.take(more);
                    }
                    if self.index.is_dirty() && self.settled.is_none() {
                        self.settled = Some(Instant::now() + SETTLE);
                    }
                }
                Some(done) = self.jobs.join_next(), if !self.jobs.is_empty() => match done {
                    Ok(done) => self.take_in(done),
                    Err(error) => {
                        tracing::error!(%error, "a job ended in a bug; everything is planned anew");
                        self.busy.clear();
                        self.index.all_dirty();
                    }
                },
                () = sleep_until(next) => {}
                changed = leading.changed() => {
                    if changed.is_err() {
                        return;
                    }
                    self.index.all_dirty();
                }
            }
            let complete = self.index.is_complete();
            self.complete.send_if_modified(|known| std::mem::replace(known, complete) != complete);
            if complete && *leading.borrow() {
                self.plan();
            }
        }
    }

    /// When something must be looked at though nothing happens.
    fn next_look(&self) -> Option<Instant> {
        let retries = self.trouble.iter().filter(|(name, _)| !self.busy.contains(*name));
        let told = self.waiting.iter().filter_map(|name| self.pauses.get(name).copied());
        retries.filter_map(|(_, trouble)| trouble.retry).chain(told).chain(self.settled).min()
    }

    fn plan(&mut self) {
        let now = Instant::now();
        if self.settled.is_some_and(|at| at > now) {
            return;
        }
        let mut subjects = BTreeSet::new();
        if self.index.is_dirty() {
            subjects = self.index.take_dirty();
            subjects.insert(REST.to_owned());
        }
        self.settled = None;
        let due = self.trouble.iter().filter(|(_, trouble)| trouble.retry.is_some_and(|at| at <= now));
        subjects.extend(due.map(|(name, _)| name.clone()).collect::<Vec<_>>());
        self.pauses.retain(|_, until| *until > now);
        let (waiting, over): (BTreeSet<_>, BTreeSet<_>) =
            std::mem::take(&mut self.waiting).into_iter().partition(|name| self.pauses.contains_key(name));
        self.waiting = waiting;
        subjects.extend(over);
        for subject in subjects {
            if self.busy.contains(&subject) {
                self.index.mark(&subject);
            } else {
                self.start(subject, now);
            }
        }
        let not_ready = |network: &&crate::seen::Network| {
            !network.status.conditions.iter().any(|one| one.kind == "Ready" && one.status == "True")
        };
        self.metrics.counted(
            self.index.networks.len(),
            self.index.networks.iter().filter(not_ready).count(),
            self.index.hosts.len(),
        );
    }

    /// Plans a subject and has the plan carried out.
    fn start(&mut self, subject: String, now: Instant) {
        let waits = self.trouble.get(&subject).and_then(|trouble| trouble.retry).is_some_and(|at| at > now);
        let writes = if subject == REST {
            let rest = network::plan_rest(&self.index, &rfc3339());
            if rest.is_empty() {
                self.trouble.remove(REST);
            }
            if waits { Vec::new() } else { rest }
        } else {
            let begun = Instant::now();
            let text = rfc3339();
            let none = Failures::new();
            let failures = self.trouble.get(&subject).map_or(&none, |trouble| &trouble.failures);
            let mut plan = network::plan(&self.index, &subject, failures, &text);
            if plan.writes.is_empty() && !failures.is_empty() {
                // What went wrong is no longer wanted, or has come right by itself.
                self.trouble.remove(&subject);
                plan = network::plan(&self.index, &subject, &none, &text);
            }
            self.metrics.planned(begun.elapsed());
            // While a refused change waits for its next try, only its refusal is told.
            if waits || plan.writes.is_empty() {
                self.status_in_time(&subject, plan.status, now)
            } else {
                plan.writes
            }
        };
        if writes.is_empty() {
            return;
        }
        self.busy.insert(subject.clone());
        let writer = self.writer.clone();
        self.jobs.spawn(async move {
            let mut running: FuturesUnordered<_> = writes
                .into_iter()
                .map(|write| {
                    let writer = writer.clone();
                    async move {
                        let result = writer.write(&write).await;
                        (write, result)
                    }
                })
                .collect();
            let mut results = Vec::new();
            while let Some(result) = running.next().await {
                results.push(result);
            }
            Done { subject, results }
        });
    }

    /// The status to write now; one that comes too soon after the last waits.
    fn status_in_time(&mut self, subject: &str, status: Option<Write>, now: Instant) -> Vec<Write> {
        if status.is_some() && self.pauses.contains_key(subject) {
            self.waiting.insert(subject.to_owned());
            return Vec::new();
        }
        if status.is_some() {
            self.pauses.insert(subject.to_owned(), now + STATUS_PAUSE);
        }
        status.into_iter().collect()
    }

    /// Takes in what a job has done.
    fn take_in(&mut self, done: Done) {
        self.busy.remove(&done.subject);
        let mut failures = Failures::new();
        let mut wait: Option<Duration> = None;
        let tries = self.trouble.get(&done.subject).map_or(0, |trouble| trouble.tries);
        let only_tells =
            |write: &Write| matches!(write, Write::NetworkStatus { .. } | Write::FormerStatus { .. });
        let told = done.results.iter().any(|(write, _)| !only_tells(write));
        for (write, result) in done.results {
            match result {
                Ok(Some(news)) => self.index.take(news),
                Ok(None) => {}
                Err(refusal) => {
                    let after = self.pause(&refusal, tries);
                    wait = Some(wait.map_or(after, |known| known.max(after)));
                    failures.insert(write.key(), refusal.sentence());
                }
            }
        }
        match wait {
            Some(wait) => {
                let trouble = self.trouble.entry(done.subject.clone()).or_default();
                trouble.tries = tries.saturating_add(1);
                trouble.retry = Some(Instant::now() + wait);
                trouble.failures.append(&mut failures);
            }
            // A status that was written says nothing of the refused changes, which are still to be tried.
            None if told => {
                self.trouble.remove(&done.subject);
            }
            None => {}
        }
        // What was written is planned once more: there may be a second step, and there is a status to write. What was
        // only told, or has left nothing, is done.
        let is_gone = self.index.networks.get(&Key::cluster(&done.subject)).is_none();
        if told && (!is_gone || done.subject == REST) {
            self.index.mark(&done.subject);
        }
        if self.index.is_dirty() && self.settled.is_none() {
            self.settled = Some(Instant::now());
        }
    }

    /// How long to wait after a refusal.
    fn pause(&self, refusal: &Refusal, tries: u32) -> Duration {
        let config = self.index.config().map(|config| &config.spec);
        let given =
            |number: Option<i32>| number.and_then(|one| u64::try_from(one).ok()).filter(|one| *one > 0);
        let urgent = given(config.and_then(|config| config.urgent_reconcile_seconds)).unwrap_or(5);
        let normal = given(config.and_then(|config| config.normal_reconcile_minutes)).unwrap_or(1) * 60;
        let growing = |first: u64, most: u64| {
            Duration::from_millis(first.saturating_mul(1 << tries.min(16)).min(most.saturating_mul(1000)))
        };
        match refusal {
            Refusal::Changed(_) => growing(100, urgent),
            Refusal::Busy(after) => *after,
            Refusal::Away(_) => growing(500, urgent),
            Refusal::Refused(_) => growing(2000, normal),
            Refusal::NotLeading => Duration::from_secs(urgent),
        }
    }
}

async fn sleep_until(at: Option<Instant>) {
    match at {
        Some(at) => tokio::time::sleep_until(at.into()).await,
        None => std::future::pending().await,
    }
}

fn rfc3339() -> String {
    let now = Timestamp::now();
    Timestamp::from_second(now.as_second()).unwrap_or(now).to_string()
}
