//! Metrics: counters that live, and gauges that are made from the inventory when somebody asks.

mod devices;
#[cfg(test)]
mod documented;
mod pfs;
mod pods;
mod routes;

use std::sync::atomic::AtomicI64;
use std::time::Duration;

use hwprobe::{Nic, OperState, SpeedClass};
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::Registry;

use crate::inventory::published::Published;
pub(crate) use devices::{Given, Registered};
pub(crate) use pods::Held;

/// The agent's metrics. Label values are names of NICs, of routes and of enumerations, never free text.
#[derive(Debug)]
pub(crate) struct Metrics {
    requests: Family<Request, Counter>,
    /// Event streams that are open.
    pub(crate) event_streams: Gauge,
    /// Connections that are open.
    pub(crate) connections: Gauge,
    /// Connections that were turned away because there were too many.
    pub(crate) connections_refused: Counter,
    probe: Histogram,
    event_lag: Histogram,
    /// Times that the re-probe found what no notification had told.
    pub(crate) reprobe_differences: Counter,
    /// Notifications that the kernel dropped because we read too slowly.
    pub(crate) overruns: Counter,
    pods: pods::PodMetrics,
    devices: devices::DeviceMetrics,
    pfs: pfs::PfMetrics,
    routes: routes::RouteMetrics,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Request {
    route: &'static str,
    method: &'static str,
    status: u16,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Link {
    nic: String,
    name: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct LinkClass {
    nic: String,
    name: String,
    class: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct VfCount {
    nic: String,
    name: String,
    state: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Code {
    code: &'static str,
}

type Number = Gauge<i64, AtomicI64>;

impl Metrics {
    pub(crate) fn new() -> Self {
        // Seconds: from what four links cost to what a machine full of VFs and slow firmware may.
        let probe = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0];
        Self {
            requests: Family::default(),
            event_streams: Gauge::default(),
            connections: Gauge::default(),
            connections_refused: Counter::default(),
            probe: Histogram::new(probe),
            event_lag: Histogram::new(probe),
            reprobe_differences: Counter::default(),
            overruns: Counter::default(),
            pods: pods::PodMetrics::new(),
            devices: devices::DeviceMetrics::default(),
            pfs: pfs::PfMetrics::new(),
            routes: routes::RouteMetrics::default(),
        }
    }

    /// Counts an answer. `route` is the route's pattern; `method` one of HTTP's own.
    pub(crate) fn answered(&self, route: &'static str, method: &'static str, status: u16) {
        self.requests.get_or_create(&Request { route, method, status }).inc();
    }

    /// Notes how long a reading of the machine took.
    pub(crate) fn probed(&self, took: Duration) {
        self.probe.observe(took.as_secs_f64());
    }

    /// Notes how long it took from a notification to the published change.
    pub(crate) fn published(&self, after: Duration) {
        self.event_lag.observe(after.as_secs_f64());
    }

    /// Everything as OpenMetrics text.
    pub(crate) fn text(&self, published: Option<&Published>, held: &Held) -> Result<String, std::fmt::Error> {
        let mut registry = Registry::with_prefix("multi_nic");
        registry.register("http_requests", "Answers by route, method and status", self.requests.clone());
        registry.register("event_streams", "Event streams that are open", self.event_streams.clone());
        registry.register("http_connections", "Connections that are open", self.connections.clone());
        registry.register(
            "http_connections_refused",
            "Connections turned away because there were too many",
            self.connections_refused.clone(),
        );
        registry.register(
            "probe_duration_seconds",
            "Time that a reading of the machine took",
            self.probe.clone(),
        );
        registry.register(
            "event_lag_seconds",
            "Time from a notification of the kernel to the published change",
            self.event_lag.clone(),
        );
        registry.register(
            "reprobe_differences",
            "Times that the slow re-probe found what no notification had told",
            self.reprobe_differences.clone(),
        );
        registry.register(
            "notification_overruns",
            "Times that the kernel dropped notifications because they were read too slowly",
            self.overruns.clone(),
        );
        self.pods.register(&mut registry);
        self.devices.register(&mut registry);
        self.pfs.register(&mut registry);
        self.routes.register(&mut registry);
        held.register(&mut registry);
        if let Some(published) = published {
            inventory(&mut registry, published);
        }
        let mut text = String::new();
        encode(&mut text, &registry)?;
        Ok(text)
    }
}

/// Gauges of one generation. Made anew each time, so a NIC that is gone leaves no series behind.
fn inventory(registry: &mut Registry, published: &Published) {
    let generation = Number::default();
    generation.set(i64::try_from(published.generation).unwrap_or(i64::MAX));
    registry.register("inventory_generation", "Generation of the inventory", generation);

    let up = Family::<Link, Number>::default();
    let speed = Family::<Link, Number>::default();
    let class = Family::<LinkClass, Number>::default();
    let protected = Family::<Link, Number>::default();
    let held = Family::<Link, Number>::default();
    let vfs = Family::<VfCount, Number>::default();
    for nic in &published.inventory.nics {
        let link = || Link { nic: nic.id.to_string(), name: name(nic) };
        if let Some(facts) = &nic.link {
            up.get_or_create(&link()).set(i64::from(facts.oper_state == OperState::Up));
        }
        if let Some(mbps) = nic.speed.mbps {
            speed.get_or_create(&link()).set(i64::from(mbps.get()) * 1_000_000 / 8);
        }
        if nic.hardware {
            for one in SpeedClass::ALL {
                let label = LinkClass { nic: nic.id.to_string(), name: name(nic), class: one.as_str() };
                class.get_or_create(&label).set(i64::from(one == nic.speed.class));
            }
            held.get_or_create(&link()).set(i64::from(nic.held.is_some()));
        }
        protected.get_or_create(&link()).set(i64::from(nic.protected.is_some()));
        if let Some(sriov) = &nic.sriov {
            let capacity = &sriov.capacity;
            for (state, count) in [
                ("total", capacity.total),
                ("enabled", capacity.enabled),
                ("held", capacity.held),
                ("free", capacity.free),
                ("creatable", capacity.creatable),
            ] {
                let label = VfCount { nic: nic.id.to_string(), name: name(nic), state };
                vfs.get_or_create(&label).set(i64::from(count));
            }
        }
    }
    registry.register("link_up", "1 when the link is operationally up", up);
    registry.register("link_speed_bytes", "Speed in bytes a second; no series when unknown", speed);
    registry.register("link_class", "1 for the speed class that the NIC is in", class);
    registry.register("nic_protected", "1 when the NIC carries the node", protected);
    registry.register("nic_held", "1 when somebody holds the NIC", held);
    registry.register("sriov_vfs", "VFs of a PF by state", vfs);

    let warnings = Family::<Code, Number>::default();
    for warning in &published.inventory.warnings {
        warnings.get_or_create(&Code { code: warning.code.as_str() }).inc();
    }
    registry.register("warnings", "Warnings by code", warnings);
}

fn name(nic: &Nic) -> String {
    nic.name.clone().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::{Held, Metrics};
    use crate::inventory::published::Published;
    use std::time::Duration;

    #[test]
    fn text_shows_each_nic_and_each_counter() {
        let metrics = Metrics::new();
        metrics.answered("/v1/nics/{id}", "GET", 404);
        metrics.probed(Duration::from_millis(3));
        let published =
            Published::new("abc", 7, openapi::example_inventory().unwrap(), Vec::new(), &Default::default());

        let text = metrics.text(Some(&published), &Held::default()).unwrap();

        for line in [
            r#"multi_nic_http_requests_total{route="/v1/nics/{id}",method="GET",status="404"} 1"#,
            r#"multi_nic_probe_duration_seconds_bucket{le="0.005"} 1"#,
            r#"multi_nic_link_up{nic="0000:3b:00.0",name="ens1f0np0"} 1"#,
            r#"multi_nic_link_up{nic="0000:86:00.0",name="ens7"} 0"#,
            r#"multi_nic_link_speed_bytes{nic="0000:86:00.0",name="ens7"} 3125000000"#,
            r#"multi_nic_link_class{nic="0000:3b:00.0",name="ens1f0np0",class="high"} 1"#,
            r#"multi_nic_nic_protected{nic="0000:00:03.0",name="eth0"} 1"#,
            r#"multi_nic_sriov_vfs{nic="0000:3b:00.0",name="ens1f0np0",state="creatable"} 15"#,
            r#"multi_nic_warnings{code="pcieBelowPort"} 1"#,
            "multi_nic_inventory_generation 7",
        ] {
            assert!(text.lines().any(|one| one == line), "{line} is not in\n{text}");
        }
        assert!(text.ends_with("# EOF\n"));
        assert!(!text.contains(r#"link_speed_bytes{nic="0000:00:03.0""#), "unknown speed has a series");
    }
}
