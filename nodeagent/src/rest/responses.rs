//! Answers that several routes may give, as the OpenAPI document shows them.
#![expect(
    dead_code,
    reason = "the handlers build them with `conditional` and `problem`; here they are described"
)]

use openapi::Problem;
use utoipa::IntoResponses;

/// The client has it already.
#[derive(IntoResponses)]
#[response(status = 304, description = "Nothing has changed since the ETag that `If-None-Match` names.")]
pub(super) struct Unchanged;

/// The query does not fit the route.
#[derive(IntoResponses)]
#[response(
    status = 400,
    description = "An unknown parameter, or a value that is not allowed.",
    content_type = "application/problem+json"
)]
pub(super) struct WrongQuery(Problem);

/// Who holds what is not told to everyone.
#[derive(IntoResponses)]
#[response(status = 403, description = "Not over this entrance.", content_type = "application/problem+json")]
pub(super) struct NotHere(Problem);

/// Changes are taken from root over the socket.
#[derive(IntoResponses)]
#[response(
    status = 403,
    description = "Not over this entrance, or not as root.",
    content_type = "application/problem+json"
)]
pub(super) struct NotByYou(Problem);

/// The network of the path or the query.
#[derive(IntoResponses)]
#[response(
    status = 404,
    description = "This node has no such network.",
    content_type = "application/problem+json"
)]
pub(super) struct NoNetwork(Problem);

/// The attachment of the path.
#[derive(IntoResponses)]
#[response(
    status = 404,
    description = "There is no such attachment.",
    content_type = "application/problem+json"
)]
pub(super) struct NoAttachment(Problem);

/// The PF of the path.
#[derive(IntoResponses)]
#[response(
    status = 404,
    description = "No NIC has that name, or it has no SR-IOV capability.",
    content_type = "application/problem+json"
)]
pub(super) struct NoPf(Problem);

/// A MAC address may be that of several NICs.
#[derive(IntoResponses)]
#[response(
    status = 409,
    description = "Several NICs fit: `candidates` lists their ids.",
    content_type = "application/problem+json"
)]
pub(super) struct SeveralNics(Problem);

/// The first inventory is not there yet.
#[derive(IntoResponses)]
#[response(
    status = 503,
    description = "The machine has not been read yet.",
    content_type = "application/problem+json"
)]
pub(super) struct Unread(Problem);
