//! The addresses of one network: what is taken is known once a network, not once a block, so that blocks that change
//! while pods live never give an address twice.

use std::collections::BTreeMap;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::net::IpAddr;

use ipnet::IpNet;

use crate::bitmap::{Bitmap, Mark};
use crate::block::{address, number};
use crate::ledger::Owner;
use crate::pool::{Pool, Usage};

/// Mark of an address that rests.
const RESTING: Mark = 0;

/// One network.
#[derive(Debug, Default)]
pub(crate) struct Network {
    /// Taken addresses with the mark of their owner, IPv4.
    v4: Bitmap,
    /// The same, IPv6.
    v6: Bitmap,
    pools: BTreeMap<IpNet, Pool>,
}

/// Why a wished address cannot be had.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Refusal {
    Outside,
    Reserved,
    Held,
    /// It rests under the name of a block that is no longer.
    RestsElsewhere,
}

/// A block that addresses are given of.
#[derive(Debug)]
pub(crate) struct Open<'a> {
    block: IpNet,
    taken: &'a mut Bitmap,
    pool: &'a mut Pool,
}

/// A digest of an owner, to recognise it; who it is stands in the ledger. Never [`RESTING`].
pub(crate) fn mark(owner: &Owner) -> Mark {
    let mut hasher = DefaultHasher::new();
    owner.hash(&mut hasher);
    ((hasher.finish() & u64::from(Mark::MAX)) as Mark).max(1)
}

impl Network {
    /// Makes a block known, or gives a known one other excludes; which held addresses these cover.
    pub(crate) fn set_block(&mut self, block: IpNet, excludes: &[IpNet]) -> Vec<IpAddr> {
        let pool = self.pools.entry(block).or_insert_with(|| Pool::new(block, true));
        pool.live = true;
        pool.set_excludes(excludes);
        let taken = if matches!(block, IpNet::V4(_)) { &self.v4 } else { &self.v6 };
        let covered = pool.excluded().iter().flat_map(|(first, last)| taken.taken_in(*first, *last));
        covered.filter(|(_, mark)| *mark != RESTING).map(|(number, _)| address(number, &block)).collect()
    }

    /// The block, when addresses are given of it.
    pub(crate) fn open(&mut self, block: IpNet) -> Option<Open<'_>> {
        let taken = if matches!(block, IpNet::V4(_)) { &mut self.v4 } else { &mut self.v6 };
        let pool = self.pools.get_mut(&block).filter(|pool| pool.live)?;
        Some(Open { block, taken, pool })
    }

    /// Undoes what [`Open`] took for the owner with this mark; the address rests again when it did.
    pub(crate) fn untake(&mut self, block: IpNet, address: IpAddr, rested: Option<u64>, mark: Mark) {
        if !self.is_held(address, mark) {
            return;
        }
        match (rested, self.pools.get_mut(&block)) {
            (Some(until), Some(pool)) => {
                pool.resting.add(number(address), until);
                self.taken(address).set_mark(number(address), RESTING);
            }
            _ => {
                self.taken(address).remove(number(address));
            }
        }
    }

    /// Whether the owner with this mark holds the address.
    pub(crate) fn is_held(&self, address: IpAddr, mark: Mark) -> bool {
        let taken = if address.is_ipv4() { &self.v4 } else { &self.v6 };
        taken.mark(number(address)) == Some(mark)
    }

    /// Puts an address that the owner with this mark holds to rest; `false` when it does not hold it.
    pub(crate) fn rest(&mut self, block: IpNet, address: IpAddr, until: u64, mark: Mark) -> bool {
        if !block.contains(&address) || !self.is_held(address, mark) {
            return false;
        }
        self.taken(address).set_mark(number(address), RESTING);
        let pool = self.pools.entry(block).or_insert_with(|| Pool::new(block, false));
        // Nothing that came to rest earlier may rest longer.
        pool.resting.shorten(until);
        pool.resting.add(number(address), until);
        true
    }

    /// Takes in that an address is held, whatever the rules say now: it was given before. `false` when somebody else
    /// holds it or it is outside the block.
    pub(crate) fn restore_held(&mut self, block: IpNet, address: IpAddr, mark: Mark) -> bool {
        if !self.restore_block(block, address) {
            return false;
        }
        let taken = self.taken(address);
        match taken.mark(number(address)) {
            None => taken.insert(number(address), mark),
            Some(RESTING) => {
                taken.set_mark(number(address), mark);
                for pool in self.pools.values_mut() {
                    pool.resting.remove(number(address));
                }
                true
            }
            Some(known) => known == mark,
        }
    }

    /// Takes in that an address rests. `false` when it is held, rests already or is outside the block.
    pub(crate) fn restore_resting(&mut self, block: IpNet, address: IpAddr, until: u64) -> bool {
        if !self.restore_block(block, address) || !self.taken(address).insert(number(address), RESTING) {
            return false;
        }
        if let Some(pool) = self.pools.get_mut(&block) {
            pool.resting.add(number(address), until);
        }
        true
    }

    /// Frees what has rested long enough: address and block.
    pub(crate) fn expire(&mut self, now: u64, quarantine: u64) -> Vec<(IpNet, IpAddr)> {
        let mut expired = Vec::new();
        for (block, pool) in &mut self.pools {
            let taken = if matches!(block, IpNet::V4(_)) { &mut self.v4 } else { &mut self.v6 };
            pool.resting.shorten(now.saturating_add(quarantine));
            while let Some(number) = pool.resting.pop(now) {
                taken.remove(number);
                expired.push((*block, address(number, block)));
            }
        }
        expired
    }

    /// What a block holds.
    pub(crate) fn usage(&self, block: IpNet) -> Option<Usage> {
        let taken = if matches!(block, IpNet::V4(_)) { &self.v4 } else { &self.v6 };
        let range = number(block.network())..=number(block.broadcast());
        let of_family =
            self.pools.iter().filter(|(other, _)| other.max_prefix_len() == block.max_prefix_len());
        let resting: usize = of_family.map(|(_, pool)| pool.resting.count_in(range.clone())).sum();
        self.pools.get(&block).map(|pool| pool.usage(taken, resting as u64))
    }

    /// Blocks that addresses are given of.
    pub(crate) fn blocks(&self) -> impl Iterator<Item = IpNet> {
        self.pools.iter().filter(|(_, pool)| pool.live).map(|(block, _)| *block)
    }

    /// Gives nothing any more of blocks that are not kept, and forgets those in which nothing rests.
    pub(crate) fn retain_blocks(&mut self, kept: impl Fn(IpNet) -> bool) {
        self.pools.retain(|block, pool| {
            pool.live &= kept(*block);
            pool.live || pool.resting.len() > 0
        });
    }

    /// Nothing is held or rests, and nothing can be given.
    pub(crate) fn is_empty(&self) -> bool {
        self.pools.is_empty() && self.v4.is_empty() && self.v6.is_empty()
    }

    fn restore_block(&mut self, block: IpNet, address: IpAddr) -> bool {
        if !block.contains(&address) {
            return false;
        }
        self.pools.entry(block).or_insert_with(|| Pool::new(block, false));
        true
    }

    fn taken(&mut self, address: IpAddr) -> &mut Bitmap {
        if address.is_ipv4() { &mut self.v4 } else { &mut self.v6 }
    }
}

impl Open<'_> {
    /// Takes this address; until when it would have rested if it did.
    pub(crate) fn take(&mut self, address: IpAddr, mark: Mark) -> Result<Option<u64>, Refusal> {
        if !self.block.contains(&address) {
            return Err(Refusal::Outside);
        }
        let wanted = number(address);
        if !self.pool.may_give(wanted) {
            return Err(Refusal::Reserved);
        }
        match self.taken.mark(wanted) {
            None => {
                self.taken.insert(wanted, mark);
                Ok(None)
            }
            Some(RESTING) => {
                let until = self.pool.resting.remove(wanted).ok_or(Refusal::RestsElsewhere)?;
                self.taken.set_mark(wanted, mark);
                Ok(Some(until))
            }
            Some(_) => Err(Refusal::Held),
        }
    }

    /// Takes the next free address, or the one that has rested longest; absent when the block is full.
    pub(crate) fn take_next(&mut self, mark: Mark) -> Option<(IpAddr, Option<u64>)> {
        let (number, rested) = match self.pool.next(self.taken) {
            Some(free) => {
                self.taken.insert(free, mark);
                (free, None)
            }
            None => {
                let number = self.pool.resting.longest(|number| self.pool.may_give(number))?;
                self.taken.set_mark(number, mark);
                (number, self.pool.resting.remove(number))
            }
        };
        self.pool.given(number);
        Some((address(number, &self.block), rested))
    }
}
