//! `/v1/pools`: what the kubelet is offered, and who has it.

use axum::Extension;
use axum::extract::{RawQuery, State};
use axum::http::HeaderMap;
use hwprobe::NicId;
use openapi::{Pool, PoolDevice, PoolError, PoolKind, PoolList, PoolUse};

use super::conditional::answer_by_content;
use super::entrance::Entrance;
use super::problem::Answer;
use super::query::Query;
use super::responses::{Unchanged, WrongQuery};
use super::state::RestState;
use crate::clock::rfc3339;
use crate::config::{self, DeviceUse};
use crate::device_plugin::{Device, Fault, PoolView, counts};

/// Lists the pools that the kubelet is offered, with their devices.
///
/// Who has a device is told on loopback in standalone mode, otherwise to root over the Unix socket only.
#[utoipa::path(
    get, path = "/v1/pools", operation_id = "listPools", tag = "pods",
    responses(
        (status = 200, description = "The pools, in the order of the configuration.", body = PoolList),
        Unchanged,
        WrongQuery,
    )
)]
pub(super) async fn list(
    State(state): State<RestState>,
    Extension(entrance): Extension<Entrance>,
    RawQuery(raw): RawQuery,
    headers: HeaderMap,
) -> Answer {
    Query::none(raw.as_deref())?;
    let names = entrance.sees_pods(&state.agent);
    let attachments = if names { state.attachments() } else { Vec::new() };
    let pools = state.pools.views(&attachments).iter().map(|view| pool(view, names)).collect();
    Ok(answer_by_content(&headers, &PoolList { enabled: state.pools.enabled, pools }))
}

/// A pool as the API shows it; `names`: also who has what.
pub(super) fn pool(view: &PoolView, names: bool) -> Pool {
    let config = &view.config;
    let (kind, shares) = match config.kind {
        config::PoolKind::Vf => (PoolKind::Vf, None),
        config::PoolKind::Nic { count } => (PoolKind::Nic, Some(count)),
    };
    let device = |(device, holders): &(Device, Vec<String>)| PoolDevice {
        id: device.id.clone(),
        port: NicId::new(device.port.as_str()),
        numa_node: device.numa,
        healthy: device.healthy,
        trouble: device.fault.as_ref().map(|fault| match fault {
            Fault::Taken { .. } if !names => "somebody else has it".to_owned(),
            fault => fault.to_string(),
        }),
        held: device.held,
        holders: if names { holders.clone() } else { Vec::new() },
    };
    Pool {
        resource: view.resource.clone(),
        kind,
        shares,
        usage: match config.usage {
            DeviceUse::Netdevice => PoolUse::Netdevice,
            DeviceUse::Vfio => PoolUse::Vfio,
        },
        rdma: config.rdma,
        selector: view.selector.clone(),
        state: view.standing.state.shown(),
        since: rfc3339(view.standing.since),
        last_error: view
            .standing
            .last_error
            .as_ref()
            .map(|(message, time)| PoolError { message: message.clone(), time: rfc3339(*time) }),
        counts: view.devices.as_ref().map(|all| counts(all.iter().map(|(device, _)| device))),
        devices: view.devices.iter().flatten().map(device).collect(),
    }
}
