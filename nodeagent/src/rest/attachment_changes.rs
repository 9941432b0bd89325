//! Attaching and detaching over the API: what the CNI executables do, for tools. Root over the Unix socket only.

use attach::record::{Key, Tool};
use axum::Extension;
use axum::body::{Body, Bytes};
use axum::extract::{Path, RawQuery, State};
use axum::http::header::LOCATION;
use axum::http::{HeaderValue, StatusCode};
use axum::response::Response;
use cni::error::code;
use cni::protocol::{Call, PROTOCOL, Tool as CallTool};
use cni::{Command, Environment, Error};
use openapi::{Attachment, AttachmentRequest, Problem, ProblemCode};
use serde_json::Value;

use super::attachments::{Named, attachment, find};
use super::body::{read, wrong};
use super::conditional::fresh;
use super::entrance::Entrance;
use super::nics::JSON;
use super::problem::{Answer, Refusal};
use super::query::Query;
use super::responses::{NoAttachment, NotByYou};
use super::state::RestState;
use crate::calls::{Calls, open_netns};
use crate::inventory::published::json as written;

/// Attaches a container.
///
/// The same as the ADD of a container runtime, in one transaction: all of it or nothing. The same request again is
/// answered with what is there. Plugins of others cannot be run, since no executable is there to run them. A
/// container runtime that collects garbage (GC) of the same network takes away what it does not know. For root over
/// the Unix socket only.
#[utoipa::path(
    post, path = "/v1/attachments", operation_id = "attach", tag = "pods",
    request_body(content = AttachmentRequest, description = "What a container runtime tells a CNI plugin."),
    responses(
        (status = 201, description = "Attached.", body = Attachment, headers(("Location" = String, description = "Path of the attachment."))),
        (status = 200, description = "It was attached already, in the same way.", body = Attachment),
        NotByYou,
        (status = 404, description = "There is no such network, and the request has no configuration.", body = Problem, content_type = "application/problem+json"),
        (status = 409, description = "No NIC or no address is left.", body = Problem, content_type = "application/problem+json"),
        (status = 422, description = "The body is no such request, or cannot be attached as it is.", body = Problem, content_type = "application/problem+json"),
        (status = 502, description = "A plugin of somebody else failed.", body = Problem, content_type = "application/problem+json"),
        (status = 503, description = "Try again: too much is going on, or this agent attaches nothing.", body = Problem, content_type = "application/problem+json"),
    )
)]
pub(super) async fn create(
    State(state): State<RestState>,
    Extension(entrance): Extension<Entrance>,
    RawQuery(raw): RawQuery,
    body: Bytes,
) -> Answer {
    entrance.must_be_root()?;
    Query::none(raw.as_deref())?;
    let request: AttachmentRequest = read(&body)?;
    let calls = calls(&state)?;
    if request.netns.is_empty() {
        return Err(wrong("netns", "", "is empty: give the path of the container's network namespace"));
    }
    let config = config(&state, &request).await?;
    let netns = open_netns(&request.netns).map_err(refusal)?;
    let environment = Environment {
        command: Command::Add,
        container_id: request.container_id.clone(),
        netns: request.netns,
        ifname: request.ifname.clone(),
        args: request.args,
        path: String::new(),
        netns_override: false,
    };
    let key = Key { network: request.network, container_id: request.container_id, ifname: request.ifname };
    let before = calls.engine().attachment(&key);
    let call = Call { protocol: PROTOCOL, tool: CallTool::MultiNic, environment, config, pay_debts: false };
    calls.serve(call, Some(netns)).await.map_err(refusal)?;
    let made = find(&state, &key)?;
    let same = before.is_some_and(|before| before.since == made.since && before.group == made.group);
    let status = if same { StatusCode::OK } else { StatusCode::CREATED };
    let mut response = fresh(status, JSON, written(&attachment(&made)));
    // Names and ids that the engine takes have no bytes that would need an escape; interface names may.
    if let Ok(location) = HeaderValue::from_str(&format!("/v1/attachments/{key}")) {
        response.headers_mut().insert(LOCATION, location);
    }
    Ok(response)
}

/// Detaches a container.
///
/// The same as the DEL of a container runtime, with the configuration that it was attached with. What plugins of
/// others are owed is paid by the next call of an executable; until then the attachment stays, as `detaching`. For
/// root over the Unix socket only.
#[utoipa::path(
    delete, path = "/v1/attachments/{network}/{container}/{ifname}", operation_id = "detach", tag = "pods",
    params(Named),
    responses(
        (status = 204, description = "Detached; its addresses rest."),
        (status = 202, description = "Detached, but for what a plugin of somebody else is owed.", body = Attachment),
        NotByYou,
        NoAttachment,
        (status = 503, description = "Try again: too much is going on.", body = Problem, content_type = "application/problem+json"),
    )
)]
pub(super) async fn remove(
    State(state): State<RestState>,
    Extension(entrance): Extension<Entrance>,
    Path(named): Path<Named>,
    RawQuery(raw): RawQuery,
) -> Answer {
    entrance.must_be_root()?;
    Query::none(raw.as_deref())?;
    let key = named.key();
    let known = find(&state, &key)?;
    let calls = calls(&state)?;
    let tool = match known.tool {
        Tool::MultiNic => CallTool::MultiNic,
        Tool::Ipam => CallTool::MultiNicIpam,
        Tool::Api | Tool::Adopted => {
            let key = key.clone();
            calls.run("api-call", move |engine| engine.give_back(&key)).await.map_err(refusal)?;
            return Ok(gone());
        }
    };
    let environment = Environment {
        command: Command::Del,
        container_id: key.container_id.clone(),
        // The engine looks at the recorded path, and whether the same namespace is still there.
        netns: known.netns.clone(),
        ifname: key.ifname.trim_end_matches(":ipam").to_owned(),
        args: known.args.clone(),
        path: String::new(),
        netns_override: false,
    };
    let call = Call { protocol: PROTOCOL, tool, environment, config: known.config.clone(), pay_debts: false };
    calls.serve(call, None).await.map_err(refusal)?;
    Ok(match calls.engine().attachment(&key) {
        None => gone(),
        Some(owed) => fresh(StatusCode::ACCEPTED, JSON, written(&attachment(&owed))),
    })
}

fn gone() -> Response {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = StatusCode::NO_CONTENT;
    response
}

pub(super) fn calls(state: &RestState) -> Result<&Calls, Refusal> {
    state
        .calls
        .as_ref()
        .ok_or_else(|| Refusal::new(ProblemCode::NotReady, "this agent attaches nothing; its log says why"))
}

/// The configuration: the request's, or the network's own.
async fn config(state: &RestState, request: &AttachmentRequest) -> Result<String, Refusal> {
    let mut config = match &request.config {
        Some(config) => config.clone(),
        None => own_config(state, &request.network).await?,
    };
    let Some(members) = config.as_object_mut() else {
        return Err(wrong("config", &config.to_string(), "is no object"));
    };
    let missing = |members: &serde_json::Map<String, Value>, key: &str| !members.contains_key(key);
    for (key, value) in [("cniVersion", "1.0.0"), ("name", &request.network), ("type", "multi-nic")] {
        if missing(members, key) {
            members.insert(key.to_owned(), value.into());
        }
    }
    match members.get("name").and_then(Value::as_str) {
        Some(name) if name == request.network => Ok(config.to_string()),
        other => {
            let other = other.unwrap_or_default().to_owned();
            Err(wrong("config.name", &other, &format!("is not the network `{}`", request.network)))
        }
    }
}

/// The configuration that `multi-nicd cni-config` prints for a network, without the list around it.
async fn own_config(state: &RestState, network: &str) -> Result<Value, Refusal> {
    super::networks::find(&state.networks.get(), network)?;
    let (folder, name) = (state.config_dir.clone(), network.to_owned());
    let read = tokio::task::spawn_blocking(move || crate::standalone::cni_config(&folder, &name)).await;
    let unknown = |error: String| Refusal::new(ProblemCode::UnknownNetwork, error);
    let text =
        read.map_err(|error| unknown(error.to_string()))?.map_err(|error| unknown(error.to_string()))?;
    let list: Value = serde_json::from_str(&text).map_err(|error| unknown(error.to_string()))?;
    let mut config = list.pointer("/plugins/0").cloned().unwrap_or_default();
    if let Some(members) = config.as_object_mut() {
        members.extend(list.get("cniVersion").map(|version| ("cniVersion".to_owned(), version.clone())));
        // It is for runtimes: what they may hand over. Nobody hands anything over here.
        members.remove("capabilities");
    }
    Ok(config)
}

/// A failure of the engine as a problem.
pub(super) fn refusal(error: Error) -> Refusal {
    let kind = match error.code {
        code::INCOMPATIBLE_VERSION
        | code::UNSUPPORTED_FIELD
        | code::BAD_ENVIRONMENT
        | code::DECODE
        | code::INVALID_CONFIG
        | code::INVALID_NAMESPACE => ProblemCode::InvalidAttachment,
        code::NO_ADDRESS | code::NO_NIC | code::NIC_IN_USE => ProblemCode::NothingLeft,
        code::TRY_AGAIN | code::NOT_AVAILABLE | code::NOT_AVAILABLE_IMPAIRED => ProblemCode::NotReady,
        code::DELEGATE => ProblemCode::PluginFailed,
        _ => ProblemCode::Internal,
    };
    let detail = match error.details.as_str() {
        "" => error.msg,
        details => format!("{}: {details}", error.msg),
    };
    let mut refusal = Refusal::new(kind, detail);
    refusal.0.cni_code = Some(error.code);
    refusal
}

#[cfg(test)]
mod tests {
    use super::refusal;
    use cni::Error;
    use cni::error::code;

    #[test]
    fn every_code_of_the_engine_has_its_status() {
        for (code, status) in [
            (code::INVALID_CONFIG, 422),
            (code::INVALID_NAMESPACE, 422),
            (code::NO_ADDRESS, 409),
            (code::NO_NIC, 409),
            (code::NIC_IN_USE, 409),
            (code::TRY_AGAIN, 503),
            (code::DELEGATE, 502),
            (code::INTERNAL, 500),
        ] {
            let problem = refusal(Error::new(code, "why").with_details("the fix")).0;

            assert_eq!((problem.status, problem.cni_code), (status, Some(code)));
            assert_eq!(problem.detail.as_deref(), Some("why: the fix"));
        }
    }
}
