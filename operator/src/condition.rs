//! Conditions of a network and their reasons. docs/conditions.md has each with its fix; a test compares.

use crds::Condition;

/// What a condition is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// Hosts have told of NICs that fit.
    Discovered,
    /// Every NIC that fits has a block.
    AddressesAssigned,
    /// Every namespace has its attachment definition.
    NetworkAttachmentsReady,
    /// Virtual functions are made as wanted. Only where the plugin wants some.
    SriovReady,
    /// Hosts have routes to each other's blocks.
    RoutesReady,
    /// All of it.
    Ready,
}

/// Whether it holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Status {
    /// It does.
    True,
    /// It does not.
    False,
    /// Nobody knows yet.
    Unknown,
}

macro_rules! reasons {
    ($($(#[$doc:meta])* $name:ident),* $(,)?) => {
        /// Why a condition is as it is.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
        pub enum Reason { $($(#[$doc])* $name),* }

        impl Reason {
            /// All reasons.
            pub const ALL: &[Self] = &[$(Self::$name),*];

            /// As it is written into a condition.
            pub fn word(self) -> &'static str {
                match self { $(Self::$name => stringify!($name)),* }
            }
        }
    };
}

reasons! {
    /// All is as it should be.
    AsWanted,
    /// No HostInterface is there.
    NoHosts,
    /// No NIC of any host is in the network's `masterNets`, or has an address.
    NoInterfaces,
    /// Some hosts tell of no NIC that fits.
    SomeHostsWithoutInterfaces,
    /// NICs of the network have different MTUs.
    MtuMismatch,
    /// Another IPAM plugin gives the addresses.
    OtherIpam,
    /// A field of the network cannot be.
    InvalidSpec,
    /// A change would move blocks that hosts have.
    WouldMoveBlocks,
    /// All interface numbers are taken.
    InterfaceBlockExhausted,
    /// All host numbers are taken.
    HostBlockExhausted,
    /// Networks of hosts' NICs overlap, or there are none.
    NoHostNetwork,
    /// The addresses overlap those of another network.
    SubnetOverlapsNetwork,
    /// The addresses overlap those of nodes, ordinary pods or services.
    SubnetOverlapsCluster,
    /// An attachment definition of that name is somebody else's.
    NameConflict,
    /// A namespace that is listed is not there.
    NamespaceMissing,
    /// The cluster does not know attachment definitions.
    MultusMissing,
    /// The server refused a change.
    WriteRefused,
    /// The SR-IOV operator failed on a node.
    SriovFailed,
    /// NVIDIA's network operator gives out no resource.
    NoNvidiaResource,
    /// Changes are on their way.
    InProgress,
    /// The predecessor still serves nodes; new hosts wait.
    MigrationInProgress,
    /// The network needs no routes.
    NoRoutesNeeded,
    /// Not every agent has told of its routes yet.
    WaitingForAgents,
    /// Routes are missing on some hosts.
    RoutesMissing,
    /// No NIC with virtual functions is known that fits. No error: a network may come before its NICs.
    NoSriovNic,
    /// The SR-IOV operator is asked for and not there.
    NoSriovOperator,
    /// An argument of plugin `sriov` has a value that no policy can have.
    BadSriovArgument,
    /// The network names a device class that there is not.
    NoSuchDeviceClass,
    /// A PF cannot have so many virtual functions.
    TooManyVfs,
    /// A policy of somebody else is for the same PFs.
    SriovPolicyOverlap,
    /// An SR-IOV object of that name is somebody else's.
    SriovNameConflict,
    /// A policy of somebody else gives its VFs out under the same resource.
    SriovResourceTaken,
    /// No selector selects the nodes that are meant, and no others.
    NodesNotSelectable,
}

/// A condition before it is known whether it is a change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// What it is about.
    pub kind: Kind,
    /// Whether it holds.
    pub status: Status,
    /// Why.
    pub reason: Reason,
    /// For people: what is the matter and what to do; empty: nothing.
    pub message: String,
}

impl Kind {
    /// As it is written into a condition.
    pub fn word(self) -> &'static str {
        match self {
            Self::Discovered => "Discovered",
            Self::AddressesAssigned => "AddressesAssigned",
            Self::NetworkAttachmentsReady => "NetworkAttachmentsReady",
            Self::SriovReady => "SriovReady",
            Self::RoutesReady => "RoutesReady",
            Self::Ready => "Ready",
        }
    }
}

impl Finding {
    /// It holds.
    pub fn fine(kind: Kind, reason: Reason, message: impl Into<String>) -> Self {
        Self { kind, status: Status::True, reason, message: message.into() }
    }

    /// It does not hold.
    pub fn wrong(kind: Kind, reason: Reason, message: impl Into<String>) -> Self {
        Self { kind, status: Status::False, reason, message: message.into() }
    }

    /// Nobody knows yet.
    pub fn open(kind: Kind, reason: Reason, message: impl Into<String>) -> Self {
        Self { kind, status: Status::Unknown, reason, message: message.into() }
    }

    /// As a condition: the time of its last change stays when nothing changed.
    pub fn condition(&self, generation: i64, former: &[Condition], now: &str) -> Condition {
        let status = match self.status {
            Status::True => "True",
            Status::False => "False",
            Status::Unknown => "Unknown",
        };
        let same = former.iter().find(|one| one.kind == self.kind.word() && one.status == status);
        Condition {
            kind: self.kind.word().to_owned(),
            status: status.to_owned(),
            reason: self.reason.word().to_owned(),
            message: self.message.clone(),
            observed_generation: Some(generation),
            last_transition_time: same.map_or_else(|| now.to_owned(), |one| one.last_transition_time.clone()),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::Reason;

    #[test]
    fn every_reason_is_in_the_guide_with_its_fix_and_no_other() {
        let guide = include_str!("../../docs/conditions.md");
        let mut told = BTreeSet::new();
        for section in guide.split("\n### ").skip(1) {
            let name = section.lines().next().unwrap_or_default().trim_matches('`');
            assert!(section.contains("**Fix.**"), "{name} has no fix");
            assert!(told.insert(name), "{name} stands there twice");
        }

        let known: BTreeSet<&str> = Reason::ALL.iter().map(|reason| reason.word()).collect();
        assert_eq!(told, known);
    }
}
