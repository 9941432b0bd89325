//! What a crash, a reboot, a full disk, a missed DEL or a dead namespace leaves.

use std::sync::Arc;

use cni::Command::{Add, Del};
use serde_json::json;
use store::Store;

use crate::harness::*;

#[test]
fn after_a_crash_what_is_whole_is_kept_and_the_rest_is_taken_back() {
    let host = host(2);
    for broken in [false, true] {
        let disk = store::lossy::Disk::new();
        let engine = host.engine_on(Some(Arc::new(Store::open_on(&disk).unwrap())));
        let pod = pod();
        let first = result(serve(&engine, Add, "c1", &pod, &conf()));
        // The power goes before the end was written: the record says "attaching".
        let disk = disk.crashed(&[]);
        drop(engine);
        if broken {
            pod.run("link delete net1-1");
        }
        let engine = host.engine_on(Some(Arc::new(Store::open_on(&disk).unwrap())));

        let found = engine.recover();

        assert_eq!((found.completed, found.rolled_back), if broken { (0, 1) } else { (1, 0) });
        assert_eq!(used(&engine, &host, "neta"), if broken { 0 } else { 4 });
        assert_eq!(pod.links().is_empty(), broken);
        // The runtime got no answer: it deletes, or asks again.
        assert_eq!(result(serve(&engine, Add, "c1", &pod, &conf())) == first, !broken);
        assert_eq!(serve(&engine, Del, "c1", &pod, &conf()).result, Ok(None));
        assert!(pod.links().is_empty());
    }
}

#[test]
fn after_a_reboot_addresses_rest_and_a_late_del_is_fine() {
    let mut host = host(1);
    let engine = host.engine();
    let old = pod();
    let before = result(serve(&engine, Add, "c1", &old, &conf()));
    engine.housekeeping();
    drop(engine);
    host.boot = "another boot".to_owned();
    let engine = host.engine();

    let found = engine.recover();

    assert_eq!(found.of_earlier_boot, 1);
    assert_eq!(old.links().len(), 1, "the kernel of this boot is not touched for records of another one");
    assert_eq!(serve(&engine, Del, "c1", &old, &conf()).result, Ok(None));
    let new = pod();
    let after = result(serve(&engine, Add, "c2", &new, &conf()));
    assert_ne!(before["ips"], after["ips"], "the addresses rest");
}

#[test]
fn without_a_store_or_with_a_full_disk_nothing_is_touched() {
    let host = host(1);
    let pod = pod();
    assert_eq!(code(&serve(&host.engine_on(None), Add, "c1", &pod, &conf())), 11);
    let disk = store::lossy::Disk::new();
    let engine = host.engine_on(Some(Arc::new(Store::open_on(&disk).unwrap())));
    result(serve(
        &engine,
        Add,
        "first",
        &pod,
        &json!({"cniVersion": "1.1.0", "name": "tiny", "type": "multi-nic",
        "plugin": {"type": "macvlan"}, "ipam": {"type": "multi-nic-ipam"}}),
    ));
    let second = crate::harness::pod();
    disk.set_trouble(Some(std::io::ErrorKind::StorageFull));

    let answer = serve(&engine, Add, "c1", &second, &conf());

    assert_eq!(code(&answer), 11);
    assert!(second.links().is_empty());
    assert_eq!(used(&engine, &host, "neta"), 0);
    disk.set_trouble(None);
    result(serve(&engine, Add, "c1", &second, &conf()));
    assert_eq!(pod.links().len(), 1, "running pods keep what they have");
}

#[test]
fn notes_of_dels_count_for_their_namespace_only() {
    let host = host(1);
    let engine = host.engine();
    let pod = pod();
    result(serve(&engine, Add, "c1", &pod, &conf()));
    let known = Arc::clone(&engine.attachments()[0]);
    let note = |cookie| cni::note::Note {
        network: "neta".to_owned(),
        container_id: "c1".to_owned(),
        ifname: "net1".to_owned(),
        boot: host.boot.clone(),
        cookie,
        time: cni::note::now(),
        delegates_done: true,
    };
    note(known.cookie.map(|cookie| cookie + 1)).write(host.folder.path()).unwrap();
    assert_eq!(engine.consume_notes(&mut attach::NoConversation), 1);
    assert_eq!(pod.links().len(), 1, "it was for another namespace");

    note(known.cookie).write(host.folder.path()).unwrap();
    engine.consume_notes(&mut attach::NoConversation);

    assert!(pod.links().is_empty());
    assert!(cni::note::Note::all(host.folder.path()).is_empty());
}

#[test]
fn a_dead_namespace_is_swept_at_the_second_look_and_a_mass_death_is_not_believed() {
    let host = host(1);
    let engine = host.engine();
    let mut pods: Vec<Pod> = (0..8).map(|_| pod()).collect();
    for (number, pod) in pods.iter().enumerate() {
        result(serve(&engine, Add, &format!("c{number}"), pod, &conf()));
    }
    pods.pop().unwrap().die();

    assert_eq!(engine.sweep(|_| false).suspected.len(), 1);
    assert_eq!(engine.sweep(|_| true).swept.len(), 0, "the runtime still lists it");
    assert_eq!(engine.sweep(|_| false).suspected.len(), 1);
    assert_eq!(engine.sweep(|_| false).swept.len(), 1);
    assert_eq!(used(&engine, &host, "neta"), 14);
    pods.truncate(1);
    let swept = engine.sweep(|_| false);
    assert_eq!(swept.stopped, Some(6));
    assert_eq!(engine.attachments().len(), 7);
}
