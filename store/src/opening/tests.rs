use std::path::Path;

use redb::ReadableDatabase;

use super::{META, Opening};
use crate::{Batch, Identity, Store, StoreError, Table};

fn identity(machine: &str, boot: &str) -> Identity {
    Identity { machine: machine.to_owned(), boot: boot.to_owned() }
}

fn open(folder: &Path) -> (Store, Opening) {
    Store::open(folder, &identity("m1", "b1")).unwrap()
}

/// Writes one row of the table of facts by hand.
fn set_meta(folder: &Path, key: &str, value: &[u8]) {
    let database = redb::Database::create(folder.join("agent.redb")).unwrap();
    let write = database.begin_write().unwrap();
    write.open_table(META).unwrap().insert(key.as_bytes(), value).unwrap();
    write.commit().unwrap();
}

fn words(store: &Store) -> Vec<(String, String)> {
    store.protected().unwrap()
}

fn pair(nic: &str, word: &str) -> (String, String) {
    (nic.to_owned(), word.to_owned())
}

#[test]
fn remembered_nics_are_there_after_reopening() {
    let folder = tempfile::tempdir().unwrap();
    let (store, opening) = open(folder.path());
    assert_eq!(opening, Opening::Created);
    store.set_protected(&[pair("0000:3b:00.0", "default route"), pair("eth9", "old")]).unwrap();
    store.set_protected(&[pair("0000:3b:00.0", "default route"), pair("eth0", "node address")]).unwrap();
    drop(store);

    let (store, opening) = open(folder.path());

    assert_eq!(opening, Opening::Found { rebooted: false });
    assert_eq!(words(&store), [pair("0000:3b:00.0", "default route"), pair("eth0", "node address")]);
}

#[test]
fn another_boot_is_noticed_once() {
    let folder = tempfile::tempdir().unwrap();
    drop(open(folder.path()));

    let open = || Store::open(folder.path(), &identity("m1", "b2")).unwrap().1;

    assert_eq!(open(), Opening::Found { rebooted: true });
    assert_eq!(open(), Opening::Found { rebooted: false });
}

#[test]
fn store_of_another_machine_is_set_aside_and_kept() {
    let folder = tempfile::tempdir().unwrap();
    let (store, _) = open(folder.path());
    store.set_protected(&[pair("eth0", "theirs")]).unwrap();
    drop(store);

    let (store, opening) = Store::open(folder.path(), &identity("m2", "b1")).unwrap();

    let aside = folder.path().join("agent.redb.foreign-1");
    assert!(
        matches!(&opening, Opening::SetAside { aside: at, reason } if *at == aside && reason.contains("m1")),
        "{opening:?}"
    );
    assert!(words(&store).is_empty());
    drop(store);
    std::fs::rename(aside, folder.path().join("agent.redb")).unwrap();
    assert_eq!(words(&open(folder.path()).0), [pair("eth0", "theirs")]);
}

#[test]
fn damaged_file_is_set_aside_and_never_overwritten() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("agent.redb");
    for (number, bytes) in [&b"not a database"[..], &[0; 4096], b""].into_iter().enumerate() {
        std::fs::write(&file, bytes).unwrap();

        let (store, opening) = open(folder.path());

        if bytes.is_empty() {
            // An empty file holds nothing that could be lost.
            assert!(matches!(opening, Opening::Found { .. }), "{opening:?}");
        } else {
            let aside = folder.path().join(format!("agent.redb.damaged-{}", number + 1));
            assert!(matches!(&opening, Opening::SetAside { aside: at, .. } if *at == aside), "{opening:?}");
            assert_eq!(std::fs::read(aside).unwrap(), bytes);
        }
        assert!(words(&store).is_empty());
    }
}

#[test]
fn file_with_flipped_bytes_is_read_right_or_set_aside() {
    let folder = tempfile::tempdir().unwrap();
    let (store, _) = open(folder.path());
    let all: Vec<_> = (10..60).map(|number| pair(&format!("eth{number}"), "why")).collect();
    store.set_protected(&all).unwrap();
    drop(store);
    let file = folder.path().join("agent.redb");
    let whole = std::fs::read(&file).unwrap();

    // A few hundred places over the whole file; the same each time.
    for place in (0..whole.len()).step_by(whole.len() / 300) {
        let mut damaged = whole.clone();
        damaged[place] ^= 0xff;
        std::fs::write(&file, &damaged).unwrap();

        let (store, opening) = open(folder.path());

        match opening {
            Opening::SetAside { aside, .. } => {
                assert!(words(&store).is_empty());
                std::fs::remove_file(aside).unwrap();
            }
            _ => assert_eq!(words(&store), all, "byte {place}"),
        }
    }
}

#[test]
fn store_of_a_newer_agent_is_refused_and_left_as_it_is() {
    let folder = tempfile::tempdir().unwrap();
    drop(open(folder.path()));
    set_meta(folder.path(), "format", &7_u32.to_le_bytes());

    for _ in 0..2 {
        let error = Store::open(folder.path(), &identity("m1", "b1")).unwrap_err();
        assert!(matches!(error, StoreError::Newer { found: 7, .. }), "{error}");
    }
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
}

#[test]
fn folder_that_cannot_be_written_is_an_error_not_a_loss() {
    let folder = tempfile::tempdir().unwrap();
    let missing = folder.path().join("missing");

    let error = Store::open(&missing, &identity("m1", "b1")).unwrap_err();

    assert!(matches!(error, StoreError::Open { .. }), "{error}");
}

#[test]
fn second_handle_on_the_file_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let _first = open(folder.path());

    let error = Store::open(folder.path(), &identity("m1", "b1")).unwrap_err();

    assert!(matches!(error, StoreError::InUse { .. }), "{error}");
}

#[test]
fn store_of_the_first_format_is_taken_over_and_has_empty_tables() {
    let folder = tempfile::tempdir().unwrap();
    let (store, _) = open(folder.path());
    store.set_protected(&[pair("eth0", "default route")]).unwrap();
    drop(store);
    set_meta(folder.path(), "format", &1_u32.to_le_bytes());

    let (store, opening) = open(folder.path());

    assert_eq!(opening, Opening::Found { rebooted: false });
    assert_eq!(words(&store), [pair("eth0", "default route")]);
    for table in Table::ALL.into_iter().filter(|table| *table != Table::Protected) {
        assert!(store.all::<String>(table).unwrap().records.is_empty(), "{table}");
        assert_eq!(store.get::<String>(table, "any").unwrap(), None);
    }
    let mut batch = Batch::new();
    batch.put(Table::Notes, "n", &"note").unwrap();
    store.commit(batch).unwrap();
    drop(store);
    assert_eq!(open(folder.path()).0.get::<String>(Table::Notes, "n").unwrap().as_deref(), Some("note"));
    // An agent of that time looks at this number.
    let database = redb::Database::open(folder.path().join("agent.redb")).unwrap();
    let meta = database.begin_read().unwrap().open_table(META).unwrap();
    assert_eq!(meta.get("format".as_bytes()).unwrap().unwrap().value(), 2_u32.to_le_bytes());
}

#[test]
fn machine_that_cannot_tell_its_id_keeps_the_store_and_the_id_in_it() {
    let folder = tempfile::tempdir().unwrap();
    let (store, _) = open(folder.path());
    store.set_protected(&[pair("eth0", "ours")]).unwrap();
    drop(store);

    let (store, opening) = Store::open(folder.path(), &identity("", "b1")).unwrap();

    assert_eq!(opening, Opening::Found { rebooted: false });
    assert_eq!(words(&store), [pair("eth0", "ours")]);
    drop(store);
    let (_, opening) = Store::open(folder.path(), &identity("m2", "b1")).unwrap();
    assert!(matches!(opening, Opening::SetAside { .. }), "{opening:?}");
}
