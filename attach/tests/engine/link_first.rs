//! IPAM plugins that need the link up in the pod before they are asked (TRAPS P2).

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;

use attach::Gone;
use cni::Command::{Add, Check, Del};
use cni::protocol::{DelegateCall, Outcome};
use serde_json::{Value, json};

use crate::harness::*;

/// host-local for those whose link is up: it says no otherwise, and writes down what it saw.
const CHECKING: &str = r#"#!/bin/sh
conf=$(cat)
state=$(nsenter --net="$CNI_NETNS" ip -o link show dev "$CNI_IFNAME" 2>&1 | grep -o 'state [A-Z]*')
addresses=$(nsenter --net="$CNI_NETNS" ip -o address show dev "$CNI_IFNAME" scope global 2>/dev/null | wc -l)
echo "$CNI_COMMAND $CNI_IFNAME $state $addresses" >> SEEN
if [ "$CNI_COMMAND" = ADD ] && [ "$state" != "state UP" ]; then
    echo "{\"code\": 100, \"msg\": \"$CNI_IFNAME is not up\"}"
    exit 1
fi
printf %s "$conf" | /usr/lib/cni/host-local
"#;

/// The plugin's file, what it saw, and a configuration that uses it.
fn checking(host: &Host) -> (PathBuf, Value) {
    let folder = host.folder.path();
    let (plugin, seen) = (folder.join("checking-local"), folder.join("seen"));
    fs::write(&plugin, CHECKING.replace("SEEN", &seen.display().to_string())).unwrap();
    fs::set_permissions(&plugin, fs::Permissions::from_mode(0o755)).unwrap();
    let conf = json!({"cniVersion": "1.0.0", "name": "local", "type": "multi-nic", "ipamNeedsLink": true,
        "plugin": {"type": "macvlan"},
        "ipam": {"type": "checking-local", "dataDir": folder.join("hl"),
            "ranges": [[{"subnet": "10.77.0.0/24", "gateway": "10.77.0.254"}]],
            "routes": [{"dst": "10.99.0.0/16", "gw": "10.77.0.9"}]}});
    (seen, conf)
}

fn calling(
    engine: &attach::Engine,
    command: cni::Command,
    host: &Host,
    pod: &Pod,
    conf: &Value,
) -> attach::Answer {
    let mut call = call(command, "c1", &pod.path, conf);
    call.environment.path = format!("{}:/usr/lib/cni", host.folder.path().display());
    engine.serve(&call, Some(pod.fd()), &mut Plugins)
}

/// Addresses that host-local holds for one NIC.
fn held(host: &Host, name: &str) -> usize {
    let entries = fs::read_dir(host.folder.path().join("hl").join(name)).into_iter().flatten().flatten();
    entries.filter(|entry| entry.file_name().to_string_lossy().starts_with("10.")).count()
}

#[test]
fn an_ipam_plugin_finds_the_links_up_and_its_addresses_routes_and_rules_follow() {
    let host = host(2);
    let engine = host.engine();
    let (seen, conf) = checking(&host);
    let pod = pod();

    let answer = result(calling(&engine, Add, &host, &pod, &conf));

    assert_eq!(fs::read_to_string(&seen).unwrap(), "ADD net1-0 state UP 0\nADD net1-1 state UP 0\n");
    assert_eq!(
        answer["ips"][1],
        json!({"interface": 1, "address": "10.77.0.1/24", "gateway": "10.77.0.254"})
    );
    assert_eq!(pod.addresses("net1-0"), ["10.77.0.1/24"]);
    let routes = pod.ip("route show 10.99.0.0/16");
    assert_eq!((&routes[0]["dev"], &routes[0]["gateway"]), (&json!("net1-0"), &json!("10.77.0.9")));
    let table = format!("route show table {}", 0x4d4e_0000_u32 + 1_000_001);
    let default = pod.ip(&table)[0].clone();
    assert_eq!(
        (&default["dst"], &default["gateway"], &default["dev"]),
        (&json!("default"), &json!("10.77.0.254"), &json!("net1-1"))
    );
    let mut check = conf.clone();
    check["prevResult"] = answer.clone();
    assert_eq!(calling(&engine, Check, &host, &pod, &check).result, Ok(None));
    assert_eq!(result(calling(&engine, Add, &host, &pod, &conf)), answer, "the same again");

    fs::write(&seen, "").unwrap();
    assert_eq!(calling(&engine, Del, &host, &pod, &conf).result, Ok(None));

    assert_eq!(fs::read_to_string(&seen).unwrap(), "DEL net1-1 state UP 1\nDEL net1-0 state UP 1\n");
    assert!(pod.links().is_empty());
    assert_eq!(pod.ip("rule show").as_array().unwrap().len(), 3);
    assert_eq!((held(&host, "local-0"), held(&host, "local-1")), (0, 0));
    assert!(engine.attachments().is_empty());
}

#[test]
fn without_the_key_the_plugin_is_asked_before_there_is_a_link() {
    let host = host(1);
    let engine = host.engine();
    let (_, mut conf) = checking(&host);
    conf["ipamNeedsLink"] = json!(false);

    let error = calling(&engine, Add, &host, &pod(), &conf).result.unwrap_err();

    assert_eq!(error.msg, "plugin checking-local: net1-0 is not up");
}

#[test]
fn when_the_plugin_fails_or_nobody_runs_it_the_links_go_again() {
    let host = host(2);
    let engine = host.engine();
    let (_, mut conf) = checking(&host);
    let pod = pod();
    conf["ipam"]["ranges"] =
        json!([[{"subnet": "10.77.0.0/30", "rangeStart": "10.77.0.2", "gateway": "10.77.0.2"}]]);
    let error = calling(&engine, Add, &host, &pod, &conf).result.unwrap_err();
    assert!(error.msg.starts_with("plugin checking-local: "), "{error}");
    assert!(pod.links().is_empty());
    assert!(engine.attachments().is_empty());

    // What the plugin gave cannot be wired: no link leads to that gateway.
    let (_, mut conf) = checking(&host);
    conf["ipam"]["routes"] = json!([{"dst": "fd00::/64", "gw": "10.77.0.9"}]);
    let error = calling(&engine, Add, &host, &pod, &conf).result.unwrap_err();
    assert!(error.msg.contains("add the route to fd00::/64"), "{error}");
    assert!(pod.links().is_empty());
    assert_eq!((held(&host, "local-0"), held(&host, "local-1")), (0, 0));
    assert!(engine.attachments().is_empty());

    let (_, conf) = checking(&host);
    let call = call(Add, "c1", &pod.path, &conf);
    let answer = engine.serve(&call, Some(pod.fd()), &mut attach::NoConversation);
    assert_eq!(code(&answer), 11);
    assert!(pod.links().is_empty());
    assert_eq!(engine.attachments().len(), 1, "its DELs are owed");
    assert_eq!(answer.debts.len(), 2);
}

/// Runs plugins until the agent is no more: from then on the disk hears nothing.
struct Dying<'a> {
    disk: &'a store::lossy::Disk,
    crashed: Option<store::lossy::Disk>,
    after: bool,
}

impl attach::Conversation for Dying<'_> {
    fn run(&mut self, calls: Vec<DelegateCall>) -> Result<Vec<Outcome>, Gone> {
        if !self.after {
            self.crashed.get_or_insert_with(|| self.disk.crashed(&[]));
        }
        let outcomes = Plugins.run(calls)?;
        if self.after {
            self.crashed.get_or_insert_with(|| self.disk.crashed(&[]));
        }
        Ok(outcomes)
    }
}

#[test]
fn a_crash_before_or_after_the_plugins_is_taken_back_and_one_at_the_end_is_completed() {
    // Each on a host of its own, at once: what is owed to plugins may not be asked for again for five seconds.
    std::thread::scope(|scope| {
        for (crash, completed) in [("before", false), ("after", false), ("end", true)] {
            scope.spawn(move || crashed(crash, completed));
        }
    });
}

fn crashed(crash: &str, completed: bool) {
    let host = host(2);
    let (_, conf) = checking(&host);
    let disk = store::lossy::Disk::new();
    let engine = host.engine_on(Some(std::sync::Arc::new(store::Store::open_on(&disk).unwrap())));
    let pod = pod();
    let mut call = call(Add, "c1", &pod.path, &conf);
    call.environment.path = format!("{}:/usr/lib/cni", host.folder.path().display());
    let mut dying = Dying { disk: &disk, crashed: None, after: crash == "after" };
    let first = result(engine.serve(&call, Some(pod.fd()), &mut dying));
    let crashed = if completed { disk.crashed(&[]) } else { dying.crashed.unwrap() };
    drop(engine);
    if !completed {
        // The agent died before it gave the addresses.
        pod.run("address flush dev net1-0");
        pod.run("address flush dev net1-1");
    }
    let engine = host.engine_on(Some(std::sync::Arc::new(store::Store::open_on(&crashed).unwrap())));

    let found = engine.recover();

    assert_eq!((found.completed, found.rolled_back), if completed { (1, 0) } else { (0, 1) }, "{crash}");
    assert_eq!(pod.links().is_empty(), !completed, "{crash}");
    // The runtime got no answer and deletes; plugins are there again.
    assert_eq!(calling(&engine, Del, &host, &pod, &conf).result, Ok(None), "{crash}");
    assert!(pod.links().is_empty() && engine.attachments().is_empty(), "{crash}");
    assert_eq!((held(&host, "local-0"), held(&host, "local-1")), (0, 0), "{crash}");
    let again = result(calling(&engine, Add, &host, &pod, &conf));
    assert_eq!(again["interfaces"].as_array().unwrap().len(), first["interfaces"].as_array().unwrap().len());
    assert_eq!(calling(&engine, Del, &host, &pod, &conf).result, Ok(None));
}
