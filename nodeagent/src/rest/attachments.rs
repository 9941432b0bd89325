//! `/v1/attachments`: who holds what, since when, and how long each step of it took.

use std::time::{Duration, UNIX_EPOCH};

use attach::record::{self, Key, Phase, Tool};
use attach::select::LinkUse;
use axum::Extension;
use axum::extract::{Path, RawQuery, State};
use axum::http::HeaderMap;
use openapi::{
    AttachedAddress, AttachedLink, AttachedPod, Attachment, AttachmentList, AttachmentPhase, AttachmentRef,
    AttachmentTool, MasterArp, ProblemCode, StepTiming,
};
use serde::Deserialize;
use utoipa::IntoParams;

use super::conditional::answer_by_content;
use super::entrance::{Entrance, PodReader};
use super::problem::{Answer, Refusal, shown};
use super::query::Query;
use super::responses::{NoAttachment, NotHere, Unchanged, WrongQuery};
use super::state::{RestState, Shared};
use crate::clock::rfc3339;

/// What a list can be narrowed by.
const FILTERS: [&str; 5] = ["network", "pod", "namespace", "nic", "phase"];

/// What names one attachment in a path.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Path)]
pub(super) struct Named {
    /// Name of the network.
    #[param(example = "rails")]
    network: String,
    /// Id of the container.
    #[param(example = "4f1c9e2b7a60")]
    container: String,
    /// Interface name that the runtime asked for.
    #[param(example = "net1")]
    ifname: String,
}

impl Named {
    /// The key.
    pub(super) fn key(self) -> Key {
        Key { network: self.network, container_id: self.container, ifname: self.ifname }
    }
}

/// Lists attachments.
///
/// On loopback in standalone mode, otherwise for root over the Unix socket only. Filters are joined with AND.
#[utoipa::path(
    get, path = "/v1/attachments", operation_id = "listAttachments", tag = "pods",
    params(
        ("network" = Option<String>, Query, description = "Name of the network.", example = "rails"),
        ("pod" = Option<String>, Query, description = "Name of the pod.", example = "trainer-0"),
        ("namespace" = Option<String>, Query, description = "Namespace of the pod.", example = "default"),
        ("nic" = Option<String>, Query, description = "A NIC that a link stands on: id, name of its netdev, or name of the VLAN above it.", example = "0000:3b:00.0"),
        ("phase" = Option<AttachmentPhase>, Query, description = "How far the attachment is.", example = "attached"),
    ),
    responses(
        (status = 200, description = "The attachments that fit.", body = AttachmentList),
        Unchanged,
        WrongQuery,
        NotHere,
    )
)]
pub(super) async fn list(
    State(state): State<RestState>,
    Extension(entrance): Extension<Entrance>,
    RawQuery(raw): RawQuery,
    headers: HeaderMap,
) -> Answer {
    entrance.must_see_pods(&state.agent)?;
    let query = Query::parse(raw.as_deref(), FILTERS.into_iter())?;
    for (_, value) in query.iter().filter(|(name, _)| *name == "phase") {
        if !AttachmentPhase::ALL.iter().any(|phase| phase.as_str() == value) {
            let allowed = AttachmentPhase::ALL.map(|phase| phase.as_str().to_owned());
            return Err(Refusal::value("phase", value, allowed.to_vec()));
        }
    }
    let all = state.attachments();
    let nics = state.newest.borrow().clone();
    let fits = |attachment: &record::Attachment| {
        query.iter().all(|(name, value)| {
            let pod = attachment.pod.as_ref();
            match name {
                "network" => attachment.key.network == value,
                "pod" => pod.is_some_and(|pod| pod.name == value),
                "namespace" => pod.is_some_and(|pod| pod.namespace == value),
                "phase" => phase(attachment.phase).as_str() == value,
                _ => attachment.links.iter().any(|link| {
                    let named = nics.as_ref().and_then(|nics| {
                        nics.inventory.nics.iter().find(|nic| nic.name.as_deref() == Some(value))
                    });
                    link.nic.as_str() == value
                        || link.master == value
                        || named.is_some_and(|nic| nic.id == link.nic)
                }),
            }
        })
    };
    let attachments = all.iter().filter(|one| fits(one)).map(|one| attachment(one)).collect();
    Ok(answer_by_content(&headers, &AttachmentList { total: all.len(), attachments }))
}

/// Shows one attachment.
///
/// On loopback in standalone mode, otherwise for root over the Unix socket only.
#[utoipa::path(
    get, path = "/v1/attachments/{network}/{container}/{ifname}", operation_id = "getAttachment", tag = "pods",
    params(Named),
    responses(
        (status = 200, description = "The attachment.", body = Attachment),
        Unchanged,
        NotHere,
        NoAttachment,
    )
)]
pub(super) async fn show(
    State(state): State<RestState>,
    _: PodReader,
    Path(named): Path<Named>,
    headers: HeaderMap,
) -> Answer {
    let found = find(&state, &named.key())?;
    Ok(answer_by_content(&headers, &attachment(&found)))
}

/// The attachment that a key names.
pub(super) fn find(shared: &Shared, key: &Key) -> Result<std::sync::Arc<record::Attachment>, Refusal> {
    let found = shared.calls.as_ref().and_then(|calls| calls.engine().attachment(key));
    found.ok_or_else(|| {
        let detail = format!("no attachment is called `{}`", shown(&key.to_string()));
        Refusal::new(ProblemCode::UnknownAttachment, detail)
    })
}

/// An attachment as the API shows it.
pub(super) fn attachment(one: &record::Attachment) -> Attachment {
    Attachment {
        network: one.key.network.clone(),
        container_id: one.key.container_id.clone(),
        ifname: one.key.ifname.clone(),
        phase: phase(one.phase),
        tool: match one.tool {
            Tool::MultiNic => AttachmentTool::MultiNic,
            Tool::Ipam => AttachmentTool::Ipam,
            Tool::Api => AttachmentTool::Legacy,
            Tool::Adopted => AttachmentTool::Adopted,
        },
        pod: one.pod.as_ref().map(pod),
        netns: one.netns.clone(),
        since: rfc3339(UNIX_EPOCH + Duration::from_secs(one.since)),
        links: one.links.iter().map(link).collect(),
        addresses: one.addresses.iter().map(|(_, lease)| address(lease)).collect(),
        plugins: one.delegates.iter().map(|delegate| delegate.plugin.clone()).collect(),
        result: one.result.clone(),
        timings: one
            .timings
            .iter()
            .map(|(step, micros)| StepTiming { step: step.clone(), micros: *micros })
            .collect(),
    }
}

/// What an event says of an attachment.
pub(crate) fn reference(key: &Key, named: Option<&record::Pod>) -> AttachmentRef {
    AttachmentRef {
        network: key.network.clone(),
        container_id: key.container_id.clone(),
        ifname: key.ifname.clone(),
        pod: named.map(pod),
    }
}

fn pod(pod: &record::Pod) -> AttachedPod {
    AttachedPod {
        namespace: pod.namespace.clone(),
        name: pod.name.clone(),
        uid: Some(pod.uid.clone()).filter(|uid| !uid.is_empty()),
    }
}

fn phase(phase: Phase) -> AttachmentPhase {
    match phase {
        Phase::Attached => AttachmentPhase::Attached,
        Phase::Detaching => AttachmentPhase::Detaching,
        Phase::Lost => AttachmentPhase::Lost,
        _ => AttachmentPhase::Attaching,
    }
}

fn link(link: &record::PodLink) -> AttachedLink {
    let (kind, mode) = match &link.link {
        LinkUse::Ipvlan { mode, .. } => ("ipvlan", Some(mode.clone())),
        LinkUse::Macvlan { passthru: true } => ("macvlan", Some("passthru".to_owned())),
        LinkUse::Macvlan { passthru: false } => ("macvlan", None),
        LinkUse::Whole => ("host-device", None),
        LinkUse::Vf => ("sriov", link.is_vfio().then(|| "vfio-pci".to_owned())),
        _ => ("delegated", None),
    };
    AttachedLink {
        index: link.index,
        name: link.name.clone(),
        kind: kind.to_owned(),
        mode,
        nic: link.nic.clone(),
        master: link.master.clone(),
        vlan: link.vlan.as_ref().map(|vlan| vlan.id),
        mtu: link.mtu,
        mac: link.mac,
        addresses: link.addresses.iter().map(address).collect(),
        master_before: link
            .host_arp
            .map(|found| MasterArp { arp_ignore: found.ignore, arp_announce: found.announce }),
    }
}

fn address(lease: &record::Leased) -> AttachedAddress {
    AttachedAddress {
        address: lease.address.to_string(),
        block: lease.block.map(|block| block.to_string()),
        gateway: lease.gateway.map(|gateway| gateway.to_string()),
    }
}
