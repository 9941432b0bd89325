//! The allocator against a plain model, with a ledger that fails and a crash after any commit.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "test code outside of test functions"
)]

use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::rc::Rc;

use ipam::{Allocator, Change, DurableAllocator, DurableError, Ledger, Owner, State, Wish};
use ipnet::IpNet;
use proptest::prelude::*;

const QUARANTINE: u64 = 60;

/// Keeps what was committed; may refuse, before or after having written.
#[derive(Clone, Default)]
struct Disk {
    rows: Rc<RefCell<BTreeMap<IpAddr, Change>>>,
    refuse: Rc<Cell<Refuse>>,
}

#[derive(Clone, Copy, Default, PartialEq, Debug)]
enum Refuse {
    #[default]
    Never,
    /// The commit fails and nothing is there.
    Before,
    /// The commit is there and the answer is lost: the crash of the classic kind.
    After,
}

impl Ledger for Disk {
    type Error = ();

    fn commit(&self, changes: &[Change]) -> Result<(), ()> {
        if self.refuse.get() == Refuse::Before {
            return Err(());
        }
        for change in changes {
            match change.state {
                State::Free => drop(self.rows.borrow_mut().remove(&change.address)),
                _ => drop(self.rows.borrow_mut().insert(change.address, change.clone())),
            }
        }
        if self.refuse.get() == Refuse::After { Err(()) } else { Ok(()) }
    }

    fn load(&self) -> Result<Vec<Change>, ()> {
        Ok(self.rows.borrow().values().cloned().collect())
    }
}

fn owner(number: u16) -> Owner {
    Owner { network: "n".to_owned(), container_id: format!("c{number}"), ifname: "net1".to_owned(), index: 0 }
}

fn start(disk: &Disk, block: IpNet) -> DurableAllocator<Disk> {
    let mut allocator = Allocator::new(QUARANTINE);
    allocator.set_block("n", block, &["10.0.0.8/31".parse().unwrap()]);
    DurableAllocator::open(allocator, disk.clone()).unwrap()
}

#[derive(Debug, Clone)]
enum Step {
    Give { owner: u16, wish: Option<u8>, refuse: Refuse },
    TakeBack { pick: usize, refuse: Refuse },
    Wait(u64),
    Crash,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let refuse =
        || prop_oneof![6 => Just(Refuse::Never), 1 => Just(Refuse::Before), 1 => Just(Refuse::After)];
    let step = prop_oneof![
        5 => (any::<u16>(), proptest::option::of(0u8..18), refuse())
            .prop_map(|(owner, wish, refuse)| Step::Give { owner, wish, refuse }),
        4 => (any::<usize>(), refuse()).prop_map(|(pick, refuse)| Step::TakeBack { pick, refuse }),
        2 => (1u64..90).prop_map(Step::Wait),
        1 => Just(Step::Crash),
    ];
    proptest::collection::vec(step, 1..150)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn what_was_answered_stays_and_what_was_not_is_nobodys(steps in steps()) {
        let block: IpNet = "10.0.0.0/28".parse().unwrap();
        let disk = Disk::default();
        let mut allocator = start(&disk, block);
        let (mut held, mut resting) = (BTreeMap::<IpAddr, u16>::new(), BTreeMap::<IpAddr, u64>::new());
        let mut now = 1000;
        for step in steps {
            match step {
                Step::Wait(seconds) => now += seconds,
                Step::Crash => allocator = start(&disk, block),
                Step::Give { owner: number, wish, refuse } => {
                    disk.refuse.set(refuse);
                    let wished = wish.map(|last| IpAddr::from([10, 0, 0, last]));
                    let given = allocator.give(block, &owner(number), wished.map_or(Wish::Any, Wish::Exactly), now);
                    disk.refuse.set(Refuse::Never);
                    match given {
                        Ok(address) => {
                            prop_assert!(wished.is_none_or(|wished| wished == address));
                            prop_assert!(!held.contains_key(&address), "{address} is given twice");
                            prop_assert!(!["10.0.0.0", "10.0.0.8", "10.0.0.9", "10.0.0.15"]
                                .contains(&address.to_string().as_str()));
                            if wished.is_none() && resting.get(&address).is_some_and(|until| *until > now) {
                                let awake = |address: &IpAddr| resting.get(address).is_none_or(|until| *until <= now);
                                let free = (1..15u8).filter(|last| *last != 8 && *last != 9)
                                    .map(|last| IpAddr::from([10, 0, 0, last]))
                                    .any(|address| !held.contains_key(&address) && awake(&address));
                                prop_assert!(!free, "{address} rests and another one is free");
                            }
                            resting.remove(&address);
                            held.insert(address, number);
                        }
                        Err(DurableError::Ledger(())) if refuse == Refuse::After => {
                            // Nobody was told; the caller must settle what lies on the disk, here by a new start.
                            let told: BTreeSet<IpAddr> = held.keys().copied().collect();
                            disk.rows.borrow_mut().retain(|address, change| {
                                !matches!(change.state, State::Held { .. }) || told.contains(address)
                            });
                            for address in resting.keys().copied().collect::<Vec<_>>() {
                                if !disk.rows.borrow().contains_key(&address) {
                                    resting.remove(&address);
                                }
                            }
                            allocator = start(&disk, block);
                        }
                        Err(_) => {}
                    }
                }
                Step::TakeBack { pick, refuse } => {
                    let Some((address, number)) = held.iter().nth(pick % held.len().max(1)).map(|(a, n)| (*a, *n))
                    else { continue };
                    disk.refuse.set(refuse);
                    let answer = allocator.take_back(block, address, &owner(number), now);
                    disk.refuse.set(Refuse::Never);
                    if answer.is_ok() {
                        held.remove(&address);
                        resting.insert(address, now + QUARANTINE);
                    } else if refuse == Refuse::After {
                        // On the disk it rests: a new start shows that; the runtime asks again.
                        held.remove(&address);
                        resting.insert(address, now + QUARANTINE);
                        allocator = start(&disk, block);
                    }
                }
            }
            let rows = disk.rows.borrow();
            for (address, number) in &held {
                let row = rows.get(address);
                let kept = matches!(row.map(|row| &row.state), Some(State::Held { owner: kept, .. }) if *kept == owner(*number));
                prop_assert!(kept, "{address} of {number} is lost: {row:?}");
            }
            let on_disk = rows.values().filter(|row| matches!(row.state, State::Held { .. })).count();
            prop_assert_eq!(on_disk, held.len(), "somebody holds what nobody was told");
            prop_assert_eq!(allocator.allocator().usage("n", block).unwrap().used, held.len() as u64);
        }
    }
}
