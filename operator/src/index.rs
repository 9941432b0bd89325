//! Everything that the operator knows of the cluster. Owned by one task; no input, no output, no clock.

mod table;

use std::collections::BTreeSet;

pub use table::Table;

use crate::seen::{
    Attachment, Blocks, Class, Host, Key, Namespace, Network, Node, Settings, Version, Versioned,
};

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
    /// Networks that must be planned anew.
    dirty: BTreeSet<String>,
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
}

impl Index {
    /// Takes in what a watch tells.
    pub fn take(&mut self, news: News) {
        match news {
            News::Network(told) => {
                let names = self.networks.take(told);
                self.dirty.extend(names.into_iter().map(|key| key.name));
            }
            News::Attachment(told) => {
                let names = self.attachments.take(told);
                self.dirty.extend(names.into_iter().map(|key| key.name));
            }
            News::Blocks(told) => {
                // An object that is gone was one of a network that its name begins with, or names no network at all:
                // every network looks.
                if !self.blocks.take(told).is_empty() {
                    self.all_dirty();
                }
            }
            News::Host(told) => {
                if !self.hosts.take(told).is_empty() {
                    self.all_dirty();
                }
            }
            News::Node(told) => {
                if !self.nodes.take(told).is_empty() {
                    self.all_dirty();
                }
            }
            News::Namespace(told) => {
                if !self.namespaces.take(told).is_empty() {
                    self.all_dirty();
                }
            }
            News::Class(told) => {
                if !self.classes.take(told).is_empty() {
                    self.all_dirty();
                }
            }
            News::Settings(told) => {
                if !self.settings.take(told).is_empty() {
                    self.all_dirty();
                }
            }
        }
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
    }

    /// The settings that count.
    pub fn config(&self) -> Option<&Settings> {
        self.settings.get(&Key::cluster("multi-nicd"))
    }

    /// The version of an attachment definition, for preconditions.
    pub fn attachment_version(&self, key: &Key) -> Option<&Version> {
        self.attachments.version(key)
    }
}

#[cfg(test)]
mod tests;
