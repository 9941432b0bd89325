//! Errors of the API: problem details (RFC 9457), `application/problem+json`.

use serde::{Deserialize, Serialize};

/// Media type of every error answer (RFC 9457 §3).
pub const PROBLEM_MEDIA_TYPE: &str = "application/problem+json";

/// Why a request was refused. `type`, `title`, `status` and `detail` are RFC 9457's; the rest are
/// extension members that say what would have been right.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Problem {
    /// Stable name of the kind of problem: `urn:multi-nic:problem:` and the code.
    #[serde(rename = "type")]
    pub kind: String,
    /// What kind of problem this is, in words that do not change.
    pub title: String,
    /// HTTP status code of the answer.
    #[schema(minimum = 400, maximum = 599)]
    pub status: u16,
    /// What is wrong with this very request.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
    /// Path of the request.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub instance: Option<String>,
    /// The query or path parameter that is wrong.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parameter: Option<String>,
    /// The value that was sent for it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub value: Option<String>,
    /// What is allowed there.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub allowed: Vec<String>,
    /// Known names that are near what was sent, nearest first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub nearest: Vec<String>,
    /// Ids of the NICs that an ambiguous name fits.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub candidates: Vec<hwprobe::NicId>,
    /// Who holds what would go away, in words.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub holders: Vec<String>,
    /// The CNI error code, when an attach or a detach failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cni_code: Option<u32>,
}

/// Kinds of problems. Each has one status code and one title.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
pub enum ProblemCode {
    /// The request is not HTTP/1.1 as we read it.
    MalformedRequest,
    /// A query parameter that this path does not know.
    UnknownParameter,
    /// A parameter with a value that it cannot have.
    InvalidValue,
    /// The `Host` header names a host that is not ours.
    ForbiddenHost,
    /// The peer of the Unix socket is not root.
    ForbiddenPeer,
    /// No such path.
    UnknownPath,
    /// No NIC has that name, id or address.
    UnknownNic,
    /// The NIC has no SR-IOV capability.
    NoSriov,
    /// The path does not take that method.
    MethodNotAllowed,
    /// The request took too long to arrive or to answer.
    Timeout,
    /// Several NICs fit.
    AmbiguousNic,
    /// The body is too large.
    BodyTooLarge,
    /// The request line is too long.
    UriTooLong,
    /// The request's head is too large or has too many fields.
    HeaderTooLarge,
    /// Only root over the Unix socket may ask this.
    SocketOnly,
    /// A web page of another origin made the request.
    ForbiddenOrigin,
    /// No network has that name.
    UnknownNetwork,
    /// No attachment has that key.
    UnknownAttachment,
    /// Nobody gave a desired state of that PF over the API.
    NoDesiredState,
    /// No NIC or no address is left for it.
    NothingLeft,
    /// Somebody holds what would go away.
    Held,
    /// The body is not what the path takes.
    InvalidBody,
    /// The attachment cannot be made as it is described.
    InvalidAttachment,
    /// The PF cannot be what is wanted.
    ImpossibleState,
    /// A plugin of somebody else failed.
    PluginFailed,
    /// The agent has a defect; its log says more.
    Internal,
    /// The server has as many connections as it takes.
    TooManyConnections,
    /// As many event streams are open as the agent serves.
    TooManyStreams,
    /// The agent is not ready yet.
    NotReady,
}

impl ProblemCode {
    /// Every code, by status.
    pub const ALL: [Self; 29] = [
        Self::MalformedRequest,
        Self::UnknownParameter,
        Self::InvalidValue,
        Self::ForbiddenPeer,
        Self::SocketOnly,
        Self::ForbiddenOrigin,
        Self::UnknownPath,
        Self::UnknownNic,
        Self::NoSriov,
        Self::UnknownNetwork,
        Self::UnknownAttachment,
        Self::NoDesiredState,
        Self::MethodNotAllowed,
        Self::Timeout,
        Self::AmbiguousNic,
        Self::NothingLeft,
        Self::Held,
        Self::BodyTooLarge,
        Self::UriTooLong,
        Self::ForbiddenHost,
        Self::InvalidBody,
        Self::InvalidAttachment,
        Self::ImpossibleState,
        Self::HeaderTooLarge,
        Self::Internal,
        Self::PluginFailed,
        Self::TooManyConnections,
        Self::TooManyStreams,
        Self::NotReady,
    ];

    /// The code as it stands at the end of the problem's `type`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::MalformedRequest => "malformed-request",
            Self::UnknownParameter => "unknown-parameter",
            Self::InvalidValue => "invalid-value",
            Self::ForbiddenHost => "forbidden-host",
            Self::ForbiddenPeer => "forbidden-peer",
            Self::UnknownPath => "unknown-path",
            Self::UnknownNic => "unknown-nic",
            Self::NoSriov => "no-sriov",
            Self::MethodNotAllowed => "method-not-allowed",
            Self::Timeout => "timeout",
            Self::AmbiguousNic => "ambiguous-nic",
            Self::BodyTooLarge => "body-too-large",
            Self::UriTooLong => "uri-too-long",
            Self::HeaderTooLarge => "header-too-large",
            Self::SocketOnly => "socket-only",
            Self::ForbiddenOrigin => "forbidden-origin",
            Self::UnknownNetwork => "unknown-network",
            Self::UnknownAttachment => "unknown-attachment",
            Self::NoDesiredState => "no-desired-state",
            Self::NothingLeft => "nothing-left",
            Self::Held => "held",
            Self::InvalidBody => "invalid-body",
            Self::InvalidAttachment => "invalid-attachment",
            Self::ImpossibleState => "impossible-state",
            Self::PluginFailed => "plugin-failed",
            Self::Internal => "internal",
            Self::TooManyConnections => "too-many-connections",
            Self::TooManyStreams => "too-many-streams",
            Self::NotReady => "not-ready",
        }
    }

    /// HTTP status code, 400 to 599.
    pub fn status(self) -> u16 {
        match self {
            Self::MalformedRequest | Self::UnknownParameter | Self::InvalidValue => 400,
            Self::ForbiddenPeer | Self::SocketOnly | Self::ForbiddenOrigin => 403,
            Self::UnknownPath
            | Self::UnknownNic
            | Self::NoSriov
            | Self::UnknownNetwork
            | Self::UnknownAttachment
            | Self::NoDesiredState => 404,
            Self::MethodNotAllowed => 405,
            Self::Timeout => 408,
            Self::AmbiguousNic | Self::NothingLeft | Self::Held => 409,
            Self::BodyTooLarge => 413,
            Self::UriTooLong => 414,
            Self::ForbiddenHost => 421,
            Self::InvalidBody | Self::InvalidAttachment | Self::ImpossibleState => 422,
            Self::HeaderTooLarge => 431,
            Self::Internal => 500,
            Self::PluginFailed => 502,
            Self::TooManyConnections | Self::TooManyStreams | Self::NotReady => 503,
        }
    }

    /// The problem's title.
    pub fn title(self) -> &'static str {
        match self {
            Self::MalformedRequest => "The request is malformed",
            Self::UnknownParameter => "There is no such query parameter",
            Self::InvalidValue => "The value is not allowed",
            Self::ForbiddenHost => "This server does not answer for that host",
            Self::ForbiddenPeer => "The peer may not use this socket",
            Self::UnknownPath => "There is no such path",
            Self::UnknownNic => "There is no such NIC",
            Self::NoSriov => "The NIC has no SR-IOV capability",
            Self::MethodNotAllowed => "The path does not take that method",
            Self::Timeout => "The request took too long",
            Self::AmbiguousNic => "Several NICs fit",
            Self::BodyTooLarge => "The body is too large",
            Self::UriTooLong => "The request line is too long",
            Self::HeaderTooLarge => "The head of the request is too large",
            Self::SocketOnly => "Only root over the Unix socket may do that",
            Self::ForbiddenOrigin => "Web pages may not use this path",
            Self::UnknownNetwork => "There is no such network",
            Self::UnknownAttachment => "There is no such attachment",
            Self::NoDesiredState => "No desired state was given over the API",
            Self::Held => "Somebody holds what would go away",
            Self::NothingLeft => "There is no NIC or address left for it",
            Self::InvalidBody => "The body is not what this path takes",
            Self::InvalidAttachment => "The attachment cannot be made as described",
            Self::ImpossibleState => "The PF cannot be what is wanted",
            Self::PluginFailed => "A plugin failed",
            Self::Internal => "The agent failed",
            Self::TooManyConnections => "Too many connections",
            Self::TooManyStreams => "Too many event streams",
            Self::NotReady => "The agent is not ready",
        }
    }
}

/// What stands before the code in a problem's `type`.
const PREFIX: &str = "urn:multi-nic:problem:";

impl Problem {
    /// A problem of this kind, without details.
    pub fn new(code: ProblemCode) -> Self {
        Self {
            kind: format!("{PREFIX}{}", code.as_str()),
            title: code.title().to_owned(),
            status: code.status(),
            detail: None,
            instance: None,
            parameter: None,
            value: None,
            allowed: Vec::new(),
            nearest: Vec::new(),
            candidates: Vec::new(),
            holders: Vec::new(),
            cni_code: None,
        }
    }

    /// With `detail`.
    #[must_use]
    pub fn detail(mut self, detail: impl Into<String>) -> Self {
        self.detail = Some(detail.into());
        self
    }

    /// The kind of problem; `None` when a newer agent made it.
    pub fn code(&self) -> Option<ProblemCode> {
        let code = self.kind.strip_prefix(PREFIX)?;
        ProblemCode::ALL.into_iter().find(|known| known.as_str() == code)
    }
}
