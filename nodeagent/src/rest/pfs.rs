//! `/v1/sriov/pfs`: what PFs should be, what they are, and what lies between.

use axum::extract::{Path, State};
use axum::http::HeaderMap;
use openapi::{
    Pf, PfBlocked, PfList, PfObserved, PfPlan, PfStep, PfVf, PfVfList, ProblemCode, StuckWrite, VfState,
};
use sriov::{ObservedVf, Plan, StuckWork};

use super::conditional::answer_by_content;
use super::entrance::PodReader;
use super::nics;
use super::problem::{Answer, Refusal};
use super::responses::{NoPf, NotHere, SeveralNics, Unchanged};
use super::state::{RestState, Shared};
use crate::clock::rfc3339;
use crate::sriov::{Status, View, desired_shown, eswitch_shown, group_shown, link_type_shown};

/// Lists the PFs with what is wanted of them.
///
/// On loopback in standalone mode, otherwise for root over the Unix socket only.
#[utoipa::path(
    get, path = "/v1/sriov/pfs", operation_id = "listPfs", tag = "pods",
    responses(
        (status = 200, description = "The PFs, in the order of the inventory.", body = PfList),
        Unchanged,
        NotHere,
    )
)]
pub(super) async fn list(State(state): State<RestState>, _: PodReader, headers: HeaderMap) -> Answer {
    let stuck = stuck(&state);
    Ok(answer_by_content(&headers, &pf_list(&*state.pf_view().await?, &stuck)))
}

/// Shows one PF: what it should be, what it is, and what lies between.
///
/// On loopback in standalone mode, otherwise for root over the Unix socket only.
#[utoipa::path(
    get, path = "/v1/sriov/pfs/{id}", operation_id = "getPf", tag = "pods",
    params(("id" = String, Path, description = "Id, name, alternative name, PCI address or MAC address of the PF.", example = "0000:3b:00.0")),
    responses(
        (status = 200, description = "The PF.", body = Pf),
        Unchanged,
        NotHere,
        NoPf,
        SeveralNics,
    )
)]
pub(super) async fn show(
    State(state): State<RestState>,
    _: PodReader,
    Path(id): Path<String>,
    headers: HeaderMap,
) -> Answer {
    let view = state.pf_view().await?;
    Ok(answer_by_content(&headers, &pf(find(&state, &view, &id)?, &stuck(&state))))
}

/// Lists the VFs of a PF: what each should be, what it is, and who holds it.
///
/// On loopback in standalone mode, otherwise for root over the Unix socket only.
#[utoipa::path(
    get, path = "/v1/sriov/pfs/{id}/vfs", operation_id = "listPfVfs", tag = "pods",
    params(("id" = String, Path, description = "Id, name, alternative name, PCI address or MAC address of the PF.", example = "0000:3b:00.0")),
    responses(
        (status = 200, description = "The VFs that are there, and those that should be.", body = PfVfList),
        Unchanged,
        NotHere,
        NoPf,
        SeveralNics,
    )
)]
pub(super) async fn vfs(
    State(state): State<RestState>,
    _: PodReader,
    Path(id): Path<String>,
    headers: HeaderMap,
) -> Answer {
    let view = state.pf_view().await?;
    Ok(answer_by_content(&headers, &vf_list(view.generation, find(&state, &view, &id)?)))
}

/// The PF that a text names.
pub(super) fn find<'a>(state: &Shared, view: &'a View, text: &str) -> Result<&'a Status, Refusal> {
    let published = state.published()?;
    let nic = nics::find(&published.inventory, text)?;
    let path = nic.bus.as_ref().map(|bus| bus.path.as_str());
    // Several ports of one function are one PF.
    let found = view.pfs.iter().find(|one| one.pf.nic == nic.id || Some(one.pf.path.as_str()) == path);
    found.ok_or_else(|| {
        let detail = format!("{} ({}) has no SR-IOV capability", nic.label(), nic.id);
        Refusal::new(ProblemCode::NoSriov, detail)
    })
}

/// Writes from which the kernel has not come back.
pub(super) fn stuck(state: &Shared) -> Vec<StuckWork> {
    state.pfs.as_ref().map(|pfs| pfs.works().stuck()).unwrap_or_default()
}

/// All PFs as the API shows them.
pub(super) fn pf_list(view: &View, stuck: &[StuckWork]) -> PfList {
    PfList {
        generation: view.generation,
        pfs: view.pfs.iter().map(|status| pf(status, stuck)).collect(),
        away: view.away.clone(),
        reports: view.reports.clone(),
    }
}

/// A PF as the API shows it.
pub(super) fn pf(status: &Status, stuck: &[StuckWork]) -> Pf {
    let seen = &status.pf;
    let of_pf = |work: &&StuckWork| {
        work.device == seen.key
            || seen.vfs.iter().filter_map(|vf| vf.pci).any(|vf| vf.to_string() == work.device)
    };
    let holders = seen.holders.iter().chain(seen.vfs.iter().flat_map(|vf| &vf.holders));
    Pf {
        nic: seen.nic.clone(),
        device: seen.key.clone(),
        name: seen.name.clone(),
        driver: seen.driver.clone(),
        state: status.state,
        since: rfc3339(status.since),
        desired: status.wish.as_ref().map(|wish| desired_shown(&wish.desired)),
        posted: status.wish.as_ref().is_some_and(|wish| wish.posted),
        policies: status.wish.as_ref().map(|wish| wish.policies.clone()).unwrap_or_default(),
        observed: PfObserved {
            num_vfs: seen.enabled,
            total_vfs: seen.total,
            up: seen.up,
            mtu: seen.mtu,
            e_switch_mode: seen.eswitch.map(eswitch_shown),
            link_type: link_type_shown(seen.link_type),
            drivers_autoprobe: seen.autoprobe,
            rdma: seen.rdma,
            protected: seen.protected.clone(),
        },
        plan: status.wish.as_ref().map(|_| plan(&status.plan)),
        error: status.error.clone(),
        failures: status.failures,
        next_attempt: status.next.map(rfc3339),
        stuck: stuck
            .iter()
            .filter(of_pf)
            .map(|work| StuckWrite {
                device: work.device.clone(),
                what: work.what.clone(),
                since: rfc3339(work.since),
            })
            .collect(),
        holders: holders.map(ToString::to_string).collect(),
    }
}

/// A plan as the API shows it.
pub(super) fn plan(plan: &Plan) -> PfPlan {
    let step =
        |step: &sriov::Step| PfStep { action: step.action.to_string(), disturbs: step.disturbs.to_string() };
    let blocked = |blocked: &sriov::Blocked| PfBlocked {
        action: blocked.action.to_string(),
        holders: blocked.holders.iter().map(ToString::to_string).collect(),
    };
    PfPlan {
        steps: plan.steps.iter().map(step).collect(),
        blocked: plan.blocked.iter().map(blocked).collect(),
        problems: plan.problems.iter().map(ToString::to_string).collect(),
        notes: plan.notes.clone(),
    }
}

/// The VFs of a PF as the API shows them.
pub(super) fn vf_list(generation: u64, status: &Status) -> PfVfList {
    let wanted = status.wish.as_ref().map_or(0, |wish| wish.desired.count);
    let there = status.pf.vfs.iter().map(|vf| vf.index.saturating_add(1)).max().unwrap_or(0);
    PfVfList {
        generation,
        pf: status.pf.nic.clone(),
        vfs: (0..wanted.max(there)).map(|index| vf(status, index)).collect(),
    }
}

fn vf(status: &Status, index: u16) -> PfVf {
    let seen = status.pf.vfs.iter().find(|vf| vf.index == index);
    let groups = status.wish.as_ref().map_or(&[][..], |wish| &wish.desired.groups);
    let trouble = status.vfs.iter().find(|vf| vf.index == index).and_then(|vf| vf.trouble.as_ref());
    let differs = status.plan.steps.iter().find(|step| step.disturbs == sriov::Disturbs::Vf(index));
    let trouble = trouble.map(ToString::to_string).or_else(|| Some(format!("to do: {}", differs?.action)));
    let none = ObservedVf::new(index);
    let shown = seen.unwrap_or(&none);
    let state = match (seen, &trouble) {
        (None, _) => VfState::Missing,
        (Some(vf), _) if !vf.holders.is_empty() => VfState::Held,
        (Some(_), Some(_)) => VfState::Broken,
        (Some(_), None) => VfState::Free,
    };
    PfVf {
        index,
        state,
        pci: shown.pci,
        driver: shown.driver.clone(),
        name: shown.name.clone(),
        mtu: shown.mtu,
        iommu_group: shown.iommu_group,
        representor: shown.representor.clone(),
        desired: groups.iter().find(|group| group.range.contains(&index)).map(group_shown),
        holders: shown.holders.iter().map(|holder| holder.who.clone()).collect(),
        trouble,
    }
}
