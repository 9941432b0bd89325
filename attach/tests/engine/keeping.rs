//! CHECK, GC and DEL of what is attached.

use cni::Command::{Add, Check, Del, Gc};
use serde_json::json;

use crate::harness::*;

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
fn a_master_that_is_lowered_below_a_link_is_told_once_for_each_mtu() {
    let host = host(2);
    let engine = host.engine();
    let pod = pod();
    result(serve(&engine, Add, "c1", &pod, &conf()));
    let mtus = |mtu: u32| {
        ip(&format!("link set m1 mtu {mtu}"));
        let mut inventory = (**host.inventory.lock().unwrap()).clone();
        inventory.nics[1].link.as_mut().unwrap().mtu = mtu;
        engine.look_at(&inventory);
        let mut events = host.events.lock().unwrap();
        let told = events.drain(..).filter_map(|event| match event {
            attach::Event::Narrowed { attachment, link, mtu } => {
                Some((attachment.key.to_string(), link, mtu))
            }
            _ => None,
        });
        told.collect::<Vec<_>>()
    };
    let about = |mtu| vec![("neta/c1/net1".to_owned(), 1, mtu)];

    assert_eq!(mtus(1500), []);
    assert_eq!(mtus(9000), []);
    assert_eq!(mtus(1400), about(1400));
    assert_eq!(pod.ip("link show net1-1")[0]["mtu"], 1400, "the kernel has lowered the link");
    assert_eq!(mtus(1400), []);
    assert_eq!(mtus(1300), about(1300));
    assert_eq!(mtus(1500), []);
    assert_eq!(mtus(1400), about(1400), "again");
    assert_eq!(serve(&engine, Del, "c1", &pod, &conf()).result, Ok(None));
    assert_eq!(mtus(1300), []);
}
