//! One connection: HTTP/1.1 with limits on time and size, and a clear answer also to what is no HTTP.

use std::future::poll_fn;
use std::pin::Pin;
use std::time::Duration;

use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use openapi::ProblemCode;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::sync::watch;
use tower::ServiceExt;

use super::guarded_io::{GuardedIo, Owed, refusal};
use crate::config::Limits;
use crate::rest::Entrance;

/// How long the rest of a refused request is read and thrown away, so that the refusal is not lost to a reset.
const LINGER: Duration = Duration::from_secs(1);

/// Serves `stream` until the client leaves, breaks a limit, or the agent ends.
pub(super) async fn serve<S>(
    stream: S,
    entrance: Entrance,
    router: axum::Router,
    limits: Limits,
    mut closing: watch::Receiver<bool>,
) where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let seconds = |count: u32| Duration::from_secs(u64::from(count));
    let owed = Owed::default();
    let io = GuardedIo::new(stream, seconds(limits.write_seconds), owed.clone());
    let service = service_fn(move |mut request: hyper::Request<hyper::body::Incoming>| {
        owed.begin();
        request.extensions_mut().insert(entrance);
        router.clone().oneshot(request.map(axum::body::Body::new))
    });
    let mut connection = Box::pin(
        http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(seconds(limits.header_seconds))
            .max_buf_size(limits.header_bytes as usize)
            .max_headers(limits.header_fields as usize)
            .serve_connection(TokioIo::new(io), service),
    );
    let mut ending = false;
    let done = loop {
        tokio::select! {
            done = poll_fn(|cx| connection.as_mut().get_mut().poll_without_shutdown(cx)) => break done,
            _ = closing.wait_for(|closing| *closing), if !ending => {
                ending = true;
                Pin::as_mut(&mut connection).graceful_shutdown();
            }
        }
    };
    let mut io = (*Pin::into_inner(connection)).into_parts().io.into_inner();
    let Err(error) = done else {
        // A refused body is still under way; closing on it would reset the connection and lose the refusal.
        if ending {
            let _ = io.shutdown().await;
        } else {
            say_and_linger(&mut io, &[]).await;
        }
        return;
    };
    tracing::debug!(error = %error, "connection ended");
    let answer = match () {
        () if io.has_refused() => Vec::new(),
        () if error.is_timeout() && io.has_received() => {
            refusal(ProblemCode::Timeout, "the request's head did not arrive in time")
        }
        () if error.is_parse_too_large() => {
            refusal(ProblemCode::HeaderTooLarge, "the request's head has too many bytes or too many fields")
        }
        () if error.is_parse() => refusal(ProblemCode::MalformedRequest, "this is not an HTTP/1.1 request"),
        () => Vec::new(),
    };
    say_and_linger(&mut io, &answer).await;
}

/// Writes the last words, then reads what is still under way for a moment.
pub(super) async fn say_and_linger<S: AsyncRead + AsyncWrite + Unpin>(io: &mut S, answer: &[u8]) {
    let last = async {
        io.write_all(answer).await?;
        io.shutdown().await?;
        let mut rest = [0; 4096];
        while io.read(&mut rest).await? > 0 {}
        Ok::<(), std::io::Error>(())
    };
    // Whatever goes wrong now, the connection ends.
    let _ = tokio::time::timeout(LINGER, last).await;
}
