//! The event log: the last events of this run, each already written as a server-sent event.
//!
//! There is one ring for all clients and each client keeps a cursor into it. A client that lags costs nothing
//! but its socket; when the ring has gone past its cursor it is told to read everything again.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::SystemTime;

use axum::body::Bytes;
use openapi::{AttachmentFailure, AttachmentRef, Event, EventCause, EventId, EventType, FieldChange};
use tokio::sync::watch;

use super::diff::Difference;
use crate::clock::rfc3339;

/// Events that are kept.
pub(crate) const CAPACITY: usize = 1024;

/// The events of this run.
#[derive(Debug)]
pub(crate) struct EventLog {
    epoch: String,
    ring: Mutex<Ring>,
    newest: watch::Sender<u64>,
}

#[derive(Debug, Default)]
struct Ring {
    entries: VecDeque<Entry>,
    newest: u64,
}

/// One event, written out.
#[derive(Debug, Clone)]
pub(crate) struct Entry {
    /// Number within the run, from 1.
    pub(crate) number: u64,
    /// Its type, for filters.
    pub(crate) kind: EventType,
    /// The event as it goes onto the stream, blank line and all.
    pub(crate) frame: Bytes,
}

/// What comes after a cursor.
#[derive(Debug)]
pub(crate) enum Since {
    /// The events after it, oldest first; none when it is the newest.
    Events(Vec<Entry>),
    /// Some are gone, or the cursor is not of this run.
    Missed,
}

impl EventLog {
    /// An empty log of the run `epoch`.
    pub(crate) fn new(epoch: String) -> Self {
        Self { epoch, ring: Mutex::new(Ring::default()), newest: watch::Sender::new(0) }
    }

    /// Names this run.
    pub(crate) fn epoch(&self) -> &str {
        &self.epoch
    }

    /// Appends `differences` and wakes every stream.
    pub(crate) fn publish(&self, differences: Vec<Difference>, cause: EventCause, generation: u64) {
        self.append(differences.into_iter().map(|difference| (difference, None, None)), cause, generation);
    }

    /// Appends what happened to an attachment and wakes every stream.
    pub(crate) fn publish_attachment(
        &self,
        kind: EventType,
        attachment: AttachmentRef,
        failure: Option<AttachmentFailure>,
        changes: Vec<FieldChange>,
        (cause, generation): (EventCause, u64),
    ) {
        let difference = Difference { changes, ..Difference::new(kind) };
        self.append([(difference, Some(attachment), failure)], cause, generation);
    }

    fn append(
        &self,
        all: impl IntoIterator<Item = (Difference, Option<AttachmentRef>, Option<AttachmentFailure>)>,
        cause: EventCause,
        generation: u64,
    ) {
        let mut all = all.into_iter().peekable();
        if all.peek().is_none() {
            return;
        }
        let time = rfc3339(SystemTime::now());
        let mut ring = self.ring();
        for (difference, attachment, failure) in all {
            let Difference { kind, nic, name, gpu, pool, changes, warning } = difference;
            let id = EventId::new(&self.epoch, ring.newest + 1);
            let time = time.clone();
            ring.push(&Event {
                id,
                kind,
                time,
                generation,
                cause,
                nic,
                name,
                gpu,
                pool,
                changes,
                warning,
                attachment,
                failure,
            });
        }
        let newest = ring.newest;
        drop(ring);
        self.newest.send_replace(newest);
    }

    /// Number of the newest event, and a receiver that wakes when there is a newer one.
    pub(crate) fn subscribe(&self) -> (u64, watch::Receiver<u64>) {
        let receiver = self.newest.subscribe();
        (self.ring().newest, receiver)
    }

    /// At most `most` events after number `cursor`.
    pub(crate) fn after(&self, cursor: u64, most: usize) -> Since {
        let ring = self.ring();
        let oldest = ring.newest - ring.entries.len() as u64;
        match cursor.checked_sub(oldest) {
            Some(skip) if cursor <= ring.newest => {
                Since::Events(ring.entries.iter().skip(skip as usize).take(most).cloned().collect())
            }
            _ => Since::Missed,
        }
    }

    /// The cursor that an id names, when it is of this run.
    pub(crate) fn cursor(&self, id: &EventId) -> Option<u64> {
        (id.epoch() == self.epoch).then_some(id.number())
    }

    /// The event that tells a client to read everything again, with the id of the newest event.
    pub(crate) fn reset(&self, newest: u64, generation: u64) -> Bytes {
        let event = Event {
            id: EventId::new(&self.epoch, newest),
            kind: EventType::Reset,
            time: rfc3339(SystemTime::now()),
            generation,
            cause: EventCause::Agent,
            nic: None,
            name: None,
            gpu: None,
            pool: None,
            changes: Vec::new(),
            warning: None,
            attachment: None,
            failure: None,
        };
        frame(&event)
    }

    fn ring(&self) -> MutexGuard<'_, Ring> {
        // Nothing between lock and unlock leaves the ring half-written.
        self.ring.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Ring {
    fn push(&mut self, event: &Event) {
        self.newest = event.id.number();
        if self.entries.len() == CAPACITY {
            self.entries.pop_front();
        }
        self.entries.push_back(Entry { number: self.newest, kind: event.kind, frame: frame(event) });
    }
}

fn frame(event: &Event) -> Bytes {
    // JSON has no raw line breaks, so one `data` line holds it.
    let data = serde_json::to_string(event).unwrap_or_default();
    Bytes::from(format!("id: {}\nevent: {}\ndata: {data}\n\n", event.id, event.kind))
}

/// The log as the cache and the streams share it.
pub(crate) type SharedLog = Arc<EventLog>;

#[cfg(test)]
mod tests {
    use super::{CAPACITY, EventLog, Since};
    use crate::inventory::diff::differences;
    use openapi::{EventCause, EventId, example_inventory};

    fn log_with(count: usize) -> EventLog {
        let log = EventLog::new("abc".to_owned());
        let all = differences(None, &example_inventory().unwrap());
        for index in 0..count {
            log.publish(vec![all[index % all.len()].clone()], EventCause::Start, 1);
        }
        log
    }

    fn numbers(since: Since) -> Option<Vec<u64>> {
        match since {
            Since::Events(entries) => Some(entries.iter().map(|entry| entry.number).collect()),
            Since::Missed => None,
        }
    }

    #[test]
    fn events_after_a_cursor_come_in_order_and_in_pieces() {
        let log = log_with(5);

        assert_eq!(numbers(log.after(0, 64)), Some(vec![1, 2, 3, 4, 5]));
        assert_eq!(numbers(log.after(2, 2)), Some(vec![3, 4]));
        assert_eq!(numbers(log.after(5, 64)), Some(vec![]));
    }

    #[test]
    fn cursor_that_the_ring_has_passed_or_never_reached_is_missed() {
        let log = log_with(CAPACITY + 3);

        assert_eq!(numbers(log.after(2, 1)), None);
        assert_eq!(numbers(log.after(3, 1)), Some(vec![4]));
        assert_eq!(numbers(log.after(CAPACITY as u64 + 4, 1)), None);
    }

    #[test]
    fn id_of_another_run_is_no_cursor() {
        let log = log_with(1);

        assert_eq!(log.cursor(&EventId::new("abc", 1)), Some(1));
        assert_eq!(log.cursor(&EventId::new("abd", 1)), None);
    }

    #[test]
    fn frame_holds_id_type_and_one_line_of_data() {
        let log = log_with(1);

        let Since::Events(entries) = log.after(0, 1) else { panic!("missed") };
        let text = String::from_utf8(entries[0].frame.to_vec()).unwrap();
        assert!(text.starts_with("id: abc-1\nevent: nic.added\ndata: {"), "{text}");
        assert!(text.ends_with("}\n\n"), "{text}");
        assert_eq!(text.matches('\n').count(), 4);
    }
}
