//! What a NIC is used for: protected, held, secondary, extra MACs.

use serde::{Deserialize, Serialize};

/// Why a NIC is protected: it carries the node, so nothing exclusive is done with it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct Protection {
    /// What it carries.
    pub reason: ProtectionReason,
    /// From what carries the node down to this NIC, like `["default route (table 254)", "br-ex", "ovs-system", "eth0"]`.
    pub path: Vec<String>,
    /// Not seen right now, but remembered from before.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub remembered: bool,
}

impl Protection {
    /// Protection for `reason`, found along `path`.
    pub fn new(reason: ProtectionReason, path: Vec<String>) -> Self {
        Self { reason, path, remembered: false }
    }
}

/// What a protected NIC carries.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub enum ProtectionReason {
    /// A default route, of any table.
    DefaultRoute,
    /// The route to the API server.
    ApiServer,
    /// An address of the Node object.
    NodeAddress,
    /// Mounted network storage (NFS, iSCSI, NVMe over TCP …).
    Storage,
    /// The configuration lists it.
    Configured,
    /// It is a port of an Open vSwitch datapath.
    OvsDatapath,
}

/// Who holds a NIC.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct Held {
    /// Kind of holder.
    pub by: HeldBy,
    /// The network namespace that the netdev is in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub namespace: Option<NamespaceRef>,
    /// Name of the netdev in that namespace.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Process that has the vfio group or device open.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pid: Option<u32>,
    /// Name of that process, or of the master or upper links.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub holder: Option<String>,
}

impl Held {
    /// Held by a holder of this kind.
    pub fn new(by: HeldBy) -> Self {
        Self { by, namespace: None, name: None, pid: None, holder: None }
    }
}

/// Kind of holder of a NIC.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub enum HeldBy {
    /// Another network namespace has its netdev.
    Namespace,
    /// A process has it open through vfio.
    Vfio,
    /// It is bound to vfio-pci and we may not look who has it open: counts as held.
    VfioUnknown,
    /// It is a slave of a bond, team or bridge.
    Master,
    /// Links stand on it (ipvlan, macvlan, VLAN).
    Upper,
    /// The node uses it: it is protected or has an address.
    Node,
    /// The kubelet has given it to a pod (`heldBy` says which), and it has not left yet.
    Pod,
}

/// A container that the kubelet has given a device: the NIC, or a share of it.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct PodHolder {
    /// The extended resource, like `multinic.fms.io/rails`.
    pub resource: String,
    /// Id of the device under that resource.
    pub device: String,
    /// Namespace of the pod; absent when only the kubelet's checkpoint could be read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub namespace: Option<String>,
    /// Name of the pod; absent when only the kubelet's checkpoint could be read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pod: Option<String>,
    /// UID of the pod; absent when the kubelet was asked, whose answer does not tell it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub uid: Option<String>,
    /// Name of the container in the pod.
    pub container: String,
}

impl PodHolder {
    /// Somebody who has `device` of `resource`.
    pub fn new(resource: String, device: String) -> Self {
        Self { resource, device, ..Self::default() }
    }
}

/// A network namespace, as far as this node can name it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct NamespaceRef {
    /// Name below `/run/netns`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// A process in it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pid: Option<u32>,
    /// Name of that process.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub process: Option<String>,
    /// UID of the pod that the process belongs to, from its cgroup.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pod_uid: Option<String>,
    /// Id of the container that the process belongs to, from its cgroup.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub container_id: Option<String>,
}

/// Whether pods may get the NIC.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct Secondary {
    /// A hardware NIC, VLAN or bond that is not protected, not enslaved and not held.
    pub is_secondary: bool,
    /// Why not, when it is not.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub reasons: Vec<NotSecondary>,
    /// For what it can be used right now.
    pub usable: UsableFor,
}

/// Why a NIC is not secondary.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub enum NotSecondary {
    /// A virtual link other than a VLAN or bond, or a representor.
    NotHardware,
    /// It carries the node.
    Protected,
    /// It is a slave of a bond, team or bridge.
    Enslaved,
    /// Somebody holds it.
    Held,
    /// The configuration excludes it.
    Excluded,
}

/// For what a secondary NIC can be used right now; each absent reason means yes.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct UsableFor {
    /// Layer-3 plans and subnet selection.
    pub l3: bool,
    /// Layer 2 with addresses from elsewhere.
    pub l2: bool,
    /// Virtual functions.
    pub sriov: bool,
    /// What is missing for those that are `false`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub missing: Vec<Unusable>,
}

/// What a NIC lacks for a use.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub enum Unusable {
    /// Administratively down; a network or pool may raise it.
    AdminDown,
    /// No carrier.
    NoCarrier,
    /// No address with global scope.
    NoGlobalAddress,
    /// No netdev in the agent's namespace.
    NoNetdev,
    /// No SR-IOV capability, or nothing left to give.
    NoVfCapacity,
}

/// Whether the port passes frames with more source MACs than its own (macvlan needs that).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct ExtraMacs {
    /// The answer.
    pub answer: ExtraMacsAnswer,
    /// Where it comes from.
    pub source: ExtraMacsSource,
}

impl ExtraMacs {
    /// An answer with its source.
    pub fn new(answer: ExtraMacsAnswer, source: ExtraMacsSource) -> Self {
        Self { answer, source }
    }
}

impl Default for ExtraMacs {
    fn default() -> Self {
        Self::new(ExtraMacsAnswer::Unknown, ExtraMacsSource::None)
    }
}

/// Whether a port passes more than one MAC.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(rename_all = "camelCase")]
pub enum ExtraMacsAnswer {
    /// Any number.
    Yes,
    /// None but its own.
    No,
    /// Some, or only after a setting (trust, spoof check, forged transmits).
    Limited,
    /// Nobody says.
    Unknown,
}

/// Where the answer about extra MACs comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub enum ExtraMacsSource {
    /// The cloud or hypervisor that the machine runs on.
    Hypervisor,
    /// Spoof check and trust of the VF.
    VfSettings,
    /// It is a VF whose settings we cannot see.
    VfUnseen,
    /// The driver.
    Driver,
    /// It is a physical port on bare metal.
    PhysicalPort,
    /// The link below decides (VLAN, bond).
    LowerLink,
    /// InfiniBand has no MACs.
    LinkType,
    /// No source.
    None,
}
