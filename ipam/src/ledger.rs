//! Who holds an address, and where that is written down.

use std::fmt;
use std::net::IpAddr;

use ipnet::IpNet;
use serde::{Deserialize, Serialize};

/// Who holds an address: a link of an attachment, never a pod's name.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Owner {
    /// Name of the network.
    pub network: String,
    /// `CNI_CONTAINERID`.
    pub container_id: String,
    /// `CNI_IFNAME`.
    pub ifname: String,
    /// Position of the link among those of the attachment, from 0.
    pub index: u16,
}

impl fmt::Display for Owner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}/{}-{}", self.network, self.container_id, self.ifname, self.index)
    }
}

/// What becomes of an address.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Change {
    /// Name of the network.
    pub network: String,
    /// The block that it is in.
    pub block: IpNet,
    /// The address.
    pub address: IpAddr,
    /// What it is now.
    pub state: State,
}

/// What an address is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", tag = "state")]
pub enum State {
    /// Somebody holds it.
    #[serde(rename_all = "camelCase")]
    Held {
        /// Who.
        owner: Owner,
        /// Since when, seconds since 1970.
        since: u64,
    },
    /// It was given back and is not given to others yet.
    #[serde(rename_all = "camelCase")]
    Resting {
        /// When it is free, seconds since 1970.
        until: u64,
        /// Who held it: may have it again.
        last_owner: Owner,
    },
    /// Nobody holds it; not written down.
    Free,
}

/// Where changes are made durable: one row an address of a block, the last change of it counts, [`State::Free`]
/// removes it.
pub trait Ledger {
    /// Why it cannot.
    type Error;

    /// Makes all changes durable, or none of them.
    ///
    /// # Errors
    /// When it cannot; then none is durable, or nobody knows.
    fn commit(&self, changes: &[Change]) -> Result<(), Self::Error>;

    /// Everything that is held or rests.
    ///
    /// # Errors
    /// When it cannot be read.
    fn load(&self) -> Result<Vec<Change>, Self::Error>;
}
