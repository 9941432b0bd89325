//! Reads `/v1/events` from the raw socket.

use std::io::{BufRead, BufReader, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;

use serde_json::Value;

use super::PATIENCE;

/// An open event stream.
pub(crate) struct Events {
    reader: BufReader<UnixStream>,
    /// The `id` that came last.
    pub(crate) last_id: String,
    /// Everything read so far, for messages.
    seen: Vec<String>,
}

impl Events {
    /// Opens it; it has to be accepted. Returns once the first lines have come, so that nothing is missed.
    pub(crate) fn open(socket: &Path, query: &str, headers: &[(&str, &str)]) -> Self {
        let mut stream = UnixStream::connect(socket).expect("connect");
        stream.set_read_timeout(Some(PATIENCE)).expect("a limit");
        let mut request = format!("GET /v1/events{query} HTTP/1.1\r\nhost: localhost\r\n");
        for (name, value) in headers {
            request.push_str(&format!("{name}: {value}\r\n"));
        }
        stream.write_all(format!("{request}\r\n").as_bytes()).expect("send");
        let mut events = Self { reader: BufReader::new(stream), last_id: String::new(), seen: Vec::new() };
        let mut head = String::new();
        while !head.ends_with("\r\n\r\n") {
            assert!(events.reader.read_line(&mut head).expect("a head") > 0, "closed after {head}");
        }
        assert!(head.starts_with("HTTP/1.1 200 "), "{head}");
        assert!(head.contains("content-type: text/event-stream\r\n"), "{head}");
        while !events.line().starts_with("retry: ") {}
        events
    }

    /// The next line of the stream (chunk sizes are skipped).
    fn line(&mut self) -> String {
        let begun = std::time::Instant::now();
        loop {
            // Keep-alive comments come for ever.
            assert!(begun.elapsed() < PATIENCE, "nothing came; before came {:#?}", self.seen);
            let mut line = String::new();
            let count = self.reader.read_line(&mut line).unwrap_or_else(|error| {
                panic!("{error}; so far came {:#?}", self.seen);
            });
            assert!(count > 0, "the stream ended; so far came {:#?}", self.seen);
            let is_chunk = line.ends_with("\r\n");
            if !is_chunk && !line.starts_with(':') && line != "\n" {
                return line.trim_end().to_owned();
            }
        }
    }

    /// The next event.
    pub(crate) fn next(&mut self) -> Value {
        loop {
            let line = self.line();
            if let Some(id) = line.strip_prefix("id: ") {
                self.last_id = id.to_owned();
            }
            if let Some(data) = line.strip_prefix("data: ") {
                let event: Value = serde_json::from_str(data).expect("JSON");
                assert_eq!(event["id"], self.last_id.as_str(), "id of the event and of the stream");
                self.seen.push(data.to_owned());
                return event;
            }
        }
    }

    /// Reads on until an event fits. Every event read has to come from a notification of the kernel.
    pub(crate) fn wait_for(&mut self, what: &str, fits: impl Fn(&Value) -> bool) -> Value {
        let begun = std::time::Instant::now();
        loop {
            let event = self.next();
            assert_eq!(event["cause"], "notification", "{event}");
            if fits(&event) {
                return event;
            }
            assert!(begun.elapsed() < PATIENCE, "waited for {what}; so far came {:#?}", self.seen);
        }
    }

    /// Waits for a change of one member of a NIC.
    pub(crate) fn wait_for_change(&mut self, nic: &str, path: &str, to: &Value) -> Value {
        self.wait_for(&format!("{nic} {path} = {to}"), |event| {
            event["nic"] == nic
                && event["type"] == "nic.changed"
                && event["changes"].as_array().is_some_and(|changes| {
                    changes.iter().any(|change| change["path"] == path && change["to"] == *to)
                })
        })
    }

    /// Waits for an event of this type about a NIC.
    pub(crate) fn wait_for_type(&mut self, kind: &str, nic: &str) -> Value {
        self.wait_for(&format!("{kind} {nic}"), |event| event["type"] == kind && event["nic"] == nic)
    }

    /// Whether the stream ends without another event.
    pub(crate) fn ends(mut self) -> bool {
        loop {
            let mut line = String::new();
            match self.reader.read_line(&mut line) {
                Ok(0) => return true,
                Ok(_) if line.starts_with("data: ") => return false,
                Ok(_) => {}
                Err(_) => return false,
            }
        }
    }
}
