//! Everything that the operator knows of the cluster. Owned by one task; no input, no output, no clock.

mod table;

use std::collections::BTreeSet;

pub use table::Table;

use crate::seen::{
    Attachment, Blocks, Class, Former, FunctionNetwork, Host, Key, Namespace, Network, Node, NodeState,
    NvidiaPolicy, Policy, Settings, Versioned,
};
use crate::sriov::SriovSettings;

/// What the operator knows.
#[derive(Debug, Default)]
pub struct Index {
    /// MultiNicNetworks.
    pub networks: Table<Network>,
    /// HostInterfaces.
    pub hosts: Table<Host>,
    /// Nodes.
    pub nodes: Table<Node>,
    /// Namespaces.
    pub namespaces: Table<Namespace>,
    /// NetworkAttachmentDefinitions, everybody's.
    pub attachments: Table<Attachment>,
    /// CIDR objects.
    pub blocks: Table<Blocks>,
    /// DeviceClasses.
    pub classes: Table<Class>,
    /// Configs.
    pub settings: Table<Settings>,
    /// What there is in the former group.
    pub former: FormerGroup,
    /// What there is of the SR-IOV operator.
    pub sriov: SriovOperator,
    /// NicClusterPolicies of NVIDIA's network operator.
    pub nvidia: Table<NvidiaPolicy>,
    /// Names that differ between clusters.
    pub sriov_settings: SriovSettings,
    /// Agents serve pods without Multus.
    pub without_multus: bool,
    /// Networks that must be planned anew.
    dirty: BTreeSet<String>,
}

/// Objects of the former group.
#[derive(Debug, Default)]
pub struct FormerGroup {
    /// MultiNicNetworks.
    pub networks: Table<Former>,
    /// DeviceClasses.
    pub classes: Table<Former>,
    /// Configs.
    pub settings: Table<Former>,
    /// CIDR objects.
    pub blocks: Table<Blocks>,
}

/// Objects of the SR-IOV operator, in its namespace.
#[derive(Debug, Default)]
pub struct SriovOperator {
    /// SriovNetworkNodePolicies.
    pub policies: Table<Policy>,
    /// SriovNetworks.
    pub networks: Table<FunctionNetwork>,
    /// SriovNetworkNodeStates.
    pub states: Table<NodeState>,
}

/// One thing that a watch tells.
#[derive(Debug)]
pub enum Told<T> {
    /// A list begins.
    Begin,
    /// An object of the list.
    Listed(Versioned<T>),
    /// The list is complete: what was not in it is gone.
    End,
    /// An object is new or has changed.
    Changed(Versioned<T>),
    /// An object is gone.
    Gone(Key, String),
    /// The server does not know the kind. What is known of its objects stays (TRAPS O4).
    NoSuchKind,
}

/// What a watch of some kind tells.
#[derive(Debug)]
pub enum News {
    /// Of MultiNicNetworks.
    Network(Told<Network>),
    /// Of HostInterfaces.
    Host(Told<Host>),
    /// Of Nodes.
    Node(Told<Node>),
    /// Of Namespaces.
    Namespace(Told<Namespace>),
    /// Of NetworkAttachmentDefinitions.
    Attachment(Told<Attachment>),
    /// Of CIDR objects.
    Blocks(Told<Blocks>),
    /// Of DeviceClasses.
    Class(Told<Class>),
    /// Of Configs.
    Settings(Told<Settings>),
    /// Of MultiNicNetworks of the former group.
    FormerNetwork(Told<Former>),
    /// Of DeviceClasses of the former group.
    FormerClass(Told<Former>),
    /// Of Configs of the former group.
    FormerSettings(Told<Former>),
    /// Of CIDR objects of the former group.
    FormerBlocks(Told<Blocks>),
    /// Of SriovNetworkNodePolicies.
    Policy(Told<Policy>),
    /// Of SriovNetworks.
    FunctionNetwork(Told<FunctionNetwork>),
    /// Of SriovNetworkNodeStates.
    NodeState(Told<NodeState>),
    /// Of NicClusterPolicies.
    NvidiaPolicy(Told<NvidiaPolicy>),
}

impl Index {
    /// Takes in what a watch tells.
    pub fn take(&mut self, news: News) {
        let absent = self.absent();
        self.take_in(news);
        // A kind that appears or vanishes is news to every network, also without objects.
        if self.absent() != absent {
            self.all_dirty();
        }
    }

    /// Which kinds of others the server does not know.
    fn absent(&self) -> [bool; 4] {
        let SriovOperator { policies, networks, .. } = &self.sriov;
        [self.attachments.is_absent(), policies.is_absent(), networks.is_absent(), self.nvidia.is_absent()]
    }

    fn take_in(&mut self, news: News) {
        let of_one = match news {
            News::Network(told) => self.networks.take(told),
            News::Attachment(told) => self.attachments.take(told),
            other => {
                if self.take_of_all(other) {
                    self.all_dirty();
                }
                return;
            }
        };
        self.dirty.extend(of_one.into_iter().map(|key| key.name));
    }

    /// Takes in what may concern every network; whether something is other than before.
    fn take_of_all(&mut self, news: News) -> bool {
        let changed = match news {
            News::Blocks(told) => self.blocks.take(told),
            News::Host(told) => self.hosts.take(told),
            News::Node(told) => self.nodes.take(told),
            News::Namespace(told) => self.namespaces.take(told),
            News::Class(told) => self.classes.take(told),
            News::Settings(told) => self.settings.take(told),
            News::FormerNetwork(told) => self.former.networks.take(told),
            News::FormerClass(told) => self.former.classes.take(told),
            News::FormerSettings(told) => self.former.settings.take(told),
            News::FormerBlocks(told) => self.former.blocks.take(told),
            News::Policy(told) => self.sriov.policies.take(told),
            News::FunctionNetwork(told) => self.sriov.networks.take(told),
            News::NodeState(told) => self.sriov.states.take(told),
            News::NvidiaPolicy(told) => self.nvidia.take(told),
            News::Network(_) | News::Attachment(_) => return false,
        };
        !changed.is_empty()
    }

    /// Whether everything that a plan needs has been listed once. A kind that the server does not know counts as listed,
    /// but for our own networks, hosts and blocks: without them nothing is planned.
    pub fn is_complete(&self) -> bool {
        self.networks.is_listed()
            && self.hosts.is_listed()
            && self.blocks.is_listed()
            && self.nodes.is_listed()
            && self.namespaces.is_listed()
            && (self.attachments.is_listed() || self.attachments.is_absent())
            && (self.classes.is_listed() || self.classes.is_absent())
            && (self.settings.is_listed() || self.settings.is_absent())
            && (self.former.networks.is_listed() || self.former.networks.is_absent())
            && (self.former.blocks.is_listed() || self.former.blocks.is_absent())
            && (self.sriov.policies.is_listed() || self.sriov.policies.is_absent())
            && (self.sriov.networks.is_listed() || self.sriov.networks.is_absent())
            && (self.sriov.states.is_listed() || self.sriov.states.is_absent())
            && (self.nvidia.is_listed() || self.nvidia.is_absent())
    }

    /// The networks that must be planned anew; they count as planned from now on.
    pub fn take_dirty(&mut self) -> BTreeSet<String> {
        std::mem::take(&mut self.dirty)
    }

    /// Whether a network must be planned anew.
    pub fn is_dirty(&self) -> bool {
        !self.dirty.is_empty()
    }

    /// Says that a network must be planned anew.
    pub fn mark(&mut self, network: &str) {
        self.dirty.insert(network.to_owned());
    }

    /// Says that every network must be planned anew, also those that are gone and have left something.
    pub fn all_dirty(&mut self) {
        let left = self.blocks.iter().map(|blocks| blocks.spec.config.name.clone());
        self.dirty.extend(self.networks.iter().map(|network| network.meta.key.name.clone()).chain(left));
        // What belongs to no network is looked at whenever something is.
        self.dirty.insert(String::new());
    }

    /// The settings that count.
    pub fn config(&self) -> Option<&Settings> {
        self.settings.get(&Key::cluster("multi-nicd"))
    }
}

#[cfg(test)]
mod tests;
