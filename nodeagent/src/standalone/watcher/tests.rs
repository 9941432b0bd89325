use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::symlink;

use hwprobe::Nic;
use serde_json::json;
use tokio::sync::watch;

use super::*;
use crate::current_networks::Current;
use crate::inventory::published::Published;
use crate::planning::samples::{machine, network, nic};

/// Only a failing test waits that long.
const PATIENCE: Duration = Duration::from_secs(30);

struct Running {
    inventory: watch::Sender<Option<Arc<Published>>>,
    networks: Current,
    standalone: Standalone,
}

fn published(nics: &[Nic]) -> Option<Arc<Published>> {
    Some(Arc::new(Published::new("test", 1, machine(nics), Vec::new(), &Default::default())))
}

fn start(folder: &Path) -> Running {
    let inventory = watch::Sender::new(published(&[nic("eth1", 1, &[])]));
    let networks = Current::default();
    let planner = PlannerParts {
        folder: folder.to_owned(),
        classes: BTreeMap::new(),
        store: None,
        networks: networks.clone(),
    };
    let standalone = Standalone::start(StandaloneParts { planner, newest: inventory.subscribe() }).unwrap();
    Running { inventory, networks, standalone }
}

impl Running {
    fn names(&self) -> String {
        self.networks.get().networks.keys().cloned().collect::<Vec<_>>().join(" ")
    }

    fn wait(&self, wanted: &str) {
        let begun = Instant::now();
        while self.names() != wanted {
            assert!(begun.elapsed() < PATIENCE, "{} instead of {wanted}", self.names());
            thread::sleep(Duration::from_millis(5));
        }
    }
}

fn write(folder: &Path, file: &str, name: &str) {
    fs::write(folder.join(file), network(name, json!({})).to_string()).unwrap();
}

#[test]
fn files_that_come_change_and_go_are_noticed() {
    let root = tempfile::tempdir().unwrap();
    let folder = root.path();
    write(folder, "a.yaml", "red");
    let running = start(folder);
    assert_eq!(running.names(), "red", "the first plan is there on return");

    write(folder, "b.json", "blue");
    running.wait("blue red");
    write(folder, "a.yaml", "green");
    running.wait("blue green");
    // As vim saves: the old one is renamed away, a new one is written, the old one is removed.
    fs::rename(folder.join("a.yaml"), folder.join("a.yaml~")).unwrap();
    write(folder, "a.yaml", "yellow");
    fs::remove_file(folder.join("a.yaml~")).unwrap();
    running.wait("blue yellow");
    // As others save: a new one is renamed over it.
    write(folder, ".a.yaml.tmp", "violet");
    fs::rename(folder.join(".a.yaml.tmp"), folder.join("a.yaml")).unwrap();
    running.wait("blue violet");
    fs::remove_file(folder.join("b.json")).unwrap();
    running.wait("violet");
}

#[test]
fn a_folder_that_comes_later_or_is_replaced_is_noticed() {
    let root = tempfile::tempdir().unwrap();
    let folder = root.path().join("one/two");
    let running = start(&folder);
    assert_eq!(running.names(), "");

    fs::create_dir_all(&folder).unwrap();
    write(&folder, "a.yaml", "red");
    running.wait("red");

    let next = root.path().join("one/next");
    fs::create_dir(&next).unwrap();
    write(&next, "a.yaml", "blue");
    fs::rename(&folder, root.path().join("one/old")).unwrap();
    fs::rename(&next, &folder).unwrap();
    running.wait("blue");
    write(&folder, "b.yaml", "green");
    running.wait("blue green");
}

#[test]
fn files_behind_a_link_that_is_turned_are_noticed() {
    // As a config map is mounted.
    let root = tempfile::tempdir().unwrap();
    let folder = root.path();
    for (version, name) in [("..1", "red"), ("..2", "blue")] {
        fs::create_dir(folder.join(version)).unwrap();
        write(&folder.join(version), "a.yaml", name);
    }
    symlink("..1", folder.join("..data")).unwrap();
    symlink("..data/a.yaml", folder.join("a.yaml")).unwrap();
    let running = start(folder);
    assert_eq!(running.names(), "red");

    symlink("..2", folder.join("..data_tmp")).unwrap();
    fs::rename(folder.join("..data_tmp"), folder.join("..data")).unwrap();

    running.wait("blue");
}

#[tokio::test]
async fn nics_that_come_are_planned_for() {
    let root = tempfile::tempdir().unwrap();
    write(root.path(), "a.yaml", "red");
    let running = start(root.path());
    let following = tokio::spawn(running.standalone.follow(running.inventory.subscribe()));
    // Follows from its first poll on.
    tokio::task::yield_now().await;

    running.inventory.send_replace(published(&[nic("eth1", 1, &[]), nic("eth2", 2, &[])]));

    let begun = Instant::now();
    while running.networks.get().networks["red"].interfaces.len() != 2 {
        assert!(begun.elapsed() < PATIENCE);
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    drop(running.inventory);
    following.await.unwrap();
}
