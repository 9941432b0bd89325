//! Conditional reads: ETag and If-None-Match (RFC 9110 §8.8.3, §13.1.2).

use axum::body::{Body, Bytes};
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE, ETAG, IF_NONE_MATCH};
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::response::Response;

/// The answer to a read: 304 without a body when the client has this state, else what `body` makes.
pub(crate) fn answer(
    headers: &HeaderMap,
    etag: &HeaderValue,
    media_type: &'static str,
    body: impl FnOnce() -> Bytes,
) -> Response {
    let mut response = if is_known(headers, etag) {
        let mut response = Response::new(Body::empty());
        *response.status_mut() = StatusCode::NOT_MODIFIED;
        response
    } else {
        let mut response = Response::new(Body::from(body()));
        response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(media_type));
        response
    };
    response.headers_mut().insert(ETAG, etag.clone());
    // A cache may keep it, but has to ask each time whether it still holds.
    response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    response
}

/// The answer to a read of something small that has no generation of its own: its content names its state.
pub(crate) fn answer_by_content<T: serde::Serialize>(headers: &HeaderMap, value: &T) -> Response {
    let body = crate::inventory::published::json(value);
    answer(headers, &etag_of(&body), super::nics::JSON, || body)
}

/// An answer that is never the same twice, and never kept.
pub(crate) fn fresh(status: StatusCode, media_type: &'static str, body: Bytes) -> Response {
    let mut response = Response::new(Body::from(body));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(media_type));
    response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

/// Whether `If-None-Match` lists the ETag. The comparison is the weak one: `W/` does not count.
fn is_known(headers: &HeaderMap, etag: &HeaderValue) -> bool {
    let known = |one: &str| one == "*" || one.strip_prefix("W/").unwrap_or(one).as_bytes() == etag.as_bytes();
    let lists = headers.get_all(IF_NONE_MATCH).iter().filter_map(|value| value.to_str().ok());
    lists.flat_map(|list| list.split(',')).any(|one| known(one.trim()))
}

/// The ETag of these bytes.
pub(crate) fn etag_of(bytes: &[u8]) -> HeaderValue {
    use std::hash::{DefaultHasher, Hash, Hasher};
    let mut hasher = DefaultHasher::new();
    bytes.hash(&mut hasher);
    HeaderValue::from_str(&format!("\"{:016x}\"", hasher.finish()))
        .unwrap_or_else(|_| HeaderValue::from_static("\"0\""))
}

#[cfg(test)]
mod tests {
    use super::is_known;
    use axum::http::header::IF_NONE_MATCH;
    use axum::http::{HeaderMap, HeaderValue};

    #[test]
    fn etag_is_found_in_any_list() {
        let etag = HeaderValue::from_static("\"a-1\"");
        for (sent, wanted) in [
            ("\"a-1\"", true),
            ("W/\"a-1\"", true),
            ("\"x\", \"a-1\"", true),
            ("*", true),
            ("\"a-2\"", false),
            ("a-1", false),
            ("", false),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert(IF_NONE_MATCH, HeaderValue::from_static(sent));
            assert_eq!(is_known(&headers, &etag), wanted, "{sent}");
        }
        assert!(!is_known(&HeaderMap::new(), &etag));
    }
}
