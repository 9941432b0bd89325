//! The event stream: server-sent events read into [`Event`]s, resumed after a break.

use std::time::Duration;

use http_body_util::BodyExt;
use hyper::StatusCode;
use hyper::body::Incoming;
use hyper::header::{ACCEPT, HeaderName, HeaderValue};

use super::connection::{Ask, Transport};
use super::{ClientError, parse, refusal, with_query};
use crate::{Event, EventId};

/// Longest wait between two attempts to connect again.
const LONGEST_PAUSE: Duration = Duration::from_secs(10);

/// An open stream of events. Ends only with an error that trying again does not mend.
#[derive(Debug)]
pub struct EventStream {
    transport: Transport,
    path: String,
    last: Option<EventId>,
    body: Option<Incoming>,
    reader: SseReader,
}

impl EventStream {
    pub(super) async fn open(
        transport: Transport,
        after: Option<EventId>,
        types: String,
    ) -> Result<Self, ClientError> {
        let query = if types.is_empty() { String::new() } else { format!("type={types}") };
        let path = with_query("/v1/events", &query);
        let mut stream = Self { transport, path, last: after, body: None, reader: SseReader::default() };
        stream.connect().await?;
        Ok(stream)
    }

    /// Id of the newest event read so far.
    pub fn last_event_id(&self) -> Option<&EventId> {
        self.last.as_ref()
    }

    /// The next event. Waits for it, also across restarts of the agent.
    ///
    /// # Errors
    /// When the agent refuses the stream, or sends what the contract does not have.
    pub async fn next(&mut self) -> Result<Event, ClientError> {
        let mut pause = Duration::from_millis(50);
        loop {
            while let Some(message) = self.reader.take() {
                if let Some(id) = &message.id {
                    self.last = id.parse().ok().or(self.last.take());
                }
                if !message.data.is_empty() {
                    return parse(&self.path, message.data.as_bytes());
                }
            }
            let Some(body) = &mut self.body else {
                match self.connect().await {
                    Ok(()) => pause = Duration::from_millis(50),
                    Err(ClientError::Connect { .. } | ClientError::Transport { .. }) => {
                        tokio::time::sleep(pause).await;
                        pause = (pause * 2).min(LONGEST_PAUSE);
                    }
                    Err(refused) => return Err(refused),
                }
                continue;
            };
            match body.frame().await {
                Some(Ok(frame)) => {
                    if let Some(data) = frame.data_ref() {
                        self.reader.push(data);
                    }
                }
                Some(Err(_)) | None => {
                    self.body = None;
                    self.reader = SseReader::default();
                }
            }
        }
    }

    async fn connect(&mut self) -> Result<(), ClientError> {
        let mut headers = vec![(ACCEPT, HeaderValue::from_static("text/event-stream"))];
        if let Some(value) = self.last.as_ref().and_then(|id| HeaderValue::from_str(&id.to_string()).ok()) {
            headers.push((HeaderName::from_static("last-event-id"), value));
        }
        let mut sender = self.transport.connect().await?;
        let sent = sender.send_request(self.transport.request(&Ask::get(&self.path, headers))?).await;
        let response = sent.map_err(|source| self.transport.broken(&self.path, source))?;
        if response.status() != StatusCode::OK {
            let status = response.status();
            let body = response.into_body().collect().await;
            let body = body.map_err(|source| self.transport.broken(&self.path, source))?;
            return Err(refusal(&self.path, status, &body.to_bytes()));
        }
        self.body = Some(response.into_body());
        Ok(())
    }
}

/// One server-sent event.
#[derive(Debug, Default, PartialEq, Eq)]
struct Message {
    id: Option<String>,
    data: String,
}

/// Splits a byte stream into events (HTML standard, §9.2.6 "Interpreting an event stream").
#[derive(Debug, Default)]
struct SseReader {
    buffer: Vec<u8>,
}

impl SseReader {
    fn push(&mut self, bytes: &[u8]) {
        self.buffer.extend_from_slice(bytes);
    }

    /// The next whole event, when its closing blank line has arrived.
    fn take(&mut self) -> Option<Message> {
        let end = self.buffer.windows(2).position(|pair| pair == b"\n\n")?;
        let block: Vec<u8> = self.buffer.drain(..end + 2).collect();
        let mut message = Message::default();
        for line in String::from_utf8_lossy(&block).lines() {
            match line.split_once(':').map(|(field, value)| (field, value.strip_prefix(' ').unwrap_or(value)))
            {
                Some(("id", value)) => message.id = Some(value.to_owned()),
                Some(("data", value)) => {
                    if !message.data.is_empty() {
                        message.data.push('\n');
                    }
                    message.data.push_str(value);
                }
                _ => {}
            }
        }
        Some(message)
    }
}

#[cfg(test)]
mod tests {
    use super::{Message, SseReader};

    #[test]
    fn events_that_arrive_in_pieces_are_put_together() {
        let mut reader = SseReader::default();

        reader.push(b": keep-alive\n\nid: a-1\nevent: nic.ad");
        assert_eq!(reader.take(), Some(Message::default()));
        assert_eq!(reader.take(), None);
        reader.push(b"ded\ndata: {\"a\":\ndata: 1}\n\nid: a-2\n");

        let wanted = Message { id: Some("a-1".to_owned()), data: "{\"a\":\n1}".to_owned() };
        assert_eq!(reader.take(), Some(wanted));
        assert_eq!(reader.take(), None);
    }
}
