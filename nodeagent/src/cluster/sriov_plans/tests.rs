use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use openapi::ReportGravity;
use serde_json::{Value, json};
use store::{Identity, Store};
use tokio::sync::watch;

use super::{policies, said};
use crate::cluster::keeper::{Keeper, KeeperParts};
use crate::cluster::known::{GRACE, Kind, Known, Object, Said};
use crate::current_networks::Current;

fn plan(network: &str, more: Value) -> Value {
    let mut policy = json!({
        "resourceName": "vfs", "nicSelector": {"rootDevices": ["0000:3b:00.0"]}, "numVfs": 4, "priority": 99,
    });
    policy.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    json!({"network": network, "policy": policy})
}

fn knows(networks: &[&str]) -> Known {
    let mut known = Known::default();
    for name in networks {
        let network = Object::Network(Box::default());
        known.take(Kind::Network, Said::There((*name).to_owned(), network), Instant::now());
    }
    known
}

fn tell(known: &mut Known, status: &Value, now: Instant) -> bool {
    said(status).into_iter().map(|said| known.take(Kind::Plan, said, now)).fold(false, |all, one| all | one)
}

/// Name, VFs by PF and MTU of each policy.
fn wanted(known: &Known) -> Vec<(String, u16, Option<u32>)> {
    let (all, _) = policies(known);
    all.into_iter().map(|one| (one.policy.name, one.policy.count, one.policy.mtu)).collect()
}

fn four(name: &str) -> (String, u16, Option<u32>) {
    (name.to_owned(), 4, None)
}

#[test]
fn a_plan_of_a_known_network_is_a_policy_with_all_that_it_says() {
    let (mut known, now) = (knows(&["red"]), Instant::now());
    let more = json!({"mtu": 9000, "deviceType": "vfio-pci", "priority": 7, "needVhostNet": true});
    let status = json!({"sriovPlan": [plan("red", more), plan("away", json!({}))]});

    assert!(tell(&mut known, &status, now));
    assert!(!tell(&mut known, &status, now), "nothing new");

    let (all, reports) = policies(&known);
    assert_eq!(all.len(), 1, "a network that is not known has no policy");
    let policy = &all[0].policy;
    assert_eq!((policy.name.as_str(), policy.count, policy.priority), ("red", 4, 7));
    assert_eq!((policy.mtu, &policy.driver), (Some(9000), &sriov::VfDriver::vfio()));
    assert_eq!(policy.selector.devices, ["0000:3b:00.0".parse().unwrap()]);
    let said: Vec<_> = reports.iter().map(|one| (one.gravity, one.policy.as_deref())).collect();
    assert_eq!(said, [(ReportGravity::Warning, Some("red"))]);
    assert_eq!(reports[0].field.as_deref(), Some("status.sriovPlan.policy.needVhostNet"));
}

#[test]
fn a_plan_goes_with_a_list_without_it_and_with_nothing_else() {
    let (mut known, now) = (knows(&["red", "blue"]), Instant::now());
    tell(&mut known, &json!({"sriovPlan": [plan("red", json!({})), plan("blue", json!({}))]}), now);

    for nothing in [json!({}), Value::Null, json!({"routes": []})] {
        assert!(!tell(&mut known, &nothing, now) && known.due().is_none(), "{nothing}");
    }
    tell(&mut known, &json!({"sriovPlan": [plan("red", json!({}))]}), now);
    assert_eq!(wanted(&known), [four("blue"), four("red")], "not at once");
    assert!(known.let_go(Kind::Plan, now + GRACE));
    assert_eq!(wanted(&known), [four("red")]);
}

#[test]
fn a_plan_that_is_not_right_is_said_and_the_former_one_stays() {
    let (mut known, now) = (knows(&["red"]), Instant::now());
    tell(&mut known, &json!({"sriovPlan": [plan("red", json!({}))]}), now);

    for (wrong, field) in [
        (plan("red", json!({"deviceType": "vfio-pci", "isRdma": true})), "status.sriovPlan.policy.isRdma"),
        (
            plan("red", json!({"nicSelector": {"rootDevices": ["eth1"]}})),
            "status.sriovPlan.policy.nicSelector.rootDevices[0]",
        ),
        (plan("red", json!({"numVfs": "many"})), "status.sriovPlan"),
    ] {
        assert!(tell(&mut known, &json!({"sriovPlan": [wrong]}), now), "{field}");
        assert!(!known.let_go(Kind::Plan, now + GRACE * 9));
        assert_eq!(wanted(&known), [four("red")], "{field}");
        let (_, reports) = policies(&known);
        assert_eq!(reports.len(), 1, "{reports:?}");
        assert_eq!((reports[0].gravity, reports[0].field.as_deref()), (ReportGravity::Error, Some(field)));
    }

    // It may be about any network.
    tell(&mut known, &json!({"sriovPlan": [{"policy": {}}]}), now);
    assert!(!known.let_go(Kind::Plan, now + GRACE * 9));
    assert_eq!(wanted(&known), [four("red")]);
    assert_eq!(policies(&known).1[0].field.as_deref(), Some("status.sriovPlan[0]"));

    tell(&mut known, &json!({"sriovPlan": [plan("red", json!({"mtu": 1400}))]}), now);
    assert_eq!(wanted(&known), [("red".to_owned(), 4, Some(1400))]);
    assert_eq!(policies(&known).1, []);
}

#[test]
fn a_cold_start_without_the_server_wants_the_same_vfs() {
    let (folder, now) = (tempfile::tempdir().unwrap(), Instant::now());
    let identity = Identity { machine: "m".to_owned(), boot: "b".to_owned() };
    let store = Arc::new(Store::open(folder.path(), &identity).unwrap().0);
    let mut known = knows(&["red"]);
    tell(&mut known, &json!({"sriovPlan": [plan("red", json!({}))]}), now);
    known.save(Some(&store), "n1");

    let networks = Current::default();
    let parts = KeeperParts {
        node: "n1".to_owned(),
        classes: BTreeMap::new(),
        store: Some(Arc::clone(&store)),
        networks: networks.clone(),
        routes: None,
        adopted: tokio::sync::watch::Sender::new(true).subscribe(),
        complete: tokio::sync::watch::Sender::new(false),
    };
    Keeper::new(parts).plan_newest(&mut watch::Sender::new(None).subscribe());

    let policies = networks.policies();
    assert_eq!(policies.iter().map(|one| one.policy.name.as_str()).collect::<Vec<_>>(), ["red"]);
    // What is gone for good is not remembered either.
    let later = now + Duration::from_secs(60);
    tell(&mut known, &json!({"sriovPlan": []}), now);
    known.let_go(Kind::Plan, later);
    known.save(Some(&store), "n1");
    assert_eq!(wanted(&Known::remembered(Some(&store), "n1")), []);
}
