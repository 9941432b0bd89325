//! `/v1/networks` and `/v1/addresses`: what this node serves, and what is left to give.

use attach::network::{self, Strategy};
use axum::Extension;
use axum::extract::{Path, RawQuery, State};
use axum::http::HeaderMap;
use openapi::{
    AddressCounts, AddressList, BlockAddresses, Network, NetworkAddresses, NetworkBlock, NetworkInterface,
    NetworkList, ProblemCode,
};

use super::conditional::answer_by_content;
use super::entrance::{Entrance, PodReader};
use super::problem::{Answer, Refusal, shown};
use super::query::Query;
use super::responses::{NoNetwork, NotHere, Unchanged};
use super::state::{RestState, Shared};

/// Lists the networks of this node.
///
/// On loopback in standalone mode, otherwise for root over the Unix socket only.
#[utoipa::path(
    get, path = "/v1/networks", operation_id = "listNetworks", tag = "pods",
    responses(
        (status = 200, description = "The networks, by name.", body = NetworkList),
        Unchanged,
        NotHere,
    )
)]
pub(super) async fn list(State(state): State<RestState>, _: PodReader, headers: HeaderMap) -> Answer {
    let all = state.networks.get();
    let networks = all.networks.values().map(|one| network(one, attachments(&state, &one.name)));
    let reports = state.networks.reports().to_vec();
    Ok(answer_by_content(&headers, &NetworkList { networks: networks.collect(), reports }))
}

/// Shows one network.
///
/// On loopback in standalone mode, otherwise for root over the Unix socket only.
#[utoipa::path(
    get, path = "/v1/networks/{name}", operation_id = "getNetwork", tag = "pods",
    params(("name" = String, Path, description = "Name of the network.", example = "rails")),
    responses(
        (status = 200, description = "The network.", body = Network),
        Unchanged,
        NotHere,
        NoNetwork,
    )
)]
pub(super) async fn show(
    State(state): State<RestState>,
    _: PodReader,
    Path(name): Path<String>,
    headers: HeaderMap,
) -> Answer {
    let all = state.networks.get();
    let one = find(&all, &name)?;
    Ok(answer_by_content(&headers, &network(one, attachments(&state, &name))))
}

/// Shows what the blocks of each network hold.
///
/// On loopback in standalone mode, otherwise for root over the Unix socket only.
#[utoipa::path(
    get, path = "/v1/addresses", operation_id = "listAddresses", tag = "pods",
    params(("network" = Option<String>, Query, description = "Name of the network; all when not given.", example = "rails")),
    responses(
        (status = 200, description = "Each block, and sums for each network.", body = AddressList),
        Unchanged,
        NotHere,
        NoNetwork,
    )
)]
pub(super) async fn addresses(
    State(state): State<RestState>,
    Extension(entrance): Extension<Entrance>,
    RawQuery(raw): RawQuery,
    headers: HeaderMap,
) -> Answer {
    entrance.must_see_pods(&state.agent)?;
    let query = Query::parse(raw.as_deref(), ["network"].into_iter())?;
    let all = state.networks.get();
    for (_, name) in query.iter() {
        find(&all, name)?;
    }
    let mut list = pools(&state);
    list.networks.retain(|one| query.iter().all(|(_, name)| one.network == name));
    Ok(answer_by_content(&headers, &list))
}

/// What the blocks of each network hold.
pub(super) fn pools(shared: &Shared) -> AddressList {
    let Some(calls) = &shared.calls else { return AddressList { networks: Vec::new() } };
    let all = shared.networks.get();
    let of = |one: &network::Network| {
        let mut totals = AddressCounts::default();
        let mut blocks = Vec::new();
        for interface in &one.interfaces {
            for block in &interface.blocks {
                let Some(usage) = calls.engine().usage_of_block(&one.name, block.pod) else { continue };
                let counts = counts(&usage);
                totals = sum(totals, counts);
                let (block, master) = (block.pod.to_string(), interface.master.clone());
                blocks.push(BlockAddresses { block, master, counts });
            }
        }
        NetworkAddresses { network: one.name.clone(), totals, blocks }
    };
    let networks = all.networks.values().map(|one| of(one)).filter(|one| !one.blocks.is_empty());
    AddressList { networks: networks.collect() }
}

fn counts(usage: &ipam::Usage) -> AddressCounts {
    AddressCounts {
        total: usage.total,
        reserved: usage.reserved,
        used: usage.used,
        quarantined: usage.quarantined,
        free: usage.free,
    }
}

fn sum(a: AddressCounts, b: AddressCounts) -> AddressCounts {
    AddressCounts {
        total: a.total.saturating_add(b.total),
        reserved: a.reserved.saturating_add(b.reserved),
        used: a.used.saturating_add(b.used),
        quarantined: a.quarantined.saturating_add(b.quarantined),
        free: a.free.saturating_add(b.free),
    }
}

/// The network of that name.
pub(super) fn find<'a>(all: &'a network::Networks, name: &str) -> Result<&'a network::Network, Refusal> {
    let known = || all.networks.keys().map(String::as_str);
    all.networks.get(name).map(std::sync::Arc::as_ref).ok_or_else(|| {
        let detail = format!("this node has no network `{}`", shown(name));
        let mut refusal = Refusal::new(ProblemCode::UnknownNetwork, detail);
        refusal.0.nearest = crate::nearest::nearest(name, known()).into_iter().map(str::to_owned).collect();
        refusal.0.allowed = known().map(str::to_owned).collect();
        refusal
    })
}

fn attachments(shared: &Shared, network: &str) -> usize {
    shared.attachments().iter().filter(|one| one.key.network == network).count()
}

/// A network as the API shows it.
pub(super) fn network(one: &network::Network, attachments: usize) -> Network {
    let strategy = match one.policy.strategy {
        Strategy::None => "none",
        Strategy::CostOpt => "costOpt",
        Strategy::PerfOpt => "perfOpt",
        Strategy::DevClass => "devClass",
        Strategy::Topology => "topology",
    };
    let text = |all: &[ipnet::IpNet]| all.iter().map(ToString::to_string).collect();
    let block = |block: &network::Block| NetworkBlock {
        pod: block.pod.to_string(),
        interface: block.interface.to_string(),
        excludes: text(&block.excludes),
    };
    let interface = |interface: &network::NetworkInterface| NetworkInterface {
        index: interface.index,
        master: interface.master.clone(),
        nic: interface.nic.clone(),
        net_address: interface.net_address.map(|net| net.to_string()),
        blocks: interface.blocks.iter().map(block).collect(),
    };
    Network {
        name: one.name.clone(),
        strategy: strategy.to_owned(),
        target_mbps: one.policy.target,
        class: one.policy.class.clone(),
        allow_uplink: one.allow_uplink,
        refused: one.refused.clone(),
        interfaces: one.interfaces.iter().map(interface).collect(),
        attachments,
    }
}
