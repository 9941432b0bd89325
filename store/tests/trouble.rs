//! A disk that is full or read-only for a while.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "test code outside of test functions"
)]

use std::io::ErrorKind;
use std::net::IpAddr;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

use ipam::{Change, Ledger, Owner, State};
use store::lossy::Disk;
use store::{Batch, Identity, Store, StoreError, Table};

fn one(table: Table, key: &str, value: u32) -> Batch {
    let mut batch = Batch::new();
    batch.put(table, key, &value).unwrap();
    batch
}

fn numbers(store: &Store, table: Table) -> Vec<(String, u32)> {
    let all = store.all(table).unwrap();
    assert!(all.unreadable.is_empty());
    all.records
}

#[test]
fn full_and_read_only_disks_are_told_apart_from_others_and_it_works_again_afterwards() {
    for (trouble, no_room) in
        [(ErrorKind::StorageFull, true), (ErrorKind::ReadOnlyFilesystem, true), (ErrorKind::Other, false)]
    {
        let disk = Disk::new();
        let store = Store::open_on(&disk).unwrap();
        store.commit(one(Table::Masters, "a", 1)).unwrap();
        store.with_next(one(Table::Masters, "b", 2));
        disk.set_trouble(Some(trouble));

        for key in ["c", "d"] {
            let error = store.commit(one(Table::Masters, key, 3)).unwrap_err();
            assert_eq!(error.is_no_room(), no_room, "{error:?}");
            assert!(error.is_of_the_disk());
        }
        disk.set_trouble(None);
        store.commit(one(Table::Masters, "e", 5)).unwrap();

        let expected = [("a", 1), ("b", 2), ("e", 5)].map(|(key, value)| (key.to_owned(), value));
        assert_eq!(numbers(&store, Table::Masters), expected);
        assert_eq!(store.counts().failed, 2);
    }
}

#[test]
fn one_disk_error_is_told_to_every_caller_of_its_commit_and_to_no_other() {
    let disk = Disk::new();
    let store = Store::open_on(&disk).unwrap();
    disk.hold_syncs();
    std::thread::scope(|scope| {
        let commit = |key: &'static str| {
            let store = &store;
            scope.spawn(move || store.commit(one(Table::Debts, key, 1)))
        };
        let first = commit("first");
        until(|| disk.held_syncs() == 1);
        let others = ["a", "b", "c"].map(commit);
        until(|| store.counts().waited == 4);
        // The first one's sync is good; the next operation is the others'.
        disk.set_trouble_after(1, ErrorKind::StorageFull);
        disk.let_all_go();

        first.join().unwrap().unwrap();
        for other in others {
            assert!(other.join().unwrap().unwrap_err().is_no_room());
        }
    });
    disk.set_trouble(None);
    assert_eq!(numbers(&store, Table::Debts), [("first".to_owned(), 1)]);
}

#[test]
fn agent_that_is_started_again_on_a_full_disk_can_read() {
    let disk = Disk::new();
    Store::open_on(&disk).unwrap().commit(one(Table::Attachments, "a", 1)).unwrap();
    let killed = {
        let _running = Store::open_on(&disk).unwrap();
        disk.crashed(&[])
    };
    for disk in [disk, killed] {
        disk.set_trouble(Some(ErrorKind::ReadOnlyFilesystem));

        let store = Store::open_on(&disk).unwrap();

        assert_eq!(store.get(Table::Attachments, "a").unwrap(), Some(1));
        assert!(store.commit(one(Table::Attachments, "b", 1)).unwrap_err().is_no_room());
        assert_eq!(store.get::<u32>(Table::Attachments, "b").unwrap(), None);
        disk.set_trouble(None);
        store.commit(one(Table::Attachments, "c", 3)).unwrap();
        let expected = [("a", 1), ("c", 3)].map(|(key, value)| (key.to_owned(), value));
        assert_eq!(numbers(&store, Table::Attachments), expected);
    }
}

#[test]
fn commit_to_a_real_file_is_one_sync_and_there_when_it_is_opened_again() {
    let folder = tempfile::tempdir().unwrap();
    let identity = Identity { machine: "m1".to_owned(), boot: "b1".to_owned() };
    let (store, _) = Store::open(folder.path(), &identity).unwrap();
    let before = store.counts().syncs;
    store.commit(one(Table::Networks, "a", 1)).unwrap();
    assert_eq!(store.counts().syncs - before, 1);
    drop(store);

    let (store, _) = Store::open(folder.path(), &identity).unwrap();
    assert_eq!(numbers(&store, Table::Networks), [("a".to_owned(), 1)]);
}

#[test]
fn readers_see_whole_batches_and_none_that_was_refused_while_the_disk_comes_and_goes() {
    let disk = Disk::new();
    let store = Store::open_on(&disk).unwrap();
    let pair = |value: u32| {
        let mut batch = one(Table::Attachments, "x", value);
        batch.put(Table::Attachments, "y", &value).unwrap();
        batch
    };
    store.commit(pair(0)).unwrap();
    let (answered, attempted, ended) = (AtomicU32::new(0), AtomicU32::new(0), AtomicBool::new(false));
    // Values of refused batches, which nobody may see once they were answered.
    let refused = |value: u32| value % 5 == 4;
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                let mut reads = 0;
                while !ended.load(Ordering::SeqCst) || reads == 0 {
                    let least = answered.load(Ordering::SeqCst);
                    let all = store.all::<u32>(Table::Attachments).unwrap();
                    let most = attempted.load(Ordering::SeqCst);
                    let values: Vec<u32> = all.records.into_iter().map(|(_, value)| value).collect();
                    let &[x, y] = &values[..] else { panic!("{values:?}") };
                    assert_eq!(x, y, "half a batch");
                    assert!((least..=most).contains(&x), "{least} ≤ {x} ≤ {most}");
                    assert!(!refused(x), "{x} was refused");
                    reads += 1;
                }
            });
        }
        for value in 1..200 {
            if refused(value) {
                disk.set_trouble_after(u64::from(value % 4), ErrorKind::StorageFull);
                attempted.store(value, Ordering::SeqCst);
                assert!(store.commit(pair(value)).unwrap_err().is_no_room());
                disk.set_trouble(None);
            } else {
                attempted.store(value, Ordering::SeqCst);
                store.commit(pair(value)).unwrap();
                answered.store(value, Ordering::SeqCst);
            }
        }
        ended.store(true, Ordering::SeqCst);
    });
}

#[test]
fn record_that_cannot_be_read_is_named_and_hides_no_other() {
    let disk = Disk::new();
    let store = Store::open_on(&disk).unwrap();
    let mut batch = one(Table::Attachments, "net-a/1/net1", 1);
    batch.put(Table::Attachments, "net-a/2/net1", &"not a number").unwrap();
    batch.put(Table::Attachments, "net-a/3/net1", &3).unwrap();
    batch.put(Table::Attachments, "net-b/1/net1", &4).unwrap();
    store.commit(batch).unwrap();

    let all = store.prefix::<u32>(Table::Attachments, "net-a/").unwrap();

    let keys: Vec<&str> = all.records.iter().map(|(key, _)| key.as_str()).collect();
    assert_eq!(keys, ["net-a/1/net1", "net-a/3/net1"]);
    let [(key, error)] = &all.unreadable[..] else { panic!("{:?}", all.unreadable) };
    assert_eq!(key, "net-a/2/net1");
    assert!(matches!(error, StoreError::Unreadable { .. }), "{error:?}");
    assert!(error.to_string().contains("`net-a/2/net1` of the table of attachments"), "{error}");
    assert!(store.get::<u32>(Table::Attachments, "net-a/2/net1").is_err());
}

#[test]
fn addresses_are_rows_while_they_are_held_or_rest() {
    let disk = Disk::new();
    let store = Store::open_on(&disk).unwrap();
    let owner = Owner {
        network: "net-a".to_owned(),
        container_id: "0123".to_owned(),
        ifname: "net1".to_owned(),
        index: 0,
    };
    let change = |address: &str, state| Change {
        network: "net-a".to_owned(),
        block: "10.1.0.0/24".parse().unwrap(),
        address: address.parse::<IpAddr>().unwrap(),
        state,
    };
    let held = change("10.1.0.7", State::Held { owner: owner.clone(), since: 5 });
    let resting = change("10.1.0.8", State::Resting { until: 65, last_owner: owner.clone() });
    Ledger::commit(&store, &[held.clone(), resting.clone()]).unwrap();
    assert_eq!(store.load().unwrap(), [held.clone(), resting.clone()]);

    Ledger::commit(&store, &[change("10.1.0.8", State::Free)]).unwrap();
    assert_eq!(Store::open_on(&disk.crashed(&[])).unwrap().load().unwrap(), [held]);

    // One that cannot be read must not be given away a second time.
    let mut batch = Batch::new();
    batch.put(Table::Addresses, "net-a/10.1.0.0/24/10.1.0.9", &"?").unwrap();
    Store::commit(&store, batch).unwrap();
    assert!(matches!(store.load().unwrap_err(), StoreError::Unreadable { .. }));
}

fn until(condition: impl Fn() -> bool) {
    while !condition() {
        std::thread::yield_now();
    }
}
