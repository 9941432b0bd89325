//! Other plugins beside and under the engine.

use cni::Command::{Add, Del};
use cni::protocol::Tool;
use serde_json::json;

use crate::harness::*;

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
