//! The blocks of a node and who holds what in them.

use std::collections::HashMap;
use std::net::IpAddr;

use ipnet::IpNet;

use crate::ledger::{Change, Owner, State};
use crate::pool::{Full, Pool, Refusal, Usage};

/// Seconds that an address rests unless said otherwise.
const QUARANTINE: u64 = 60;

/// Every block of a node.
#[derive(Debug)]
pub struct Allocator {
    pools: HashMap<(String, IpNet), Pool>,
    quarantine: u64,
}

/// An address that is marked as held and not yet written down.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reservation {
    /// What has to be written down.
    pub change: Change,
    /// Until when the address would have rested; absent when it was free.
    rested: Option<u64>,
}

/// Which address is wished for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wish {
    /// Any.
    Any,
    /// This one if it can be had, else any.
    Prefer(IpAddr),
    /// This one or none.
    Exactly(IpAddr),
}

/// Why there is no address.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ReserveError {
    /// The network has no such block here.
    #[error("network {network} has no block {block} on this node")]
    NoBlock {
        /// The network.
        network: String,
        /// The block.
        block: IpNet,
    },
    /// Nothing is left.
    #[error(transparent)]
    Full(#[from] Full),
    /// The wished address is outside the block.
    #[error("address {address} is not in block {block}")]
    Outside {
        /// The address.
        address: IpAddr,
        /// The block.
        block: IpNet,
    },
    /// The wished address is never given.
    #[error("address {address} of block {block} is reserved or excluded")]
    Reserved {
        /// The address.
        address: IpAddr,
        /// The block.
        block: IpNet,
    },
    /// Somebody holds the wished address.
    #[error("address {address} is held by another attachment")]
    Held {
        /// The address.
        address: IpAddr,
    },
}

impl Default for Allocator {
    fn default() -> Self {
        Self::new(QUARANTINE)
    }
}

impl Allocator {
    /// No blocks yet; addresses that are given back rest `quarantine` seconds.
    pub fn new(quarantine: u64) -> Self {
        Self { pools: HashMap::new(), quarantine }
    }

    /// Makes a block known, or gives a known one other excludes.
    pub fn set_block(&mut self, network: &str, block: IpNet, excludes: &[IpNet]) {
        match self.pools.get_mut(&(network.to_owned(), block)) {
            Some(pool) => pool.exclude(excludes),
            None => {
                self.pools.insert((network.to_owned(), block), Pool::new(block, excludes));
            }
        }
    }

    /// Takes in what was written down. A block that is not known comes into being, so that what is held in it can
    /// be given back.
    pub fn restore(&mut self, changes: &[Change]) {
        for change in changes {
            let key = (change.network.clone(), change.block);
            let pool = self.pools.entry(key).or_insert_with(|| Pool::new(change.block, &[]));
            match &change.state {
                State::Held { .. } => drop(pool.restore_held(change.address)),
                State::Resting { until, .. } => drop(pool.rest(change.address, *until, true)),
                State::Free => {}
            }
        }
    }

    /// Marks an address as held and says what has to be written down; [`cancel`](Self::cancel) it when that fails.
    ///
    /// # Errors
    /// When there is none, or not the wished one.
    pub fn reserve(
        &mut self,
        block: IpNet,
        owner: &Owner,
        wish: Wish,
        now: u64,
    ) -> Result<Reservation, ReserveError> {
        let quarantine = self.quarantine;
        let network = &owner.network;
        let pool = self.pools.get_mut(&(network.clone(), block));
        let pool = pool.ok_or_else(|| ReserveError::NoBlock { network: network.clone(), block })?;
        let (address, rested) = match wish {
            Wish::Exactly(address) => {
                let rested = pool.take(address).map_err(|refusal| match refusal {
                    Refusal::Outside => ReserveError::Outside { address, block },
                    Refusal::Reserved => ReserveError::Reserved { address, block },
                    Refusal::Held => ReserveError::Held { address },
                })?;
                (address, rested)
            }
            Wish::Prefer(address) => match pool.take(address) {
                Ok(rested) => (address, rested),
                Err(_) => pool.next(now, quarantine)?,
            },
            Wish::Any => pool.next(now, quarantine)?,
        };
        let state = State::Held { owner: owner.clone(), since: now };
        Ok(Reservation { change: Change { network: network.clone(), block, address, state }, rested })
    }

    /// Takes a reservation back that was never written down: the address is what it was before.
    pub fn cancel(&mut self, reservation: &Reservation) {
        let change = &reservation.change;
        if let Some(pool) = self.pools.get_mut(&(change.network.clone(), change.block)) {
            match reservation.rested {
                Some(until) => drop(pool.rest(change.address, until, false)),
                None => drop(pool.free(change.address)),
            }
        }
    }

    /// What has to be written down when an address is given back; nothing changes yet. Absent when no such block
    /// is known.
    pub fn released(&self, block: IpNet, address: IpAddr, owner: &Owner, now: u64) -> Option<Change> {
        self.pools.get(&(owner.network.clone(), block))?;
        let state = State::Resting { until: now.saturating_add(self.quarantine), last_owner: owner.clone() };
        Some(Change { network: owner.network.clone(), block, address, state })
    }

    /// Does what [`released`](Self::released) said. `false` when nobody held the address.
    pub fn release(&mut self, change: &Change) -> bool {
        let State::Resting { until, .. } = change.state else { return false };
        let pool = self.pools.get_mut(&(change.network.clone(), change.block));
        pool.is_some_and(|pool| pool.rest(change.address, until, false))
    }

    /// Frees what has rested long enough, and says what may be forgotten.
    pub fn expire(&mut self, now: u64) -> Vec<Change> {
        let quarantine = self.quarantine;
        let mut expired = Vec::new();
        for ((network, block), pool) in &mut self.pools {
            expired.extend(pool.wake(now, quarantine).into_iter().map(|address| Change {
                network: network.clone(),
                block: *block,
                address,
                state: State::Free,
            }));
        }
        expired
    }

    /// What a block holds.
    pub fn usage(&self, network: &str, block: IpNet) -> Option<Usage> {
        self.pools.get(&(network.to_owned(), block)).map(Pool::usage)
    }

    /// Every block with its network.
    pub fn blocks(&self) -> impl Iterator<Item = (&str, IpNet)> {
        self.pools.keys().map(|(network, block)| (network.as_str(), *block))
    }

    /// Forgets blocks of a network that hold nothing and are not in `kept`.
    pub fn retain_blocks(&mut self, kept: impl Fn(&str, IpNet) -> bool) {
        self.pools.retain(|(network, block), pool| {
            let usage = pool.usage();
            usage.used > 0 || usage.quarantined > 0 || kept(network, *block)
        });
    }
}
