use super::*;
use crate::seen::{Meta, Version};

fn namespace(name: &str, uid: &str, version: u64, active: bool) -> Versioned<Namespace> {
    let meta = Meta { key: Key::cluster(name), uid: uid.into(), ..Meta::default() };
    Versioned { version: Version(version.to_string()), object: Namespace { meta, active } }
}

fn names(table: &Table<Namespace>) -> Vec<&str> {
    table.iter().map(|one| one.meta.key.name.as_str()).collect()
}

#[test]
fn an_older_object_does_not_replace_a_newer_one() {
    let mut table = Table::default();
    table.take(Told::Changed(namespace("a", "1", 12, true)));

    assert_eq!(table.take(Told::Changed(namespace("a", "1", 9, false))), []);

    assert!(table.iter().all(|one| one.active));
    assert_eq!(table.take(Told::Changed(namespace("a", "1", 13, false))), [Key::cluster("a")]);
}

#[test]
fn a_version_alone_is_no_change() {
    let mut table = Table::default();
    table.take(Told::Changed(namespace("a", "1", 12, true)));

    assert_eq!(table.take(Told::Changed(namespace("a", "1", 15, true))), []);

    assert_eq!(table.version(&Key::cluster("a")), Some(&Version("15".into())));
}

#[test]
fn what_a_new_list_lacks_is_gone_and_what_was_written_meanwhile_is_not() {
    let mut table = Table::default();
    for told in
        [Told::Begin, Told::Listed(namespace("a", "1", 1, true)), Told::Listed(namespace("b", "2", 2, true))]
    {
        table.take(told);
    }
    assert!(!table.is_listed());
    assert_eq!(table.take(Told::End).len(), 2, "everything is new with the first list");

    table.take(Told::Begin);
    table.take(Told::Listed(namespace("b", "2", 2, true)));
    table.take(Told::Changed(namespace("c", "3", 7, true)));
    let changed = table.take(Told::End);

    assert_eq!(changed, [Key::cluster("a")]);
    assert_eq!(names(&table), ["b", "c"]);
}

#[test]
fn the_end_of_a_predecessor_does_not_take_its_successor() {
    let mut table = Table::default();
    table.take(Told::Changed(namespace("a", "new", 20, true)));

    table.take(Told::Gone(Key::cluster("a"), "old".into()));

    assert_eq!(names(&table), ["a"]);
}

#[test]
fn a_kind_that_vanished_keeps_what_is_known() {
    let mut table = Table::default();
    table.take(Told::Begin);
    table.take(Told::Listed(namespace("a", "1", 1, true)));
    table.take(Told::End);

    table.take(Told::Begin);
    table.take(Told::NoSuchKind);

    assert_eq!(names(&table), ["a"]);
    assert!(table.is_absent() && table.is_listed());
}

#[test]
fn a_kind_that_appears_is_news_to_every_network_also_without_objects() {
    let mut index = Index::default();
    let meta = Meta { key: Key::cluster("net"), ..Meta::default() };
    let network = Network { meta, ..Network::default() };
    index.take(News::Network(Told::Changed(Versioned { version: Version("1".into()), object: network })));
    index.take(News::Attachment(Told::NoSuchKind));
    index.take_dirty();

    index.take(News::Attachment(Told::Begin));
    assert!(!index.is_dirty());
    index.take(News::Attachment(Told::End));

    assert!(index.take_dirty().contains("net"));
}
