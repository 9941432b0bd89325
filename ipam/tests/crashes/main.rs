//! The allocator against a plain model, with a ledger that fails and a crash at any commit.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "test code outside of test functions"
)]

mod disk;
mod model;

use std::collections::BTreeMap;
use std::net::IpAddr;

use ipam::{Allocator, DurableAllocator, DurableError, Owner, ReserveError, State, Wish};
use ipnet::IpNet;
use proptest::test_runner::Config;
use proptest_state_machine::{StateMachineTest, prop_state_machine};

use crate::disk::{Disk, Fault};
use crate::model::{Answer, Call, Model, QUARANTINE, Slot, Step, Want};

/// The process and the disk that outlives it.
struct Machine {
    disk: Disk,
    allocator: DurableAllocator<Disk>,
}

fn block() -> IpNet {
    "10.0.0.0/28".parse().unwrap()
}

fn excludes(narrow: bool) -> Vec<IpNet> {
    if narrow { vec!["10.0.0.8/31".parse().unwrap()] } else { Vec::new() }
}

fn ip(last: u8) -> IpAddr {
    IpAddr::from([10, 0, 0, last])
}

fn last(address: IpAddr) -> u8 {
    let IpAddr::V4(v4) = address else { panic!("{address} is no IPv4 address") };
    v4.octets()[3]
}

fn owner(number: u16) -> Owner {
    Owner { network: "n".to_owned(), container_id: format!("c{number}"), ifname: "net1".to_owned(), index: 0 }
}

fn start(disk: &Disk, narrow: bool) -> DurableAllocator<Disk> {
    let mut allocator = Allocator::new(QUARANTINE);
    allocator.set_block("n", block(), &excludes(narrow));
    DurableAllocator::open(allocator, disk.clone()).unwrap()
}

fn fault_of(step: &Step) -> Fault {
    match step {
        Step::Give(_, fault) | Step::TakeBack(_, fault) | Step::Expire(fault) => *fault,
        _ => Fault::None,
    }
}

impl Machine {
    fn call(&mut self, step: &Step, model: &Model) {
        match &model.call {
            Call::Nothing => {}
            Call::Give { owner: number, answer } => {
                let Step::Give(want, _) = step else { panic!("the model made another step") };
                let wish = match want {
                    Want::Any => Wish::Any,
                    Want::Prefer(address) => Wish::Prefer(ip(*address)),
                    Want::Exactly(address) => Wish::Exactly(ip(*address)),
                };
                let given = match self.allocator.give(block(), &owner(*number), wish, model.now) {
                    Ok(address) => Answer::Given(last(address)),
                    Err(DurableError::Ledger(())) => Answer::None,
                    Err(DurableError::Reserve(ReserveError::Full(_))) => Answer::Full,
                    Err(DurableError::Reserve(_)) => Answer::Refused,
                };
                assert_eq!(given, *answer);
            }
            Call::TakeBack { address, owner: number } => {
                // What a failing ledger answers is seen in what is there afterwards.
                let _ = self.allocator.take_back(block(), ip(*address), &owner(*number), model.now);
            }
            Call::Settle { owner: number } => {
                self.allocator.take_back_all(&owner(*number), model.now).unwrap();
            }
            Call::Expire => {
                let _ = self.allocator.expire(model.now);
            }
        }
    }
}

impl StateMachineTest for Machine {
    type SystemUnderTest = Self;
    type Reference = Model;

    fn init_test(model: &Model) -> Self {
        let disk = Disk::default();
        let allocator = start(&disk, model.narrow);
        Self { disk, allocator }
    }

    fn apply(mut machine: Self, model: &Model, step: Step) -> Self {
        let fault = fault_of(&step);
        machine.disk.fault.set(fault);
        machine.call(&step, model);
        machine.disk.fault.set(Fault::None);
        if model.crashed {
            machine.allocator = start(&machine.disk, model.narrow);
        }
        if let Step::Exclude(narrow) = step {
            let covered = machine.allocator.set_block("n", block(), &excludes(narrow));
            let held = |address: &u8| matches!(model.memory.get(address), Some(Slot::Held(_)));
            let wanted: Vec<IpAddr> = [8, 9].into_iter().filter(|it| narrow && held(it)).map(ip).collect();
            assert_eq!(covered, wanted);
        }
        machine
    }

    fn check_invariants(machine: &Self, model: &Model) {
        let rows = machine.disk.rows.borrow();
        let disk: BTreeMap<u8, Slot> = rows
            .iter()
            .map(|(address, row)| match &row.state {
                State::Held { owner, .. } => {
                    (last(*address), Slot::Held(owner.container_id[1..].parse().unwrap()))
                }
                State::Resting { until, .. } => (last(*address), Slot::Resting(*until)),
                State::Free => panic!("a free address has a row"),
            })
            .collect();
        assert_eq!(disk, model.disk);
        for (address, owner) in &model.answered {
            assert_eq!(disk.get(address), Some(&Slot::Held(*owner)), "what was answered is lost");
        }
        for (address, slot) in &disk {
            if let Slot::Held(owner) = slot {
                let told = model.answered.get(address) == Some(owner);
                assert!(told || model.untold.contains(owner), "{address} is kept for nobody");
            }
        }
        let held = model.memory.values().filter(|slot| matches!(slot, Slot::Held(_))).count();
        let givable = (0..16).filter(|address| model.givable(*address));
        let usage = machine.allocator.allocator().usage("n", block()).unwrap();
        assert_eq!(usage.used, held as u64);
        assert_eq!(usage.quarantined, (model.memory.len() - held) as u64);
        assert_eq!(usage.free, givable.filter(|address| !model.memory.contains_key(address)).count() as u64);
    }

    fn teardown(mut machine: Self, model: Model) {
        // The runtime deletes whatever got no answer: nothing of it is kept.
        machine.allocator = start(&machine.disk, model.narrow);
        for number in &model.untold {
            machine.allocator.take_back_all(&owner(*number), model.now).unwrap();
        }
        let rows = machine.disk.rows.borrow();
        let held = rows.values().filter(|row| matches!(row.state, State::Held { .. }));
        let held: Vec<u8> = held.map(|row| last(row.address)).collect();
        assert_eq!(held, model.answered.keys().copied().collect::<Vec<u8>>());
    }
}

prop_state_machine! {
    #![proptest_config(Config { cases: 400, max_shrink_iters: 4000, ..Config::default() })]

    #[test]
    fn what_was_answered_stays_and_what_was_not_is_nobodys(sequential 1..120 => Machine);
}
