//! The allocator as plainly as can be said: maps from the last byte of an address in 10.0.0.0/28.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;
use proptest_state_machine::ReferenceStateMachine;

use crate::disk::Fault;

pub(crate) const QUARANTINE: u64 = 60;

/// What an address is; absent: free.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Slot {
    /// By the owner with this number.
    Held(u16),
    /// Until.
    Resting(u64),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Want {
    Any,
    Prefer(u8),
    Exactly(u8),
}

#[derive(Debug, Clone)]
pub(crate) enum Step {
    Give(Want, Fault),
    /// One of those that are held, as its owner.
    TakeBack(usize, Fault),
    /// One of those that are held, as somebody else.
    TakeBackForeign(usize),
    /// All of one owner who was told nothing, as a runtime's DEL does.
    Settle(usize),
    Expire(Fault),
    Wait(i64),
    Crash,
    Exclude(bool),
}

/// The call that the last step made, and what it must answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Call {
    Nothing,
    Give { owner: u16, answer: Answer },
    TakeBack { address: u8, owner: u16 },
    Settle { owner: u16 },
    Expire,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Answer {
    Given(u8),
    Full,
    Refused,
    /// The ledger failed or the process ended.
    None,
}

#[derive(Debug, Clone)]
pub(crate) struct Model {
    pub(crate) now: u64,
    pub(crate) narrow: bool,
    pub(crate) memory: BTreeMap<u8, Slot>,
    pub(crate) disk: BTreeMap<u8, Slot>,
    /// Written before the next commit.
    corrections: Vec<(u8, Option<Slot>)>,
    /// Owners who were told an address and have not asked to give it back.
    pub(crate) answered: BTreeMap<u8, u16>,
    /// Owners who asked for something and got no answer.
    pub(crate) untold: BTreeSet<u16>,
    cursor: u8,
    owners: u16,
    pub(crate) call: Call,
    /// The process ended in the last step.
    pub(crate) crashed: bool,
}

impl Model {
    pub(crate) fn givable(&self, address: u8) -> bool {
        (1..=14).contains(&address) && !(self.narrow && (8..=9).contains(&address))
    }

    fn next(&self) -> Option<u8> {
        let free = |address: &u8| self.givable(*address) && !self.memory.contains_key(address);
        let resting = self.memory.iter().filter_map(|(address, slot)| match slot {
            Slot::Resting(until) if self.givable(*address) => Some((*until, *address)),
            _ => None,
        });
        (self.cursor..16)
            .find(free)
            .or_else(|| (0..16).find(free))
            .or_else(|| resting.min().map(|(_, it)| it))
    }

    fn wished(&self, address: u8) -> Option<u8> {
        let had = matches!(self.memory.get(&address), Some(Slot::Held(_)));
        (self.givable(address) && !had).then_some(address)
    }

    /// `true` when the caller is told that it is durable.
    fn commit(&mut self, changes: &[(u8, Option<Slot>)], fault: Fault) -> bool {
        if fault.writes() {
            for (address, slot) in self.corrections.iter().chain(changes) {
                match slot {
                    Some(slot) => self.disk.insert(*address, *slot),
                    None => self.disk.remove(address),
                };
            }
        }
        if fault == Fault::None {
            self.corrections.clear();
        }
        if fault.crashes() {
            self.start();
        }
        fault == Fault::None
    }

    fn start(&mut self) {
        self.crashed = true;
        self.memory = self.disk.clone();
        self.corrections.clear();
        self.cursor = 0;
    }

    fn shorten(&mut self, latest: u64) {
        for slot in self.memory.values_mut() {
            if let Slot::Resting(until) = slot {
                *until = (*until).min(latest);
            }
        }
    }

    fn give(&mut self, want: Want, fault: Fault) -> Call {
        let owner = self.owners;
        self.owners += 1;
        let chosen = match want {
            Want::Exactly(address) => self.wished(address),
            Want::Prefer(address) => self.wished(address).or_else(|| self.next()),
            Want::Any => self.next(),
        };
        let Some(address) = chosen else {
            let answer = if matches!(want, Want::Exactly(_)) { Answer::Refused } else { Answer::Full };
            return Call::Give { owner, answer };
        };
        if !matches!(want, Want::Exactly(it) | Want::Prefer(it) if it == address) {
            self.cursor = address + 1;
        }
        let before = self.memory.get(&address).copied();
        if self.commit(&[(address, Some(Slot::Held(owner)))], fault) {
            self.memory.insert(address, Slot::Held(owner));
            assert_eq!(self.answered.insert(address, owner), None, "the model gives {address} twice");
            return Call::Give { owner, answer: Answer::Given(address) };
        }
        self.untold.insert(owner);
        if !fault.crashes() {
            self.corrections.push((address, before));
        }
        Call::Give { owner, answer: Answer::None }
    }

    fn take_back(&mut self, address: u8, owner: u16, fault: Fault) {
        let until = self.now + QUARANTINE;
        self.answered.remove(&address);
        if self.commit(&[(address, Some(Slot::Resting(until)))], fault) {
            self.shorten(until);
            self.memory.insert(address, Slot::Resting(until));
        } else {
            self.untold.insert(owner);
        }
    }

    fn held(&self, pick: usize) -> Option<(u8, u16)> {
        let held: Vec<(u8, u16)> = self
            .memory
            .iter()
            .filter_map(|(address, slot)| match slot {
                Slot::Held(owner) => Some((*address, *owner)),
                Slot::Resting(_) => None,
            })
            .collect();
        held.get(pick % held.len().max(1)).copied()
    }

    fn step(&mut self, step: &Step) -> Call {
        match *step {
            Step::Wait(seconds) => self.now = self.now.saturating_add_signed(seconds).max(1),
            Step::Exclude(narrow) => self.narrow = narrow,
            Step::Give(want, fault) => return self.give(want, fault),
            Step::TakeBack(pick, fault) => {
                let Some((address, owner)) = self.held(pick) else { return Call::Nothing };
                self.take_back(address, owner, fault);
                return Call::TakeBack { address, owner };
            }
            Step::TakeBackForeign(pick) => {
                let Some((address, _)) = self.held(pick) else { return Call::Nothing };
                return Call::TakeBack { address, owner: u16::MAX };
            }
            Step::Settle(pick) => {
                let Some(owner) = self.untold.iter().nth(pick % self.untold.len().max(1)).copied() else {
                    return Call::Nothing;
                };
                let on_disk = self.disk.iter().find(|(_, slot)| **slot == Slot::Held(owner));
                let address = on_disk.map(|(address, _)| *address);
                if let Some(address) = address.filter(|it| self.memory.get(it) == Some(&Slot::Held(owner))) {
                    self.take_back(address, owner, Fault::None);
                }
                return Call::Settle { owner };
            }
            Step::Expire(fault) => {
                self.shorten(self.now + QUARANTINE);
                let due = |slot: &Slot| matches!(slot, Slot::Resting(until) if *until <= self.now);
                let due: Vec<(u8, Option<Slot>)> =
                    self.memory.iter().filter(|(_, slot)| due(slot)).map(|(it, _)| (*it, None)).collect();
                for (address, _) in &due {
                    self.memory.remove(address);
                }
                if !due.is_empty() && !self.commit(&due, fault) && !fault.crashes() {
                    self.corrections.extend(due);
                }
                return Call::Expire;
            }
            Step::Crash => self.start(),
        }
        Call::Nothing
    }
}

impl ReferenceStateMachine for Model {
    type State = Self;
    type Transition = Step;

    fn init_state() -> BoxedStrategy<Self> {
        Just(Self {
            now: 1000,
            narrow: false,
            memory: BTreeMap::new(),
            disk: BTreeMap::new(),
            corrections: Vec::new(),
            answered: BTreeMap::new(),
            untold: BTreeSet::new(),
            cursor: 0,
            owners: 0,
            call: Call::Nothing,
            crashed: false,
        })
        .boxed()
    }

    fn transitions(_: &Self) -> BoxedStrategy<Step> {
        let fault = || {
            prop_oneof![
                12 => Just(Fault::None), 1 => Just(Fault::Refused), 1 => Just(Fault::AnswerLost),
                1 => Just(Fault::CrashBefore), 1 => Just(Fault::CrashAfter)
            ]
        };
        let want = prop_oneof![
            5 => Just(Want::Any), 1 => (0u8..18).prop_map(Want::Prefer), 1 => (0u8..18).prop_map(Want::Exactly)
        ];
        prop_oneof![
            10 => (want, fault()).prop_map(|(want, fault)| Step::Give(want, fault)),
            7 => (any::<usize>(), fault()).prop_map(|(pick, fault)| Step::TakeBack(pick, fault)),
            1 => any::<usize>().prop_map(Step::TakeBackForeign),
            2 => any::<usize>().prop_map(Step::Settle),
            2 => fault().prop_map(Step::Expire),
            3 => (1i64..50).prop_map(Step::Wait),
            1 => (-3000i64..0).prop_map(Step::Wait),
            1 => Just(Step::Crash),
            1 => any::<bool>().prop_map(Step::Exclude),
        ]
        .boxed()
    }

    fn apply(mut state: Self, step: &Step) -> Self {
        state.crashed = false;
        state.call = state.step(step);
        state
    }
}
