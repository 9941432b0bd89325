//! Metrics of PFs on their way to what is wanted of them.

use std::time::Duration;

use openapi::PfState;
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::Registry;

use super::{Metrics, Number};
use crate::sriov::View;

/// Counts of PFs, and times of changes.
#[derive(Debug)]
pub(super) struct PfMetrics {
    states: Family<State, Number>,
    desired: Family<Pf, Number>,
    changes: Family<Change, Histogram, fn() -> Histogram>,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct State {
    state: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Pf {
    nic: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Change {
    outcome: &'static str,
}

/// Seconds: from a look that finds all right to firmware that makes hundreds of VFs.
fn times() -> Histogram {
    Histogram::new([0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0])
}

impl PfMetrics {
    pub(super) fn new() -> Self {
        Self {
            states: Family::default(),
            desired: Family::default(),
            changes: Family::new_with_constructor(times),
        }
    }

    pub(super) fn register(&self, registry: &mut Registry) {
        registry.register(
            "sriov_pfs",
            "PFs by how far they are on the way to what is wanted",
            self.states.clone(),
        );
        registry.register("sriov_desired_vfs", "VFs that are wanted of a PF", self.desired.clone());
        registry.register(
            "sriov_change_duration_seconds",
            "Time that a change of a PF took, by outcome",
            self.changes.clone(),
        );
    }
}

impl Metrics {
    /// The PFs are these now.
    pub(crate) fn pfs(&self, view: &View) {
        for state in PfState::ALL {
            let count = view.pfs.iter().filter(|status| status.state == state).count();
            let gauge = self.pfs.states.get_or_create(&State { state: state.as_str() });
            gauge.set(i64::try_from(count).unwrap_or(i64::MAX));
        }
        self.pfs.desired.clear();
        for status in &view.pfs {
            let Some(wish) = &status.wish else { continue };
            let gauge = self.pfs.desired.get_or_create(&Pf { nic: status.pf.nic.to_string() });
            gauge.set(wish.desired.count.into());
        }
    }

    /// A PF was changed, or it was tried.
    pub(crate) fn pf_changed(&self, complete: bool, took: Duration) {
        let outcome = if complete { "complete" } else { "incomplete" };
        self.pfs.changes.get_or_create(&Change { outcome }).observe(took.as_secs_f64());
    }
}
