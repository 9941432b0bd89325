//! Pods that were there before the agent (TRAPS C7).

use std::io::{Read, Write};
use std::net::TcpListener;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use cni::Command;
use serde_json::{Value, json};

use crate::cluster::{Cluster, NODE};
use crate::harness::pods::Pod;
use crate::harness::{run, wait_for};
use crate::node::Machine;
use crate::runtime_service::{self, Sandboxes};
use crate::serving::blocks;

/// A pool as the predecessor keeps it.
fn pool(cluster: &Cluster, block: &str, interface: &str, allocations: &[(&str, &str)]) {
    let each = allocations
        .iter()
        .map(|(pod, address)| json!({"pod": pod, "namespace": "default", "index": 1, "address": address}));
    cluster.apply(&json!({
        "apiVersion": "multinic.fms.io/v1", "kind": "IPPool",
        "metadata": {"name": format!("red-{}", block.replace('/', "-")), "labels": {"netname": "red"}},
        "spec": {"podCIDR": block, "vlanCIDR": "192.168.0.0/18", "netAttachDef": "red", "hostName": NODE,
                 "interfaceName": interface, "excludes": [], "allocations": each.collect::<Vec<_>>()},
    }));
}

fn held(cluster: &Cluster, pool: &str) -> Vec<String> {
    let object = cluster.get("ippool", pool);
    let all = object.as_ref().and_then(|object| object["spec"]["allocations"].as_array());
    let each = all.into_iter().flatten();
    each.map(|one| format!("{} {}", one["pod"].as_str().unwrap(), one["address"].as_str().unwrap())).collect()
}

fn addresses(answer: &Value) -> Vec<String> {
    answer["ips"].as_array().unwrap().iter().map(|ip| ip["address"].as_str().unwrap().to_owned()).collect()
}

#[test]
#[ignore = "needs an API server"]
fn pods_of_the_predecessor_keep_their_addresses_until_they_go() {
    let cluster = Cluster::new();
    let machine = Machine::new(&cluster);
    cluster.network("red");
    blocks(&cluster);
    pool(&cluster, "192.168.0.0/24", "m0", &[("pod-c-web", "192.168.0.1"), ("pod-unseen", "192.168.0.2")]);
    pool(&cluster, "192.168.64.0/24", "m1", &[("pod-c-web", "192.168.64.1")]);
    // The predecessor's pod, whose second address its pool has lost; and its executable's ways are not ours.
    let web = Pod::new();
    let inside = |words: &str| run("nsenter", &format!("--net={} ip {words}", web.netns()));
    inside("link add net1-0 type veth peer name peer0");
    inside("addr add 192.168.0.1/18 dev net1-0");
    inside("link add net1-1 type veth peer name peer1");
    inside("addr add 192.168.64.7/18 dev net1-1");
    let sandboxes = Sandboxes::default();
    sandboxes.lock().unwrap().push(("c-web", "pod-c-web", web.netns()));
    let socket = machine.lab.path("cri.sock");
    // Its daemon still runs.
    let ended = Arc::new(AtomicBool::new(false));
    let daemon = TcpListener::bind("127.0.0.1:11000").unwrap();
    let its_end = Arc::clone(&ended);
    let daemon = std::thread::spawn(move || {
        for mut connection in daemon.incoming().flatten() {
            if its_end.load(Ordering::SeqCst) {
                return;
            }
            let _ = connection.read(&mut [0; 1024]);
            let _ = connection.write_all(b"HTTP/1.0 200 OK\r\n\r\n[]");
        }
    });
    let folder = machine.lab.path("bin");
    std::fs::create_dir(&folder).unwrap();
    let (endpoint, bin) = (socket.to_str().unwrap().to_owned(), folder.to_str().unwrap().to_owned());
    let mut agent = machine.agent_with(&["--runtime-endpoint", &endpoint, "--install-plugins", &bin]);

    // Nobody says which pods there are: no address is given.
    let new = Pod::new();
    wait_for("the word that it waits", || {
        let error = machine.call(Command::Add, "new", &new).err()?;
        error.contains("which addresses pods had before").then_some(())
    });
    // Its daemon still gives addresses, so we give none, and the runtime goes on with its executables.
    let _runtime = runtime_service::serve(&socket, &sandboxes);
    std::thread::sleep(std::time::Duration::from_secs(6));
    assert!(machine.call(Command::Add, "new", &new).unwrap_err().contains("which addresses pods had before"));
    assert!(std::fs::read_dir(&folder).unwrap().next().is_none(), "{}", agent.log());
    ended.store(true, Ordering::SeqCst);
    drop(std::net::TcpStream::connect("127.0.0.1:11000"));
    daemon.join().unwrap();

    let given = wait_for("a pod with its NICs", || machine.call(Command::Add, "new", &new).ok());
    assert_eq!(addresses(&given), ["192.168.0.3/18", "192.168.64.2/18"]);
    wait_for("the mirror of all", || {
        let first = held(&cluster, "red-192.168.0.0-24");
        let second = held(&cluster, "red-192.168.64.0-24");
        let all = ["pod-c-web 192.168.0.1", "pod-unseen 192.168.0.2", "pod-new 192.168.0.3"];
        (first == all
            && second == ["pod-c-web 192.168.64.1", "pod-new 192.168.64.2", "pod-c-web 192.168.64.7"])
        .then_some(())
    });
    assert_eq!(web.addresses("net1-0"), ["192.168.0.1/18"], "nothing in the pod is touched");
    wait_for("our executables", || folder.join("multi-nic").exists().then_some(()));

    // Once is enough: the next start asks nobody. Then the runtime deletes them, one by its id, one by its pod's name.
    assert!(agent.stop().0.success());
    let agent = machine.agent();
    machine.call(Command::Del, "c-web", &web).unwrap();
    machine.call(Command::Del, "unseen", &Pod::new()).unwrap();
    wait_for("the mirror of what is left", || {
        let first = held(&cluster, "red-192.168.0.0-24");
        let second = held(&cluster, "red-192.168.64.0-24");
        (first == ["pod-new 192.168.0.3"] && second == ["pod-new 192.168.64.2"]).then_some(())
    });
    drop(agent);
}
