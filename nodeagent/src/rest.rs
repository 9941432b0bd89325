//! The REST API.

mod attachment_changes;
mod attachments;
mod body;
mod classes;
mod conditional;
mod document;
mod entrance;
mod events;
mod fields;
mod host;
mod layer;
mod legacy;
mod networks;
mod nic_filter;
mod nics;
mod overview;
mod pages;
mod pf_changes;
mod pfs;
mod pools;
mod probes;
mod problem;
mod query;
mod responses;
mod selection;
mod state;

pub(crate) use attachments::reference as attachment_reference;
pub(crate) use entrance::Entrance;
pub(crate) use host::is_host;
pub(crate) use state::{RestState, Shared};

use axum::extract::MatchedPath;
use axum::http::Uri;
use axum::routing::get;
use openapi::{Problem, ProblemCode};
use utoipa::OpenApi;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use problem::{Refusal, shown};

#[derive(OpenApi)]
#[openapi(
    info(
        title = "Multi-NIC node agent",
        description = "What NICs a node has, how fast each is and how we know, and what SR-IOV capacity is left; what pods have of it. Whatever changes something is taken from root over the Unix socket only. Every answer about hardware has an ETag; every error is a problem document (RFC 9457).",
        license(name = "Apache-2.0", identifier = "Apache-2.0"),
    ),
    servers((url = "/", description = "The agent that serves this document")),
    tags(
        (name = "hardware", description = "The machine's NICs and what is near them"),
        (name = "pods", description = "Networks, and what pods have of them"),
        (name = "agent", description = "The agent itself"),
    )
)]
struct Document;

/// Every route with its part of the document.
fn routes() -> OpenApiRouter<RestState> {
    OpenApiRouter::with_openapi(Document::openapi())
        .routes(routes!(overview::node))
        .routes(routes!(nics::list))
        .routes(routes!(nics::show))
        .routes(routes!(nics::vfs))
        .routes(routes!(overview::sriov))
        .routes(routes!(pfs::list))
        .routes(routes!(pfs::show, pf_changes::want, pf_changes::forget))
        .routes(routes!(pfs::vfs))
        .routes(routes!(pools::list))
        .routes(routes!(overview::topology))
        .routes(routes!(classes::list))
        .routes(routes!(overview::warnings))
        .routes(routes!(overview::inventory))
        .routes(routes!(networks::list))
        .routes(routes!(networks::show))
        .routes(routes!(networks::addresses))
        .routes(routes!(attachments::list, attachment_changes::create))
        .routes(routes!(attachments::show, attachment_changes::remove))
        .routes(routes!(selection::dry_run))
        .routes(routes!(events::stream))
        .routes(routes!(probes::live))
        .routes(routes!(probes::ready))
        .routes(routes!(probes::metrics))
        .routes(routes!(pages::document))
        .route("/", get(pages::index))
        .route("/page/{file}", get(pages::asset))
        .route("/docs", get(pages::docs_folder))
        .route("/docs/", get(pages::docs_index))
        .route("/docs/{file}", get(pages::docs_asset))
}

/// Paths that a mistyped one may have meant.
const PATHS: &[&str] = &[
    "/",
    "/docs/",
    "/livez",
    "/metrics",
    "/openapi.json",
    "/readyz",
    "/v1/addresses",
    "/v1/attachments",
    "/v1/attachments/{network}/{container}/{ifname}",
    "/v1/classes",
    "/v1/events",
    "/v1/inventory",
    "/v1/networks",
    "/v1/networks/{name}",
    "/v1/nics",
    "/v1/nics/{id}",
    "/v1/nics/{id}/vfs",
    "/v1/node",
    "/v1/pools",
    "/v1/select",
    "/v1/sriov",
    "/v1/sriov/pfs",
    "/v1/sriov/pfs/{id}",
    "/v1/sriov/pfs/{id}/vfs",
    "/v1/topology",
    "/v1/warnings",
];

/// The route's pattern as it stands here, for labels that live as long as the program.
fn route_name(pattern: &str) -> &'static str {
    PATHS.iter().chain(legacy::PATHS).find(|known| **known == pattern).copied().unwrap_or("files")
}

/// The whole API as a service.
pub(crate) fn router(state: RestState) -> axum::Router {
    let (mut router, _) = routes().split_for_parts();
    if state.legacy_api {
        router = router.merge(legacy::routes());
    }
    router
        .fallback(unknown_path)
        .method_not_allowed_fallback(wrong_method)
        .layer(axum::middleware::from_fn_with_state(state.clone(), layer::guard))
        .with_state(state)
}

/// The OpenAPI document, as it is to be checked in.
///
/// # Errors
/// When the example inventory no longer fits the model.
pub fn openapi_document() -> Result<String, serde_json::Error> {
    document::complete(&routes().into_openapi())
}

async fn unknown_path(uri: Uri) -> Refusal {
    let mut problem = Problem::new(ProblemCode::UnknownPath)
        .detail(format!("this API has no path `{}`", shown(uri.path())));
    let near = crate::nearest::nearest(uri.path(), PATHS.iter().copied());
    problem.nearest = near.into_iter().map(str::to_owned).collect();
    problem.allowed = PATHS.iter().map(|path| (*path).to_owned()).collect();
    Refusal(Box::new(problem))
}

async fn wrong_method(path: Option<MatchedPath>, uri: Uri, method: axum::http::Method) -> Refusal {
    let detail = format!("`{}` does not take {}", shown(uri.path()), shown(method.as_str()));
    let mut problem = Problem::new(ProblemCode::MethodNotAllowed).detail(detail);
    // axum's `Allow` says the same, but only after this.
    let allowed: &[&str] = match path.as_ref().map(MatchedPath::as_str) {
        Some("/v1/select") => &["POST"],
        Some("/v1/attachments") => &["GET", "HEAD", "POST"],
        Some("/v1/attachments/{network}/{container}/{ifname}") => &["GET", "HEAD", "DELETE"],
        Some("/v1/sriov/pfs/{id}") => &["GET", "HEAD", "POST", "DELETE"],
        Some(path) if legacy::PATHS.contains(&path) => &["POST"],
        _ => &["GET", "HEAD"],
    };
    problem.allowed = allowed.iter().map(|method| (*method).to_owned()).collect();
    Refusal(Box::new(problem))
}
