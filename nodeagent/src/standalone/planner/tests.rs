use std::fs;
use std::path::Path;

use hwprobe::Nic;
use serde_json::json;
use store::Identity;
use store::lossy::Disk;

use super::*;
use crate::planning::samples::{machine, network as object, nic, shown};

/// A planner over a folder, and what it publishes.
fn planner(folder: &Path, store: Option<Arc<Store>>) -> (Planner, Current) {
    let networks = Current::default();
    let parts = PlannerParts {
        folder: folder.to_owned(),
        classes: BTreeMap::new(),
        store,
        networks: networks.clone(),
    };
    let mut planner = Planner::new(parts);
    planner.read();
    (planner, networks)
}

fn store(folder: &Path) -> Option<Arc<Store>> {
    let identity = Identity { machine: "m".to_owned(), boot: "b".to_owned() };
    Some(Arc::new(Store::open(folder, &identity).unwrap().0))
}

fn write(folder: &Path, name: &str, more: serde_json::Value) {
    fs::write(folder.join(format!("{name}.yaml")), object(name, more).to_string()).unwrap();
}

fn of(networks: &Current, name: &str) -> Vec<String> {
    networks.get().networks.get(name).map(|network| shown(network)).unwrap_or_default()
}

fn refusal(networks: &Current, name: &str) -> String {
    networks.get().networks[name].refused.clone().unwrap_or_default()
}

fn nics() -> [Nic; 2] {
    [nic("eth1", 1, &["10.0.1.7/24"]), nic("eth2", 2, &["10.0.2.7/24"])]
}

#[test]
fn numbers_outlive_a_restart_whatever_comes_first_then() {
    let (folder, state) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    write(folder.path(), "red", json!({}));
    let [eth1, eth2] = nics();
    let (mut first, networks) = planner(folder.path(), store(state.path()));
    first.plan(&machine(std::slice::from_ref(&eth2)));
    assert_eq!(of(&networks, "red"), ["eth2 192.168.0.0/24"]);
    drop(first);

    let (mut second, networks) = planner(folder.path(), store(state.path()));
    second.plan(&machine(&[eth1, eth2]));

    assert_eq!(of(&networks, "red"), ["eth2 192.168.0.0/24", "eth1 192.168.64.0/24"]);
}

#[test]
fn a_file_that_was_spoilt_while_the_agent_was_away_costs_nothing() {
    let (folder, state) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    write(folder.path(), "red", json!({}));
    let (mut first, _) = planner(folder.path(), store(state.path()));
    first.plan(&machine(&nics()));
    drop(first);
    fs::write(folder.path().join("red.yaml"), "kind: [").unwrap();

    let (mut second, networks) = planner(folder.path(), store(state.path()));
    second.plan(&machine(&nics()));

    assert_eq!(of(&networks, "red"), ["eth1 192.168.0.0/24", "eth2 192.168.64.0/24"]);

    // The folder as a whole is not there (not mounted): the same.
    fs::remove_dir_all(folder.path()).unwrap();
    second.read();
    second.plan(&machine(&nics()));
    assert_eq!(of(&networks, "red").len(), 2);
}

#[test]
fn nothing_is_published_when_nothing_changes() {
    let folder = tempfile::tempdir().unwrap();
    write(folder.path(), "red", json!({}));
    let (mut planner, networks) = planner(folder.path(), None);
    planner.plan(&machine(&nics()));
    let before = networks.get();

    planner.read();
    planner.plan(&machine(&nics()));

    assert!(Arc::ptr_eq(&before, &networks.get()));
}

#[test]
fn a_network_that_was_never_right_says_why_and_another_one_works() {
    let folder = tempfile::tempdir().unwrap();
    write(folder.path(), "red", json!({"subnet": "x"}));
    write(folder.path(), "blue", json!({"attachPolicy": {"strategy": "devClass", "class": "fsat"}}));
    write(folder.path(), "green", json!({}));
    let (mut planner, networks) = planner(folder.path(), None);

    planner.plan(&machine(&nics()));

    assert!(
        refusal(&networks, "red").contains("spec.subnet: `x` is no network"),
        "{}",
        refusal(&networks, "red")
    );
    let words = "attachPolicy.class: there is no device class fsat; known are highspeed";
    assert_eq!(refusal(&networks, "blue"), words);
    assert_eq!(refusal(&networks, "green"), "");
}

#[test]
fn a_device_class_chooses_nics() {
    let folder = tempfile::tempdir().unwrap();
    write(folder.path(), "red", json!({"attachPolicy": {"strategy": "devClass", "class": "highspeed"}}));
    let (mut planner, networks) = planner(folder.path(), None);
    let [mut eth1, eth2] = nics();
    eth1.speed.class = hwprobe::SpeedClass::High;

    planner.plan(&machine(&[eth1, eth2]));
    assert_eq!(of(&networks, "red"), ["eth1 192.168.0.0/24"]);

    // A file may say what highspeed means.
    let class = json!({"apiVersion": "multinic.fms.io/v1", "kind": "DeviceClass", "metadata": {"name": "highspeed"},
                       "spec": {"ids": [{"vendor": "15b3", "products": ["1019"]}]}});
    fs::write(folder.path().join("class.json"), class.to_string()).unwrap();
    planner.read();
    planner.plan(&machine(&nics()));
    assert!(refusal(&networks, "red").contains("of device class highspeed"), "{}", refusal(&networks, "red"));
}

#[test]
fn numbers_of_a_network_that_is_gone_go_after_a_while_and_not_while_pods_have_it() {
    let (folder, state) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let store = store(state.path());
    let kept = |store: &Option<Arc<Store>>| {
        store.as_ref().unwrap().get::<Record>(Table::Networks, "red").unwrap().is_some()
    };
    write(folder.path(), "red", json!({}));
    let (mut planner, networks) = planner(folder.path(), store.clone());
    planner.plan(&machine(&nics()));
    let mut batch = Batch::new();
    batch.put(Table::Attachments, "red/c1/net1", &json!({})).unwrap();
    store.as_ref().unwrap().commit(batch).unwrap();

    fs::remove_file(folder.path().join("red.yaml")).unwrap();
    planner.read();
    planner.plan(&machine(&nics()));
    assert!(networks.get().networks.is_empty());
    assert!(planner.due().is_some());
    let long_ago = |planner: &mut Planner| {
        planner.gone.insert("red".to_owned(), Instant::now().checked_sub(2 * GRACE).unwrap());
    };

    long_ago(&mut planner);
    planner.plan(&machine(&nics()));
    assert!(kept(&store), "a pod has it");

    let mut batch = Batch::new();
    batch.delete(Table::Attachments, "red/c1/net1");
    store.as_ref().unwrap().commit(batch).unwrap();
    planner.plan(&machine(&nics()));
    assert!(kept(&store), "it was looked at just now");

    long_ago(&mut planner);
    planner.plan(&machine(&nics()));
    assert!(!kept(&store));
    assert_eq!(planner.due(), None);
}

#[test]
fn what_cannot_be_written_down_is_not_used() {
    let folder = tempfile::tempdir().unwrap();
    write(folder.path(), "red", json!({}));
    let disk = Disk::new();
    let store = Some(Arc::new(Store::open_on(&disk).unwrap()));
    let (mut planner, networks) = planner(folder.path(), store);
    let [eth1, eth2] = nics();
    planner.plan(&machine(std::slice::from_ref(&eth1)));

    disk.set_trouble(Some(std::io::ErrorKind::StorageFull));
    write(folder.path(), "blue", json!({}));
    planner.read();
    planner.plan(&machine(&[eth1.clone(), eth2.clone()]));

    assert_eq!(of(&networks, "red"), ["eth1 192.168.0.0/24"]);
    assert!(refusal(&networks, "blue").starts_with("its numbers cannot be written down: "));
    assert!(planner.due().is_some());

    disk.set_trouble(None);
    planner.plan(&machine(&[eth1, eth2]));
    assert_eq!(of(&networks, "red"), ["eth1 192.168.0.0/24", "eth2 192.168.64.0/24"]);
    assert_eq!(of(&networks, "blue"), ["eth1 192.168.0.0/24", "eth2 192.168.64.0/24"]);
    assert_eq!(planner.due(), None);
}
