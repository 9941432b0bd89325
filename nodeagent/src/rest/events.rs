//! `/v1/events`: server-sent events with resume.

use std::collections::BTreeSet;
use std::convert::Infallible;
use std::time::Duration;

use axum::Extension;
use axum::body::{Body, Bytes};
use axum::extract::{RawQuery, State};
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE};
use axum::http::{HeaderMap, HeaderValue, Method};
use axum::response::Response;
use openapi::{Event, EventId, EventType, Problem, ProblemCode};
use tokio::sync::{OwnedSemaphorePermit, watch};

use super::entrance::Entrance;
use super::problem::{Answer, Refusal};
use super::query::Query;
use super::responses::WrongQuery;
use super::state::RestState;
use crate::inventory::events::Since;

/// Time between two comments on a quiet stream. Proxies close what is silent for a minute.
const KEEP_ALIVE: Duration = Duration::from_secs(15);

/// Events that go out in one piece.
const BATCH: usize = 64;

/// Streams events.
///
/// Server-sent events, one `Event` each. With `Last-Event-ID` or `after` it goes on behind that event; without,
/// it begins now. When events in between are gone, or the agent has been restarted, the first event is `reset`:
/// read everything again. What happens to attachments is told to those who may see them only: on loopback in
/// standalone mode, otherwise root over the Unix socket. A comment comes every 15 s on a quiet stream. A client that does not read is dropped.
#[utoipa::path(
    get, path = "/v1/events", operation_id = "streamEvents", tag = "hardware",
    params(
        ("after" = Option<String>, Query, description = "Id of the last event seen; `Last-Event-ID` says the same and wins.", example = "18c3f2a9b-17"),
        ("type" = Option<String>, Query, description = "Types of events wanted, as a comma list; all when not given. `reset` always comes.", example = "nic.added,nic.removed"),
        ("Last-Event-ID" = Option<String>, Header, description = "Id of the last event seen.", example = "18c3f2a9b-17"),
    ),
    responses(
        (status = 200, description = "The stream.", body = Event, content_type = "text/event-stream"),
        WrongQuery,
        (status = 503, description = "As many streams are open as the agent serves.", body = Problem, content_type = "application/problem+json"),
    )
)]
pub(super) async fn stream(
    State(state): State<RestState>,
    Extension(entrance): Extension<Entrance>,
    RawQuery(raw): RawQuery,
    method: Method,
    headers: HeaderMap,
) -> Answer {
    let query = Query::parse(raw.as_deref(), ["after", "type"].into_iter())?;
    let mut after = None;
    let mut wanted = BTreeSet::new();
    for (name, value) in query.iter() {
        match name {
            "after" => after = Some(event_id("after", value)?),
            _ => wanted.extend(types(value)?),
        }
    }
    if wanted.iter().any(|kind| kind.is_about_pods()) {
        entrance.must_see_pods(&state.agent)?;
    }
    let sees_pods = entrance.sees_pods(&state.agent);
    if let Some(value) = headers.get("last-event-id") {
        after = Some(event_id("Last-Event-ID", &String::from_utf8_lossy(value.as_bytes()))?);
    }
    let mut response = Response::new(Body::empty());
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("text/event-stream"));
    response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    if method == Method::HEAD {
        return Ok(response);
    }
    let permit = std::sync::Arc::clone(&state.streams).try_acquire_owned().map_err(|_| {
        let most = state.settings.limits.event_streams;
        Refusal::new(ProblemCode::TooManyStreams, format!("{most} event streams are open; close one first"))
    })?;
    let follower = Follower::new(state, permit, after, wanted, sees_pods);
    let stream = futures_util::stream::unfold(follower, |mut follower| async move {
        let piece = follower.next().await?;
        Some((Ok::<_, Infallible>(piece), follower))
    });
    *response.body_mut() = Body::from_stream(stream);
    Ok(response)
}

fn event_id(parameter: &str, text: &str) -> Result<EventId, Refusal> {
    text.parse().map_err(|_| Refusal::value(parameter, text, vec!["the id of an earlier event".to_owned()]))
}

fn types(text: &str) -> Result<Vec<EventType>, Refusal> {
    let parse = |name: &str| EventType::ALL.into_iter().find(|kind| kind.as_str() == name);
    let all = || EventType::ALL.iter().map(|kind| kind.as_str().to_owned()).collect();
    text.split(',').map(|name| parse(name).ok_or_else(|| Refusal::value("type", name, all()))).collect()
}

/// One client's place in the event log.
struct Follower {
    state: RestState,
    cursor: Option<u64>,
    newest: watch::Receiver<u64>,
    closing: watch::Receiver<bool>,
    wanted: BTreeSet<EventType>,
    sees_pods: bool,
    greeting: Option<Bytes>,
    _permit: OwnedSemaphorePermit,
}

impl Follower {
    fn new(
        state: RestState,
        permit: OwnedSemaphorePermit,
        after: Option<EventId>,
        wanted: BTreeSet<EventType>,
        sees_pods: bool,
    ) -> Self {
        let (now, newest) = state.events.subscribe();
        // `None` = an id of another run, which is answered with a reset.
        let cursor = match &after {
            Some(id) => state.events.cursor(id),
            None => Some(now),
        };
        // An id without data names the place to resume from, before the first event (HTML standard §9.2.6).
        let epoch = state.events.epoch();
        let greeting = match after {
            None => format!("retry: 1000\nid: {epoch}-{now}\n\n"),
            Some(_) => "retry: 1000\n\n".to_owned(),
        };
        state.metrics.event_streams.inc();
        let closing = state.closing.clone();
        Self {
            state,
            cursor,
            newest,
            closing,
            wanted,
            sees_pods,
            greeting: Some(greeting.into()),
            _permit: permit,
        }
    }

    /// The next piece of the stream; `None` when the agent ends.
    async fn next(&mut self) -> Option<Bytes> {
        if let Some(greeting) = self.greeting.take() {
            return Some(greeting);
        }
        loop {
            self.newest.mark_unchanged();
            let since = self.cursor.map_or(Since::Missed, |cursor| self.state.events.after(cursor, BATCH));
            match since {
                Since::Missed => {
                    let (newest, _) = self.state.events.subscribe();
                    self.cursor = Some(newest);
                    let generation =
                        self.state.newest.borrow().as_ref().map_or(0, |published| published.generation);
                    return Some(self.state.events.reset(newest, generation));
                }
                Since::Events(entries) => {
                    if let Some(last) = entries.last() {
                        self.cursor = Some(last.number);
                        let wanted = |kind: &EventType| {
                            (self.wanted.is_empty() || self.wanted.contains(kind))
                                && (self.sees_pods || !kind.is_about_pods())
                        };
                        let mut piece = Vec::new();
                        for entry in entries.iter().filter(|entry| wanted(&entry.kind)) {
                            piece.extend_from_slice(&entry.frame);
                        }
                        if !piece.is_empty() {
                            return Some(piece.into());
                        }
                        continue;
                    }
                }
            }
            if *self.closing.borrow() {
                return None;
            }
            tokio::select! {
                _ = self.newest.changed() => {}
                _ = self.closing.changed() => return None,
                () = tokio::time::sleep(KEEP_ALIVE) => return Some(Bytes::from_static(b": still here\n\n")),
            }
        }
    }
}

impl Drop for Follower {
    fn drop(&mut self) {
        self.state.metrics.event_streams.dec();
    }
}
