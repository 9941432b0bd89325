//! What every request and every answer goes through: host check, body limit, time limit, and on the way out
//! problem documents, security headers and metrics.

use std::time::Duration;

use axum::body::{Body, HttpBody};
use axum::extract::{MatchedPath, Request, State};
use axum::http::header::{ALLOW, CONNECTION, CONTENT_TYPE, ETAG, HeaderName};
use axum::http::{HeaderValue, Method, StatusCode};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use http_body_util::{BodyExt, LengthLimitError, Limited};
use openapi::{PROBLEM_MEDIA_TYPE, Problem, ProblemCode};

use super::entrance::Entrance;
use super::host;
use super::problem::{Refusal, shown};
use super::state::RestState;
use crate::inventory::published::json;

const NOSNIFF: (HeaderName, HeaderValue) =
    (HeaderName::from_static("x-content-type-options"), HeaderValue::from_static("nosniff"));

/// The whole way of a request.
pub(crate) async fn guard(State(state): State<RestState>, request: Request, next: Next) -> Response {
    let route =
        request.extensions().get::<MatchedPath>().map_or("none", |route| super::route_name(route.as_str()));
    let method = method_name(request.method());
    let uri = request.uri().clone();
    // What comes from the client has a time limit; what a handler waits for (an attach) has its own.
    let mut response = match admit(&state, request).await {
        Ok(request) => next.run(request).await,
        Err(refusal) => refusal.into_response(),
    };
    if response.status().is_client_error() || response.status().is_server_error() {
        response = written(response, uri.path());
    }
    response.headers_mut().insert(NOSNIFF.0, NOSNIFF.1);
    state.metrics.answered(route, method, response.status().as_u16());
    response
}

/// Checks a request before anybody works for it. Its body is read here, as far as the limit: those few paths that
/// take one get it whole, and for the others the connection stays usable.
async fn admit(state: &RestState, request: Request) -> Result<Request, Refusal> {
    if let Some(Entrance::Tcp(local)) = request.extensions().get::<Entrance>() {
        host::check(&request, *local, &state.settings.allowed_hosts)?;
    }
    if request.body().is_end_stream() {
        return Ok(request);
    }
    let most = state.settings.limits.body_bytes as usize;
    let too_large = || {
        let detail = format!("the body has more than {most} bytes");
        Refusal::new(ProblemCode::BodyTooLarge, detail)
    };
    if request.body().size_hint().lower() > most as u64 {
        return Err(too_large());
    }
    let (head, body) = request.into_parts();
    let wait = Duration::from_secs(u64::from(state.settings.limits.request_seconds));
    match tokio::time::timeout(wait, Limited::new(body, most).collect()).await {
        Ok(Ok(whole)) => Ok(Request::from_parts(head, Body::from(whole.to_bytes()))),
        Ok(Err(error)) if error.is::<LengthLimitError>() => Err(too_large()),
        Ok(Err(_)) => {
            Err(Refusal::new(ProblemCode::MalformedRequest, "the body is not framed as its head says"))
        }
        Err(_) => {
            let detail = format!("the body did not arrive within {} s", wait.as_secs());
            Err(Refusal::new(ProblemCode::Timeout, detail))
        }
    }
}

/// Writes the problem of a refusal; one that axum made itself gets the problem of its status.
fn written(response: Response, path: &str) -> Response {
    let status = response.status();
    let (mut head, body) = response.into_parts();
    let is_json = |value: &HeaderValue| value.as_bytes().starts_with(b"application/json");
    if head.extensions.get::<Refusal>().is_none() && head.headers.get(CONTENT_TYPE).is_some_and(is_json) {
        // `/readyz` says with 503 what is missing.
        return Response::from_parts(head, body);
    }
    let mut problem = match head.extensions.remove::<Refusal>() {
        Some(Refusal(problem)) => *problem,
        None => {
            let code = ProblemCode::ALL.into_iter().find(|code| code.status() == status.as_u16());
            Problem::new(code.unwrap_or(ProblemCode::MalformedRequest))
        }
    };
    problem.instance = Some(shown(path));
    let close = matches!(status, StatusCode::PAYLOAD_TOO_LARGE | StatusCode::REQUEST_TIMEOUT);
    let mut response = Response::new(Body::from(json(&problem)));
    *response.status_mut() = status;
    if let Some(allow) = head.headers.remove(ALLOW) {
        response.headers_mut().insert(ALLOW, allow);
    }
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(PROBLEM_MEDIA_TYPE));
    response.headers_mut().remove(ETAG);
    if close {
        // The rest of the body is still on its way.
        response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
    }
    response
}

/// A method as a label: HTTP's own by name, anything else as `other`.
fn method_name(method: &Method) -> &'static str {
    ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "CONNECT"]
        .into_iter()
        .find(|name| *name == method.as_str())
        .unwrap_or("other")
}
