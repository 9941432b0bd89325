//! The pools as others are shown them.

use std::sync::Arc;

use attach::record::Attachment;
use openapi::{FieldChange, PoolCounts, PoolState};
use tokio::sync::watch;

use super::endpoint::Standing;
use super::pool::Device;
use super::selector::words;
use super::service::Served;
use crate::config::{DevicePool, PoolKind};
use crate::podresources::Holdings;
use crate::sriov::{attachment_words, holder_words};

/// The way to all pools. Without a kubelet to offer them to there are none.
#[derive(Debug, Clone, Default)]
pub(crate) struct Pools {
    /// Whether the kubelet is offered pools.
    pub(crate) enabled: bool,
    all: Vec<(Arc<Served>, watch::Receiver<Standing>)>,
    holdings: Option<watch::Receiver<Option<Arc<Holdings>>>>,
}

/// A pool as it stands.
#[derive(Debug, Clone)]
pub(crate) struct PoolView {
    pub(crate) config: Arc<DevicePool>,
    pub(crate) resource: String,
    /// What is in it, in words.
    pub(crate) selector: String,
    pub(crate) standing: Standing,
    /// The devices with who has each, in words; absent until there is a list.
    pub(crate) devices: Option<Vec<(Device, Vec<String>)>>,
}

impl PoolView {
    /// A pool of this configuration, with these devices.
    pub(crate) fn of(
        config: DevicePool,
        prefix: &str,
        standing: Standing,
        devices: Option<Vec<(Device, Vec<String>)>>,
    ) -> Self {
        let (resource, selector) = (format!("{prefix}/{}", config.name), words(&config));
        Self { config: Arc::new(config), resource, selector, standing, devices }
    }
}

impl Pools {
    /// These pools, each with how far it is.
    pub(super) fn new(
        all: Vec<(Arc<Served>, watch::Receiver<Standing>)>,
        holdings: watch::Receiver<Option<Arc<Holdings>>>,
    ) -> Self {
        Self { enabled: true, all, holdings: Some(holdings) }
    }

    /// All pools, in the order of the configuration; `attachments`: what pods have by this agent's own doing.
    pub(crate) fn views(&self, attachments: &[Arc<Attachment>]) -> Vec<PoolView> {
        let holdings = self.holdings.as_ref().and_then(|holdings| holdings.borrow().clone());
        let holdings = holdings.unwrap_or_default();
        let one = |(served, standing): &(Arc<Served>, watch::Receiver<Standing>)| {
            let list = served.list.borrow().clone();
            let named = |device: &Device| {
                let holders = holders(device, served.config.kind, &holdings, attachments);
                (device.clone(), holders)
            };
            PoolView {
                config: Arc::clone(&served.config),
                resource: served.resource.clone(),
                selector: words(&served.config),
                standing: standing.borrow().clone(),
                devices: list.map(|list| list.iter().map(named).collect()),
            }
        };
        self.all.iter().map(one).collect()
    }
}

/// Who has a device: pods, by the kubelet and by attachments. An attachment to a NIC does not say which share it is.
fn holders(
    device: &Device,
    kind: PoolKind,
    holdings: &Holdings,
    attachments: &[Arc<Attachment>],
) -> Vec<String> {
    let by_kubelet = holdings.of(&device.id).iter().map(holder_words);
    let has = |one: &&Arc<Attachment>| {
        kind == PoolKind::Vf && one.links.iter().any(|link| link.nic.as_str() == device.id)
    };
    by_kubelet.chain(attachments.iter().filter(has).map(attachment_words)).collect()
}

/// How many devices there are of which sort.
pub(crate) fn counts<'a>(devices: impl IntoIterator<Item = &'a Device>) -> PoolCounts {
    let mut counts = PoolCounts::default();
    for device in devices {
        counts.total += 1;
        counts.healthy += usize::from(device.healthy);
        counts.held += usize::from(device.held);
        counts.free += usize::from(device.healthy && !device.held);
    }
    counts
}

/// What people are told when a pool's list is another; `None`: nothing that counts. No change of a count: other devices
/// of the same number.
pub(super) fn changes(before: Option<&[Device]>, now: &[Device]) -> Option<Vec<FieldChange>> {
    let facts = |device: &Device| (device.id.clone(), device.healthy, device.held);
    if before.is_some_and(|before| before.iter().map(facts).eq(now.iter().map(facts))) {
        return None;
    }
    let (was, is) = (before.map(counts), counts(now));
    let one = |name: &str, of: fn(&PoolCounts) -> usize| {
        let (from, to) = (was.as_ref().map(of), of(&is));
        (from != Some(to)).then(|| FieldChange {
            path: format!("/counts/{name}"),
            from: from.map(Into::into),
            to: Some(to.into()),
        })
    };
    let all = [
        one("total", |counts| counts.total),
        one("healthy", |counts| counts.healthy),
        one("held", |counts| counts.held),
        one("free", |counts| counts.free),
    ];
    Some(all.into_iter().flatten().collect())
}

/// What people are told when a pool stands otherwise with the kubelet.
pub(super) fn standing_changes(before: &Standing, now: &Standing) -> Vec<FieldChange> {
    let mut changes = Vec::new();
    let text = |state: PoolState| Some(state.as_str().into());
    if before.state.shown() != now.state.shown() {
        changes.push(FieldChange {
            path: "/state".to_owned(),
            from: text(before.state.shown()),
            to: text(now.state.shown()),
        });
    }
    let message = |standing: &Standing| standing.last_error.as_ref().map(|(message, _)| message.clone());
    if message(before) != message(now) {
        changes.push(FieldChange {
            path: "/lastError/message".to_owned(),
            from: message(before).map(Into::into),
            to: message(now).map(Into::into),
        });
    }
    changes
}

#[cfg(test)]
mod tests {
    use super::{changes, counts};
    use crate::device_plugin::Device;
    use openapi::PoolCounts;
    use serde_json::json;

    fn device(id: &str, healthy: bool, held: bool) -> Device {
        Device { id: id.to_owned(), healthy, numa: None, port: String::new(), held, fault: None }
    }

    #[test]
    fn what_is_held_or_not_well_is_not_free() {
        let all = [
            device("a", true, false),
            device("b", true, true),
            device("c", false, false),
            device("d", false, true),
        ];

        assert_eq!(counts(&all), PoolCounts { total: 4, healthy: 2, held: 2, free: 1 });
    }

    #[test]
    fn only_counts_that_differ_are_told() {
        let before = [device("a", true, false), device("b", true, false)];
        let now = [device("a", true, true), device("b", true, false)];

        let told = serde_json::to_value(changes(Some(&before), &now).unwrap()).unwrap();

        assert_eq!(
            told,
            json!([
                { "path": "/counts/held", "from": 0, "to": 1 },
                { "path": "/counts/free", "from": 2, "to": 1 },
            ])
        );
        let first = serde_json::to_value(changes(None, &before[..1]).unwrap()).unwrap();
        assert_eq!(first[0], json!({ "path": "/counts/total", "to": 1 }));
        assert_eq!(changes(Some(&now), &now), None);
    }

    #[test]
    fn other_devices_of_the_same_number_are_told_without_a_count() {
        let (before, now) = ([device("a", true, false)], [device("b", true, false)]);

        assert_eq!(changes(Some(&before), &now), Some(Vec::new()));
    }
}
