//! The routes of the old daemon (CONTRACTS §6), for old executables on this node: off unless `--legacy-api`.
//!
//! Every request that is handled is answered with 200 and one JSON value, also when it fails. Where the old daemon
//! was wrong in a way that harms, this one is not: an address is never given twice, a name that nobody has is never
//! read as "all NICs", and the same pod is given the same addresses until it gives them back.

mod interfaces;

use attach::record::{Key, Pod};
use attach::select::Asked;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::header::LOCATION;
use axum::http::{HeaderValue, StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use axum::routing::{any, post};
use axum::{Extension, Router};
use serde::de::IgnoredAny;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::conditional::fresh;
use super::entrance::Entrance;
use super::nics::JSON;
use super::problem::Answer;
use super::state::{RestState, Shared};
use crate::inventory::published::json as written;

/// Paths, for labels and redirects.
pub(super) const PATHS: &[&str] = &[
    "/interface",
    "/join",
    "/greet",
    "/select",
    "/allocate",
    "/deallocate",
    "/addl3",
    "/deletel3",
    "/addroute",
    "/deleteroute",
];

/// Interface name of the attachments that hold what old executables were given.
const IFNAME: &str = "legacy";

/// The routes. Each also answers with a slash behind it: by a redirect, as the old daemon's router did.
pub(super) fn routes() -> Router<RestState> {
    let mut router = Router::new()
        .route("/interface", any(interfaces::list))
        .route("/join", post(interfaces::join))
        .route("/greet", post(interfaces::greet))
        .route("/select", post(select))
        .route("/allocate", post(allocate))
        .route("/deallocate", post(deallocate));
    for path in ["/addl3", "/deletel3", "/addroute", "/deleteroute"] {
        router = router.route(path, post(no_routes));
    }
    for path in PATHS {
        router = router.route(&format!("{path}/"), any(without_slash));
    }
    router.layer(axum::middleware::from_fn(local_programs_only))
}

async fn local_programs_only(
    Extension(entrance): Extension<Entrance>,
    request: axum::extract::Request,
    next: axum::middleware::Next,
) -> Response {
    match entrance.must_be_local_program(request.headers()) {
        Ok(()) => next.run(request).await,
        Err(refusal) => refusal.into_response(),
    }
}

async fn without_slash(uri: Uri) -> Response {
    let mut response = StatusCode::MOVED_PERMANENTLY.into_response();
    if let Ok(target) = HeaderValue::from_str(uri.path().trim_end_matches('/')) {
        response.headers_mut().insert(LOCATION, target);
    }
    response
}

/// A 200 with a JSON value.
fn said<T: Serialize>(value: &T) -> Answer {
    Ok(fresh(StatusCode::OK, JSON, written(value)))
}

/// What `/select` is asked; unknown members are of other releases.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct SelectBody {
    pod: String,
    namespace: String,
    def: String,
    #[serde(rename = "masterNets")]
    master_nets: Option<Vec<String>>,
    args: SelectArgs,
}

/// The pod's wishes.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct SelectArgs {
    nics: u32,
    masters: Option<Vec<String>>,
    target: String,
    class: String,
}

/// `/select` (CONTRACTS §8): names of masters; none when the pod must be refused.
async fn select(State(state): State<RestState>, body: Bytes) -> Answer {
    let Ok(body) = serde_json::from_slice::<SelectBody>(&body) else {
        return said(&json!({ "deviceIDs": null, "masters": null }));
    };
    let masters = chosen(&state, body).await.unwrap_or_else(|why| {
        tracing::info!(why, "no NICs for an old executable");
        Vec::new()
    });
    said(&json!({ "deviceIDs": [], "masters": masters }))
}

async fn chosen(shared: &Shared, body: SelectBody) -> Result<Vec<String>, String> {
    let calls = shared.calls.as_ref().ok_or("this agent attaches nothing")?;
    let newest = shared.newest.borrow().clone().ok_or("the machine has not been read yet")?;
    let named = body.args.masters.unwrap_or_default();
    let here = |name: &String| newest.inventory.nics.iter().any(|nic| nic.name.as_ref() == Some(name));
    let masters: Vec<String> = named.iter().filter(|name| here(name)).cloned().collect();
    if masters.is_empty() && !named.is_empty() {
        return Err(format!("none of {} is here", named.join(", ")));
    }
    let text = |text: String| Some(text).filter(|text| !text.is_empty());
    let target = text(body.args.target).map(|text| text.parse().map_err(|error| format!("target: {error}")));
    let network = shared.networks.get().networks.get(&body.def).cloned();
    // A network that cannot be read fits no NIC; the old daemon took it for none as well.
    let nets = body.master_nets.unwrap_or_default();
    let mut asked = Asked {
        link: network.as_ref().map(|network| network.link.clone()).unwrap_or_default(),
        vlan: network.as_ref().and_then(|network| network.vlan),
        masters,
        master_nets: nets.iter().filter_map(|net| net.parse().ok()).collect(),
        count: Some(body.args.nics),
        class: text(body.args.class),
        target: target.transpose()?,
        ..Asked::default()
    };
    let pod = Pod { namespace: body.namespace, name: body.pod, uid: String::new() };
    let chosen = move |engine: &attach::Engine| {
        asked.gpus = engine.gpus_of(Some(&pod), network.as_deref());
        let wish = asked.of(network.as_deref()).map_err(|error| error.to_string());
        Ok(wish.and_then(|wish| engine.would_select(&body.def, &wish).map_err(|error| error.to_string())))
    };
    let selection = calls.run("legacy-call", chosen).await.map_err(|error| error.to_string())??;
    Ok(selection.chosen.into_iter().map(|nic| nic.master).collect())
}

/// What `/allocate` and `/deallocate` are asked.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct AllocateBody {
    pod: String,
    namespace: String,
    host: String,
    def: String,
    masters: Option<Vec<String>>,
}

impl AllocateBody {
    /// The attachment that stands for the pod. No namespace and no pod name has an underscore, so no two pods share
    /// one.
    fn key(&self) -> Key {
        Key {
            network: self.def.clone(),
            container_id: format!("legacy-{}_{}", self.namespace, self.pod),
            ifname: IFNAME.to_owned(),
        }
    }

    fn is_valid(&self) -> bool {
        let plain = |text: &str| cni::environment::is_name(text) && !text.contains('_');
        plain(&self.pod) && plain(&self.namespace) && cni::environment::is_name(&self.def)
    }
}

/// One address in an answer; `block` is a text.
#[derive(Debug, Serialize)]
struct Item {
    interface: String,
    ip: String,
    block: String,
}

impl Item {
    fn of(lease: attach::Lease, interface: String) -> Self {
        let (ip, block) = (lease.address.addr().to_string(), lease.address.prefix_len().to_string());
        Self { interface, ip, block }
    }
}

/// `/allocate` (CONTRACTS §5.7): an address on each master that has a block; null for none.
async fn allocate(State(state): State<RestState>, body: Bytes) -> Answer {
    let Some((calls, body)) = asked(&state, &body) else { return said(&Value::Null) };
    let key = body.key();
    let pod = Pod { namespace: body.namespace.clone(), name: body.pod.clone(), uid: String::new() };
    let asked = body.masters.unwrap_or_default();
    let pairs: Vec<(String, String)> = asked.into_iter().map(|name| (pf_of(&state, &name), name)).collect();
    let masters: Vec<String> = pairs.iter().map(|(master, _)| master.clone()).collect();
    match calls.run("legacy-call", move |engine| engine.lease(&key, Some(pod), &masters)).await {
        Ok(leases) if !leases.is_empty() => {
            let name = |master: &str| {
                let found = pairs.iter().find(|(one, _)| one == master);
                found.map_or_else(|| master.to_owned(), |(_, name)| name.clone())
            };
            let items = leases.into_iter().map(|lease| {
                let name = name(&lease.master);
                Item::of(lease, name)
            });
            said(&items.collect::<Vec<_>>())
        }
        Ok(_) => said(&Value::Null),
        Err(error) => {
            tracing::warn!(%error, "no addresses for an old executable");
            said(&Value::Null)
        }
    }
}

/// `/deallocate` (CONTRACTS §5.9): what was taken back; null for nothing.
async fn deallocate(State(state): State<RestState>, body: Bytes) -> Answer {
    let Some((calls, body)) = asked(&state, &body) else { return said(&Value::Null) };
    let key = body.key();
    match calls.run("legacy-call", move |engine| engine.give_back(&key)).await {
        Ok(leases) if !leases.is_empty() => {
            let items = leases.into_iter().map(|lease| {
                let master = lease.master.clone();
                Item::of(lease, master)
            });
            said(&items.collect::<Vec<_>>())
        }
        Ok(_) => said(&Value::Null),
        Err(error) => {
            tracing::warn!(%error, "addresses of an old executable stay held");
            said(&Value::Null)
        }
    }
}

/// A body that is about this node. The old rule: a host that the node's name contains is this one.
fn asked<'a>(shared: &'a Shared, body: &Bytes) -> Option<(&'a crate::calls::Calls, AllocateBody)> {
    let body: AllocateBody = serde_json::from_slice(body).ok()?;
    let newest = shared.newest.borrow().clone();
    let node = newest.and_then(|newest| newest.inventory.node.hostname.clone());
    let here = node.is_none_or(|node| node.contains(&body.host));
    Some((shared.calls.as_ref()?, body)).filter(|(_, body)| body.is_valid() && here)
}

/// The PF below a VF: its addresses are those of the PF's block.
fn pf_of(shared: &Shared, name: &str) -> String {
    let found = shared.newest.borrow().clone().and_then(|newest| {
        let nics = &newest.inventory.nics;
        let vf = nics.iter().find(|nic| nic.name.as_deref() == Some(name))?.vf.as_ref()?.pf.clone();
        nics.iter().find(|nic| nic.id == vf)?.name.clone()
    });
    found.unwrap_or_else(|| name.to_owned())
}

/// `/addl3` and its like. The body is read as far as the old answer depends on it.
async fn no_routes(body: Bytes) -> Answer {
    let msg = match serde_json::from_slice::<IgnoredAny>(&body) {
        Ok(_) => "AddRoutesError this agent does not keep routes for others: it has no L3 mode yet;",
        Err(_) => "GetRouteError the body is no JSON;",
    };
    said(&json!({ "success": false, "msg": msg }))
}
