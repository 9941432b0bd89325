use serde_json::json;

use super::*;
use crate::index::{News, Told};
use crate::seen::{Former, Meta, Network, Version, Versioned};

const NOW: &str = "2026-12-01T00:00:00Z";

fn spec() -> Value {
    json!({
        "subnet": "192.168.0.0/16", "multiNICIPAM": true, "namespaces": ["default"],
        "ipam": r#"{"type": "multi-nic-ipam", "hostBlock": 6, "interfaceBlock": 2}"#,
        "plugin": {"cniVersion": "0.3.0", "type": "ipvlan", "args": {"mode": "l3"}},
    })
}

fn versioned<T>(object: T) -> Versioned<T> {
    Versioned { version: Version("1".into()), object }
}

fn meta(uid: &str) -> Meta {
    Meta { key: Key::cluster("net"), uid: uid.into(), generation: 3, ..Meta::default() }
}

/// An original in the former group, with what was said of it, and perhaps what there is in the current one.
fn index(status: Value, current: Option<Network>) -> Index {
    let mut index = Index::default();
    let original = Former { meta: meta("old"), spec: spec(), status };
    for told in [Told::Begin, Told::Listed(versioned(original)), Told::End] {
        index.take(News::FormerNetwork(told));
    }
    if let Some(current) = current {
        index.take(News::Network(Told::Changed(versioned(current))));
    }
    index
}

fn mirror(from: &str) -> Network {
    Network {
        meta: meta("new"),
        spec: serde_json::from_value(spec()).unwrap(),
        mirrored_from: from.into(),
        ..Network::default()
    }
}

#[test]
fn an_original_gets_a_mirror_that_says_the_same() {
    let writes = plan(&index(Value::Null, None), NOW);
    let [Write::Mirror { kind: Mirrored::Network, name, from, spec: said, update: false }] = &writes[..]
    else {
        panic!("{writes:?}")
    };

    assert_eq!((name.as_str(), from.as_str(), &**said), ("net", "old", &spec()));
    assert_eq!(plan(&index(Value::Null, Some(mirror("old"))), NOW), []);
}

#[test]
fn a_mirror_follows_its_original() {
    let mut changed = mirror("old");
    changed.spec.subnet = "172.30.0.0/16".into();

    assert!(matches!(
        plan(&index(Value::Null, Some(changed)), NOW)[..],
        [Write::Mirror { update: true, .. }]
    ));
}

#[test]
fn a_mirror_whose_original_is_gone_goes_and_a_network_of_its_own_stays() {
    for (from, wanted) in [("old", 1), ("", 0)] {
        let mut index = index(Value::Null, Some(mirror(from)));
        index.take(News::FormerNetwork(Told::Gone(Key::cluster("net"), "old".into())));

        let writes = plan(&index, NOW);

        assert_eq!(writes.len(), wanted, "{writes:?}");
        assert!(writes.iter().all(|write| matches!(write, Write::DeleteMirror { uid, .. } if uid == "new")));
    }
}

#[test]
fn without_a_list_of_originals_no_mirror_is_deleted() {
    let mut index = Index::default();
    index.take(News::Network(Told::Changed(versioned(mirror("old")))));
    index.take(News::FormerNetwork(Told::NoSuchKind));

    assert_eq!(plan(&index, NOW), []);
}

#[test]
fn what_is_said_of_the_mirror_is_said_of_the_original_once() {
    let mut told = mirror("old");
    told.meta.generation = 9;
    (told.status.config_status, told.status.last_sync_time) = ("Success".into(), NOW.into());

    let writes = plan(&index(Value::Null, Some(told.clone())), NOW);

    let [Write::FormerStatus { status, .. }] = &writes[..] else { panic!("{writes:?}") };
    assert_eq!((status.config_status.as_str(), status.observed_generation), ("Success", Some(3)));
    let said = serde_json::to_value(status).unwrap();
    assert_eq!(plan(&index(said, Some(told)), NOW), []);
}

#[test]
fn a_network_of_the_same_name_is_not_touched_and_the_original_is_told() {
    let writes = plan(&index(Value::Null, Some(mirror(""))), NOW);

    let [Write::FormerStatus { status, .. }] = &writes[..] else { panic!("{writes:?}") };
    assert_eq!(status.conditions[0].reason, "NameConflict");
    let said = serde_json::to_value(status).unwrap();
    assert_eq!(plan(&index(said, Some(mirror(""))), "2027-01-01T00:00:00Z"), []);
}
