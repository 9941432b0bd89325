//! The driver: networks, pods, rounds, results, and everything away again.

use std::collections::BTreeMap;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, anyhow, bail};
use futures_util::StreamExt;
use futures_util::stream::iter;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;
use tokio::time::sleep;

use crate::addresses::{Test, ends, tests};
use crate::cli::{COULD_NOT_CHECK, NOT_CONNECTED, RunArguments};
use crate::cluster::{self, OwnPod};
use crate::control::ask;
use crate::measurement::{Failure, Outcome, Reason, directions};
use crate::networks::{Network, networks};
use crate::output::{progress, result};
use crate::pods::{Hosts, Pods, Ready};
use crate::protocol::{Ask, Order, PORT, Reply, Token, random};
use crate::report::{AddressReport, HostReport, NetworkReport, PairReport, Report, SAME_NODE, Verdict};
use crate::rounds::rounds;
use crate::table::table;
use crate::{lease, matrix};

/// Measurements at a time: connections of the driver.
const PARALLEL: usize = 256;

/// Checks.
pub(crate) fn run(arguments: &RunArguments) -> anyhow::Result<ExitCode> {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    runtime.block_on(Box::pin(check(arguments)))
}

/// Why the check has to end early; nothing yet: it has not.
type Stop = watch::Receiver<Option<String>>;

/// Waits until it has to end.
async fn stopped(stop: &mut Stop) -> String {
    // The sender lives as long as the check.
    match stop.wait_for(Option::is_some).await {
        Ok(why) => why.clone().unwrap_or_default(),
        Err(_) => "the check ends".to_owned(),
    }
}

fn stops(limit: u32) -> anyhow::Result<(watch::Sender<Option<String>>, Stop)> {
    let (sender, stop) = watch::channel(None);
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    let told = sender.clone();
    tokio::spawn(async move {
        let why = tokio::select! {
            _ = interrupt.recv() => "interrupted".to_owned(),
            _ = terminate.recv() => "ended by a signal".to_owned(),
            () = sleep(Duration::from_secs(limit.into())) => format!("the time of {limit} s is over (--timeout)"),
        };
        progress(&format!("{why}: printing what is known, taking away the pods"));
        told.send_replace(Some(why));
        // A second signal must not stop the clean-up: the listeners stay.
        while interrupt.recv().await.is_some() {}
    });
    Ok((sender, stop))
}

async fn check(arguments: &RunArguments) -> anyhow::Result<ExitCode> {
    let (told, mut stop) = stops(arguments.timeout)?;
    if let Some(file) = &arguments.html {
        // Now, and not when an hour was measured.
        let open = std::fs::OpenOptions::new().create(true).append(true).open(file);
        open.with_context(|| format!("--html {}: name a file that can be written", file.display()))?;
    }
    let before = async {
        let (client, own_namespace) = cluster::client(arguments.kubeconfig.as_deref()).await?;
        let seen = cluster::read(&client).await?;
        let networks = networks(&seen, &arguments.namespace, &arguments.networks, &arguments.hosts);
        let own = match &arguments.pod_name {
            Some(name) => cluster::own_pod(&client, &own_namespace, name).await?,
            None => OwnPod::default(),
        };
        let same = own_namespace == arguments.namespace;
        anyhow::Ok((
            client,
            networks.map_err(|problem| anyhow!(problem))?,
            own.image,
            own.owner.filter(|_| same),
        ))
    };
    let (client, networks, image, owner) = tokio::select! {
        read = before => read?,
        why = stopped(&mut stop) => bail!("{why}"),
    };
    if networks.is_empty() {
        bail!("there is no MultiNicNetwork: nothing to check");
    }
    let (run, secret) = (random(4)?, random(32)?);
    let own_image = || format!("localhost/multi-nic-concheck:{}", env!("CARGO_PKG_VERSION"));
    let pods = Pods {
        client: client.clone(),
        namespace: arguments.namespace.clone(),
        run: run.clone(),
        image: arguments.image.clone().or(image).unwrap_or_else(own_image),
        owner,
        token: Token::new(&secret).map_err(|problem| anyhow!(problem))?,
        secret,
        lifetime: arguments.timeout.saturating_add(300),
    };
    let term = Duration::from_secs(arguments.lease_seconds.into());
    let lost = move || _ = told.send_replace(Some("the Lease of checks was lost".to_owned()));
    let held = tokio::select! {
        held = lease::take(&client, &arguments.namespace, &run, term, lost) => held?,
        why = stopped(&mut stop) => bail!("{why}"),
    };
    let checked = Check { arguments, pods: &pods, stop }.all(&networks).await;
    pods.delete().await;
    held.release().await;
    let report = checked?;
    if arguments.json {
        result(&(serde_json::to_string_pretty(&report)? + "\n"))?;
    }
    if let Some(file) = &arguments.html {
        std::fs::write(file, matrix::page(&report)).with_context(|| format!("write {}", file.display()))?;
    }
    Ok(match report.verdict() {
        Verdict::AllConnected if !arguments.networks.is_empty() && report.leaves_one_out() => {
            progress("not every network of --network could be checked");
            ExitCode::from(COULD_NOT_CHECK)
        }
        Verdict::AllConnected => ExitCode::SUCCESS,
        Verdict::SomeFailed => ExitCode::from(NOT_CONNECTED),
        Verdict::NothingChecked => {
            progress("no network could be checked");
            ExitCode::from(COULD_NOT_CHECK)
        }
    })
}

/// One run.
struct Check<'a> {
    arguments: &'a RunArguments,
    pods: &'a Pods,
    stop: Stop,
}

/// A test with everything that its result is told by.
struct Planned {
    from: String,
    to: String,
    test: Test,
    outcome: Option<Outcome>,
}

impl Check<'_> {
    async fn all(mut self, networks: &[Network]) -> anyhow::Result<Report> {
        self.pods.delete_earlier().await.context("take away what an earlier check left")?;
        let mut report = Report {
            run: self.pods.run.clone(),
            streams: self.arguments.streams,
            seconds: self.arguments.seconds,
            ..Report::default()
        };
        for (number, network) in networks.iter().enumerate() {
            let found = match &network.not_checkable {
                Some(why) => NetworkReport {
                    name: network.name.clone(),
                    not_checkable: Some(why.clone()),
                    ..NetworkReport::default()
                },
                None => self.network(network, number).await,
            };
            if let Some(why) = &found.not_checkable {
                progress(&format!("{} is not checked: {why}", found.name));
            } else if !self.arguments.json {
                // Whoever reads may be gone; the pods have to go all the same.
                let _ = result(&table(&found));
            }
            report.networks.push(found);
        }
        report.ended = self.stop.borrow().clone();
        Ok(report)
    }

    async fn network(&mut self, network: &Network, number: usize) -> NetworkReport {
        let patience = Duration::from_secs(self.arguments.pod_timeout.into());
        let mut stop = self.stop.clone();
        let pods = async {
            let resource = cluster::resource(&self.pods.client, &self.pods.namespace, &network.name).await;
            self.pods.start(network, number, resource.as_deref(), patience).await
        };
        let hosts = tokio::select! {
            biased;
            why = stopped(&mut stop) => {
                network.hosts.iter().map(|host| (host.clone(), Err(why.clone()))).collect()
            }
            hosts = pods => hosts,
        };
        let mut planned = plan(&hosts);
        tokio::select! {
            biased;
            _ = stopped(&mut stop) => {}
            () = self.measure(network, &hosts, &mut planned) => {}
        }
        let why = self.stop.borrow().clone().unwrap_or_else(|| "nobody measured it".to_owned());
        let found = self.report(network, &hosts, planned, &why);
        failures(&found);
        self.pods.delete().await;
        found
    }

    async fn measure(&self, network: &Network, hosts: &Hosts, planned: &mut [Planned]) {
        let mut measured = Vec::new();
        for (index, test) in planned.iter_mut().enumerate() {
            match obstacle(test, hosts) {
                Some(failure) => test.outcome = Some(Outcome::Failed(failure)),
                None => measured.push(index),
            }
        }
        let ends_of = |test: &Planned| {
            test.test.from.as_ref().map(|from| ends(&test.from, from, &test.to, &test.test.to))
        };
        let ends: Vec<_> =
            measured.iter().filter_map(|index| planned.get(*index).and_then(ends_of)).collect();
        let rounds = rounds(&ends);
        let seconds = rounds.len() * usize::from(self.arguments.seconds);
        progress(&format!(
            "{}: {} tests in {} rounds, at least {seconds} s",
            network.name,
            ends.len(),
            rounds.len()
        ));
        for (number, round) in rounds.iter().enumerate() {
            let of_round: Vec<usize> =
                round.iter().filter_map(|index| measured.get(*index).copied()).collect();
            let (mut connected, mut failed) = (0, 0);
            let running: Vec<_> = of_round
                .into_iter()
                .filter_map(|index| {
                    let test = planned.get(index)?;
                    let (from, to) = (test.from.clone(), test.to.clone());
                    let wanted = test.test.clone();
                    Some(async move { (index, self.one(hosts, &from, &to, &wanted).await) })
                })
                .collect();
            let mut running = iter(running).buffer_unordered(PARALLEL);
            while let Some((index, outcome)) = running.next().await {
                match &outcome {
                    Outcome::Connected(_) => connected += 1,
                    Outcome::Failed(_) => failed += 1,
                }
                if let Some(test) = planned.get_mut(index) {
                    test.outcome = Some(outcome);
                }
            }
            progress(&format!(
                "{}: round {} of {}: {connected} connected, {failed} not",
                network.name,
                number + 1,
                rounds.len()
            ));
        }
    }

    /// One measurement.
    async fn one(&self, hosts: &Hosts, from: &str, to: &str, test: &Test) -> Outcome {
        let (Some(Ok(sender)), Some(source)) = (hosts.get(from), &test.from) else {
            return Outcome::Failed(Failure::new(Reason::NoInterface, format!("{from} cannot send")));
        };
        let Ok(control) = sender.control else {
            return Outcome::Failed(Failure::new(
                Reason::NoControl,
                format!("{from} cannot be told to measure"),
            ));
        };
        let connect = u32::from(self.arguments.connect_timeout);
        let order = Order {
            peer: (test.to.ip, PORT).into(),
            source: source.ip,
            streams: self.arguments.streams,
            seconds: self.arguments.seconds,
            patience_ms: connect * 1000,
        };
        // Connections, answers and datagrams each have their patience; the last bytes up to half a minute.
        let patience = Duration::from_secs(u64::from(self.arguments.seconds) + 10 * u64::from(connect) + 45);
        let failure = match ask(control, &self.pods.token, &Ask::Measure(order), patience).await {
            Ok(Reply::Measured { outcome }) => match *outcome {
                Outcome::Connected(measured) => return Outcome::Connected(measured),
                Outcome::Failed(failure) => failure,
            },
            Ok(other) => Failure::new(Reason::NoControl, format!("the pod on {from} answers {other:?}")),
            Err(error) => Failure::new(
                Reason::NoControl,
                format!("the pod on {from} was told to measure and did not answer: {error}"),
            ),
        };
        Outcome::Failed(self.directed(hosts, from, to, failure).await)
    }

    /// Adds which direction is at fault, as the other pod knows it.
    async fn directed(&self, hosts: &Hosts, from: &str, to: &str, mut failure: Failure) -> Failure {
        let (Some(id), Some(Ok(receiver))) = (failure.probe.clone(), hosts.get(to)) else { return failure };
        let seen = match &receiver.control {
            _ if failure.answered => Some(true),
            Ok(control) => {
                match ask(*control, &self.pods.token, &Ask::Seen { id }, Duration::from_secs(5)).await {
                    Ok(Reply::Seen { seen }) => Some(seen),
                    _ => None,
                }
            }
            Err(_) => None,
        };
        if let Some(seen) = seen {
            failure.sentence += &format!(": {}", directions(from, to, failure.answered, seen));
        }
        failure
    }

    fn report(&self, network: &Network, hosts: &Hosts, planned: Vec<Planned>, ended: &str) -> NetworkReport {
        let mut pairs: BTreeMap<(String, String), Vec<AddressReport>> = BTreeMap::new();
        for from in hosts.keys() {
            for (to, receiver) in hosts.iter().filter(|(to, _)| *to != from) {
                let mut unknown = Vec::new();
                if let Err(why) = receiver {
                    let failure = || Failure::new(Reason::NoPod, format!("no pod on {to}: {why}"));
                    let rails: Vec<&str> =
                        network.rails.iter().filter(|rail| rail.has(to)).map(|rail| &*rail.name).collect();
                    let rails = if rails.is_empty() { vec!["interface 1"] } else { rails };
                    unknown.extend(rails.into_iter().map(|rail| {
                        AddressReport::new(String::new(), rail.to_owned(), Outcome::Failed(failure()))
                    }));
                }
                pairs.insert((from.clone(), to.clone()), unknown);
            }
        }
        for Planned { from, to, test, outcome } in planned {
            let outcome = outcome.unwrap_or_else(|| {
                Outcome::Failed(Failure::new(Reason::NotMeasured, format!("not measured: {ended}")))
            });
            let address = AddressReport::new(test.to.ip.to_string(), test.to.rail, outcome);
            pairs.entry((from, to)).or_default().push(address);
        }
        NetworkReport {
            name: network.name.clone(),
            not_checkable: None,
            hosts: hosts.iter().map(|(name, state)| host(name, state)).collect(),
            pairs: pairs
                .into_iter()
                .map(|((from, to), addresses)| PairReport { from, to, addresses })
                .collect(),
            same_node: SAME_NODE.to_owned(),
        }
    }
}

fn host(name: &str, state: &Result<Ready, String>) -> HostReport {
    HostReport { name: name.to_owned(), missing: state.as_ref().err().cloned() }
}

/// Every test of every ordered pair of hosts whose receiver has a pod.
fn plan(hosts: &Hosts) -> Vec<Planned> {
    let none = Vec::new();
    let mut planned = Vec::new();
    for (from, sender) in hosts {
        for (to, receiver) in hosts.iter().filter(|(to, _)| *to != from) {
            let Ok(receiver) = receiver else { continue };
            let sender = sender.as_ref().map_or(&none, |sender| &sender.addresses);
            planned.extend(tests(sender, &receiver.addresses).into_iter().map(|test| Planned {
                from: from.clone(),
                to: to.clone(),
                test,
                outcome: None,
            }));
        }
    }
    planned
}

/// Why a test cannot be done at all.
fn obstacle(test: &Planned, hosts: &Hosts) -> Option<Failure> {
    match hosts.get(&test.from) {
        Some(Err(why)) => Some(Failure::new(Reason::NoPod, format!("no pod on {}: {why}", test.from))),
        Some(Ok(Ready { control: Err(why), .. })) => {
            Some(Failure::new(Reason::NoControl, format!("{}: {why}", test.from)))
        }
        Some(Ok(_)) if test.test.from.is_none() => Some(Failure::new(
            Reason::NoInterface,
            format!(
                "the pod on {} has no interface on {}, which {} is on",
                test.from, test.test.to.rail, test.test.to.ip
            ),
        )),
        Some(Ok(_)) => None,
        None => Some(Failure::new(Reason::NoPod, format!("no pod on {}", test.from))),
    }
}

/// Says in words what is wrong, and why hosts do not stand beside themselves.
fn failures(network: &NetworkReport) {
    for pair in &network.pairs {
        for address in &pair.addresses {
            let oddity = address.measured.as_ref().and_then(|measured| measured.warning.as_ref());
            if let Some(sentence) = address.sentence.as_ref().or(oddity) {
                let whom = if address.address.is_empty() { "" } else { " " };
                progress(&format!(
                    "{}: {} to {}{whom}{} ({}): {sentence}",
                    network.name, pair.from, pair.to, address.address, address.rail
                ));
            }
        }
    }
    progress(&format!("{}: pods of the same host: {}", network.name, network.same_node));
}
