//! What the operator remembers of objects: only what its plans need. Everything else is dropped where it comes in.

use std::collections::BTreeMap;

use crds::foreign::{
    NicClusterPolicySpec, SriovClusterPolicySpec, SriovNetworkNodeStateStatus, SriovNetworkSpec,
};
use crds::{
    CidrSpec, ConfigSpec, DeviceClassSpec, HostInterfaceSpec, NetworkSpec, NetworkStatus, RouteReport,
    SriovPlan,
};
use serde_json::Value;

use crate::attachment::GENERATED_LABEL;

/// Where an object is: its namespace (empty: it is in none) and its name.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Key {
    /// Namespace; empty for what is cluster scoped.
    pub namespace: String,
    /// Name.
    pub name: String,
}

/// What every object has.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Meta {
    /// Where it is.
    pub key: Key,
    /// `metadata.uid`.
    pub uid: String,
    /// `metadata.generation`; 0 for kinds that have none.
    pub generation: i64,
    /// `metadata.creationTimestamp`, RFC 3339.
    pub created: String,
    /// `metadata.labels`.
    pub labels: BTreeMap<String, String>,
    /// `metadata.finalizers`.
    pub finalizers: Vec<String>,
    /// It has a `deletionTimestamp`.
    pub deleting: bool,
}

/// An object with its version, which only the table that it is in looks at: a version alone is no change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Versioned<T> {
    /// `metadata.resourceVersion`.
    pub version: Version,
    /// The object.
    pub object: T,
}

/// `metadata.resourceVersion`: a text for the server, a number for the question which of two is newer.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Version(pub String);

impl Version {
    /// Whether it is older than another one of the same object. What is no number is never older.
    pub fn is_older_than(&self, other: &Self) -> bool {
        matches!((self.0.parse::<u64>(), other.0.parse::<u64>()), (Ok(own), Ok(other)) if own < other)
    }
}

/// Something that a table can hold.
pub trait Seen: Clone + PartialEq {
    /// What every object has.
    fn meta(&self) -> &Meta;
}

macro_rules! seen {
    ($($kind:ty),*) => { $(impl Seen for $kind { fn meta(&self) -> &Meta { &self.meta } })* };
}
seen!(
    Network,
    Host,
    Node,
    Namespace,
    Attachment,
    Blocks,
    Class,
    Settings,
    Former,
    Policy,
    FunctionNetwork,
    NodeState,
    NvidiaPolicy
);

/// A MultiNicNetwork.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Network {
    /// What every object has.
    pub meta: Meta,
    /// What is wanted.
    pub spec: NetworkSpec,
    /// What was said of it last; default values when nothing was.
    pub status: NetworkStatus,
    /// Uid of the object of the former group that it was made from; empty: it was made from none.
    pub mirrored_from: String,
}

/// A HostInterface.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Host {
    /// What every object has.
    pub meta: Meta,
    /// What its agent found.
    pub spec: HostInterfaceSpec,
    /// What its agent says of routes.
    pub routes: Vec<RouteReport>,
    /// What its agent is told to make of its PFs.
    pub sriov_plan: Vec<SriovPlan>,
}

/// A Node.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Node {
    /// What every object has.
    pub meta: Meta,
    /// Its labels.
    pub labels: BTreeMap<String, String>,
    /// Its addresses, internal and external.
    pub addresses: Vec<String>,
    /// Ranges that its ordinary pods have addresses from.
    pub pod_ranges: Vec<String>,
}

/// A Namespace.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Namespace {
    /// What every object has.
    pub meta: Meta,
    /// Its phase is `Active`.
    pub active: bool,
}

/// A NetworkAttachmentDefinition.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Attachment {
    /// What every object has.
    pub meta: Meta,
    /// `spec.config`.
    pub config: String,
    /// Annotation `k8s.v1.cni.cncf.io/resourceName`; empty: none.
    pub resource_name: String,
    /// Uid of the MultiNicNetwork that it belongs to; empty: it belongs to none.
    pub owner: String,
    /// Who wrote `spec.config` last, by `managedFields`; empty: not known.
    pub config_by: String,
}

/// A CIDR object.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Blocks {
    /// What every object has.
    pub meta: Meta,
    /// Who has which block.
    pub spec: CidrSpec,
}

/// A DeviceClass.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Class {
    /// What every object has.
    pub meta: Meta,
    /// What belongs to it.
    pub spec: DeviceClassSpec,
    /// As of a network.
    pub mirrored_from: String,
}

/// A Config.
#[derive(Debug, Clone, PartialEq)]
pub struct Settings {
    /// What every object has.
    pub meta: Meta,
    /// The settings.
    pub spec: ConfigSpec,
    /// As of a network.
    pub mirrored_from: String,
}

/// A SriovNetworkNodePolicy.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Policy {
    /// What every object has.
    pub meta: Meta,
    /// What is wanted.
    pub spec: SriovClusterPolicySpec,
}

/// A SriovNetwork.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct FunctionNetwork {
    /// What every object has.
    pub meta: Meta,
    /// What is wanted.
    pub spec: SriovNetworkSpec,
}

/// A SriovNetworkNodeState.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct NodeState {
    /// What every object has.
    pub meta: Meta,
    /// What the SR-IOV operator found on the node.
    pub status: SriovNetworkNodeStateStatus,
}

/// A NicClusterPolicy.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct NvidiaPolicy {
    /// What every object has.
    pub meta: Meta,
    /// What is wanted.
    pub spec: NicClusterPolicySpec,
}

/// An object of the former group.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Former {
    /// What every object has.
    pub meta: Meta,
    /// `spec`, as it is.
    pub spec: Value,
    /// `status`, as it is.
    pub status: Value,
}

impl Meta {
    /// It has the mark of what the predecessor's operator generated, and ours.
    pub fn is_generated(&self) -> bool {
        self.labels.get(GENERATED_LABEL).is_some_and(|value| value == "true")
    }
}

impl Key {
    /// Of something that is in no namespace.
    pub fn cluster(name: &str) -> Self {
        Self { namespace: String::new(), name: name.to_owned() }
    }

    /// Of something in a namespace.
    pub fn within(namespace: &str, name: &str) -> Self {
        Self { namespace: namespace.to_owned(), name: name.to_owned() }
    }
}

impl std::fmt::Display for Key {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if self.namespace.is_empty() {
            f.write_str(&self.name)
        } else {
            write!(f, "{}/{}", self.namespace, self.name)
        }
    }
}

impl Host {
    /// Nobody of ours writes or deletes it (label `multi-nic-unmanaged`).
    pub fn is_unmanaged(&self) -> bool {
        self.meta.labels.get(crds::UNMANAGED_LABEL).is_some_and(|value| value.eq_ignore_ascii_case("true"))
    }
}
