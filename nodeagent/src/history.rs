//! What the engine tells becomes events and metrics.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};

use attach::Event;
use attach::record::{Key, Pod};
use cni::error::code;
use openapi::{AttachmentFailure, EventType};

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
}

impl History {
    pub(crate) fn new(log: Arc<EventLog>, metrics: Arc<Metrics>, newest: Newest) -> Self {
        Self { log, metrics, newest, full: Mutex::default() }
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
            Event::Failed { key, error } => {
                self.metrics.attach_failed(error.code);
                let failure = AttachmentFailure { cni_code: error.code, message: error.msg.clone() };
                if error.code == code::NO_ADDRESS && self.full().insert(key.network.clone()) {
                    self.publish(EventType::AddressesFull, &key, None, Some(failure.clone()));
                }
                self.publish(EventType::AttachmentFailed, &key, None, Some(failure));
            }
            other => tracing::debug!(?other, "attachment"),
        }
    }

    fn publish(&self, kind: EventType, key: &Key, pod: Option<&Pod>, failure: Option<AttachmentFailure>) {
        let generation = self.newest.borrow().as_ref().map_or(0, |published| published.generation);
        self.log.publish_attachment(kind, attachment_reference(key, pod), failure, generation);
    }

    fn full(&self) -> std::sync::MutexGuard<'_, BTreeSet<String>> {
        self.full.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
