//! The engine on the running kernel: ADD, DEL, CHECK, GC, STATUS, and what a crash leaves.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "test code outside of test functions"
)]

#[allow(dead_code, reason = "the lab VM's tests use the rest")]
mod harness;

use std::sync::Arc;

use cni::Command::{Add, Check, Del, Gc, Status};
use cni::protocol::Tool;
use harness::*;
use serde_json::json;
use store::Store;

#[test]
fn a_pod_gets_a_link_on_every_nic_with_both_families_and_gives_all_back() {
    let host = host(3);
    let engine = host.engine();
    let pod = pod();

    let answer = result(serve(&engine, Add, "c1", &pod, &conf()));

    assert_eq!(pod.links(), ["net1-0", "net1-1", "net1-2"]);
    assert_eq!(pod.addresses("net1-1"), ["192.168.1.1/24", "fd10:1:24::1/64"]);
    let names: Vec<&str> =
        answer["interfaces"].as_array().unwrap().iter().map(|i| i["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["net1-0", "net1-1", "net1-2"]);
    assert_eq!(answer["interfaces"][0]["sandbox"], pod.path.display().to_string());
    assert_eq!(answer["ips"][2], json!({"interface": 1, "address": "192.168.1.1/24"}));
    assert_eq!(pod.ip("link show net1")[0]["ifname"], "net1-0", "the plain name finds the first link");
    assert_eq!(used(&engine, &host, "neta"), 6);

    assert_eq!(serve(&engine, Del, "c1", &pod, &conf()).result, Ok(None));

    assert!(pod.links().is_empty());
    assert_eq!(pod.ip("rule show").as_array().unwrap().len(), 3);
    assert_eq!(used(&engine, &host, "neta"), 0);
    assert!(engine.attachments().is_empty());
    assert_eq!(serve(&engine, Del, "c1", &pod, &conf()).result, Ok(None), "once more");
}

#[test]
fn the_same_add_again_answers_the_same_and_another_configuration_is_refused() {
    let host = host(1);
    let engine = host.engine();
    let pod = pod();
    let first = result(serve(&engine, Add, "c1", &pod, &conf()));

    assert_eq!(result(serve(&engine, Add, "c1", &pod, &conf())), first);
    let mut other = conf();
    other["plugin"]["mtu"] = json!(1400);
    let answer = serve(&engine, Add, "c1", &pod, &other);
    assert_eq!(code(&answer), 7);
    assert_eq!(pod.links().len(), 1);

    // The link was taken away behind our back: the same ADD makes it again, with the address it had.
    pod.run("link delete net1-0");
    let again = result(serve(&engine, Add, "c1", &pod, &conf()));
    assert_eq!(again["ips"], first["ips"]);
    assert_eq!(pod.links().len(), 1);
}

#[test]
fn the_same_key_in_a_new_namespace_is_a_fresh_attachment_with_the_old_addresses() {
    let host = host(1);
    let engine = host.engine();
    let first = pod();
    let before = result(serve(&engine, Add, "c1", &first, &conf()));
    let second = pod();

    let after = result(serve(&engine, Add, "c1", &second, &conf()));

    assert_eq!(before["ips"], after["ips"]);
    assert!(first.links().is_empty(), "the old one is gone");
    assert_eq!(second.links().len(), 1);
    assert_eq!(engine.attachments().len(), 1);
}

#[test]
fn a_failure_leaves_kernel_and_store_as_they_were() {
    let host = host(3);
    let engine = host.engine();
    let pod = pod();
    pod.run("link add net1-1 type veth peer name other");
    let before = pod.links();

    let answer = serve(&engine, Add, "c1", &pod, &conf());

    assert_eq!(code(&answer), 7);
    assert!(answer.result.unwrap_err().msg.contains("net1-1"));
    assert_eq!(pod.links(), before);
    assert_eq!(used(&engine, &host, "neta"), 0);
    assert!(engine.attachments().is_empty());
    engine.housekeeping();
    drop(engine);
    assert!(host.engine().attachments().is_empty());
}

#[test]
fn a_full_block_is_an_error_with_counts_and_nothing_of_the_others_is_held() {
    let host = host(2);
    let engine = host.engine();
    let mut tiny = conf();
    tiny["name"] = json!("tiny");
    let pods: Vec<Pod> = (0..3).map(|_| pod()).collect();
    for (number, pod) in pods.iter().enumerate().take(2) {
        result(serve(&engine, Add, &format!("c{number}"), pod, &tiny));
    }

    let answer = serve(&engine, Add, "c2", &pods[2], &tiny);

    let error = answer.result.unwrap_err();
    assert_eq!(error.code, 101);
    assert!(error.msg.contains("172.16.0.0/30 is full: 2 of 4 addresses are held"), "{}", error.msg);
    assert_eq!(used(&engine, &host, "tiny"), 8);
    assert_eq!(code(&serve(&engine, Status, "", &pods[2], &tiny)), 50);
    assert!(serve(&engine, Status, "", &pods[2], &conf()).result.is_ok());
}

#[test]
fn check_sees_what_is_missing() {
    let host = host(1);
    let engine = host.engine();
    let pod = pod();
    let mut with_result = conf();
    with_result["prevResult"] = result(serve(&engine, Add, "c1", &pod, &conf()));

    assert_eq!(serve(&engine, Check, "c1", &pod, &with_result).result, Ok(None));
    assert_eq!(code(&serve(&engine, Check, "c1", &pod, &conf())), 7);
    for (breaking, words) in [
        ("rule add from 1.2.3.4 lookup main", None),
        ("address delete fd10:0:24::1/64 dev net1-0", Some("does not have address fd10:0:24::1/64")),
        ("link set net1-0 down", Some("net1-0 is down")),
        ("link delete net1-0", Some("net1-0 is not there")),
    ] {
        pod.run(breaking);
        let answer = serve(&engine, Check, "c1", &pod, &with_result).result;
        match words {
            None => assert_eq!(answer, Ok(None), "{breaking}"),
            Some(words) => assert!(answer.unwrap_err().msg.contains(words), "{breaking}"),
        }
    }
}

#[test]
fn gc_takes_what_is_not_listed_and_only_of_its_network() {
    let host = host(1);
    let engine = host.engine();
    let (kept, stale, other) = (pod(), pod(), pod());
    let mut tiny = conf();
    tiny["name"] = json!("tiny");
    result(serve(&engine, Add, "kept", &kept, &conf()));
    result(serve(&engine, Add, "stale", &stale, &conf()));
    result(serve(&engine, Add, "other", &other, &tiny));
    let gc = |valid: Option<serde_json::Value>| {
        let mut conf = conf();
        if let Some(valid) = valid {
            conf["cni.dev/valid-attachments"] = valid;
        }
        serve(&engine, Gc, "", &kept, &conf).result
    };

    assert_eq!(gc(None), Ok(None));
    assert_eq!(gc(Some(json!(null))), Ok(None));
    assert_eq!(engine.attachments().len(), 3, "nothing was listed, and all namespaces live");
    assert_eq!(gc(Some(json!([{"containerID": "kept", "ifname": "net1"}]))), Ok(None));
    assert!(stale.links().is_empty());
    assert_eq!((kept.links().len(), other.links().len()), (1, 1));
    kept.die();
    assert_eq!(gc_null(&engine, &other), Ok(None));
    assert_eq!(engine.attachments().len(), 1, "a dead namespace's goes with null, too");
}

fn gc_null(engine: &attach::Engine, pod: &Pod) -> Result<Option<String>, cni::Error> {
    let mut conf = conf();
    conf["cni.dev/valid-attachments"] = json!(null);
    serve(engine, Gc, "", pod, &conf).result
}

#[test]
fn del_works_when_the_namespace_is_gone_and_when_nothing_was_ever_added() {
    let host = host(2);
    let engine = host.engine();
    let dead = pod();
    result(serve(&engine, Add, "c1", &dead, &conf()));
    let call = call(Del, "c1", &dead.path, &conf());
    dead.die();

    assert_eq!(engine.serve(&call, None, &mut Plugins).result, Ok(None));

    assert_eq!(used(&engine, &host, "neta"), 0);
    assert_eq!(engine.serve(&call, None, &mut Plugins).result, Ok(None));
}

#[test]
fn the_hosts_own_namespace_is_refused() {
    let host = host(1);
    let engine = host.engine();
    let own = std::fs::File::open("/proc/thread-self/ns/net").unwrap();
    let call = call(Add, "c1", std::path::Path::new("/proc/self/ns/net"), &conf());

    let answer = engine.serve(&call, Some(own.into()), &mut Plugins);

    assert_eq!(code(&answer), 8);
    assert_eq!(used(&engine, &host, "neta"), 0);
}

#[test]
fn sixty_four_at_once_on_eight_masters_all_get_addresses_of_their_own() {
    let host = host(8);
    let engine = host.engine();
    let pods: Vec<Pod> = (0..64).map(|_| pod()).collect();
    let answers: Vec<serde_json::Value> = std::thread::scope(|scope| {
        let each = pods.iter().enumerate().map(|(number, pod)| {
            let engine = &engine;
            scope.spawn(move || result(serve(engine, Add, &format!("c{number}"), pod, &conf())))
        });
        let threads: Vec<_> = each.collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    });

    let mut all: Vec<String> = answers
        .iter()
        .flat_map(|answer| answer["ips"].as_array().unwrap())
        .map(ToString::to_string)
        .collect();
    assert_eq!(all.len(), 64 * 16);
    all.sort();
    all.dedup();
    assert_eq!(all.len(), 64 * 16, "an address was given twice");
    std::thread::scope(|scope| {
        for (number, pod) in pods.iter().enumerate() {
            let engine = &engine;
            scope.spawn(move || serve(engine, Del, &format!("c{number}"), pod, &conf()).result.unwrap());
        }
    });
    assert!(pods.iter().all(|pod| pod.links().is_empty()));
    assert_eq!(used(&engine, &host, "neta"), 0);
}

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
    let second = harness::pod();
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

#[test]
fn a_device_goes_to_the_pod_and_comes_back_also_when_its_namespace_dies() {
    let host = host(2);
    let engine = host.engine();
    let whole = json!({"cniVersion": "1.1.0", "name": "whole", "type": "multi-nic",
        "plugin": {"type": "host-device"}, "ipam": {"type": "host-device-ipam"},
        "args": {"cni": {"masters": ["m1"]}}});
    let first = pod();

    let answer = result(serve(&engine, Add, "c1", &first, &whole));

    assert_eq!(answer["ips"][0]["address"], "10.0.1.1/24");
    assert_eq!(first.addresses("net1-0"), ["10.0.1.1/24"]);
    let refused = serve(&engine, Add, "c2", &pod(), &conf());
    assert_eq!(code(&refused), 103);
    assert!(refused.result.unwrap_err().msg.contains("m1 is given whole to a pod of network whole"));
    assert_eq!(serve(&engine, Del, "c1", &first, &whole).result, Ok(None));
    assert_eq!(ip_json("address show m1")[0]["addr_info"][0]["local"], "10.0.1.1");
    assert!(ip("link show m1").contains(",UP"));
}

#[test]
fn delegated_ipam_gives_addresses_and_gets_them_back() {
    let host = host(2);
    let engine = host.engine();
    let store = host.folder.path().join("host-local");
    let local = json!({"cniVersion": "1.0.0", "name": "local", "type": "multi-nic",
        "plugin": {"type": "macvlan"},
        "ipam": {"type": "host-local", "dataDir": store, "ranges": [[{"subnet": "10.77.0.0/24"}]]}});
    let pod = pod();

    let answer = result(serve(&engine, Add, "c1", &pod, &local));

    assert_eq!(answer["ips"].as_array().unwrap().len(), 2);
    assert_eq!(pod.addresses("net1-0"), ["10.77.0.2/24"]);
    assert!(store.join("local-0/10.77.0.2").exists() && store.join("local-1/10.77.0.2").exists());
    assert_eq!(serve(&engine, Del, "c1", &pod, &local).result, Ok(None));
    assert!(!store.join("local-0/10.77.0.2").exists() && !store.join("local-1/10.77.0.2").exists());
    assert!(pod.links().is_empty());
    assert!(engine.attachments().is_empty());
}

#[test]
fn a_delegated_plugin_makes_the_links_and_its_failure_is_undone() {
    let host = host(2);
    let engine = host.engine();
    let data = host.folder.path().join("hl");
    let both = json!({"cniVersion": "0.4.0", "name": "pair", "type": "multi-nic",
        "plugin": {"type": "ptp", "ipMasq": false},
        "ipam": {"type": "host-local", "dataDir": data, "ranges": [[{"subnet": "10.78.0.0/24"}]]}});
    let mut one = both.clone();
    one["masters"] = json!(["m0"]);
    let first = pod();

    let answer = result(serve(&engine, Add, "c1", &first, &one));

    assert_eq!(answer["interfaces"][0]["name"], "net1-0");
    assert_eq!(answer["ips"][0]["interface"], 0);
    assert_eq!(first.links(), ["net1-0"]);
    // Both links want the same route: the second plugin fails, and the first one's part goes, too.
    let second = pod();
    let failed = serve(&engine, Add, "c2", &second, &both).result.unwrap_err();
    assert!(failed.msg.contains("plugin ptp: failed to add route"), "{failed}");
    assert!(second.links().is_empty());
    let left = |folder: &str| {
        let entries = std::fs::read_dir(data.join(folder)).into_iter().flatten().flatten();
        entries.filter(|entry| entry.file_name().to_string_lossy().starts_with("10.")).count()
    };
    assert_eq!((left("pair-0"), left("pair-1")), (1, 0));
    assert_eq!(serve(&engine, Del, "c1", &first, &one).result, Ok(None));
    assert!(first.links().is_empty());
    assert_eq!(left("pair-0"), 0);
}

#[test]
fn what_a_plugin_is_owed_is_paid_later() {
    let host = host(1);
    let engine = host.engine();
    let data = host.folder.path().join("hl");
    let local = json!({"cniVersion": "1.0.0", "name": "local", "type": "multi-nic", "plugin": {"type": "macvlan"},
        "ipam": {"type": "host-local", "dataDir": data, "ranges": [[{"subnet": "10.77.0.0/24"}]]}});
    let dead = pod();
    result(serve(&engine, Add, "c1", &dead, &local));
    dead.die();
    engine.sweep(|_| false);
    engine.sweep(|_| false);
    assert!(data.join("local-0/10.77.0.2").exists(), "nobody was there to run host-local");

    let other = pod();
    let answer = serve(&engine, Add, "c2", &other, &conf());
    assert_eq!(answer.debts.len(), 1);
    let outcomes: Vec<_> =
        answer.debts.iter().map(|debt| cni::plugin_run::run(debt, &debt.environment)).collect();
    engine.paid(&answer.debts, &outcomes);

    assert!(!data.join("local-0/10.77.0.2").exists());
    assert_eq!(engine.attachments().len(), 1);
    assert!(serve(&engine, Del, "c2", &other, &conf()).debts.is_empty());
}

#[test]
fn the_ipam_executable_gives_addresses_of_the_same_blocks() {
    let host = host(2);
    let engine = host.engine();
    let pod = pod();
    let conf = json!({"cniVersion": "1.0.0", "name": "neta", "type": "macvlan", "masters": ["m0", "m1"],
        "ipam": {"type": "multi-nic-ipam"}});
    let mut call = call(Add, "c1", &pod.path, &conf);
    call.tool = Tool::MultiNicIpam;

    let answer = engine.serve(&call, Some(pod.fd()), &mut Plugins);
    let answer = result(answer);

    assert_eq!(answer["ips"][0], json!({"interface": 0, "address": "192.168.0.1/24"}));
    assert_eq!(answer["ips"][2], json!({"interface": 1, "address": "192.168.1.1/24"}));
    assert!(answer.get("interfaces").is_none());
    assert_eq!(used(&engine, &host, "neta"), 4);
    call.environment.command = Del;
    assert_eq!(engine.serve(&call, Some(pod.fd()), &mut Plugins).result, Ok(None));
    assert_eq!(used(&engine, &host, "neta"), 0);
}

#[test]
fn asked_for_addresses_names_and_macs_are_given_or_refused() {
    let host = host(2);
    let engine = host.engine();
    let first = pod();
    let mut asked = conf();
    asked["runtimeConfig"] = json!({"ips": ["192.168.1.77", "192.168.0.66/24"], "mac": "02:00:00:00:00:77"});
    asked["names"] = json!("exact");

    let answer = result(serve(&engine, Add, "c1", &first, &asked));

    assert_eq!(first.links(), ["net1", "net1-1"]);
    assert_eq!(first.addresses("net1")[0], "192.168.0.66/24");
    assert_eq!(first.addresses("net1-1")[0], "192.168.1.77/24");
    assert_eq!(answer["interfaces"][0]["mac"], "02:00:00:00:00:77");
    let second = pod();
    let taken = serve(&engine, Add, "c2", &second, &asked);
    assert_eq!(code(&taken), 101);
    asked["runtimeConfig"]["ips"] = json!(["1.2.3.4"]);
    let outside = serve(&engine, Add, "c2", &second, &asked);
    assert!(outside.result.unwrap_err().msg.contains("1.2.3.4 is in no block"));
    asked["runtimeConfig"] = json!({"mac": "01:00:00:00:00:77"});
    assert_eq!(code(&serve(&engine, Add, "c2", &second, &asked)), 7);
    assert_eq!(used(&engine, &host, "neta"), 4);
}

#[test]
fn an_mtu_above_the_masters_and_a_name_that_is_too_long_are_refused() {
    let host = host(1);
    let engine = host.engine();
    let pod = pod();
    let mut big = conf();
    big["plugin"]["mtu"] = json!(9000);
    let answer = serve(&engine, Add, "c1", &pod, &big);
    assert_eq!(answer.result.unwrap_err().msg, "plugin.mtu: 9000 is above the 1500 of master m0");
    let mut call = call(Add, "c1", &pod.path, &conf());
    call.environment.ifname = "fourteen-bytes".to_owned();
    let answer = engine.serve(&call, Some(pod.fd()), &mut Plugins);
    assert!(answer.result.unwrap_err().msg.contains("`fourteen-bytes-0` would be over 15 bytes"));
}

#[test]
fn an_unknown_network_names_the_known_ones() {
    let host = host(1);
    let engine = host.engine();
    let mut unknown = conf();
    unknown["name"] = json!("netz");
    let error = serve(&engine, Add, "c1", &pod(), &unknown).result.unwrap_err();

    assert_eq!(error.to_string(), "name: this agent has no network `netz` (it has: neta, tiny)");
}

#[test]
fn addresses_of_prev_result_are_used_and_no_ipam_is_asked() {
    let host = host(2);
    let engine = host.engine();
    let pod = pod();
    let mut chained = conf();
    chained["prevResult"] =
        json!({"cniVersion": "1.1.0", "ips": [{"address": "10.5.0.1/24"}, {"address": "10.6.0.1/24"}]});

    let answer = result(serve(&engine, Add, "c1", &pod, &chained));

    assert_eq!(pod.addresses("net1-0"), ["10.5.0.1/24"]);
    assert_eq!(answer["ips"][1], json!({"interface": 1, "address": "10.6.0.1/24"}));
    assert_eq!(used(&engine, &host, "neta"), 0);
}

#[test]
fn a_nic_that_dies_is_told_keeps_the_addresses_and_does_not_hinder_the_del() {
    let host = host(2);
    let engine = host.engine();
    let pod = pod();
    let mut with_result = conf();
    with_result["prevResult"] = result(serve(&engine, Add, "c1", &pod, &conf()));
    engine.look_at(&host.inventory.lock().unwrap());
    assert!(serve(&engine, Check, "c1", &pod, &with_result).result.is_ok());
    ip("link delete m1");
    let mut without = (**host.inventory.lock().unwrap()).clone();
    without.nics.pop();

    engine.look_at(&without);

    let error = serve(&engine, Check, "c1", &pod, &with_result).result.unwrap_err();
    assert!(error.msg.contains("a NIC of it is gone"), "{error}");
    assert_eq!(used(&engine, &host, "neta"), 4);
    assert_eq!(serve(&engine, Del, "c1", &pod, &conf()).result, Ok(None));
    assert!(pod.links().is_empty());
}

#[test]
fn a_number_that_somebody_has_is_passed_over() {
    let host = host(1);
    let engine = host.engine();
    let pod = pod();
    pod.run("link add x index 1000000 type veth peer name y");

    result(serve(&engine, Add, "c1", &pod, &conf()));

    assert!(pod.links().contains(&"net1-0".to_owned()));
    assert_eq!(serve(&engine, Del, "c1", &pod, &conf()).result, Ok(None));
    assert_eq!(pod.links().len(), 2, "only what is not ours is left");
}
