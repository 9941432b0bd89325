//! What the engine tells becomes events and metrics.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};

use attach::Event;
use attach::record::{Attachment, Key, Pod};
use cni::error::code;
use openapi::{AttachmentFailure, EventCause, EventType, FieldChange};

use crate::chained::Untold;
use crate::inventory::events::EventLog;
use crate::inventory::published::Newest;
use crate::metrics::Metrics;
use crate::rest::attachment_reference;

/// Writes down what happens to attachments.
pub(crate) struct History {
    pub(crate) log: Arc<EventLog>,
    pub(crate) metrics: Arc<Metrics>,
    pub(crate) newest: Newest,
    /// Networks whose addresses have run out: told once, until one comes back.
    full: Mutex<BTreeSet<String>>,
    /// Pods whose status is to tell what they got.
    untold: Untold,
}

impl History {
    pub(crate) fn new(log: Arc<EventLog>, metrics: Arc<Metrics>, newest: Newest, untold: Untold) -> Self {
        Self { log, metrics, newest, full: Mutex::default(), untold }
    }

    /// Takes in what the engine tells.
    pub(crate) fn take(&self, event: Event) {
        match event {
            Event::Attached(attachment) => {
                self.metrics.attached(&attachment.timings);
                self.publish(EventType::AttachmentAttached, &attachment.key, attachment.pod.as_ref(), None);
            }
            Event::Detached(attachment) => {
                self.metrics.detached();
                self.full().remove(&attachment.key.network);
                self.publish(EventType::AttachmentDetached, &attachment.key, attachment.pod.as_ref(), None);
            }
            Event::Chained { pod } => self.untold.add(pod),
            Event::Failed { key, error } => {
                self.metrics.attach_failed(error.code);
                let failure = AttachmentFailure { cni_code: error.code, message: error.msg.clone() };
                if error.code == code::NO_ADDRESS && self.full().insert(key.network.clone()) {
                    self.publish(EventType::AddressesFull, &key, None, Some(failure.clone()));
                }
                self.publish(EventType::AttachmentFailed, &key, None, Some(failure));
            }
            Event::Lost(attachment) => {
                self.of_nic(EventType::AttachmentLost, &attachment, Vec::new());
            }
            Event::Narrowed { attachment, link, mtu } => {
                let was = attachment.links.iter().find(|one| one.index == link).map(|one| one.mtu);
                let change = FieldChange {
                    path: format!("/links/{link}/mtu"),
                    from: was.map(Into::into),
                    to: Some(mtu.into()),
                };
                self.of_nic(EventType::AttachmentMtu, &attachment, vec![change]);
            }
            other => tracing::debug!(?other, "attachment"),
        }
    }

    fn publish(&self, kind: EventType, key: &Key, pod: Option<&Pod>, failure: Option<AttachmentFailure>) {
        let when = (EventCause::Call, self.generation());
        self.log.publish_attachment(kind, attachment_reference(key, pod), failure, Vec::new(), when);
    }

    /// What a NIC did to an attachment: the kernel told it, nobody called.
    fn of_nic(&self, kind: EventType, attachment: &Attachment, changes: Vec<FieldChange>) {
        let about = attachment_reference(&attachment.key, attachment.pod.as_ref());
        let when = (EventCause::Notification, self.generation());
        self.log.publish_attachment(kind, about, None, changes, when);
    }

    fn generation(&self) -> u64 {
        self.newest.borrow().as_ref().map_or(0, |published| published.generation)
    }

    fn full(&self) -> std::sync::MutexGuard<'_, BTreeSet<String>> {
        self.full.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
