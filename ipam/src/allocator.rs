//! The blocks of a node and who holds what in them.

use std::collections::BTreeMap;
use std::net::IpAddr;

use ipnet::IpNet;

use crate::ledger::{Change, Owner, State};
use crate::network::{Network, Refusal, mark};
use crate::pool::{Full, Usage};

/// Seconds that an address rests unless said otherwise.
const QUARANTINE: u64 = 60;

/// Every block of a node.
///
/// What it does must become durable in the order in which it was done: a caller that writes changes down itself
/// queues them before it lets go of the lock on the allocator. Times are seconds since 1970; a clock that goes back
/// only makes rests shorter.
#[derive(Debug)]
pub struct Allocator {
    networks: BTreeMap<String, Network>,
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

impl Reservation {
    /// Until when the address would have rested, seconds since 1970; absent when it was free.
    pub fn rested(&self) -> Option<u64> {
        self.rested
    }
}

/// Which address is wished for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wish {
    /// Any: the next free one behind the last one given.
    Any,
    /// This one if it is free or rests, else any.
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
    #[error("address {address} is not in block {block}; ask for one that is")]
    Outside {
        /// The address.
        address: IpAddr,
        /// The block.
        block: IpNet,
    },
    /// The wished address is never given.
    #[error("address {address} of block {block} is reserved (an end of the block) or in excludeCIDRs")]
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
    /// The wished address was given back under a block that the network had before.
    #[error(
        "address {address} was given back a moment ago, when the network had other blocks; try again later"
    )]
    Resting {
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
        Self { networks: BTreeMap::new(), quarantine }
    }

    /// Makes a block known, or gives a known one other excludes. Answers the held addresses that an exclude covers:
    /// they stay held, and are not given again.
    pub fn set_block(&mut self, network: &str, block: IpNet, excludes: &[IpNet]) -> Vec<IpAddr> {
        self.networks.entry(network.to_owned()).or_default().set_block(block.trunc(), excludes)
    }

    /// Gives no more of blocks that are not `kept`. What is held in them stays held and can be given back, and other
    /// blocks of the network that overlap them do not give it.
    pub fn retain_blocks(&mut self, kept: impl Fn(&str, IpNet) -> bool) {
        self.networks.retain(|name, network| {
            network.retain_blocks(|block| kept(name, block));
            !network.is_empty()
        });
    }

    /// Takes in what was written down, whether its blocks are known or not. Answers the rows that it did not take in:
    /// their address is outside their block, or another row holds it.
    pub fn restore(&mut self, changes: &[Change]) -> Vec<Change> {
        let (held, others): (Vec<&Change>, Vec<&Change>) =
            changes.iter().partition(|change| matches!(change.state, State::Held { .. }));
        let mut refused = Vec::new();
        // Held ones first: they count more than rests.
        for change in held.into_iter().chain(others) {
            let network = self.networks.entry(change.network.clone()).or_default();
            let block = change.block.trunc();
            let taken = match &change.state {
                State::Held { owner, .. } => network.restore_held(block, change.address, mark(owner)),
                State::Resting { until, .. } => network.restore_resting(block, change.address, *until),
                State::Free => true,
            };
            if !taken {
                refused.push(change.clone());
            }
        }
        refused
    }

    /// Marks an address of the owner's network as held and says what has to be written down;
    /// [`cancel`](Self::cancel) it when that fails. A resting address is given when nothing else is free, the one
    /// that has rested longest, or when it is wished for.
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
        let block = block.trunc();
        let no_block = || ReserveError::NoBlock { network: owner.network.clone(), block };
        let network = self.networks.get_mut(&owner.network).ok_or_else(no_block)?;
        let mut open = network.open(block).ok_or_else(no_block)?;
        let mark = mark(owner);
        let taken = match wish {
            Wish::Exactly(address) => {
                let rested = open.take(address, mark).map_err(|refusal| refused(refusal, address, block))?;
                Some((address, rested))
            }
            Wish::Prefer(address) => match open.take(address, mark) {
                Ok(rested) => Some((address, rested)),
                Err(_) => open.take_next(mark),
            },
            Wish::Any => open.take_next(mark),
        };
        let Some((address, rested)) = taken else {
            let usage = network.usage(block).ok_or_else(no_block)?;
            return Err(Full { block, usage }.into());
        };
        let state = State::Held { owner: owner.clone(), since: now };
        Ok(Reservation { change: Change { network: owner.network.clone(), block, address, state }, rested })
    }

    /// Takes a reservation back that was never written down: the address is what it was before. Nothing happens when
    /// its owner does not hold it.
    pub fn cancel(&mut self, reservation: &Reservation) {
        let Change { network, block, address, state } = &reservation.change;
        if let (State::Held { owner, .. }, Some(network)) = (state, self.networks.get_mut(network)) {
            network.untake(*block, *address, reservation.rested, mark(owner));
        }
    }

    /// What has to be written down when an address is given back; nothing changes yet, so that nobody gets it before
    /// that is durable. Absent when this owner does not hold it: then there is nothing to do.
    pub fn released(&self, block: IpNet, address: IpAddr, owner: &Owner, now: u64) -> Option<Change> {
        let block = block.trunc();
        let network = self.networks.get(&owner.network)?;
        if !block.contains(&address) || !network.is_held(address, mark(owner)) {
            return None;
        }
        let state = State::Resting { until: now.saturating_add(self.quarantine), last_owner: owner.clone() };
        Some(Change { network: owner.network.clone(), block, address, state })
    }

    /// Does what [`released`](Self::released) said, once it is durable. `false` when its owner does not hold the
    /// address: nothing happened.
    pub fn release(&mut self, change: &Change) -> bool {
        let State::Resting { until, last_owner } = &change.state else { return false };
        let network = self.networks.get_mut(&change.network);
        network.is_some_and(|network| network.rest(change.block, change.address, *until, mark(last_owner)))
    }

    /// Frees what has rested long enough, and says which rows may be forgotten. Queue them before the allocator is
    /// used again: a later reservation of the same address must be written down behind them. Nothing depends on how
    /// often it is called: [`reserve`](Self::reserve) takes the longest resting address when nothing else is free.
    #[must_use = "rows that are not removed from the ledger stay there until the next start"]
    pub fn expire(&mut self, now: u64) -> Vec<Change> {
        let quarantine = self.quarantine;
        let of = |name: &String, (block, address)| Change {
            network: name.clone(),
            block,
            address,
            state: State::Free,
        };
        let networks = self.networks.iter_mut();
        networks
            .flat_map(|(name, network)| {
                network.expire(now, quarantine).into_iter().map(move |freed| of(name, freed))
            })
            .collect()
    }

    /// What a block holds; absent when it is not known.
    pub fn usage(&self, network: &str, block: IpNet) -> Option<Usage> {
        self.networks.get(network)?.usage(block.trunc())
    }

    /// Every block that addresses are given of, with its network, in order.
    pub fn blocks(&self) -> impl Iterator<Item = (&str, IpNet)> {
        self.networks
            .iter()
            .flat_map(|(name, network)| network.blocks().map(move |block| (name.as_str(), block)))
    }
}

fn refused(refusal: Refusal, address: IpAddr, block: IpNet) -> ReserveError {
    match refusal {
        Refusal::Outside => ReserveError::Outside { address, block },
        Refusal::Reserved => ReserveError::Reserved { address, block },
        Refusal::Held => ReserveError::Held { address },
        Refusal::RestsElsewhere => ReserveError::Resting { address },
    }
}

#[cfg(test)]
mod tests;
