//! Metrics of the devices that the kubelet is offered.

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::registry::Registry;

use super::{Metrics, Number};
use crate::device_plugin::Device;

/// Counters and sizes by resource. Resources are the configuration's.
#[derive(Debug, Default)]
pub(super) struct DeviceMetrics {
    pools: Family<PoolState, Number>,
    lists: Family<Pool, Counter>,
    registrations: Family<Registration, Counter>,
    allocations: Family<Allocation, Counter>,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Pool {
    resource: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct PoolState {
    resource: String,
    state: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Registration {
    resource: String,
    outcome: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Allocation {
    resource: String,
    outcome: &'static str,
}

/// How a registration with the kubelet went.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Registered {
    /// The kubelet watches the list.
    Watched,
    /// It did not take it.
    Failed,
    /// Another plugin serves the resource.
    Off,
}

/// How an allocation went.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Given {
    /// The pod has the devices.
    Given,
    /// One of them is not to be had any more.
    Refused,
}

impl DeviceMetrics {
    pub(super) fn register(&self, registry: &mut Registry) {
        registry.register("device_pool_devices", "Devices of a pool by state", self.pools.clone());
        registry.register("device_lists", "Lists of devices that the kubelet was sent", self.lists.clone());
        registry.register(
            "device_registrations",
            "Registrations of a pool with the kubelet, by outcome",
            self.registrations.clone(),
        );
        registry.register(
            "device_allocations",
            "Requests of the kubelet for devices, by outcome",
            self.allocations.clone(),
        );
    }
}

impl Metrics {
    /// The devices of a pool are these now.
    pub(crate) fn device_pool(&self, resource: &str, devices: &[Device]) {
        let count = |fits: &dyn Fn(&Device) -> bool| devices.iter().filter(|device| fits(device)).count();
        for (state, count) in [
            ("healthy", count(&|device| device.healthy)),
            ("unhealthy", count(&|device| !device.healthy)),
            ("held", count(&|device| device.held)),
        ] {
            let gauge = self.devices.pools.get_or_create(&PoolState { resource: resource.to_owned(), state });
            gauge.set(i64::try_from(count).unwrap_or(i64::MAX));
        }
    }

    /// The kubelet was sent a list.
    pub(crate) fn device_list_sent(&self, resource: &str) {
        self.devices.lists.get_or_create(&Pool { resource: resource.to_owned() }).inc();
    }

    /// A registration ended so.
    pub(crate) fn registered(&self, resource: &str, outcome: Registered) {
        let outcome = match outcome {
            Registered::Watched => "registered",
            Registered::Failed => "failed",
            Registered::Off => "off",
        };
        let label = Registration { resource: resource.to_owned(), outcome };
        self.devices.registrations.get_or_create(&label).inc();
    }

    /// The kubelet asked for devices.
    pub(crate) fn devices_allocated(&self, resource: &str, outcome: Given) {
        let outcome = match outcome {
            Given::Given => "given",
            Given::Refused => "refused",
        };
        let label = Allocation { resource: resource.to_owned(), outcome };
        self.devices.allocations.get_or_create(&label).inc();
    }
}

#[cfg(test)]
mod tests {
    use super::{Given, Metrics, Registered};
    use crate::metrics::Held;

    #[test]
    fn text_shows_each_resource() {
        let metrics = Metrics::new();
        metrics.registered("x/vfs", Registered::Watched);
        metrics.devices_allocated("x/vfs", Given::Refused);
        metrics.device_list_sent("x/vfs");
        metrics.device_pool("x/vfs", &[]);

        let text = metrics.text(None, &Held::default()).unwrap();

        for line in [
            r#"multi_nic_device_registrations_total{resource="x/vfs",outcome="registered"} 1"#,
            r#"multi_nic_device_allocations_total{resource="x/vfs",outcome="refused"} 1"#,
            r#"multi_nic_device_lists_total{resource="x/vfs"} 1"#,
            r#"multi_nic_device_pool_devices{resource="x/vfs",state="healthy"} 0"#,
        ] {
            assert!(text.lines().any(|one| one == line), "{line} is not in\n{text}");
        }
    }
}
