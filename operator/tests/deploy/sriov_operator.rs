//! What the operator may do with the SR-IOV operator's kinds.

use serde_json::Value;

use crate::rendered::{Objects, folder};

const GROUP: &str = "sriovnetwork.openshift.io";

/// Every rule about its kinds, with the object that has it.
fn rules(objects: &Objects) -> Vec<(String, Value)> {
    let mut rules = Vec::new();
    for (key, object) in objects {
        for rule in object["rules"].as_array().into_iter().flatten() {
            if rule["apiGroups"].as_array().unwrap().iter().any(|group| group == GROUP) {
                rules.push((key.to_string(), rule.clone()));
            }
        }
    }
    rules
}

fn only_rules(objects: &Objects) -> Vec<Value> {
    rules(objects).into_iter().map(|(_, rule)| rule).collect()
}

#[test]
fn rights_of_one_namespace_are_the_same_rights() {
    let everywhere = only_rules(&folder("overlays/with-multus"));
    let one = folder("overlays/with-sriov-operator");

    assert_eq!(only_rules(&one), everywhere);
    assert_eq!(everywhere.len(), 2);
    for (key, _) in rules(&one) {
        assert_eq!(key, "Role sriov-network-operator/multi-nic-operator-sriov");
    }
}

#[test]
fn without_it_there_are_none() {
    assert_eq!(rules(&folder("overlays/without-sriov-operator")), []);
}
