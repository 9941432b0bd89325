//! Callers that come at once share commits. Counted, not timed.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "test code outside of test functions"
)]

use std::sync::Barrier;
use std::sync::atomic::{AtomicU64, Ordering};

use store::lossy::Disk;
use store::{Batch, Store, Table};

fn one(key: &str, value: u64) -> Batch {
    let mut batch = Batch::new();
    batch.put(Table::Debts, key, &value).unwrap();
    batch
}

fn until(condition: impl Fn() -> bool) {
    while !condition() {
        std::thread::yield_now();
    }
}

#[test]
fn callers_that_come_while_the_disk_is_busy_wait_for_one_sync_together() {
    for callers in [1, 8, 64, 256] {
        let disk = Disk::new();
        let store = Store::open_on(&disk).unwrap();
        let before = disk.syncs();
        disk.hold_syncs();
        std::thread::scope(|scope| {
            scope.spawn(|| store.commit(one("first", 0)).unwrap());
            until(|| disk.held_syncs() == 1);
            for caller in 0..callers {
                let store = &store;
                scope.spawn(move || store.commit(one(&caller.to_string(), caller)).unwrap());
            }
            until(|| store.counts().waited == callers + 1);
            // Nobody was answered before the sync.
            assert_eq!(store.all::<u64>(Table::Debts).unwrap().records.len(), 0);
            disk.let_all_go();
        });

        assert_eq!(disk.syncs() - before, 2, "{callers} callers");
        assert_eq!((store.counts().commits, store.counts().largest), (2, callers));
        let after = Store::open_on(&disk.crashed(&[])).unwrap();
        assert_eq!(after.all::<u64>(Table::Debts).unwrap().records.len() as u64, callers + 1);
    }
}

#[test]
fn once_saturated_at_least_half_of_the_callers_share_a_commit() {
    const EACH: u64 = 12;
    for callers in [8, 64, 256] {
        let disk = Disk::new();
        let store = Store::open_on(&disk).unwrap();
        let before = disk.syncs();
        let gone = AtomicU64::new(0);
        disk.hold_syncs();
        std::thread::scope(|scope| {
            for caller in 0..callers {
                let (store, gone) = (&store, &gone);
                scope.spawn(move || {
                    for number in 0..EACH {
                        store.commit(one(&format!("{caller}-{number}"), number)).unwrap();
                    }
                    gone.fetch_add(1, Ordering::SeqCst);
                });
            }
            // Saturated: a sync ends only when every caller that is left waits for one.
            loop {
                let left = callers - gone.load(Ordering::SeqCst);
                if left == 0 {
                    break;
                }
                if disk.held_syncs() == 1 && store.counts().waiting == left {
                    disk.let_one_go();
                }
                std::thread::yield_now();
            }
        });
        let (commits, syncs) = (store.counts().commits, disk.syncs() - before);
        // Closing syncs, too.
        disk.let_all_go();
        assert!(commits <= 2 * EACH, "{commits} commits for {callers} callers of {EACH}");
        // One a commit, and one each time that the file has grown to twice its length.
        assert!(syncs <= commits + 3, "{syncs} syncs for {commits} commits");
        assert_eq!(store.all::<u64>(Table::Debts).unwrap().records.len() as u64, callers * EACH);
    }
}

#[test]
fn free_running_callers_lose_nothing() {
    const CALLERS: u64 = 64;
    const EACH: u64 = 20;
    let disk = Disk::new();
    let store = Store::open_on(&disk).unwrap();
    let together = Barrier::new(usize::try_from(CALLERS).unwrap());
    std::thread::scope(|scope| {
        for caller in 0..CALLERS {
            let (store, together) = (&store, &together);
            scope.spawn(move || {
                together.wait();
                for number in 0..EACH {
                    let key = format!("{caller}-{number}");
                    store.with_next(one(&format!("{key}-later"), number));
                    store.commit(one(&key, number)).unwrap();
                    assert_eq!(store.get(Table::Debts, &key).unwrap(), Some(number));
                    assert_eq!(store.get(Table::Debts, &format!("{key}-later")).unwrap(), Some(number));
                }
            });
        }
    });

    let counts = store.counts();
    assert_eq!((counts.waited, counts.with_next), (CALLERS * EACH, CALLERS * EACH));
    assert!(counts.commits < CALLERS * EACH / 2, "{counts:?}");
    assert_eq!(store.all::<u64>(Table::Debts).unwrap().records.len() as u64, 2 * CALLERS * EACH);
}

#[test]
fn one_caller_waits_for_exactly_one_sync_a_commit_and_nothing_waits_for_the_next() {
    let disk = Disk::new();
    let store = Store::open_on(&disk).unwrap();
    store.commit(one("warm", 0)).unwrap();
    for number in 0..50 {
        let before = disk.syncs();
        store.with_next(one("later", number));
        assert_eq!(disk.syncs() - before, 0);
        store.commit(one(&number.to_string(), number)).unwrap();
        assert_eq!(disk.syncs() - before, 1, "commit {number}");
        assert!(!store.flush().unwrap());
    }
    assert_eq!(store.get(Table::Debts, "later").unwrap(), Some(49_u64));
}

#[test]
fn batches_are_written_in_the_order_they_came() {
    let disk = Disk::new();
    let store = Store::open_on(&disk).unwrap();
    store.with_next(one("key", 1));
    store.with_next(one("key", 2));
    let mut batch = Batch::new();
    batch.delete(Table::Debts, "other");
    store.with_next(one("other", 1));

    store.commit(batch).unwrap();

    assert_eq!(store.get(Table::Debts, "key").unwrap(), Some(2_u64));
    assert_eq!(store.get::<u64>(Table::Debts, "other").unwrap(), None);
}

#[test]
fn flush_waits_for_what_is_under_way() {
    let disk = Disk::new();
    let store = Store::open_on(&disk).unwrap();
    disk.hold_syncs();
    std::thread::scope(|scope| {
        store.with_next(one("taken along", 1));
        let commit = scope.spawn(|| store.commit(one("own", 1)).unwrap());
        until(|| disk.held_syncs() == 1);
        let flush = scope.spawn(|| {
            assert!(!store.flush().unwrap());
            Store::open_on(&disk.crashed(&[])).unwrap().get::<u64>(Table::Debts, "taken along").unwrap()
        });
        std::thread::sleep(std::time::Duration::from_millis(30));
        disk.let_all_go();
        commit.join().unwrap();
        assert_eq!(flush.join().unwrap(), Some(1));
    });
}
