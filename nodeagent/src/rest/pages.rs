//! `/`, `/docs` and `/openapi.json`: files that are part of the executable.

use std::sync::Arc;

use axum::body::Bytes;
use axum::extract::{Path, RawQuery};
use axum::http::header::{CONTENT_ENCODING, CONTENT_SECURITY_POLICY, CONTENT_TYPE, LOCATION};
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::response::Response;
use openapi::ProblemCode;
use utoipa_swagger_ui::Config;

use super::conditional::{answer, etag_of, fresh};
use super::nics::JSON;
use super::problem::{Answer, Refusal, shown};
use super::query::Query;
use crate::page;

/// The page may load and ask its own origin only; nobody may frame it.
const PAGE_POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; \
    connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/// Swagger UI styles elements in place.
const DOCS_POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; \
    img-src 'self' data:; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/// `GET /`.
pub(super) async fn index(headers: HeaderMap) -> Answer {
    file(&headers, "index.html")
}

/// `GET /page/{file}`.
pub(super) async fn asset(Path(name): Path<String>, headers: HeaderMap) -> Answer {
    file(&headers, &name)
}

fn file(headers: &HeaderMap, name: &str) -> Answer {
    let Some((media_type, bytes)) = page::file(name) else {
        return Err(Refusal::new(
            ProblemCode::UnknownPath,
            format!("the page has no file `{}`", shown(name)),
        ));
    };
    let mut response = answer(headers, &etag_of(bytes), media_type, || Bytes::from_static(bytes));
    response.headers_mut().insert(CONTENT_SECURITY_POLICY, HeaderValue::from_static(PAGE_POLICY));
    Ok(response)
}

/// Shows this document.
#[utoipa::path(
    get, path = "/openapi.json", operation_id = "getDocument", tag = "agent",
    responses((status = 200, description = "The OpenAPI 3.1 document.", body = Object, content_type = "application/json"))
)]
pub(super) async fn document(RawQuery(raw): RawQuery, headers: HeaderMap) -> Answer {
    Query::none(raw.as_deref())?;
    let bytes = openapi::DOCUMENT.as_bytes();
    Ok(answer(&headers, &etag_of(bytes), JSON, || Bytes::from_static(bytes)))
}

/// `GET /docs`: a folder's page has to be asked for with a slash, or its relative links are wrong.
pub(super) async fn docs_folder() -> Response {
    let mut response = fresh(StatusCode::PERMANENT_REDIRECT, "text/plain", Bytes::new());
    response.headers_mut().insert(LOCATION, HeaderValue::from_static("/docs/"));
    response
}

/// `GET /docs/`.
pub(super) async fn docs_index(headers: HeaderMap) -> Answer {
    docs_file(&headers, "index.html")
}

/// `GET /docs/{file}`.
pub(super) async fn docs_asset(Path(name): Path<String>, headers: HeaderMap) -> Answer {
    docs_file(&headers, &name)
}

fn docs_file(headers: &HeaderMap, name: &str) -> Answer {
    // No validator: the default one is a service on the internet.
    let config = Config::from("/openapi.json").validator_url("none").try_it_out_enabled(true);
    let found = utoipa_swagger_ui::serve(name, Arc::new(config)).map_err(|error| {
        tracing::error!(%error, file = name, "serve the API browser");
        Refusal::new(ProblemCode::Internal, "the API browser could not be made")
    })?;
    let Some(found) = found else {
        return Err(Refusal::new(ProblemCode::UnknownPath, format!("/docs has no file `{}`", shown(name))));
    };
    let mut response = answer(headers, &etag_of(&found.bytes), "", || found.bytes.to_vec().into());
    if response.status() == StatusCode::OK
        && let Ok(media_type) = HeaderValue::from_str(&found.content_type)
    {
        response.headers_mut().insert(CONTENT_TYPE, media_type);
        if found.gzpipped {
            response.headers_mut().insert(CONTENT_ENCODING, HeaderValue::from_static("gzip"));
        }
    }
    response.headers_mut().insert(CONTENT_SECURITY_POLICY, HeaderValue::from_static(DOCS_POLICY));
    Ok(response)
}
