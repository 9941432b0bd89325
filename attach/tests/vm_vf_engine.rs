//! The engine with VFs of igb: the lab VM.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "test code outside of test functions"
)]

#[allow(dead_code, reason = "this file uses a part of it")]
mod harness;
mod vf_host;

use std::fs;
use std::path::Path;
use std::process::Command as Program;

use attach::record::Phase;
use cni::Command::{Add, Check, Del};
use harness::*;
use serde_json::{Value, json};
use vf_host::*;

fn sriov(set: impl FnOnce(&mut Value)) -> Value {
    let mut conf = conf();
    conf["plugin"] = json!({"type": "sriov"});
    set(&mut conf);
    conf
}

#[test]
#[ignore = "needs the lab VM"]
fn pods_get_a_vf_of_each_pf_talk_over_them_and_all_come_back_as_they_were() {
    let host = vf_host(2);
    let before = states(2);
    let engine = host.engine();
    let (first, second) = (pod(), pod());
    let settings = json!({"type": "sriov", "vlan": 30, "vlanQoS": 2, "trust": "on", "max_tx_rate": 500});
    let conf = sriov(|conf| conf["plugin"] = settings.clone());

    let one = result(serve(&engine, Add, "c1", &first, &conf));
    let two = result(serve(&engine, Add, "c2", &second, &conf));

    for (number, pf) in PFS.iter().enumerate() {
        let interface = &one["interfaces"][number];
        assert_eq!(interface["name"], format!("net1-{number}"));
        assert_eq!(interface["pciID"], vf(pf, 0), "{one}");
        assert_eq!(one["ips"][number]["address"], format!("192.168.{number}.1/24"));
        assert_eq!(
            two["interfaces"][number]["pciID"],
            vf(pf, 1),
            "the other VF, though the inventory is old"
        );
        let shown = admin(pf, 0);
        assert_eq!((&shown["vlan_list"][0]["vlan"], &shown["vlan_list"][0]["qos"]), (&json!(30), &json!(2)));
        assert_eq!((&shown["trust"], &shown["rate"]["max_tx"]), (&json!(true), &json!(500)));
        let link = first.ip(&format!("link show net1-{number}"));
        assert_eq!((&link[0]["parentdev"], &link[0]["address"]), (&json!(vf(pf, 0)), &interface["mac"]));
        assert!(reaches(&first, &second, &format!("192.168.{number}.2")), "over {pf}");
    }
    let mut check = conf.clone();
    check["prevResult"] = one.clone();
    assert_eq!(serve(&engine, Check, "c1", &first, &check).result, Ok(None));
    assert_eq!(result(serve(&engine, Add, "c1", &first, &conf)), one, "asked again");
    ip(&format!("link set {} vf 0 vlan 31", name(PFS[1]).unwrap()));
    let wrong = serve(&engine, Check, "c1", &first, &check).result.unwrap_err();
    assert!(wrong.msg.contains("of net1-1 does not have vlan 30 qos 2"), "{wrong}");
    let third = pod();
    look(&host);
    let full = serve(&engine, Add, "c3", &third, &conf).result.unwrap_err();
    assert!(full.code == 103 && full.msg.contains("none of the 2 VFs of"), "{full}");

    for (container, pod) in [("c1", &first), ("c2", &second)] {
        assert_eq!(serve(&engine, Del, container, pod, &conf).result, Ok(None));
        assert!(pod.links().is_empty());
    }
    assert_eq!(states(2), before);
    look(&host);
    result(serve(&engine, Add, "c3", &third, &conf));
    assert_eq!(serve(&engine, Del, "c3", &third, &conf).result, Ok(None));
    assert_eq!(states(2), before);
}

#[test]
#[ignore = "needs the lab VM"]
fn the_devices_of_a_device_plugin_a_mac_and_what_others_are_told() {
    let host = vf_host(2);
    let before = states(2);
    let engine = host.engine();
    let (first, second) = (pod(), pod());
    let info = "/run/k8s.cni.cncf.io/devinfo/cni/default-neta-c1_net1";
    drop(fs::remove_file(info));
    let conf = sriov(|conf| {
        // Sorted as texts, while the pod names the PFs the other way round.
        conf["deviceIDs"] = json!([vf(PFS[0], 1), vf(PFS[1], 0)]);
        conf["args"] = json!({"cni": {"masters": [name(PFS[1]), name(PFS[0])]}});
        conf["runtimeConfig"] = json!({"mac": "02:00:00:00:0e:01", "CNIDeviceInfoFile": info});
    });

    let one = result(serve(&engine, Add, "c1", &first, &conf));

    assert_eq!(one["interfaces"][0]["pciID"], vf(PFS[1], 0));
    assert_eq!(one["interfaces"][1]["pciID"], vf(PFS[0], 1));
    assert_eq!(one["ips"][0]["address"], "192.168.1.1/24", "the first link has the second PF's addresses");
    assert_eq!(one["interfaces"][0]["mac"], "02:00:00:00:0e:01");
    assert_eq!(first.ip("link show net1-0")[0]["address"], "02:00:00:00:0e:01");
    assert_eq!(admin(PFS[1], 0)["address"], "02:00:00:00:0e:01");
    let told: Value = serde_json::from_str(&fs::read_to_string(info).unwrap()).unwrap();
    let pci = json!({"pci-address": vf(PFS[1], 0), "pf-pci-address": PFS[1]});
    assert_eq!(told, json!({"type": "pci", "version": "1.1.0", "pci": pci}));
    let allocation = Path::new("/var/lib/cni/sriov/pci").join(vf(PFS[1], 0));
    assert_eq!(fs::read_to_string(&allocation).unwrap(), first.path.to_str().unwrap());
    // A MAC of the PF reaches igbvf by a new bind; frames pass only then.
    let other = sriov(|conf| {
        conf["deviceIDs"] = json!([vf(PFS[1], 1)]);
        conf["ipam"] = json!({"type": "multi-nic-ipam"});
    });
    result(serve(&engine, Add, "c2", &second, &other));
    assert!(reaches(&first, &second, "192.168.1.2"));
    assert!(reaches(&second, &first, "192.168.1.1"));

    assert_eq!(serve(&engine, Del, "c1", &first, &conf).result, Ok(None));
    assert_eq!(serve(&engine, Del, "c2", &second, &other).result, Ok(None));
    assert_eq!(states(2), before);
    assert!(!Path::new(info).exists());
    // What sriov-cni gave to a living namespace stays there.
    fs::write(&allocation, second.path.to_str().unwrap()).unwrap();
    let refused = serve(&engine, Add, "c1", &first, &conf).result.unwrap_err();
    assert!(refused.code == 103 && refused.msg.contains("by sriov-cni"), "{refused}");
    assert_eq!(fs::read_to_string(&allocation).unwrap(), second.path.to_str().unwrap());
    fs::remove_file(&allocation).unwrap();
    assert_eq!(states(2), before);
}

#[test]
#[ignore = "needs the lab VM"]
fn a_vf_for_user_space_is_bound_to_vfio_and_an_open_one_is_taken_back_later() {
    let host = vf_host(1);
    let before = states(1);
    let engine = host.engine();
    let pod = pod();
    let conf = sriov(|conf| {
        conf["deviceIDs"] = json!([vf(PFS[0], 0)]);
        conf["plugin"]["deviceType"] = json!("vfio-pci");
        conf["plugin"]["vlan"] = json!(8);
    });

    let one = result(serve(&engine, Add, "c1", &pod, &conf));

    assert_eq!(one["interfaces"][0]["pciID"], vf(PFS[0], 0));
    assert_eq!(one["ips"][0]["address"], "192.168.0.1/24");
    assert!(pod.links().is_empty());
    assert_eq!(states(1)[0]["driver"], "vfio-pci");
    assert_eq!(admin(PFS[0], 0)["vlan_list"][0]["vlan"], 8);
    let mut check = conf.clone();
    check["prevResult"] = one;
    assert_eq!(serve(&engine, Check, "c1", &pod, &check).result, Ok(None));
    // A new start keeps it, though the pod has no link.
    drop(engine);
    let engine = host.engine();
    assert_eq!(engine.recover().kept, 1);
    let group = fs::read_link(folder(&vf(PFS[0], 0)).join("iommu_group")).unwrap();
    let node = Path::new("/dev/vfio").join(group.file_name().unwrap());
    let open = fs::OpenOptions::new().read(true).write(true).open(node).unwrap();
    assert_eq!(serve(&engine, Del, "c1", &pod, &conf).result, Ok(None));
    assert_eq!(engine.attachments()[0].phase, Phase::Detaching);
    let taken = serve(&engine, Add, "c2", &pod, &conf).result.unwrap_err();
    assert_eq!(taken.code, 103, "{taken}");
    drop(open);
    engine.sweep(|_| true);
    assert!(engine.attachments().is_empty());
    assert_eq!(states(1), before);
}

#[test]
#[ignore = "needs the lab VM"]
fn a_namespace_that_ends_under_its_vfs_leaves_nothing_with_and_without_a_del() {
    let host = vf_host(1);
    let before = states(1);
    let engine = host.engine();
    let conf = sriov(|conf| conf["plugin"] = json!({"type": "sriov", "mac": "02:00:00:00:0f:01", "vlan": 5}));
    let (first, second) = (pod(), pod());
    result(serve(&engine, Add, "c1", &first, &conf));
    let gone = call(Del, "c1", &first.path, &conf);
    first.die();

    assert_eq!(engine.serve(&gone, None, &mut Plugins).result, Ok(None));

    assert_eq!(states(1), before);
    assert!(engine.attachments().is_empty());
    result(serve(&engine, Add, "c2", &second, &conf));
    second.die();
    assert_eq!(engine.sweep(|_| false).suspected.len(), 1);
    assert_eq!(engine.sweep(|_| false).swept.len(), 1);
    assert_eq!(states(1), before);
}

#[test]
#[ignore = "needs the lab VM"]
fn three_pods_have_macvlan_on_one_vf_and_it_is_as_before_when_the_last_goes() {
    let host = vf_host(2);
    let before = states(2);
    let master = name(&vf(PFS[0], 1)).unwrap();
    ip(&format!("link set {master} up"));
    look(&host);
    let up = admin(PFS[0], 1);
    let engine = host.engine();
    let pods = [pod(), pod(), pod()];
    for kind in ["macvlan", "ipvlan"] {
        let mut conf = conf();
        conf["plugin"] = json!({"type": kind});
        conf["masters"] = json!([master]);
        conf["name"] = json!("other");
        for (number, pod) in pods.iter().enumerate() {
            conf["ipam"] =
                json!({"type": "static", "addresses": [{"address": format!("10.8.0.{number}/24")}]});
            result(serve(&engine, Add, &format!("c{number}"), pod, &conf));
        }
        // On another VF, so that what is heard came over the wire of the PF.
        let outside = pod();
        let conf_of_vf = sriov(|conf| {
            conf["name"] = json!("other");
            conf["deviceIDs"] = json!([vf(PFS[0], 0)]);
            conf["ipam"] = json!({"type": "static", "addresses": [{"address": "10.8.0.9/24"}]});
        });
        result(serve(&engine, Add, "vf", &outside, &conf_of_vf));

        let shown = admin(PFS[0], 1);
        let set = (shown["trust"] == true, shown["spoofchk"] == false);
        assert_eq!(set, (kind == "macvlan", kind == "macvlan"), "{shown}");
        for (number, pod) in pods.iter().enumerate() {
            assert!(reaches(&outside, pod, &format!("10.8.0.{number}")), "{kind}: to pod {number}");
            assert!(reaches(pod, &outside, "10.8.0.9"), "{kind}: from pod {number}");
        }
        assert!(reaches(&pods[0], &pods[1], "10.8.0.1"), "{kind}");

        assert_eq!(serve(&engine, Del, "vf", &outside, &conf_of_vf).result, Ok(None));
        for (number, pod) in pods.iter().enumerate() {
            assert_eq!(admin(PFS[0], 1)["trust"], kind == "macvlan");
            assert_eq!(serve(&engine, Del, &format!("c{number}"), pod, &conf).result, Ok(None));
        }
        assert_eq!(admin(PFS[0], 1), up);
    }
    ip(&format!("link set {master} down"));
    let mut now = states(2);
    // The master was up: its queueing discipline stays.
    now[1]["link"]["qdisc"] = before[1]["link"]["qdisc"].clone();
    assert_eq!(now, before);
}

#[test]
#[ignore = "needs the lab VM"]
fn host_device_takes_a_vf_or_a_whole_pf_by_its_pci_address() {
    let host = vf_host(1);
    let before = states(1);
    let engine = host.engine();
    for pci in [vf(PFS[0], 0), PFS[1].to_owned()] {
        let was = name(&pci).unwrap();
        let pod = pod();
        let conf = sriov(|conf| {
            conf["plugin"] = json!({"type": "host-device"});
            conf["name"] = json!("other");
            conf["ipam"] = json!({"type": "static", "addresses": [{"address": "10.7.0.1/24"}]});
            conf["deviceIDs"] = json!([pci]);
        });

        let one = result(serve(&engine, Add, "c1", &pod, &conf));

        assert_eq!(one["interfaces"][0]["pciID"], pci);
        assert_eq!(pod.ip("link show net1-0")[0]["parentdev"], pci);
        assert_eq!(serve(&engine, Del, "c1", &pod, &conf).result, Ok(None));
        assert_eq!(name(&pci).unwrap(), was);
        look(&host);
    }
    assert_eq!(states(1), before);
}

#[test]
#[ignore = "needs the lab VM"]
fn seven_pods_at_once_get_fourteen_vfs_and_no_two_the_same() {
    let host = vf_host(7);
    let before = states(7);
    let engine = host.engine();
    let pods: Vec<Pod> = (0..7).map(|_| pod()).collect();
    let conf = sriov(|_| {});
    for _ in 0..2 {
        let results: Vec<Value> = std::thread::scope(|scope| {
            let adds: Vec<_> = pods
                .iter()
                .enumerate()
                .map(|(number, pod)| {
                    let (engine, conf) = (&engine, &conf);
                    scope.spawn(move || result(serve(engine, Add, &format!("c{number}"), pod, conf)))
                })
                .collect();
            adds.into_iter().map(|add| add.join().unwrap()).collect()
        });
        let mut given: Vec<&str> = results
            .iter()
            .flat_map(|one| one["interfaces"].as_array().unwrap())
            .map(|interface| interface["pciID"].as_str().unwrap())
            .collect();
        given.sort_unstable();
        given.dedup();
        assert_eq!(given.len(), 14);
        std::thread::scope(|scope| {
            for (number, pod) in pods.iter().enumerate() {
                let (engine, conf) = (&engine, &conf);
                scope.spawn(move || {
                    assert_eq!(serve(engine, Del, &format!("c{number}"), pod, conf).result, Ok(None));
                });
            }
        });
        assert_eq!(states(7), before);
        look(&host);
    }
}

/// TRAPS V9.
#[test]
#[ignore = "needs the lab VM"]
fn a_pf_that_is_removed_and_found_again_loses_its_pods_and_serves_new_ones() {
    let host = vf_host(2);
    let engine = host.engine();
    let (first, second) = (pod(), pod());
    let conf = sriov(|conf| conf["args"] = json!({"cni": {"masters": [name(PFS[1])]}}));
    result(serve(&engine, Add, "c1", &first, &conf));
    result(serve(&engine, Add, "c2", &second, &conf));

    fs::write(folder(PFS[1]).join("remove"), "1").unwrap();
    look(&host);
    engine.look_at(&host.inventory.lock().unwrap().clone());
    assert!(engine.attachments().iter().all(|attachment| attachment.phase == Phase::Lost));
    fs::write("/sys/bus/pci/rescan", "1").unwrap();
    make_vfs(PFS[1], 2);
    let new = states(2);
    look(&host);

    for (container, pod) in [("c1", &first), ("c2", &second)] {
        assert_eq!(serve(&engine, Del, container, pod, &conf).result, Ok(None));
    }
    assert!(engine.attachments().is_empty());
    let now = states(2);
    assert_eq!(
        now,
        new.into_iter()
            .map(|mut state| {
                state["allocated"] = json!(false);
                state
            })
            .collect::<Vec<_>>()
    );
    // The PF may have another name by now.
    let conf = sriov(|conf| conf["args"] = json!({"cni": {"masters": [name(PFS[1])]}}));
    result(serve(&engine, Add, "c3", &first, &conf));
    assert_eq!(serve(&engine, Del, "c3", &first, &conf).result, Ok(None));
    assert_eq!(states(2), now);
}

/// Run by the test below in a process of its own, which a step of the engine kills.
#[test]
#[ignore = "needs the lab VM"]
fn victim() {
    let Ok(state) = std::env::var("VICTIM_STATE") else { return };
    let host = this_machine();
    let (store, _) = store::Store::open(Path::new(&state), &host.identity()).unwrap();
    let engine = host.engine_on(Some(std::sync::Arc::new(store)));
    let netns = std::env::var("VICTIM_NETNS").unwrap();
    for command in [Add, Del] {
        let fd = std::os::fd::OwnedFd::from(fs::File::open(&netns).unwrap());
        let call = call(command, "c1", Path::new(&netns), &victims_conf());
        engine.serve(&call, Some(fd), &mut Plugins).result.unwrap();
    }
    engine.housekeeping();
    panic!("the step was not reached");
}

fn victims_conf() -> Value {
    sriov(|conf| {
        conf["plugin"] = json!({"type": "sriov", "mac": "02:00:00:00:10:01", "vlan": 6, "trust": "on"});
    })
}

#[test]
#[ignore = "needs the lab VM"]
fn an_agent_killed_at_any_step_is_repaired_to_the_first_state() {
    let host = vf_host(1);
    let before = states(1);
    let steps = attach::STEPS.iter().chain(&attach::VF_STEPS);
    // These are of delegates, which this attachment has none of.
    let steps = steps.filter(|step| !matches!(**step, "add.delegated"));
    let mut killed = Vec::new();
    for step in steps {
        let state = tempfile::tempdir().unwrap();
        let pod = pod();
        let died = Program::new(std::env::current_exe().unwrap())
            .args(["--ignored", "--exact", "victim"])
            .env("VICTIM_STATE", state.path())
            .env("VICTIM_NETNS", &pod.path)
            .env("MULTI_NIC_FAIL", format!("{step}=kill"))
            .output()
            .unwrap();
        let signal = std::os::unix::process::ExitStatusExt::signal(&died.status);
        assert_eq!(signal, Some(9), "{step}: {}", String::from_utf8_lossy(&died.stdout));

        let (store, _) = store::Store::open(state.path(), &host.identity()).unwrap();
        look(&host);
        let engine = host.engine_on(Some(std::sync::Arc::new(store)));
        let found = engine.recover();
        // The runtime got no answer, and deletes.
        let conf = victims_conf();
        assert_eq!(serve(&engine, Del, "c1", &pod, &conf).result, Ok(None), "{step}: {found:?}");
        assert_eq!(states(1), before, "{step}: {found:?}");
        assert!(pod.links().is_empty(), "{step}");
        assert!(engine.attachments().is_empty(), "{step}");
        killed.push(*step);
    }
    println!("killed at {}", killed.join(", "));
    assert_eq!(killed.len(), attach::STEPS.len() + attach::VF_STEPS.len() - 1);
}
