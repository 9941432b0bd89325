//! Metrics of what pods are given.

use std::sync::Arc;
use std::time::Duration;

use attach::record::{Attachment, Phase};
use cni::Command;
use cni::error::code;
use openapi::AddressList;
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::Registry;

use super::{Metrics, Number};

/// Counters and times of attaches and detaches.
#[derive(Debug)]
pub(super) struct PodMetrics {
    attached: Counter,
    detached: Counter,
    failed: Family<Reason, Counter>,
    steps: Family<Step, Histogram, fn() -> Histogram>,
    calls: Family<Called, Histogram, fn() -> Histogram>,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Reason {
    reason: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Step {
    step: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Called {
    command: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Pool {
    network: String,
    block: String,
    state: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Standing {
    network: String,
    phase: &'static str,
}

/// Seconds: from one netlink message to a plugin that hangs.
fn times() -> Histogram {
    Histogram::new([
        0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0,
        10.0, 30.0,
    ])
}

impl PodMetrics {
    pub(super) fn new() -> Self {
        Self {
            attached: Counter::default(),
            detached: Counter::default(),
            failed: Family::default(),
            steps: Family::new_with_constructor(times),
            calls: Family::new_with_constructor(times),
        }
    }

    pub(super) fn register(&self, registry: &mut Registry) {
        registry.register("attaches", "Attachments that were made", self.attached.clone());
        registry.register("detaches", "Attachments that were taken away", self.detached.clone());
        registry.register(
            "attach_failures",
            "Attachments that could not be made, by reason",
            self.failed.clone(),
        );
        registry.register(
            "attach_step_duration_seconds",
            "Time that each step of a successful attach took",
            self.steps.clone(),
        );
        registry.register(
            "call_duration_seconds",
            "Time that a call of a container runtime or a tool took, failed or not, by CNI command",
            self.calls.clone(),
        );
    }
}

impl Metrics {
    /// An attachment was made; its steps with their microseconds. The engine names the steps.
    pub(crate) fn attached(&self, timings: &[(String, u64)]) {
        self.pods.attached.inc();
        for (step, micros) in timings {
            let step = self.pods.steps.get_or_create(&Step { step: step.clone() });
            step.observe(Duration::from_micros(*micros).as_secs_f64());
        }
    }

    /// An attachment was taken away.
    pub(crate) fn detached(&self) {
        self.pods.detached.inc();
    }

    /// An attachment could not be made; `code` is the CNI error code.
    pub(crate) fn attach_failed(&self, code: u32) {
        self.pods.failed.get_or_create(&Reason { reason: reason(code) }).inc();
    }

    /// A call was served.
    pub(crate) fn called(&self, command: Command, took: Duration) {
        let label = Called { command: command.as_str() };
        self.pods.calls.get_or_create(&label).observe(took.as_secs_f64());
    }
}

/// A CNI error code as a label.
fn reason(code: u32) -> &'static str {
    match code {
        code::INCOMPATIBLE_VERSION => "version",
        code::UNSUPPORTED_FIELD | code::DECODE | code::INVALID_CONFIG => "config",
        code::BAD_ENVIRONMENT => "environment",
        code::IO => "io",
        code::INVALID_NAMESPACE => "namespace",
        code::TRY_AGAIN | code::NOT_AVAILABLE | code::NOT_AVAILABLE_IMPAIRED => "tryAgain",
        code::DELEGATE => "plugin",
        code::NO_ADDRESS => "noAddress",
        code::NO_NIC => "noNic",
        code::NIC_IN_USE => "nicInUse",
        _ => "internal",
    }
}

/// What is held now. Made anew each time, so what is gone leaves no series behind.
#[derive(Debug)]
pub(crate) struct Held {
    /// The blocks of each network.
    pub(crate) addresses: AddressList,
    /// Every attachment.
    pub(crate) attachments: Vec<Arc<Attachment>>,
}

impl Default for Held {
    fn default() -> Self {
        Self { addresses: AddressList { networks: Vec::new() }, attachments: Vec::new() }
    }
}

impl Held {
    pub(super) fn register(&self, registry: &mut Registry) {
        let addresses = Family::<Pool, Number>::default();
        for network in &self.addresses.networks {
            for block in &network.blocks {
                let counts = &block.counts;
                for (state, count) in [
                    ("total", counts.total),
                    ("reserved", counts.reserved),
                    ("used", counts.used),
                    ("quarantined", counts.quarantined),
                    ("free", counts.free),
                ] {
                    let label = Pool { network: network.network.clone(), block: block.block.clone(), state };
                    addresses.get_or_create(&label).set(i64::try_from(count).unwrap_or(i64::MAX));
                }
            }
        }
        registry.register("addresses", "Addresses of a block of this node, by state", addresses);
        let attachments = Family::<Standing, Number>::default();
        for one in &self.attachments {
            let phase = match one.phase {
                Phase::Attached => "attached",
                Phase::Detaching => "detaching",
                Phase::Lost => "lost",
                _ => "attaching",
            };
            attachments.get_or_create(&Standing { network: one.key.network.clone(), phase }).inc();
        }
        registry.register("attachments", "Attachments, by network and phase", attachments);
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{Held, Metrics};
    use cni::Command;
    use cni::error::code;
    use openapi::{AddressCounts, AddressList, BlockAddresses, NetworkAddresses};

    #[test]
    fn text_shows_attaches_their_steps_failures_and_pools() {
        let metrics = Metrics::new();
        metrics.attached(&[("reserve".to_owned(), 1_480), ("wired".to_owned(), 2_210)]);
        metrics.attached(&[]);
        metrics.detached();
        metrics.attach_failed(code::NO_ADDRESS);
        metrics.called(Command::Del, Duration::from_millis(3));
        let counts = AddressCounts { total: 256, reserved: 18, used: 12, quarantined: 3, free: 223 };
        let blocks = vec![BlockAddresses { block: "192.168.0.0/24".into(), master: "m0".into(), counts }];
        let networks = vec![NetworkAddresses { network: "red".into(), totals: counts, blocks }];
        let held = Held { addresses: AddressList { networks }, ..Held::default() };

        let text = metrics.text(None, &held).unwrap();

        for line in [
            "multi_nic_attaches_total 2",
            "multi_nic_detaches_total 1",
            r#"multi_nic_attach_failures_total{reason="noAddress"} 1"#,
            r#"multi_nic_attach_step_duration_seconds_bucket{le="0.001",step="reserve"} 0"#,
            r#"multi_nic_attach_step_duration_seconds_bucket{le="0.0025",step="reserve"} 1"#,
            r#"multi_nic_call_duration_seconds_count{command="DEL"} 1"#,
            r#"multi_nic_addresses{network="red",block="192.168.0.0/24",state="free"} 223"#,
        ] {
            assert!(text.lines().any(|one| one == line), "{line} is not in\n{text}");
        }
    }
}
