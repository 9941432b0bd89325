//! The answers about the whole node: `/v1/node`, `/v1/sriov`, `/v1/topology`, `/v1/warnings`, `/v1/inventory`.

use axum::extract::{RawQuery, State};
use axum::http::HeaderMap;
use hwprobe::Inventory;
use openapi::{
    Agent, NodeCounts, NodeView, SriovPf, SriovSummary, SriovTotals, Topology, TopologyNic, WarningList,
};

use super::conditional::answer;
use super::nics::JSON;
use super::problem::Answer;
use super::query::Query;
use super::responses::{Unchanged, Unread};
use super::state::RestState;
use crate::inventory::published::json as written;

/// Shows the node and its agent.
#[utoipa::path(
    get, path = "/v1/node", operation_id = "getNode", tag = "hardware",
    responses(
        (status = 200, description = "The node.", body = NodeView),
        Unchanged,
        Unread,
    )
)]
pub(super) async fn node(
    State(state): State<RestState>,
    RawQuery(raw): RawQuery,
    headers: HeaderMap,
) -> Answer {
    Query::none(raw.as_deref())?;
    let published = state.published()?;
    Ok(answer(&headers, &published.etag, JSON, || {
        written(&node_view(published.generation, &published.inventory, &state.agent))
    }))
}

/// Shows SR-IOV capacity: sums and each PF.
#[utoipa::path(
    get, path = "/v1/sriov", operation_id = "getSriov", tag = "hardware",
    responses(
        (status = 200, description = "The capacity.", body = SriovSummary),
        Unchanged,
    )
)]
pub(super) async fn sriov(
    State(state): State<RestState>,
    RawQuery(raw): RawQuery,
    headers: HeaderMap,
) -> Answer {
    Query::none(raw.as_deref())?;
    let published = state.published()?;
    Ok(answer(&headers, &published.etag, JSON, || {
        written(&sriov_summary(published.generation, &published.inventory))
    }))
}

/// Shows which NIC is near which GPU.
#[utoipa::path(
    get, path = "/v1/topology", operation_id = "getTopology", tag = "hardware",
    responses(
        (status = 200, description = "The NIC–GPU matrix.", body = Topology),
        Unchanged,
    )
)]
pub(super) async fn topology(
    State(state): State<RestState>,
    RawQuery(raw): RawQuery,
    headers: HeaderMap,
) -> Answer {
    Query::none(raw.as_deref())?;
    let published = state.published()?;
    Ok(answer(&headers, &published.etag, JSON, || {
        written(&matrix(published.generation, &published.inventory))
    }))
}

/// Lists warnings.
#[utoipa::path(
    get, path = "/v1/warnings", operation_id = "listWarnings", tag = "hardware",
    responses(
        (status = 200, description = "The warnings, gravest first.", body = WarningList),
        Unchanged,
    )
)]
pub(super) async fn warnings(
    State(state): State<RestState>,
    RawQuery(raw): RawQuery,
    headers: HeaderMap,
) -> Answer {
    Query::none(raw.as_deref())?;
    let published = state.published()?;
    Ok(answer(&headers, &published.etag, JSON, || {
        let warnings = published.inventory.warnings.clone();
        written(&WarningList { generation: published.generation, warnings })
    }))
}

/// Shows everything in one document.
#[utoipa::path(
    get, path = "/v1/inventory", operation_id = "getInventory", tag = "hardware",
    responses(
        (status = 200, description = "The inventory.", body = Inventory),
        Unchanged,
        Unread,
    )
)]
pub(super) async fn inventory(
    State(state): State<RestState>,
    RawQuery(raw): RawQuery,
    headers: HeaderMap,
) -> Answer {
    Query::none(raw.as_deref())?;
    let published = state.published()?;
    Ok(answer(&headers, &published.etag, JSON, || published.whole()))
}

/// The node as `/v1/node` shows it.
pub(super) fn node_view(generation: u64, inventory: &Inventory, agent: &Agent) -> NodeView {
    let count = |fits: &dyn Fn(&hwprobe::Nic) -> bool| inventory.nics.iter().filter(|nic| fits(nic)).count();
    NodeView {
        generation,
        agent: agent.clone(),
        node: inventory.node.clone(),
        counts: NodeCounts {
            nics: inventory.nics.len(),
            hardware: count(&|nic| nic.hardware),
            physical_functions: count(&|nic| nic.sriov.is_some()),
            virtual_functions: count(&|nic| nic.vf.is_some()),
            secondary: count(&|nic| nic.secondary.is_secondary),
            protected: count(&|nic| nic.protected.is_some()),
            held: count(&|nic| nic.held.is_some()),
            gpus: inventory.gpus.len(),
            warnings: inventory.warnings.len(),
        },
        secondary: inventory
            .nics
            .iter()
            .filter(|nic| nic.secondary.is_secondary)
            .map(|nic| nic.id.clone())
            .collect(),
        gpus: inventory.gpus.clone(),
        failures: inventory.failures.clone(),
    }
}

/// SR-IOV as `/v1/sriov` shows it.
pub(super) fn sriov_summary(generation: u64, inventory: &Inventory) -> SriovSummary {
    let mut totals = SriovTotals::default();
    let mut pfs = Vec::new();
    for nic in &inventory.nics {
        let Some(sriov) = &nic.sriov else { continue };
        let capacity = &sriov.capacity;
        totals.pfs += 1;
        totals.total += u32::from(capacity.total);
        totals.enabled += u32::from(capacity.enabled);
        totals.held += u32::from(capacity.held);
        totals.free += u32::from(capacity.free);
        totals.creatable += u32::from(capacity.creatable);
        pfs.push(SriovPf {
            nic: nic.id.clone(),
            name: nic.name.clone(),
            driver: nic.driver.as_ref().map(|driver| driver.name.clone()),
            speed_mbps: nic.speed.mbps,
            class: nic.speed.class,
            numa_node: nic.numa_node,
            protected: nic.protected.is_some(),
            capacity: capacity.clone(),
            vf_device: sriov.vf_device.clone(),
            eswitch: sriov.eswitch.clone(),
        });
    }
    SriovSummary { generation, totals, pfs }
}

/// The matrix as `/v1/topology` shows it.
pub(super) fn matrix(generation: u64, inventory: &Inventory) -> Topology {
    let row = |nic: &hwprobe::Nic| TopologyNic {
        nic: nic.id.clone(),
        name: nic.name.clone(),
        numa_node: nic.numa_node,
        local_cpus: nic.local_cpus.clone(),
        pci_root: nic.pci_root.clone(),
        pci_path: nic.pci_path.clone(),
        relations: nic.gpus.clone(),
    };
    Topology {
        generation,
        numa_nodes: inventory.node.numa_nodes.clone(),
        gpus: inventory.gpus.clone(),
        nics: inventory.nics.iter().filter(|nic| nic.hardware).map(row).collect(),
    }
}
