//! `POST /v1/select`: which NICs would a pod get, and why not the others. Nothing changes.

use attach::network::Networks;
use attach::select::{Asked, LinkUse, SelectError, Selection, Wish};
use axum::body::Bytes;
use axum::extract::State;
use axum::http::StatusCode;
use openapi::{ChosenNic, LeftOutNic, Problem, SelectAnswer, SelectPlugin, SelectRequest};

use super::attachment_changes::calls;
use super::body::{read, wrong};
use super::conditional::fresh;
use super::entrance::PodReader;
use super::networks::find;
use super::nics::JSON;
use super::problem::{Answer, Refusal};
use super::responses::{NoNetwork, NotHere};
use super::state::RestState;
use crate::inventory::published::json as written;

/// Shows which NICs a pod would get.
///
/// A dry run: nothing changes. A pod that would be refused is answered with the reason, not with an error. On
/// loopback in standalone mode, otherwise for root over the Unix socket only.
#[utoipa::path(
    post, path = "/v1/select", operation_id = "selectNics", tag = "pods",
    request_body(content = SelectRequest, description = "What the pod asks for."),
    responses(
        (status = 200, description = "The NICs that it would get, and why not the others.", body = SelectAnswer),
        NotHere,
        NoNetwork,
        (status = 422, description = "The body is no such request.", body = Problem, content_type = "application/problem+json"),
        (status = 503, description = "The machine has not been read yet, or this agent attaches nothing.", body = Problem, content_type = "application/problem+json"),
    )
)]
pub(super) async fn dry_run(State(state): State<RestState>, _: PodReader, body: Bytes) -> Answer {
    let request: SelectRequest = read(&body)?;
    state.published()?;
    let calls = calls(&state)?;
    let networks = state.networks.get();
    let wish = wish(&request, &networks)?;
    let network = request.network.unwrap_or_default();
    let answer = answer(calls.engine().would_select(&network, &wish));
    Ok(fresh(StatusCode::OK, JSON, written(&answer)))
}

/// What the request wishes for; a network's own class counts beside the pod's.
fn wish(request: &SelectRequest, networks: &Networks) -> Result<Wish, Refusal> {
    let network = request.network.as_deref().map(|name| find(networks, name)).transpose()?;
    let nets = request.master_nets.iter().map(|text| {
        let net = text.parse::<ipnet::IpNet>();
        net.map_err(|_| wrong("masterNets", text, "is no network like 10.0.0.0/24"))
    });
    let target = request
        .target
        .as_deref()
        .map(|text| text.parse().map_err(|_| wrong("target", text, "is no bandwidth like 25G")));
    let gpus = request
        .gpus
        .iter()
        .map(|text| text.parse().map_err(|_| wrong("gpus", text, "is no PCI address like 0000:0c:00.0")));
    let (link, vlan) = match (&request.plugin, network) {
        (Some(plugin), _) => (link(plugin)?, plugin.vlan),
        (None, Some(network)) => (network.link.clone(), network.vlan),
        (None, None) => (LinkUse::Delegated, None),
    };
    let asked = Asked {
        link,
        vlan,
        masters: request.masters.clone(),
        master_nets: nets.collect::<Result<_, _>>()?,
        devices: devices(&request.devices),
        count: request.nics,
        class: request.class.clone(),
        target: target.transpose()?,
        gpus: gpus.collect::<Result<_, _>>()?,
    };
    asked
        .of(network)
        .map_err(|error| wrong("target", request.target.as_deref().unwrap_or_default(), &error.to_string()))
}

/// The NICs that the devices are of, each once: as a pod's own configuration is read.
fn devices(ids: &[String]) -> Vec<String> {
    let mut nics: Vec<String> = Vec::new();
    for nic in ids.iter().map(|id| cni::config::nic_of_device(id)) {
        if !nics.iter().any(|one| one == nic) {
            nics.push(nic.to_owned());
        }
    }
    nics
}

/// What the plugin makes of a NIC.
fn link(plugin: &SelectPlugin) -> Result<LinkUse, Refusal> {
    let mode = plugin.mode.as_deref().unwrap_or_default();
    let found = LinkUse::of_plugin(&plugin.kind, mode, "");
    Ok(found
        .map_err(|error| wrong("plugin.mode", mode, &format!("is none of {}", error.known.join(", "))))?
        .unwrap_or_default())
}

/// A choice, or why there is none, as the API shows it.
pub(super) fn answer(selection: Result<Selection, SelectError>) -> SelectAnswer {
    let (selection, refused) = match selection {
        Ok(selection) => (selection, None),
        Err(error) => {
            let refused = Some(error.to_string());
            let left_out = match error {
                SelectError::Nothing { left_out } => left_out,
                _ => Vec::new(),
            };
            (Selection { chosen: Vec::new(), left_out }, refused)
        }
    };
    let chosen = selection.chosen.into_iter().map(|nic| ChosenNic {
        nic: nic.nic,
        master: nic.master,
        mac: nic.mac,
        mtu: nic.mtu,
        net_address: nic.net_address.map(|net| net.to_string()),
    });
    let left_out = selection.left_out.into_iter().map(|nic| LeftOutNic {
        nic: nic.nic,
        name: nic.name,
        // A rule is written as its name, in the store as here.
        rule: serde_json::to_value(nic.rule)
            .ok()
            .and_then(|rule| Some(rule.as_str()?.to_owned()))
            .unwrap_or_default(),
        why: nic.why,
    });
    SelectAnswer { chosen: chosen.collect(), left_out: left_out.collect(), refused }
}
