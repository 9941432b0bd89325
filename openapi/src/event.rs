//! Events: what changed, why, and since which generation.

use std::fmt;
use std::str::FromStr;

use crate::{AttachmentFailure, AttachmentRef};
use hwprobe::{NicId, PciAddress, Warning};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// One change. On the stream it is one server-sent event whose `id` and `event` fields repeat `id` and `type`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Event {
    /// Id of the event; send it as `Last-Event-ID` (or `?after=`) to go on from there.
    pub id: EventId,
    /// What happened.
    #[serde(rename = "type")]
    pub kind: EventType,
    /// When it was published: RFC 3339, UTC, milliseconds.
    #[schema(format = DateTime)]
    pub time: String,
    /// Generation of the inventory that first shows it.
    pub generation: u64,
    /// What made the agent look.
    pub cause: EventCause,
    /// The NIC it is about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub nic: Option<NicId>,
    /// Name of that NIC's netdev, after the change.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// The GPU it is about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gpu: Option<PciAddress>,
    /// The pool it is about, by its resource.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pool: Option<String>,
    /// What is different now, on `nic.changed`, `gpu.changed`, `node.changed`, `attachment.mtu`, `sriov.changed` and
    /// `pool.*`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub changes: Vec<FieldChange>,
    /// The warning, on `warning.raised` and `warning.cleared`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub warning: Option<Warning>,
    /// The attachment, on `attachment.*` and `addresses.full`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub attachment: Option<AttachmentRef>,
    /// Why it could not be made, on `attachment.failed` and `addresses.full`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failure: Option<AttachmentFailure>,
}

/// One member that is different now.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct FieldChange {
    /// JSON pointer (RFC 6901) into the NIC, GPU, node, attachment, PF or pool, like `/link/operState`.
    pub path: String,
    /// The value before; absent when there was none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<serde_json::Value>,
    /// The value now; absent when there is none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub to: Option<serde_json::Value>,
}

/// What happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, utoipa::ToSchema)]
#[non_exhaustive]
pub enum EventType {
    /// A NIC appeared.
    #[serde(rename = "nic.added")]
    NicAdded,
    /// A NIC is gone.
    #[serde(rename = "nic.removed")]
    NicRemoved,
    /// Facts of a NIC are different.
    #[serde(rename = "nic.changed")]
    NicChanged,
    /// A GPU appeared.
    #[serde(rename = "gpu.added")]
    GpuAdded,
    /// A GPU is gone.
    #[serde(rename = "gpu.removed")]
    GpuRemoved,
    /// Facts of a GPU are different.
    #[serde(rename = "gpu.changed")]
    GpuChanged,
    /// Facts of the node are different.
    #[serde(rename = "node.changed")]
    NodeChanged,
    /// A warning is new.
    #[serde(rename = "warning.raised")]
    WarningRaised,
    /// A warning's cause is gone.
    #[serde(rename = "warning.cleared")]
    WarningCleared,
    /// A pod was attached to a network.
    #[serde(rename = "attachment.attached")]
    AttachmentAttached,
    /// A pod was detached from a network.
    #[serde(rename = "attachment.detached")]
    AttachmentDetached,
    /// A pod could not be attached; all was taken back.
    #[serde(rename = "attachment.failed")]
    AttachmentFailed,
    /// A NIC of a pod is gone. The pod keeps its addresses until it is detached.
    #[serde(rename = "attachment.lost")]
    AttachmentLost,
    /// A NIC has a lesser MTU than a pod's link above it was given: `changes` says which.
    #[serde(rename = "attachment.mtu")]
    AttachmentMtu,
    /// A network had no address left for a pod. Told once, until one is given back.
    #[serde(rename = "addresses.full")]
    AddressesFull,
    /// A PF is nearer to, or farther from, what is wanted of it: `changes` says how.
    #[serde(rename = "sriov.changed")]
    SriovChanged,
    /// A pool offers the kubelet something else, or stands otherwise with it: `changes` says how.
    #[serde(rename = "pool.changed")]
    PoolChanged,
    /// The kubelet watches a pool from now on.
    #[serde(rename = "pool.registered")]
    PoolRegistered,
    /// A pool is not registered: another device plugin has the resource, or the kubelet did not take it. `changes` says
    /// why.
    #[serde(rename = "pool.refused")]
    PoolRefused,
    /// You missed too much: read everything again.
    #[serde(rename = "reset")]
    Reset,
}

impl EventType {
    /// Every type.
    pub const ALL: [Self; 20] = [
        Self::NicAdded,
        Self::NicRemoved,
        Self::NicChanged,
        Self::GpuAdded,
        Self::GpuRemoved,
        Self::GpuChanged,
        Self::NodeChanged,
        Self::WarningRaised,
        Self::WarningCleared,
        Self::AttachmentAttached,
        Self::AttachmentDetached,
        Self::AttachmentFailed,
        Self::AttachmentLost,
        Self::AttachmentMtu,
        Self::AddressesFull,
        Self::SriovChanged,
        Self::PoolChanged,
        Self::PoolRegistered,
        Self::PoolRefused,
        Self::Reset,
    ];

    /// The name that the API uses.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::NicAdded => "nic.added",
            Self::NicRemoved => "nic.removed",
            Self::NicChanged => "nic.changed",
            Self::GpuAdded => "gpu.added",
            Self::GpuRemoved => "gpu.removed",
            Self::GpuChanged => "gpu.changed",
            Self::NodeChanged => "node.changed",
            Self::WarningRaised => "warning.raised",
            Self::WarningCleared => "warning.cleared",
            Self::AttachmentAttached => "attachment.attached",
            Self::AttachmentDetached => "attachment.detached",
            Self::AttachmentFailed => "attachment.failed",
            Self::AttachmentLost => "attachment.lost",
            Self::AttachmentMtu => "attachment.mtu",
            Self::AddressesFull => "addresses.full",
            Self::SriovChanged => "sriov.changed",
            Self::PoolChanged => "pool.changed",
            Self::PoolRegistered => "pool.registered",
            Self::PoolRefused => "pool.refused",
            Self::Reset => "reset",
        }
    }

    /// Whether it says who holds what, which not everybody is told.
    pub fn is_about_pods(self) -> bool {
        matches!(
            self,
            Self::AttachmentAttached
                | Self::AttachmentDetached
                | Self::AttachmentFailed
                | Self::AttachmentLost
                | Self::AttachmentMtu
                | Self::AddressesFull
        )
    }
}

impl fmt::Display for EventType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// What made the agent look.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub enum EventCause {
    /// A notification of the kernel.
    Notification,
    /// The slow re-probe found what no notification had told: a defect worth reporting.
    Reprobe,
    /// The agent started.
    Start,
    /// A container runtime or a tool asked.
    Call,
    /// The agent itself changed (a port became free, say).
    Agent,
}

impl EventCause {
    /// The name that the API uses.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Notification => "notification",
            Self::Reprobe => "reprobe",
            Self::Start => "start",
            Self::Call => "call",
            Self::Agent => "agent",
        }
    }
}

/// Id of an event: which run of the agent, and the number within it, as `<epoch>-<number>`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct EventId {
    epoch: String,
    number: u64,
}

/// Why a text is no event id.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is no event id: want what an earlier event had as its id, like 18c3f2a9b-17")]
pub struct EventIdError(String);

impl EventId {
    /// Event `number` of the run `epoch` (letters and digits).
    pub fn new(epoch: &str, number: u64) -> Self {
        Self { epoch: epoch.to_owned(), number }
    }

    /// Which run of the agent.
    pub fn epoch(&self) -> &str {
        &self.epoch
    }

    /// Number within the run, from 1.
    pub fn number(&self) -> u64 {
        self.number
    }
}

impl fmt::Display for EventId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.epoch, self.number)
    }
}

impl FromStr for EventId {
    type Err = EventIdError;

    fn from_str(text: &str) -> Result<Self, EventIdError> {
        let wrong = || EventIdError(text.to_owned());
        let (epoch, number) = text.rsplit_once('-').ok_or_else(wrong)?;
        let plain = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_alphanumeric());
        if !plain(epoch) || !number.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err(wrong());
        }
        Ok(Self { epoch: epoch.to_owned(), number: number.parse().map_err(|_| wrong())? })
    }
}

impl Serialize for EventId {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for EventId {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

mod schema {
    use std::borrow::Cow;
    use utoipa::openapi::schema::{ObjectBuilder, SchemaType, Type};
    use utoipa::openapi::{RefOr, Schema};

    impl utoipa::PartialSchema for super::EventId {
        fn schema() -> RefOr<Schema> {
            ObjectBuilder::new()
                .schema_type(SchemaType::Type(Type::String))
                .description(Some("Id of an event: which run of the agent, and the number within it."))
                .pattern(Some("^[0-9A-Za-z]+-[0-9]+$"))
                .examples(["18c3f2a9b-17"])
                .into()
        }
    }

    impl utoipa::ToSchema for super::EventId {
        fn name() -> Cow<'static, str> {
            "EventId".into()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{EventId, EventType};

    #[test]
    fn event_id_reads_back_what_it_writes() {
        let id = EventId::new("18c3f2a9b", 17);

        assert_eq!(id.to_string().parse(), Ok(id));
    }

    #[test]
    fn text_that_is_no_event_id_is_refused() {
        for text in
            ["", "-", "17", "abc-", "-17", "abc-1x", "ab c-1", "abc--1", "abc-99999999999999999999999"]
        {
            assert!(text.parse::<EventId>().is_err(), "{text}");
        }
    }

    #[test]
    fn name_of_each_type_is_its_name_in_json() {
        for kind in EventType::ALL {
            assert_eq!(serde_json::to_value(kind).unwrap(), kind.as_str());
        }
    }
}
