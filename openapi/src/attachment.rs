//! Attachments: who holds what, since when, and how long each step of it took.

use hwprobe::{HwAddr, NicId};
use serde::{Deserialize, Serialize};

/// Attachments that fit a query.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct AttachmentList {
    /// How many attachments the node has, fitting or not.
    pub total: usize,
    /// The attachments that fit, by network, container and interface name.
    pub attachments: Vec<Attachment>,
}

/// What one container has of one network.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Attachment {
    /// Name of the network.
    pub network: String,
    /// Id of the container, as the runtime names it (`CNI_CONTAINERID`).
    pub container_id: String,
    /// Interface name that the runtime asked for (`CNI_IFNAME`).
    pub ifname: String,
    /// How far it is.
    pub phase: AttachmentPhase,
    /// Who asked for it.
    pub tool: AttachmentTool,
    /// The pod, as the runtime named it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pod: Option<AttachedPod>,
    /// Path of its network namespace as the runtime named it; empty when there is none.
    pub netns: String,
    /// When it was asked for: RFC 3339, UTC.
    #[schema(format = DateTime)]
    pub since: String,
    /// Its links, by index.
    pub links: Vec<AttachedLink>,
    /// Addresses that belong to no link of ours (`multi-nic-ipam` under another plugin).
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub addresses: Vec<AttachedAddress>,
    /// Plugins that ran for it, in the order of their ADDs.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub plugins: Vec<String>,
    /// The CNI result, in the form of version 1.1.0; absent until there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Object>)]
    pub result: Option<serde_json::Value>,
    /// How long each step took, in order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub timings: Vec<StepTiming>,
}

/// Names an attachment, and whose it is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct AttachmentRef {
    /// Name of the network.
    pub network: String,
    /// Id of the container.
    pub container_id: String,
    /// Interface name that the runtime asked for.
    pub ifname: String,
    /// The pod, as the runtime named it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pod: Option<AttachedPod>,
}

/// Why an attachment could not be made.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct AttachmentFailure {
    /// The CNI error code.
    pub cni_code: u32,
    /// What is wrong.
    pub message: String,
}

/// How far an attachment is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub enum AttachmentPhase {
    /// Being made.
    Attaching,
    /// Made.
    Attached,
    /// Being taken apart; it stays so when a plugin's DEL is owed.
    Detaching,
    /// A NIC of it is gone.
    Lost,
}

impl AttachmentPhase {
    /// Every phase.
    pub const ALL: [Self; 4] = [Self::Attaching, Self::Attached, Self::Detaching, Self::Lost];

    /// The name that the API uses.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Attaching => "attaching",
            Self::Attached => "attached",
            Self::Detaching => "detaching",
            Self::Lost => "lost",
        }
    }
}

/// Who asked for an attachment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub enum AttachmentTool {
    /// The executable `multi-nic`: links and addresses.
    MultiNic,
    /// The executable `multi-nic-ipam`: addresses only.
    Ipam,
    /// An old executable over the legacy routes: addresses only.
    Legacy,
    /// Nobody asked this agent: the pod was found with its addresses, which another program had given.
    Adopted,
}

/// A pod.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct AttachedPod {
    /// Its namespace.
    pub namespace: String,
    /// Its name.
    pub name: String,
    /// Its UID; absent when the runtime did not say.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub uid: Option<String>,
}

/// One link of a pod.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct AttachedLink {
    /// Position, from 0.
    pub index: u16,
    /// Name in the pod.
    pub name: String,
    /// What was made of the NIC: `ipvlan`, `macvlan`, `host-device`, or `delegated` for what a plugin made.
    pub kind: String,
    /// Mode of it, where the agent keeps one: `l2`, `l3`, `l3s`, `passthru`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mode: Option<String>,
    /// The NIC below.
    pub nic: NicId,
    /// The link on the host that it stands on: the NIC's netdev, or the VLAN above it.
    pub master: String,
    /// VLAN id, 1 to 4094.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(minimum = 1, maximum = 4094)]
    pub vlan: Option<u16>,
    /// MTU in bytes; 0 as long as it is not known.
    pub mtu: u32,
    /// Link-layer address, once known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mac: Option<HwAddr>,
    /// Its addresses, IPv4 first.
    pub addresses: Vec<AttachedAddress>,
    /// How the master was before the agent changed it for pods; absent: it is not changed. It is put back with the last
    /// pod that needs the change.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub master_before: Option<MasterArp>,
}

/// How the host treats ARP on a link of its own. The agent has `arp_ignore` at least 1 and `arp_announce` at least 2 where
/// pods are reached by the host's own address and two NICs of the host share a subnet.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct MasterArp {
    /// `arp_ignore`.
    pub arp_ignore: u32,
    /// `arp_announce`.
    pub arp_announce: u32,
}

/// An address of a pod.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct AttachedAddress {
    /// The address with its prefix length.
    pub address: String,
    /// The block of this node that it is from; absent when another IPAM or the user gave it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub block: Option<String>,
    /// Gateway that its IPAM named.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gateway: Option<String>,
}

/// How long a step took.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct StepTiming {
    /// The step.
    pub step: String,
    /// Microseconds.
    pub micros: u64,
}

/// A wish for an attachment: what a runtime tells a CNI plugin.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct AttachmentRequest {
    /// Name of the network.
    pub network: String,
    /// Id of the container; whoever makes the attachment chooses it.
    pub container_id: String,
    /// Interface name; the links are called `<ifname>-0`, `<ifname>-1` and so on.
    pub ifname: String,
    /// Path of the container's network namespace, as this agent sees it.
    pub netns: String,
    /// The network configuration, as CNI's stdin. Absent: the network's own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Object>)]
    pub config: Option<serde_json::Value>,
    /// Arguments as in `CNI_ARGS`: `KEY=value`, separated by `;`.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub args: String,
}
