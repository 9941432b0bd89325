//! What the operator may do to the cluster. A plan makes these; only the writer carries them out.

use crds::{CidrSpec, NetworkStatus, SriovPlan};

use serde_json::Value;

use crate::announcement::Announcement;
use crate::attachment::Definition;
use crate::seen::{Key, Meta, Version};

/// Who owns the fields that we write (server-side apply).
pub const FIELD_MANAGER: &str = "multi-nic-operator";

/// Label of a CIDR object: its number among those of its network.
pub const SLICE_LABEL: &str = "multinic.fms.io/slice";

/// One change.
#[derive(Debug, Clone, PartialEq)]
pub enum Write {
    /// Makes or changes an attachment definition.
    Attachment {
        /// Where.
        key: Key,
        /// Its network.
        network: Box<Meta>,
        /// What it should be.
        definition: Definition,
        /// There is one of ours, or of the predecessor's: its fields become ours.
        force: bool,
    },
    /// Deletes an attachment definition, if it is still the same.
    DeleteAttachment {
        /// Where.
        key: Key,
        /// Which.
        uid: String,
    },
    /// Makes a CIDR object; there must be none.
    CreateBlocks {
        /// Its name.
        name: String,
        /// What it should be.
        spec: Box<CidrSpec>,
    },
    /// Changes a CIDR object, if it is still as it was when that was planned.
    UpdateBlocks {
        /// Its name.
        name: String,
        /// As it was.
        version: Version,
        /// What it should be.
        spec: Box<CidrSpec>,
    },
    /// Deletes a CIDR object, if it is still the same. With `network_gone` only if the kind of networks is still there
    /// (TRAPS O4), and the network's IPPools with it.
    DeleteBlocks {
        /// Its name.
        name: String,
        /// Which.
        uid: String,
        /// Its network.
        network: String,
        /// Its network is gone.
        network_gone: bool,
    },
    /// Deletes a HostInterface whose Node is gone, if it is still the same, and the node's IPPools.
    DeleteHost {
        /// Its name.
        name: String,
        /// Which.
        uid: String,
    },
    /// Takes the predecessor's finalizers off an object that is being deleted: nobody else will.
    Finalizers {
        /// Of which kind it is.
        kind: Finalized,
        /// Its name.
        name: String,
        /// As it was.
        version: Version,
        /// Those that stay.
        keep: Vec<String>,
    },
    /// Makes or changes an object of the SR-IOV operator that is ours.
    SriovObject {
        /// Of which kind it is.
        kind: SriovKind,
        /// Where.
        key: Key,
        /// Its network.
        network: String,
        /// What it should be.
        spec: Box<Value>,
    },
    /// Deletes an object of the SR-IOV operator that is ours, if it is still the same. With `network_gone` only if the kind
    /// of networks is still there: taking a policy away takes VFs from pods.
    DeleteSriovObject {
        /// Of which kind it is.
        kind: SriovKind,
        /// Where.
        key: Key,
        /// Which.
        uid: String,
        /// Its network is gone.
        network_gone: bool,
    },
    /// Tells the agent of a node what to make of its PFs.
    NodePlan {
        /// The node.
        name: String,
        /// All plans for it.
        plans: Vec<SriovPlan>,
    },
    /// Says what has become of a network.
    NetworkStatus {
        /// Its name.
        name: String,
        /// Which.
        uid: String,
        /// What of it is news.
        news: Vec<Announcement>,
        /// What is said.
        status: Box<NetworkStatus>,
    },
    /// Makes or changes the mirror of an object of the former group.
    Mirror {
        /// Of which kind it is.
        kind: Mirrored,
        /// Its name.
        name: String,
        /// Uid of the original.
        from: String,
        /// What it should be.
        spec: Box<Value>,
        /// There is one; otherwise there must be none.
        update: bool,
    },
    /// Deletes a mirror whose original is gone, if it is still the same and the original's kind is still there.
    DeleteMirror {
        /// Of which kind it is.
        kind: Mirrored,
        /// Its name.
        name: String,
        /// Which.
        uid: String,
    },
    /// Says of an original what is said of its mirror.
    FormerStatus {
        /// Its name.
        name: String,
        /// What is said.
        status: Box<NetworkStatus>,
    },
}

/// Kinds of the SR-IOV operator that we write.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum SriovKind {
    /// SriovNetworkNodePolicy.
    Policy,
    /// SriovNetwork.
    Network,
}

/// Kinds that are mirrored from the former group.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Mirrored {
    /// MultiNicNetwork.
    Network,
    /// DeviceClass.
    Class,
    /// Config.
    Settings,
}

/// Kinds that may have the predecessor's finalizers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Finalized {
    /// MultiNicNetwork.
    Network,
    /// CIDR.
    Blocks,
    /// HostInterface.
    Host,
}

/// What tells one change from another: a failure belongs to it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct WriteKey {
    /// Kind of the object.
    pub kind: &'static str,
    /// Where it is.
    pub key: Key,
}

impl Write {
    /// Which object it is about.
    pub fn key(&self) -> WriteKey {
        let of = |kind, key: Key| WriteKey { kind, key };
        match self {
            Self::Attachment { key, .. } | Self::DeleteAttachment { key, .. } => {
                of("NetworkAttachmentDefinition", key.clone())
            }
            Self::CreateBlocks { name, .. }
            | Self::UpdateBlocks { name, .. }
            | Self::DeleteBlocks { name, .. } => of("CIDR", Key::cluster(name)),
            Self::DeleteHost { name, .. } | Self::NodePlan { name, .. } => {
                of("HostInterface", Key::cluster(name))
            }
            Self::SriovObject { kind, key, .. } | Self::DeleteSriovObject { kind, key, .. } => {
                of(kind.word(), key.clone())
            }
            Self::Finalizers { kind, name, .. } => of(kind.word(), Key::cluster(name)),
            Self::NetworkStatus { name, .. } | Self::FormerStatus { name, .. } => {
                of("MultiNicNetwork", Key::cluster(name))
            }
            Self::Mirror { kind, name, .. } | Self::DeleteMirror { kind, name, .. } => {
                of(kind.word(), Key::cluster(name))
            }
        }
    }
}

impl Finalized {
    /// Its kind.
    pub fn word(self) -> &'static str {
        match self {
            Self::Network => "MultiNicNetwork",
            Self::Blocks => "CIDR",
            Self::Host => "HostInterface",
        }
    }
}

impl Mirrored {
    /// Its kind.
    pub fn word(self) -> &'static str {
        match self {
            Self::Network => "MultiNicNetwork",
            Self::Class => "DeviceClass",
            Self::Settings => "Config",
        }
    }

    /// The kind's plural.
    pub fn plural(self) -> &'static str {
        match self {
            Self::Network => "multinicnetworks",
            Self::Class => "deviceclasses",
            Self::Settings => "configs",
        }
    }
}

impl SriovKind {
    /// Its kind.
    pub fn word(self) -> &'static str {
        match self {
            Self::Policy => "SriovNetworkNodePolicy",
            Self::Network => "SriovNetwork",
        }
    }

    /// The kind's plural.
    pub fn plural(self) -> &'static str {
        match self {
            Self::Policy => "sriovnetworknodepolicies",
            Self::Network => "sriovnetworks",
        }
    }
}
