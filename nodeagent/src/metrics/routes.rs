//! Metrics of routes to other hosts.

use std::collections::BTreeMap;

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::registry::Registry;

use super::{Metrics, Number};
use crate::routes::RouteState;

/// Counts of routes.
#[derive(Debug, Default)]
pub(super) struct RouteMetrics {
    wanted: Family<Network, Number>,
    present: Family<Network, Number>,
    put_back: Counter,
    failures: Counter,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Network {
    network: String,
}

impl RouteMetrics {
    pub(super) fn register(&self, registry: &mut Registry) {
        registry.register("host_routes_wanted", "Routes to other hosts' pods", self.wanted.clone());
        registry.register("host_routes_present", "Those of them that there are", self.present.clone());
        registry.register(
            "host_routes_put_back",
            "Times that routes or rules were put back that another program had removed",
            self.put_back.clone(),
        );
        registry.register(
            "host_routes_failures",
            "Routes and rules that the kernel refused to change",
            self.failures.clone(),
        );
    }
}

impl Metrics {
    /// The routes of each network are so.
    pub(crate) fn routes(&self, states: &BTreeMap<String, RouteState>) {
        let count = |number: usize| i64::try_from(number).unwrap_or(i64::MAX);
        for (family, of) in [
            (&self.routes.wanted, (|state| state.wanted) as fn(&RouteState) -> usize),
            (&self.routes.present, |state| state.present),
        ] {
            family.clear();
            for (network, state) in states {
                let label = Network { network: network.clone() };
                family.get_or_create(&label).set(count(of(state)));
            }
        }
    }

    /// Another program removed routes or rules.
    pub(crate) fn routes_were_taken(&self) {
        self.routes.put_back.inc();
    }

    /// So many changes of routes and rules were refused.
    pub(crate) fn routes_refused(&self, count: u64) {
        self.routes.failures.inc_by(count);
    }
}
