//! The store on a disk that loses what was not synced.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "test code outside of test functions"
)]

use std::collections::BTreeMap;
use std::io::ErrorKind;
use std::sync::Barrier;

use proptest::prelude::*;
use store::lossy::Disk;
use store::{Batch, Store, Table};

fn batch(pairs: &[(u8, Option<u32>)]) -> Batch {
    let mut batch = Batch::new();
    for (key, value) in pairs {
        match value {
            Some(value) => batch.put(Table::Attachments, &key.to_string(), value).unwrap(),
            None => batch.delete(Table::Attachments, &key.to_string()),
        }
    }
    batch
}

fn content(store: &Store) -> BTreeMap<u8, u32> {
    let all = store.all::<u32>(Table::Attachments).unwrap();
    assert!(all.unreadable.is_empty());
    all.records.into_iter().map(|(key, value)| (key.parse().unwrap(), value)).collect()
}

fn apply(model: &mut BTreeMap<u8, u32>, pairs: &[(u8, Option<u32>)]) {
    for (key, value) in pairs {
        match value {
            Some(value) => drop(model.insert(*key, *value)),
            None => drop(model.remove(key)),
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(120))]

    #[test]
    fn a_crash_keeps_every_answered_batch_and_no_half_of_another(
        batches in proptest::collection::vec(
            (any::<bool>(), proptest::collection::vec((0u8..12, proptest::option::of(any::<u32>())), 1..6)), 1..12),
        luck in proptest::collection::vec(0u8..3, 0..60))
    {
        let disk = Disk::new();
        let store = Store::open_on(&disk).unwrap();
        let (mut durable, mut queued) = (BTreeMap::new(), Vec::new());
        for (waited, pairs) in &batches {
            if *waited {
                store.commit(batch(pairs)).unwrap();
                for earlier in queued.drain(..) {
                    apply(&mut durable, earlier);
                }
                apply(&mut durable, pairs);
            } else {
                store.with_next(batch(pairs));
                queued.push(pairs);
            }
        }
        let after = Store::open_on(&disk.crashed(&luck)).unwrap();

        prop_assert_eq!(content(&after), durable);
    }

    #[test]
    fn a_crash_in_the_middle_of_a_commit_keeps_all_of_it_or_nothing(
        first in proptest::collection::vec((0u8..12, proptest::option::of(any::<u32>())), 1..9),
        second in proptest::collection::vec((0u8..12, proptest::option::of(any::<u32>())), 1..9),
        luck in proptest::collection::vec(0u8..3, 0..40))
    {
        let disk = Disk::new();
        let store = Store::open_on(&disk).unwrap();
        store.commit(batch(&first)).unwrap();
        let mut before = BTreeMap::new();
        apply(&mut before, &first);
        let mut both = before.clone();
        apply(&mut both, &second);
        // A disk whose syncs are refused: the commit ends before its writes are safe.
        disk.set_trouble(Some(ErrorKind::StorageFull));
        let error = store.commit(batch(&second)).unwrap_err();
        prop_assert!(error.is_no_room());

        let after = content(&Store::open_on(&disk.crashed(&luck)).unwrap());

        prop_assert!(after == before || after == both, "{after:?} is neither {before:?} nor {both:?}");
    }
}

#[test]
fn after_a_full_disk_it_works_again_and_what_nobody_waited_for_is_not_lost() {
    for trouble in [ErrorKind::StorageFull, ErrorKind::ReadOnlyFilesystem] {
        let disk = Disk::new();
        let store = Store::open_on(&disk).unwrap();
        store.commit(batch(&[(1, Some(1))])).unwrap();
        store.with_next(batch(&[(2, Some(2))]));
        disk.set_trouble(Some(trouble));

        assert!(store.commit(batch(&[(3, Some(3))])).unwrap_err().is_no_room());
        assert!(store.commit(batch(&[(4, Some(4))])).is_err());
        disk.set_trouble(None);
        store.commit(batch(&[(5, Some(5))])).unwrap();

        assert_eq!(content(&store), BTreeMap::from([(1, 1), (2, 2), (5, 5)]));
    }
}

#[test]
fn callers_that_come_together_share_commits() {
    const CALLERS: usize = 64;
    const EACH: usize = 20;
    let disk = Disk::new();
    let store = Store::open_on(&disk).unwrap();
    let before = store.counts();
    let together = Barrier::new(CALLERS);
    std::thread::scope(|scope| {
        for caller in 0..CALLERS {
            let (store, together) = (&store, &together);
            scope.spawn(move || {
                for number in 0..EACH {
                    together.wait();
                    let mut batch = Batch::new();
                    batch.put(Table::Debts, &format!("{caller}-{number}"), &number).unwrap();
                    store.commit(batch).unwrap();
                }
            });
        }
    });
    let after = store.counts();

    assert_eq!(store.all::<usize>(Table::Debts).unwrap().records.len(), CALLERS * EACH);
    assert_eq!(after.waited - before.waited, (CALLERS * EACH) as u64);
    let commits = after.commits - before.commits;
    assert!(commits <= (CALLERS * EACH / 2) as u64, "{commits} commits for {} callers", CALLERS * EACH);
}
