//! The power goes at any moment: what was answered is there, and of the rest all of a batch or nothing.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "test code outside of test functions"
)]

use std::collections::BTreeMap;
use std::io::ErrorKind;

use proptest::collection::vec;
use proptest::prelude::*;
use store::lossy::Disk;
use store::{Batch, Store, Table};

type Rows = BTreeMap<(Table, u8), u32>;
/// Two tables, so that a batch that is half there shows.
type Pair = (bool, u8, Option<u32>);

fn row(pair: &Pair) -> (Table, u8) {
    (if pair.0 { Table::Attachments } else { Table::Addresses }, pair.1)
}

fn batch(pairs: &[Pair]) -> Batch {
    let mut batch = Batch::new();
    for pair in pairs {
        let (table, key) = row(pair);
        match pair.2 {
            Some(value) => batch.put(table, &key.to_string(), &value).unwrap(),
            None => batch.delete(table, &key.to_string()),
        }
    }
    batch
}

fn content(store: &Store) -> Result<Rows, store::StoreError> {
    let mut rows = Rows::new();
    for table in Table::ALL {
        let all = store.all::<u32>(table)?;
        assert!(all.unreadable.is_empty());
        rows.extend(all.records.into_iter().map(|(key, value)| ((table, key.parse().unwrap()), value)));
    }
    Ok(rows)
}

fn applied<'a>(rows: &Rows, batches: impl IntoIterator<Item = &'a Vec<Pair>>) -> Rows {
    let mut rows = rows.clone();
    for pair in batches.into_iter().flatten() {
        match pair.2 {
            Some(value) => drop(rows.insert(row(pair), value)),
            None => drop(rows.remove(&row(pair))),
        }
    }
    rows
}

fn pairs() -> impl Strategy<Value = Vec<Pair>> {
    vec((any::<bool>(), 0u8..10, proptest::option::weighted(0.7, any::<u32>())), 1..6)
}

#[derive(Debug, Clone)]
enum Step {
    Commit(Vec<Pair>),
    WithNext(Vec<Pair>),
    Flush,
    /// The disk refuses after so many operations more.
    Trouble(u64, ErrorKind),
    Repair,
}

fn step() -> impl Strategy<Value = Step> {
    use ErrorKind::{Other, ReadOnlyFilesystem, StorageFull};
    prop_oneof![
        6 => pairs().prop_map(Step::Commit),
        3 => pairs().prop_map(Step::WithNext),
        1 => Just(Step::Flush),
        2 => (0u64..25, prop_oneof![Just(StorageFull), Just(ReadOnlyFilesystem), Just(Other)])
            .prop_map(|(after, kind)| Step::Trouble(after, kind)),
        2 => Just(Step::Repair),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(120))]

    #[test]
    fn power_that_goes_at_any_operation_takes_no_answered_batch_and_leaves_no_half_one(
        batches in vec((any::<bool>(), pairs()), 1..14),
        operations in 0u64..140,
        luck in vec(0u8..3, 0..60))
    {
        let disk = Disk::new();
        let store = Store::open_on(&disk).unwrap();
        disk.set_trouble_after(operations, ErrorKind::Other);
        let (mut durable, mut attempted, mut queued) = (Rows::new(), Rows::new(), Vec::new());
        for (waited, pairs) in &batches {
            queued.push(pairs);
            if !waited {
                store.with_next(batch(pairs));
                continue;
            }
            attempted = applied(&durable, queued.drain(..));
            if store.commit(batch(pairs)).is_err() {
                break;
            }
            durable = attempted.clone();
        }

        let after = content(&Store::open_on(&disk.crashed(&luck)).unwrap()).unwrap();

        prop_assert!(after == durable || after == attempted, "{after:?}\n{durable:?}\n{attempted:?}");
    }

    #[test]
    fn batch_that_was_refused_is_never_seen_and_one_that_nobody_waits_for_comes_in_the_end(
        steps in vec(step(), 1..30),
        luck in vec(0u8..3, 0..60))
    {
        let disk = Disk::new();
        let store = Store::open_on(&disk).unwrap();
        let (mut durable, mut queued, mut trouble) = (Rows::new(), Vec::<Vec<Pair>>::new(), None);
        // What the disk may hold when the power goes now.
        let mut possible = vec![Rows::new()];
        for step in &steps {
            match step {
                Step::Commit(_) | Step::Flush => {
                    let own: Vec<_> = if let Step::Commit(pairs) = step { vec![pairs.clone()] } else { vec![] };
                    let all = applied(&durable, queued.iter().chain(&own));
                    let result = match own.first() {
                        Some(pairs) => store.commit(batch(pairs)).map(|()| true),
                        None => store.flush(),
                    };
                    match result {
                        Ok(written) => {
                            prop_assert_eq!(written, !(own.is_empty() && queued.is_empty()));
                            if written {
                                possible = vec![all.clone()];
                            }
                            durable = all;
                            queued.clear();
                        }
                        Err(error) => {
                            prop_assert!(trouble.is_some() && error.is_of_the_disk(), "{error}");
                            prop_assert_eq!(error.is_no_room(), trouble != Some(ErrorKind::Other));
                            possible.push(all);
                        }
                    }
                }
                Step::WithNext(pairs) => {
                    store.with_next(batch(pairs));
                    queued.push(pairs.clone());
                }
                Step::Trouble(after, kind) => {
                    disk.set_trouble_after(*after, *kind);
                    trouble = Some(*kind);
                }
                Step::Repair => {
                    disk.set_trouble(None);
                    trouble = None;
                }
            }
            match content(&store) {
                Ok(seen) => prop_assert_eq!(&seen, &durable, "after {:?}", step),
                // A disk that only has no room can be read.
                Err(error) => prop_assert_eq!(trouble, Some(ErrorKind::Other), "{}", error),
            }
        }

        let crashed = content(&Store::open_on(&disk.crashed(&luck)).unwrap()).unwrap();
        prop_assert!(possible.contains(&crashed), "{crashed:?} is none of {possible:?}");
        disk.set_trouble(None);
        prop_assert_eq!(store.flush().unwrap(), !queued.is_empty());
        durable = applied(&durable, &queued);
        // The next commit writes back what refused ones left behind.
        store.commit(batch(&[(true, 11, Some(11))])).unwrap();
        durable.insert((Table::Attachments, 11), 11);
        prop_assert_eq!(&content(&store).unwrap(), &durable);
        prop_assert_eq!(&content(&Store::open_on(&disk.crashed(&luck)).unwrap()).unwrap(), &durable);
    }
}

#[test]
fn every_operation_of_a_commit_is_a_moment_at_which_the_power_went() {
    let before = Rows::from([((Table::Attachments, 1), 1), ((Table::Addresses, 2), 2)]);
    let change = vec![(true, 1, Some(9)), (false, 2, None), (false, 3, Some(3))];
    let after = applied(&before, [&change]);
    let (mut seen_before, mut seen_after, mut moments) = (0, 0, 0);
    for operations in 0.. {
        let disk = Disk::new();
        let store = Store::open_on(&disk).unwrap();
        store.commit(batch(&[(true, 1, Some(1)), (false, 2, Some(2))])).unwrap();
        disk.set_trouble_after(operations, ErrorKind::Other);
        if store.commit(batch(&change)).is_ok() {
            break;
        }
        moments += 1;
        for luck in [0, 1, 2] {
            let found = content(&Store::open_on(&disk.crashed(&[luck; 64])).unwrap()).unwrap();
            assert!(found == before || found == after, "operation {operations}, luck {luck}: {found:?}");
            if found == before {
                seen_before += 1;
            } else {
                seen_after += 1;
            }
        }
    }
    // Writes of pages, of the header, and a sync: an error may mean either, which is why the store keeps what it owes.
    assert!(moments >= 4, "{moments} operations");
    assert!(seen_before > 0 && seen_after > 0, "{seen_before} before, {seen_after} after");
}

#[test]
fn what_nobody_waits_for_is_written_when_the_store_is_dropped() {
    let disk = Disk::new();
    let store = Store::open_on(&disk).unwrap();
    store.with_next(batch(&[(true, 1, Some(1))]));
    assert_eq!(store.get::<u32>(Table::Attachments, "1").unwrap(), None);

    drop(store);

    let after = Store::open_on(&disk.crashed(&[])).unwrap();
    assert_eq!(after.get(Table::Attachments, "1").unwrap(), Some(1));
}
