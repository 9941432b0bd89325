//! What the operator counts.

use std::sync::Arc;
use std::time::Duration;

use prometheus_client::encoding::{EncodeLabelSet, EncodeLabelValue};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};
use prometheus_client::registry::{Registry, Unit};

/// The metrics. Clones are the same.
#[derive(Debug, Clone)]
pub(crate) struct Metrics(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    registry: Registry,
    requests: Family<RequestLabels, Counter>,
    request_seconds: Histogram,
    watch_errors: Family<WatchLabels, Counter>,
    plan_seconds: Histogram,
    leading: Gauge,
    networks: Gauge,
    not_ready: Gauge,
    hosts: Gauge,
}

/// What a request does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, EncodeLabelValue)]
pub(crate) enum Verb {
    Apply,
    Create,
    Delete,
    Patch,
    Update,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, EncodeLabelValue)]
enum Outcome {
    Done,
    Refused,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct RequestLabels {
    verb: Verb,
    kind: &'static str,
    outcome: Outcome,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct WatchLabels {
    kind: String,
}

impl Metrics {
    pub(crate) fn new() -> Self {
        let mut registry = Registry::with_prefix("multinic_operator");
        let requests = Family::<RequestLabels, Counter>::default();
        registry.register("requests", "Changes that were asked of the API server", requests.clone());
        let request_seconds = Histogram::new(exponential_buckets(0.001, 2.0, 14));
        registry.register_with_unit(
            "request",
            "How long the API server took for a change",
            Unit::Seconds,
            request_seconds.clone(),
        );
        let watch_errors = Family::<WatchLabels, Counter>::default();
        registry.register("watch_errors", "Watches that began anew", watch_errors.clone());
        let plan_seconds = Histogram::new(exponential_buckets(0.0001, 2.0, 16));
        registry.register_with_unit(
            "plan",
            "How long the plan of a network took",
            Unit::Seconds,
            plan_seconds.clone(),
        );
        let (leading, networks, not_ready, hosts) =
            (Gauge::default(), Gauge::default(), Gauge::default(), Gauge::default());
        registry.register("leading", "1: this operator holds the Lease", leading.clone());
        registry.register("networks", "MultiNicNetworks", networks.clone());
        registry.register("networks_not_ready", "MultiNicNetworks that are not Ready", not_ready.clone());
        registry.register("hosts", "HostInterfaces", hosts.clone());
        Self(Arc::new(Inner {
            registry,
            requests,
            request_seconds,
            watch_errors,
            plan_seconds,
            leading,
            networks,
            not_ready,
            hosts,
        }))
    }

    /// A change was asked for.
    pub(crate) fn request(&self, verb: Verb, kind: &'static str, done: bool, took: Duration) {
        let outcome = if done { Outcome::Done } else { Outcome::Refused };
        self.0.requests.get_or_create(&RequestLabels { verb, kind, outcome }).inc();
        self.0.request_seconds.observe(took.as_secs_f64());
    }

    /// Counts what goes wrong with the watch of a kind.
    pub(crate) fn watch_errors(&self, kind: &str) -> Counter {
        self.0.watch_errors.get_or_create(&WatchLabels { kind: kind.to_owned() }).clone()
    }

    /// A network was planned.
    pub(crate) fn planned(&self, took: Duration) {
        self.0.plan_seconds.observe(took.as_secs_f64());
    }

    /// Whether this operator leads.
    pub(crate) fn leading(&self, leading: bool) {
        self.0.leading.set(i64::from(leading));
    }

    /// What there is.
    pub(crate) fn counted(&self, networks: usize, not_ready: usize, hosts: usize) {
        let set = |gauge: &Gauge, number: usize| gauge.set(i64::try_from(number).unwrap_or(i64::MAX));
        set(&self.0.networks, networks);
        set(&self.0.not_ready, not_ready);
        set(&self.0.hosts, hosts);
    }

    /// As Prometheus reads it.
    pub(crate) fn text(&self) -> String {
        let mut text = String::new();
        match prometheus_client::encoding::text::encode(&mut text, &self.0.registry) {
            Ok(()) => text,
            Err(error) => {
                tracing::error!(%error, "the metrics cannot be written");
                String::new()
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::time::Duration;

    use super::{Metrics, Verb};

    #[test]
    fn docs_name_every_metric_with_its_type_and_no_other() {
        let metrics = Metrics::new();
        metrics.request(Verb::Apply, "CIDR", true, Duration::from_millis(2));
        metrics.request(Verb::Apply, "CIDR", false, Duration::from_millis(2));
        metrics.watch_errors("CIDR").inc();
        let page = include_str!("../../docs/metrics.md");
        let section = page.split("\n## Operator\n").nth(1).unwrap();
        let rows = section.lines().filter_map(|line| line.strip_prefix("| `"));
        let documented: BTreeSet<String> = rows
            .map(|row| {
                let cells: Vec<&str> = row.split('|').map(str::trim).collect();
                format!("{} {}", cells[0].trim_end_matches('`'), cells[1])
            })
            .collect();

        let text = metrics.text();

        let served = text.lines().filter_map(|line| line.strip_prefix("# TYPE ").map(str::to_owned));
        assert_eq!(served.collect::<BTreeSet<_>>(), documented);
        // What an alert asks for (deploy/monitoring).
        assert!(text.contains(r#"outcome="Refused""#), "{text}");
    }
}
