//! Wanting something of a PF over the API, and wanting it no more. Root over the Unix socket only.

use std::time::Duration;

use axum::Extension;
use axum::body::{Body, Bytes};
use axum::extract::{Path, RawQuery, State};
use axum::http::StatusCode;
use axum::response::Response;
use openapi::{Pf, PfDesired, PfState, Problem, ProblemCode};
use sriov::{DesiredPf, Plan, PlanProblem};

use super::body::read;
use super::conditional::fresh;
use super::entrance::Entrance;
use super::nics::JSON;
use super::pfs;
use super::problem::{Answer, Refusal, shown};
use super::query::Query;
use super::responses::{NoPf, NotByYou, SeveralNics};
use super::state::RestState;
use crate::inventory::published::json as written;
use crate::sriov::{PfHandle, Status, from_posted};

/// How long an answer waits for the PF to be what is wanted.
const PATIENCE: Duration = Duration::from_secs(120);

/// Says what a PF should be.
///
/// From now on, and after restarts, this counts and not what policies say of the PF, until it is deleted. Nothing is
/// begun when somebody holds what would go away, or the PF cannot be that. With `dryRun=true` nothing is begun at all,
/// and the answer is the PF with this desired state and the plan for it. For root over the Unix socket only.
#[utoipa::path(
    post, path = "/v1/sriov/pfs/{id}", operation_id = "setPf", tag = "pods",
    params(
        ("id" = String, Path, description = "Id, name, alternative name, PCI address or MAC address of the PF.", example = "0000:3b:00.0"),
        ("dryRun" = Option<bool>, Query, description = "Only say what would be done.", example = true),
    ),
    request_body(content = PfDesired, description = "What the PF should be."),
    responses(
        (status = 200, description = "It is that now; with `dryRun`, what would be done.", body = Pf),
        (status = 202, description = "It is written down and not in place yet: `state` and `error` say why. It is tried again.", body = Pf),
        NotByYou,
        NoPf,
        (status = 409, description = "Somebody holds what would go away: `holders`. Or several NICs fit: `candidates`.", body = Problem, content_type = "application/problem+json"),
        (status = 422, description = "The body is no desired state, or the PF cannot be that.", body = Problem, content_type = "application/problem+json"),
        (status = 503, description = "Try again: the PF is being changed, or this agent changes nothing.", body = Problem, content_type = "application/problem+json"),
    )
)]
pub(super) async fn want(
    State(state): State<RestState>,
    Extension(entrance): Extension<Entrance>,
    Path(id): Path<String>,
    RawQuery(raw): RawQuery,
    body: Bytes,
) -> Answer {
    entrance.must_be_root()?;
    let dry_run = dry_run(raw.as_deref())?;
    let posted: PfDesired = read(&body)?;
    let desired = from_posted(&posted).map_err(|error| Refusal::new(ProblemCode::InvalidBody, error))?;
    let pfs = handle(&state)?;
    let view = pfs.fresh_view().await;
    let status = pfs::find(&state, &view, &id)?;
    let plan = plan(pfs, status, desired).await?;
    if dry_run {
        let mut shown = pfs::pf(status, &pfs::stuck(&state));
        (shown.desired, shown.posted, shown.plan) = (Some(posted), true, Some(pfs::plan(&plan)));
        return Ok(fresh(StatusCode::OK, JSON, written(&shown)));
    }
    let key = status.pf.key.clone();
    if let Some(refusal) = refusal(&status.pf.label(), &plan) {
        return Err(refusal);
    }
    pfs.post(&key, posted).await.map_err(unwritten)?;
    let mut views = pfs.views();
    let mut shown = None;
    let in_place = views.wait_for(|view| {
        let status = view.pfs.iter().find(|one| one.pf.key == key);
        shown = status.cloned();
        status.is_none_or(|status| status.state != PfState::Applying)
    });
    // Too late: it goes on without the client.
    let _ = tokio::time::timeout(PATIENCE, in_place).await;
    let Some(status) = shown else {
        let detail = format!("`{}` went away meanwhile; it is written down", super::problem::shown(&id));
        return Err(Refusal::new(ProblemCode::UnknownNic, detail));
    };
    let code = if status.state == PfState::InPlace { StatusCode::OK } else { StatusCode::ACCEPTED };
    Ok(fresh(code, JSON, written(&pfs::pf(&status, &pfs::stuck(&state)))))
}

/// Wants of a PF only what policies say.
///
/// Forgets what was said over the API. A PF that no policy names is left as it is: say `numVfs` 0 first if its VFs
/// should go. For root over the Unix socket only.
#[utoipa::path(
    delete, path = "/v1/sriov/pfs/{id}", operation_id = "forgetPf", tag = "pods",
    params(("id" = String, Path, description = "Id, name, alternative name, PCI address or MAC address of the PF, or the device of one that is away.", example = "0000:3b:00.0")),
    responses(
        (status = 204, description = "Forgotten."),
        NotByYou,
        (status = 404, description = "There is no such PF, or nothing was said of it over the API.", body = Problem, content_type = "application/problem+json"),
        SeveralNics,
        (status = 503, description = "Try again: it cannot be written down.", body = Problem, content_type = "application/problem+json"),
    )
)]
pub(super) async fn forget(
    State(state): State<RestState>,
    Extension(entrance): Extension<Entrance>,
    Path(id): Path<String>,
    RawQuery(raw): RawQuery,
) -> Answer {
    entrance.must_be_root()?;
    Query::none(raw.as_deref())?;
    let pfs = handle(&state)?;
    let view = pfs.fresh_view().await;
    let key = match view.away.iter().find(|away| **away == id) {
        Some(away) => away.clone(),
        None => pfs::find(&state, &view, &id)?.pf.key.clone(),
    };
    if pfs.forget(&key).await.map_err(unwritten)? {
        let mut response = Response::new(Body::empty());
        *response.status_mut() = StatusCode::NO_CONTENT;
        return Ok(response);
    }
    let detail = format!("nothing was said of {} over the API; policies are in files", shown(&key));
    Err(Refusal::new(ProblemCode::NoDesiredState, detail))
}

fn dry_run(raw: Option<&str>) -> Result<bool, Refusal> {
    let query = Query::parse(raw, ["dryRun"].into_iter())?;
    let mut dry_run = false;
    for (name, value) in query.iter() {
        dry_run = match value {
            "true" => true,
            "false" => false,
            _ => return Err(Refusal::value(name, value, vec!["true".to_owned(), "false".to_owned()])),
        };
    }
    Ok(dry_run)
}

fn handle(state: &RestState) -> Result<&PfHandle, Refusal> {
    let none = || Refusal::new(ProblemCode::NotReady, "this agent changes no PFs; its log says why");
    state.pfs.as_ref().ok_or_else(none)
}

fn unwritten(error: String) -> Refusal {
    Refusal::new(ProblemCode::NotReady, format!("it cannot be written down, so nothing is begun: {error}"))
}

/// What would be done, by what the kernel says now.
async fn plan(pfs: &PfHandle, status: &Status, desired: DesiredPf) -> Result<Plan, Refusal> {
    let key = status.pf.key.clone();
    if let Some(changing) = pfs.changing(&key) {
        return Err(Refusal::new(ProblemCode::NotReady, changing));
    }
    let protected = status.pf.protected.clone().filter(|_| !desired.on_uplink);
    let handle = pfs.clone();
    // A thread of the blocking pool may be used for other things meanwhile: a look enters no namespace.
    let looked = tokio::task::spawn_blocking(move || handle.plan(&key, &desired)).await;
    let looked = looked.map_err(|error| Refusal::new(ProblemCode::Internal, error.to_string()))?;
    let mut plan = looked.map_err(|error| Refusal::new(ProblemCode::NotReady, error.sentence()))?;
    // The look does not know what the configuration protects.
    let told = plan.problems.iter().any(|problem| matches!(problem, PlanProblem::Uplink { .. }));
    if let Some(carries) = protected.filter(|_| !told && !plan.is_empty()) {
        plan.problems.push(PlanProblem::Uplink { carries });
        plan.steps.clear();
    }
    Ok(plan)
}

/// Why nothing is begun; absent when it can be.
fn refusal(pf: &str, plan: &Plan) -> Option<Refusal> {
    if !plan.problems.is_empty() {
        let problems = plan.problems.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ");
        return Some(Refusal::new(ProblemCode::ImpossibleState, format!("{pf}: {problems}")));
    }
    let blocked = plan.blocked.first()?;
    let detail = format!("{pf}: {blocked}; end or drain those first");
    let mut refusal = Refusal::new(ProblemCode::Held, detail);
    let holders = plan.blocked.iter().flat_map(|blocked| &blocked.holders);
    refusal.0.holders = holders.map(ToString::to_string).collect();
    refusal.0.holders.dedup();
    Some(refusal)
}
