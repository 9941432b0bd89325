//! Who holds an address, and where that is written down.

use std::fmt;
use std::net::IpAddr;

use ipnet::IpNet;
use serde::{Deserialize, Serialize};

use crate::allocator::{Allocator, ReserveError, Wish};

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

/// Where changes are made durable.
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

/// An allocator that answers only what its ledger has made durable.
#[derive(Debug)]
pub struct DurableAllocator<L> {
    allocator: Allocator,
    ledger: L,
}

/// Why an address was not given or taken back.
#[derive(Debug, thiserror::Error)]
pub enum DurableError<E> {
    /// It cannot be had.
    #[error(transparent)]
    Reserve(ReserveError),
    /// It could not be written down.
    #[error("write the address down")]
    Ledger(#[source] E),
}

impl<L: Ledger> DurableAllocator<L> {
    /// The allocator with what the ledger knows.
    ///
    /// # Errors
    /// When the ledger cannot be read.
    pub fn open(mut allocator: Allocator, ledger: L) -> Result<Self, L::Error> {
        allocator.restore(&ledger.load()?);
        Ok(Self { allocator, ledger })
    }

    /// Gives an address.
    ///
    /// # Errors
    /// When there is none, or it cannot be written down.
    pub fn give(
        &mut self,
        block: IpNet,
        owner: &Owner,
        wish: Wish,
        now: u64,
    ) -> Result<IpAddr, DurableError<L::Error>> {
        let reserved = self.allocator.reserve(block, owner, wish, now).map_err(DurableError::Reserve)?;
        match self.ledger.commit(std::slice::from_ref(&reserved.change)) {
            Ok(()) => Ok(reserved.change.address),
            Err(error) => {
                self.allocator.cancel(&reserved);
                Err(DurableError::Ledger(error))
            }
        }
    }

    /// Takes an address back.
    ///
    /// # Errors
    /// When it cannot be written down; then it stays held.
    pub fn take_back(
        &mut self,
        block: IpNet,
        address: IpAddr,
        owner: &Owner,
        now: u64,
    ) -> Result<(), DurableError<L::Error>> {
        let Some(change) = self.allocator.released(block, address, owner, now) else { return Ok(()) };
        self.ledger.commit(std::slice::from_ref(&change)).map_err(DurableError::Ledger)?;
        self.allocator.release(&change);
        Ok(())
    }

    /// The allocator.
    pub fn allocator(&self) -> &Allocator {
        &self.allocator
    }
}
