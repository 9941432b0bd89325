//! A client's stream with three guards: data that the client does not take in time ends the connection,
//! refusals that hyper writes by itself get a problem document, and a client that says at once that it has no
//! more to ask (`printf … | nc`) still gets its answer.

use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, Waker, ready};
use std::time::Duration;

use openapi::{PROBLEM_MEDIA_TYPE, Problem, ProblemCode};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::Sleep;

/// The stream `S`, guarded.
pub(super) struct GuardedIo<S> {
    stream: S,
    patience: Duration,
    /// Runs while the client leaves data unread.
    stalled: Option<Pin<Box<Sleep>>>,
    /// A refusal that is written instead of hyper's own.
    instead: Option<Instead>,
    received: bool,
    refused: bool,
    owed: Owed,
    /// Waits for the end of the client's data while an answer is owed.
    reader: Option<Waker>,
}

/// Whether a request was taken whose answer has not begun to go out. hyper drops such a request when it sees the end
/// of the client's data (its `half_close` would keep it, but would not notice either when a stream's client leaves).
#[derive(Debug, Clone, Default)]
pub(super) struct Owed(Arc<AtomicBool>);

impl Owed {
    /// A request was taken.
    pub(super) fn begin(&self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

struct Instead {
    bytes: Vec<u8>,
    written: usize,
    /// Length of what hyper wrote.
    original: usize,
}

impl<S> GuardedIo<S> {
    /// Guards `stream`; the client may leave data unread for `patience`. Whoever serves tells `owed` of requests.
    pub(super) fn new(stream: S, patience: Duration, owed: Owed) -> Self {
        let (stalled, instead, reader) = (None, None, None);
        Self { stream, patience, stalled, instead, received: false, refused: false, owed, reader }
    }

    /// The client has sent something.
    pub(super) fn has_received(&self) -> bool {
        self.received
    }

    /// A refusal of hyper's own has gone out.
    pub(super) fn has_refused(&self) -> bool {
        self.refused
    }
}

/// A refusal as bytes, for places where no request was understood.
pub(super) fn refusal(code: ProblemCode, detail: &str) -> Vec<u8> {
    let problem = Problem::new(code).detail(detail);
    let body = serde_json::to_string(&problem).unwrap_or_default();
    let reason = axum::http::StatusCode::from_u16(code.status())
        .ok()
        .and_then(|status| status.canonical_reason())
        .unwrap_or("Error");
    format!(
        "HTTP/1.1 {} {reason}\r\ncontent-type: {PROBLEM_MEDIA_TYPE}\r\nx-content-type-options: nosniff\r\n\
         connection: close\r\ncontent-length: {}\r\n\r\n{body}",
        code.status(),
        body.len()
    )
    .into_bytes()
}

/// The refusal to write instead of a head that hyper wrote for a request it could not parse. Ours have a
/// content type, its own have none.
fn instead_of(head: &[u8]) -> Option<Vec<u8>> {
    // Nearly every write ends here.
    if !head.starts_with(b"HTTP/1.1 4") {
        return None;
    }
    let text = std::str::from_utf8(head).ok()?;
    if text.contains("content-type") || !text.ends_with("\r\n\r\n") {
        return None;
    }
    match text.get(..12)? {
        "HTTP/1.1 400" => Some(refusal(ProblemCode::MalformedRequest, "this is not an HTTP/1.1 request")),
        "HTTP/1.1 414" => Some(refusal(ProblemCode::UriTooLong, "the request line is too long")),
        "HTTP/1.1 431" => Some(refusal(
            ProblemCode::HeaderTooLarge,
            "the request's head has too many bytes or too many fields",
        )),
        _ => None,
    }
}

impl<S: AsyncWrite + Unpin> GuardedIo<S> {
    fn poll_write_in_time(&mut self, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        match Pin::new(&mut self.stream).poll_write(cx, bytes) {
            Poll::Ready(done) => {
                self.stalled = None;
                self.owed.0.store(false, Ordering::Relaxed);
                if let Some(reader) = self.reader.take() {
                    reader.wake();
                }
                Poll::Ready(done)
            }
            Poll::Pending => self.poll_patience(cx),
        }
    }

    fn poll_patience<T>(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<T>> {
        let patience = self.patience;
        let stalled = self.stalled.get_or_insert_with(|| Box::pin(tokio::time::sleep(patience)));
        ready!(stalled.as_mut().poll(cx));
        Poll::Ready(Err(io::Error::new(io::ErrorKind::TimedOut, "the client does not read")))
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for GuardedIo<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        let done = ready!(Pin::new(&mut self.stream).poll_read(cx, buffer));
        let is_end = done.is_ok() && buffer.filled().len() == before && buffer.remaining() > 0;
        if is_end && self.owed.0.load(Ordering::Relaxed) {
            self.reader = Some(cx.waker().clone());
            return Poll::Pending;
        }
        self.received |= buffer.filled().len() > before;
        Poll::Ready(done)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for GuardedIo<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let this = &mut *self;
        if this.instead.is_none() {
            match instead_of(bytes) {
                None => return this.poll_write_in_time(cx, bytes),
                Some(refusal) => {
                    this.refused = true;
                    this.instead = Some(Instead { bytes: refusal, written: 0, original: bytes.len() });
                }
            }
        }
        // hyper offers the same bytes again until they are taken; ours go out in their place.
        while let Some(mut instead) = this.instead.take() {
            let rest = instead.bytes.get(instead.written..).unwrap_or_default();
            if rest.is_empty() {
                return Poll::Ready(Ok(instead.original));
            }
            match this.poll_write_in_time(cx, rest) {
                Poll::Ready(Ok(count)) => instead.written += count,
                Poll::Ready(Err(error)) => return Poll::Ready(Err(error)),
                Poll::Pending => {
                    this.instead = Some(instead);
                    return Poll::Pending;
                }
            }
            this.instead = Some(instead);
        }
        Poll::Ready(Ok(0))
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use super::{GuardedIo, Owed, instead_of};
    use std::time::Duration;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    #[test]
    fn only_refusals_without_a_type_are_replaced() {
        let own =
            b"HTTP/1.1 431 Request Header Fields Too Large\r\nconnection: close\r\ncontent-length: 0\r\n\r\n";
        let text = String::from_utf8(instead_of(own).unwrap()).unwrap();
        assert!(text.starts_with("HTTP/1.1 431 ") && text.contains("problem:header-too-large"), "{text}");

        for ours in [
            &b"HTTP/1.1 400 Bad Request\r\ncontent-type: application/problem+json\r\n\r\n"[..],
            b"HTTP/1.1 200 OK\r\n\r\n",
            b"HTTP/1.1 304 Not Modified\r\n\r\n",
            b"{\"text\": \"HTTP/1.1 400\"}",
            b"",
        ] {
            assert_eq!(instead_of(ours), None);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn client_that_does_not_read_is_given_up() {
        let (client, server) = tokio::io::duplex(16);
        let mut guarded = GuardedIo::new(server, Duration::from_secs(5), Owed::default());

        let error = guarded.write_all(&[0; 64]).await.unwrap_err();

        assert_eq!(error.kind(), std::io::ErrorKind::TimedOut);
        drop(client);
    }

    #[tokio::test(start_paused = true)]
    async fn client_that_reads_slowly_is_kept() {
        let (mut client, server) = tokio::io::duplex(16);
        let mut guarded = GuardedIo::new(server, Duration::from_secs(5), Owed::default());
        let reader = tokio::spawn(async move {
            let mut total = 0;
            while total < 64 {
                tokio::time::sleep(Duration::from_secs(4)).await;
                total += client.read(&mut [0; 16]).await.unwrap();
            }
        });

        guarded.write_all(&[0; 64]).await.unwrap();

        reader.await.unwrap();
    }

    #[tokio::test]
    async fn end_of_the_clients_data_waits_for_an_owed_answer() {
        let (mut client, server) = tokio::io::duplex(64);
        let owed = Owed::default();
        let mut guarded = GuardedIo::new(server, Duration::from_secs(5), owed.clone());
        client.shutdown().await.unwrap();
        owed.begin();
        let mut buffer = [0; 8];

        let early = tokio::time::timeout(Duration::from_millis(20), guarded.read(&mut buffer)).await;
        assert!(early.is_err(), "the end was seen before the answer");
        guarded.write_all(b"answer").await.unwrap();

        assert_eq!(guarded.read(&mut buffer).await.unwrap(), 0);
    }

    #[tokio::test]
    async fn replaced_refusal_arrives_whole_through_a_narrow_stream() {
        let (mut client, server) = tokio::io::duplex(7);
        let mut guarded = GuardedIo::new(server, Duration::from_secs(5), Owed::default());
        let reader = tokio::spawn(async move {
            let mut text = String::new();
            client.read_to_string(&mut text).await.unwrap();
            text
        });

        guarded.write_all(b"HTTP/1.1 400 Bad Request\r\ncontent-length: 0\r\n\r\n").await.unwrap();
        drop(guarded);

        let text = reader.await.unwrap();
        let (head, body) = text.split_once("\r\n\r\n").unwrap();
        assert!(head.contains(&format!("content-length: {}", body.len())), "{text}");
    }
}
