//! An allocator together with its ledger, for callers that write nothing else down in the same commit.

use std::net::IpAddr;

use ipnet::IpNet;

use crate::allocator::{Allocator, Reservation, ReserveError, Wish};
use crate::ledger::{Change, Ledger, Owner, State};

/// An allocator that answers only what its ledger has made durable.
#[derive(Debug)]
pub struct DurableAllocator<L> {
    allocator: Allocator,
    ledger: L,
    /// What a commit that failed may have written all the same, put right again: goes before the next commit.
    corrections: Vec<Change>,
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
    /// After a crash the ledger may hold an address that was written down and never answered; the owner is told
    /// nothing of it and asks [`take_back_all`](Self::take_back_all), as a runtime does that got no answer.
    ///
    /// # Errors
    /// When the ledger cannot be read.
    pub fn open(mut allocator: Allocator, ledger: L) -> Result<Self, L::Error> {
        allocator.restore(&ledger.load()?);
        Ok(Self { allocator, ledger, corrections: Vec::new() })
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
        match self.commit(std::slice::from_ref(&reserved.change)) {
            Ok(()) => Ok(reserved.change.address),
            Err(error) => {
                self.allocator.cancel(&reserved);
                self.corrections.push(before(&reserved, owner));
                Err(DurableError::Ledger(error))
            }
        }
    }

    /// Takes an address back; nothing happens when the owner does not hold it.
    ///
    /// # Errors
    /// When it cannot be written down; then it stays held until it is taken back again or the ledger is opened anew.
    pub fn take_back(
        &mut self,
        block: IpNet,
        address: IpAddr,
        owner: &Owner,
        now: u64,
    ) -> Result<(), DurableError<L::Error>> {
        let Some(change) = self.allocator.released(block, address, owner, now) else { return Ok(()) };
        self.commit(std::slice::from_ref(&change)).map_err(DurableError::Ledger)?;
        self.allocator.release(&change);
        Ok(())
    }

    /// Takes back whatever the ledger says that the owner holds, answered or not.
    ///
    /// # Errors
    /// When the ledger cannot be read or written; as [`take_back`](Self::take_back).
    pub fn take_back_all(&mut self, owner: &Owner, now: u64) -> Result<(), DurableError<L::Error>> {
        let rows = self.ledger.load().map_err(DurableError::Ledger)?;
        let held = |row: &Change| matches!(&row.state, State::Held { owner: holder, .. } if holder == owner);
        for row in rows.into_iter().filter(held) {
            self.take_back(row.block, row.address, owner, now)?;
        }
        Ok(())
    }

    /// Frees what has rested long enough.
    ///
    /// # Errors
    /// When it cannot be written down; it is free all the same, and written down with the next commit.
    pub fn expire(&mut self, now: u64) -> Result<(), DurableError<L::Error>> {
        let freed = self.allocator.expire(now);
        if freed.is_empty() {
            return Ok(());
        }
        self.commit(&freed).map_err(|error| {
            self.corrections.extend(freed);
            DurableError::Ledger(error)
        })
    }

    /// Makes a block known, as [`Allocator::set_block`].
    pub fn set_block(&mut self, network: &str, block: IpNet, excludes: &[IpNet]) -> Vec<IpAddr> {
        self.allocator.set_block(network, block, excludes)
    }

    /// The allocator.
    pub fn allocator(&self) -> &Allocator {
        &self.allocator
    }

    fn commit(&mut self, changes: &[Change]) -> Result<(), L::Error> {
        let all: Vec<Change> = self.corrections.iter().chain(changes).cloned().collect();
        self.ledger.commit(&all)?;
        self.corrections.clear();
        Ok(())
    }
}

/// The row as it was before the reservation; who held it before is no longer known and does not count.
fn before(reserved: &Reservation, owner: &Owner) -> Change {
    let resting = |until| State::Resting { until, last_owner: owner.clone() };
    Change { state: reserved.rested().map_or(State::Free, resting), ..reserved.change.clone() }
}
