//! Other plugins beside and under the engine.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use attach::{Conversation, Gone};
use cni::Command::{Add, Del};
use cni::protocol::{DelegateCall, Outcome, Tool};
use serde_json::{Value, json};

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

/// A network with `host-local`'s addresses, which are below this folder.
fn local(data: &Path) -> Value {
    json!({"cniVersion": "1.0.0", "name": "local", "type": "multi-nic", "plugin": {"type": "macvlan"},
        "ipam": {"type": "host-local", "dataDir": data, "ranges": [[{"subnet": "10.77.0.0/24"}]]}})
}

/// What `host-local` holds on the first NIC.
fn held(data: &Path) -> Vec<String> {
    let files = std::fs::read_dir(data.join("local-0")).into_iter().flatten().flatten();
    let names = files.map(|file| file.file_name().to_string_lossy().into_owned());
    let mut held: Vec<String> = names.filter(|name| name.starts_with("10.")).collect();
    held.sort();
    held
}

/// A `host-local` that fails on DEL as long as a file is there.
fn stubborn(folder: &Path) -> (PathBuf, PathBuf) {
    use std::os::unix::fs::PermissionsExt;
    let (plugins, stop) = (folder.join("plugins"), folder.join("stop"));
    std::fs::create_dir(&plugins).unwrap();
    let script = format!(
        "#!/bin/sh\n[ $CNI_COMMAND = DEL ] && [ -e {} ] && exit 1\nexec /usr/lib/cni/host-local\n",
        stop.display()
    );
    std::fs::write(plugins.join("host-local"), script).unwrap();
    std::fs::set_permissions(plugins.join("host-local"), std::fs::Permissions::from_mode(0o755)).unwrap();
    (plugins, stop)
}

#[test]
fn one_who_pays_late_does_not_undo_the_next_attachment_of_the_key() {
    let host = host(1);
    let engine = host.engine();
    let data = host.folder.path().join("hl");
    let first = pod();
    result(serve(&engine, Add, "c1", &first, &local(&data)));
    first.die();
    engine.sweep(|_| false);
    engine.sweep(|_| false);
    let (second, other) = (pod(), pod());
    let debts = serve(&engine, Add, "c2", &other, &conf()).debts;
    assert_eq!(debts.len(), 1);
    assert!(serve(&engine, Del, "c2", &other, &conf()).debts.is_empty(), "one is at it already");

    let address = std::thread::scope(|scope| {
        let again = scope.spawn(|| result(serve(&engine, Add, "c1", &second, &local(&data))));
        // `--pay-debts` may take twenty seconds; five were once thought to be enough.
        std::thread::sleep(Duration::from_millis(5_500));
        assert!(!again.is_finished(), "the DEL that is under way knows the same container");
        let outcomes: Vec<_> =
            debts.iter().map(|debt| cni::plugin_run::run(debt, &debt.environment)).collect();
        engine.paid(&debts, &outcomes);
        again.join().unwrap()["ips"][0]["address"].clone()
    });

    assert_eq!(Value::from(format!("{}/24", held(&data).concat())), address);
    assert_eq!(serve(&engine, Del, "c1", &second, &local(&data)).result, Ok(None));
    assert!(held(&data).is_empty() && engine.attachments().is_empty());
}

#[test]
fn a_plugin_that_cannot_undo_is_in_the_way_of_the_next_attachment_of_the_key() {
    let host = host(1);
    let engine = host.engine();
    let data = host.folder.path().join("hl");
    let (plugins, stop) = stubborn(host.folder.path());
    let ask = |command, container: &str, pod: &Pod, conf: &Value| {
        let mut call = call(command, container, &pod.path, conf);
        call.environment.path = plugins.display().to_string();
        engine.serve(&call, Some(pod.fd()), &mut Plugins)
    };
    let first = pod();
    result(ask(Add, "c1", &first, &local(&data)));
    let second = pod();
    std::fs::write(&stop, "").unwrap();

    let answer = ask(Add, "c1", &second, &local(&data));
    // Whoever is refused is handed the debt as well.
    engine.paid(&answer.debts, &[]);

    let refused = answer.result.unwrap_err();
    assert_eq!(refused.code, 11);
    assert!(refused.msg.starts_with("plugin host-local has to undo an earlier attachment"), "{refused}");
    assert_eq!((held(&data).len(), second.links().len(), first.links().len()), (1, 0, 0));
    std::fs::remove_file(&stop).unwrap();
    result(ask(Add, "c1", &second, &local(&data)));
    assert_eq!(held(&data).len(), 1, "the first one's is given back");
    assert_eq!(ask(Del, "c1", &second, &local(&data)).result, Ok(None));
    assert!(held(&data).is_empty() && engine.attachments().is_empty());
}

/// Goes while its plugin runs.
struct Leaves;

impl Conversation for Leaves {
    fn run(&mut self, calls: Vec<DelegateCall>) -> Result<Vec<Outcome>, Gone> {
        let plugin = calls[0].plugin.clone();
        Err(Gone { plugin, why: "it was killed".to_owned(), in_the_middle: true })
    }
}

#[test]
fn a_plugin_whose_caller_went_is_left_time_before_it_is_undone() {
    let host = host(1);
    let engine = host.engine();
    let data = host.folder.path().join("hl");
    let pod = pod();

    let begun = Instant::now();
    let failed = engine.serve(&call(Add, "c1", &pod.path, &local(&data)), Some(pod.fd()), &mut Leaves);

    assert_eq!(failed.result.unwrap_err().code, 11);
    assert!(failed.debts.is_empty());
    let debts = loop {
        let mut asks = call(Add, "", &pod.path, &conf());
        asks.pay_debts = true;
        let debts = engine.serve(&asks, None, &mut Plugins).debts;
        if !debts.is_empty() || begun.elapsed() > Duration::from_secs(20) {
            break debts;
        }
        std::thread::sleep(Duration::from_millis(50));
    };
    assert!(begun.elapsed() > Duration::from_secs(4), "the plugin may still run: {:?}", begun.elapsed());
    let outcomes: Vec<_> = debts.iter().map(|debt| cni::plugin_run::run(debt, &debt.environment)).collect();
    engine.paid(&debts, &outcomes);
    assert!(engine.attachments().is_empty());
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
