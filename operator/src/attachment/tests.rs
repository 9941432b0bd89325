use super::*;
use crate::index::{News, Told};
use crate::seen::{Meta, Namespace, Version, Versioned};

fn versioned<T>(object: T) -> Versioned<T> {
    Versioned { version: Version("1".into()), object }
}

/// An index with these namespaces; those with a minus are ending.
fn index(namespaces: &[&str]) -> Index {
    let mut index = Index::default();
    for name in namespaces {
        let meta = Meta { key: Key::cluster(name.trim_start_matches('-')), ..Meta::default() };
        let namespace = Namespace { meta, active: !name.starts_with('-') };
        index.take(News::Namespace(Told::Changed(versioned(namespace))));
    }
    index
}

fn network(namespaces: &[&str]) -> Network {
    let mut network = Network::default();
    (network.meta.key, network.meta.uid) = (Key::cluster("net"), "u1".into());
    network.spec.namespaces = namespaces.iter().map(|name| (*name).to_owned()).collect();
    network
}

fn definition() -> Definition {
    Definition { config: r#"{"a": 1, "b": 2}"#.into(), resource_name: String::new() }
}

fn ours(namespace: &str, config: &str, by: &str) -> Attachment {
    let mut one = Attachment {
        config: config.into(),
        owner: "u1".into(),
        config_by: by.into(),
        ..Attachment::default()
    };
    one.meta.key = Key::within(namespace, "net");
    one.meta.uid = format!("nad-{namespace}");
    one.meta.labels.insert(GENERATED_LABEL.into(), "true".into());
    one
}

fn add(index: &mut Index, one: Attachment) {
    index.take(News::Attachment(Told::Changed(versioned(one))));
}

fn written(plan: &AttachmentPlan) -> Vec<(String, bool)> {
    let of = |write: &Write| match write {
        Write::Attachment { key, force, .. } => Some((key.namespace.clone(), *force)),
        _ => None,
    };
    plan.writes.iter().filter_map(of).collect()
}

#[test]
fn every_active_namespace_gets_one_when_none_is_listed() {
    let plan = plan(&index(&["a", "b", "-ending"]), &network(&[]), Some(&definition()));

    assert_eq!(written(&plan), [("a".into(), false), ("b".into(), false)]);
    assert_eq!((plan.ready, plan.wanted), (0, 2));
}

#[test]
fn a_namespace_that_was_listed_and_no_longer_is_loses_its_own() {
    let mut index = index(&["a", "b"]);
    add(&mut index, ours("a", &definition().config, "multi-nic-operator"));
    add(&mut index, ours("b", &definition().config, "multi-nic-operator"));

    let plan = plan(&index, &network(&["a"]), Some(&definition()));

    let gone = Write::DeleteAttachment { key: Key::within("b", "net"), uid: "nad-b".into() };
    assert_eq!((plan.writes, plan.ready), (vec![gone], 1));
}

#[test]
fn a_listed_namespace_that_is_missing_is_named() {
    let plan = plan(&index(&["a"]), &network(&["a", "z"]), Some(&definition()));

    assert_eq!(plan.missing_namespaces, ["z"]);
    assert_eq!(written(&plan).len(), 1);
}

#[test]
fn the_order_of_keys_is_no_difference() {
    let mut index = index(&["a"]);
    add(&mut index, ours("a", r#"{"b":2,"a":1}"#, "manager"));

    let plan = plan(&index, &network(&[]), Some(&definition()));

    assert_eq!((plan.writes, plan.ready), (vec![], 1));
}

#[test]
fn what_the_predecessor_wrote_is_taken_over() {
    let mut index = index(&["a"]);
    add(&mut index, ours("a", "{}", "manager"));

    let plan = plan(&index, &network(&[]), Some(&definition()));

    assert_eq!(written(&plan), [("a".into(), true)]);
    assert_eq!(plan.conflicts, []);
}

#[test]
fn one_that_was_edited_by_hand_is_left_alone_and_named() {
    let mut index = index(&["a"]);
    add(&mut index, ours("a", "{}", "kubectl-edit"));

    let plan = plan(&index, &network(&[]), Some(&definition()));

    assert_eq!(plan.writes, []);
    let (key, why) = &plan.conflicts[0];
    assert_eq!(key.to_string(), "a/net");
    assert!(why.contains("`kubectl-edit` changed"), "{why}");
}

#[test]
fn one_of_somebody_else_is_neither_changed_nor_deleted() {
    let mut index = index(&["a", "b"]);
    for namespace in ["a", "b"] {
        let mut one = ours(namespace, "{}", "kubectl");
        (one.owner, one.meta.labels) = (String::new(), BTreeMap::new());
        add(&mut index, one);
    }

    let plan = plan(&index, &network(&["a"]), Some(&definition()));

    assert_eq!(plan.writes, []);
    assert_eq!(plan.conflicts.len(), 1);
}

#[test]
fn without_a_definition_nothing_is_written_and_nothing_that_is_wanted_deleted() {
    let mut index = index(&["a"]);
    add(&mut index, ours("a", "{}", "manager"));

    assert_eq!(plan(&index, &network(&[]), None).writes, []);
}
