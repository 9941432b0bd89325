//! In the lab VM: the agent makes the VFs of two igb PFs what policies and the API want, with sysfs and `ip` as the
//! witnesses.
//!
//! Wants a machine with igb 0000:41:00.0 on NUMA node 0 and 0000:81:00.0 on node 1. Each test puts the PFs back.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stderr,
    reason = "a test may fail by panicking, in its helpers too"
)]

mod harness;
#[path = "device_plugin/kubelet.rs"]
#[allow(dead_code, reason = "the device plugin's own tests ask for more")]
mod kubelet;
#[path = "../src/kubelet_api.rs"]
#[allow(dead_code, reason = "the device plugin's own tests ask for more")]
mod kubelet_api;

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use harness::pods::Pod;
use harness::{Agent, Lab, run, wait_for, write};

const PF: &str = "0000:41:00.0";
const OTHER: &str = "0000:81:00.0";

/// A machine whose PFs have no VFs, now and at the end.
struct Pfs(Lab);

impl Pfs {
    fn new() -> Self {
        empty();
        // The node's way to others, which is none of them.
        if !Path::new("/sys/class/net/up0").exists() {
            run("ip", "link add up0 type dummy");
            run("ip", "address add 10.99.0.1/24 dev up0");
            run("ip", "link set up0 up");
        }
        run("ip", "route replace default via 10.99.0.254 dev up0");
        Self(Lab::here())
    }

    /// Writes a file of the agent's folder.
    fn file(&self, name: &str, text: &str) {
        let folder = self.0.path("config");
        fs::create_dir_all(&folder).unwrap();
        // At once, as an administrator's tool would.
        fs::write(self.0.path(name), text).unwrap();
        fs::rename(self.0.path(name), folder.join(name)).unwrap();
    }
}

impl Drop for Pfs {
    fn drop(&mut self) {
        empty();
    }
}

fn empty() {
    for pf in [PF, OTHER] {
        write(device(pf, "sriov_numvfs"), "0");
        run("ip", &format!("address flush dev {}", netdev(pf)));
    }
}

fn device(pci: &str, file: &str) -> PathBuf {
    PathBuf::from(format!("/sys/bus/pci/devices/{pci}/{file}"))
}

fn count(pf: &str) -> u16 {
    fs::read_to_string(device(pf, "sriov_numvfs")).unwrap().trim().parse().unwrap()
}

fn netdev(pci: &str) -> String {
    fs::read_dir(device(pci, "net")).unwrap().next().unwrap().unwrap().file_name().into_string().unwrap()
}

fn vf(pf: &str, index: u16) -> String {
    let link = fs::read_link(device(pf, &format!("virtfn{index}"))).unwrap();
    link.file_name().unwrap().to_str().unwrap().to_owned()
}

fn driver(pci: &str) -> String {
    let link = fs::read_link(device(pci, "driver")).unwrap();
    link.file_name().unwrap().to_str().unwrap().to_owned()
}

/// A file of sriov-network-operator.
fn policy(name: &str, spec: &Value) -> String {
    let (version, kind) = ("sriovnetwork.openshift.io/v1", "SriovNetworkNodePolicy");
    // YAML is a superset of JSON.
    json!({"apiVersion": version, "kind": kind, "metadata": {"name": name}, "spec": spec}).to_string()
}

fn pf(agent: &Agent, pf: &str) -> Value {
    let reply = agent.get(&format!("/v1/sriov/pfs/{pf}"));
    assert_eq!(reply.status, 200);
    reply.json()
}

/// Waits until the PF is in this state, with so many VFs.
fn wait_state(agent: &Agent, name: &str, state: &str, vfs: u16) -> Value {
    wait_for(&format!("{name} to be {state} with {vfs} VFs"), || {
        let shown = pf(agent, name);
        (shown["state"] == state && shown["observed"]["numVfs"] == vfs).then_some(shown)
    })
}

/// The VFs of a PF as the agent shows them.
fn vfs(agent: &Agent, pf: &str) -> Vec<Value> {
    agent.get(&format!("/v1/sriov/pfs/{pf}/vfs")).json()["vfs"].as_array().unwrap().clone()
}

/// What the PF holds of a VF: MAC, VLAN, rates and so on.
fn admin(pf: &str, index: usize) -> Value {
    let shown: Value = serde_json::from_str(&run("ip", &format!("-j link show {}", netdev(pf)))).unwrap();
    shown[0]["vfinfo_list"][index].clone()
}

#[test]
#[ignore = "needs the lab VM"]
fn a_policy_of_the_operator_in_the_folder_makes_the_vfs_and_keeps_them() {
    let pfs = Pfs::new();
    let spec =
        |count: u16| json!({"resourceName": "vfs", "nicSelector": {"rootDevices": [PF]}, "numVfs": count});
    pfs.file("vfs.yaml", &policy("vfs", &spec(4)));
    let mut agent = pfs.0.agent();

    let shown = wait_state(&agent, PF, "inPlace", 4);

    assert_eq!((count(PF), count(OTHER)), (4, 0));
    assert_eq!((&shown["policies"], &shown["posted"]), (&json!(["vfs"]), &json!(false)));
    assert_eq!(shown["plan"], json!({"steps": []}));
    for (index, shown) in (0..4).zip(vfs(&agent, PF)) {
        let pci = vf(PF, index);
        assert_eq!((&shown["state"], &shown["pci"]), (&json!("free"), &json!(pci)));
        assert_eq!(
            (shown["driver"].as_str().unwrap(), shown["name"].as_str().unwrap()),
            ("igbvf", &*netdev(&pci))
        );
        assert_eq!(driver(&pci), "igbvf");
    }
    let other = pf(&agent, OTHER);
    assert_eq!((&other["state"], &other["desired"]), (&json!("unmanaged"), &Value::Null));
    let planned = String::from_utf8(pfs.0.command(&["sriov-plan"]).output().unwrap().stdout).unwrap();
    assert!(planned.contains("4 VFs, 4 are wanted by vfs\n  nothing is to be done"), "{planned}");

    // Somebody takes them away, and the PF itself: they come back each time.
    write(device(PF, "sriov_numvfs"), "0");
    wait_for("the VFs to come back", || (count(PF) == 4).then_some(()));
    wait_state(&agent, PF, "inPlace", 4);
    write(device(PF, "remove"), "1");
    wait_for("the PF to be gone", || (agent.get(&format!("/v1/sriov/pfs/{PF}")).status == 404).then_some(()));
    write("/sys/bus/pci/rescan", "1");
    wait_for("the PF to come back with its VFs", || {
        let there = device(PF, "sriov_numvfs").exists();
        (there && count(PF) == 4).then_some(())
    });
    wait_state(&agent, PF, "inPlace", 4);

    // What a reboot leaves: nothing.
    agent.stop();
    write(device(PF, "sriov_numvfs"), "0");
    // Nobody knows whether the PF is the node's way to others, until there is one.
    run("ip", "route delete default");
    fs::remove_dir_all(pfs.0.path("state")).unwrap();
    let agent = pfs.0.agent();
    let waits = wait_state(&agent, PF, "refused", 0);
    assert!(waits["plan"]["problems"].to_string().contains("no default route"), "{waits}");
    run("ip", "route replace default via 10.99.0.254 dev up0");
    wait_state(&agent, PF, "inPlace", 4);

    // The file is changed, spoilt, and taken away.
    pfs.file("vfs.yaml", &policy("vfs", &spec(2)));
    wait_state(&agent, PF, "inPlace", 2);
    let mut wrong = spec(2);
    wrong["numVf"] = json!(7);
    pfs.file("vfs.yaml", &policy("vfs", &wrong));
    let report = wait_for("the fault to be told", || {
        let list = agent.get("/v1/sriov/pfs").json();
        list["reports"].as_array()?.first().cloned()
    });
    assert_eq!((&report["policy"], &report["field"]), (&json!("vfs"), &json!("spec.numVf")));
    assert_eq!(pf(&agent, PF)["state"], "inPlace", "what it said before goes on");
    fs::remove_file(pfs.0.path("config/vfs.yaml")).unwrap();
    wait_state(&agent, PF, "unmanaged", 2);
    assert_eq!(count(PF), 2, "nobody asked for none");
}

#[test]
#[ignore = "needs the lab VM"]
fn policies_of_the_configuration_share_a_pf_and_what_is_protected_is_left_alone() {
    let pfs = Pfs::new();
    let name = netdev(PF);
    pfs.0.configure(&format!(
        "
protected: [{OTHER:?}]
sriov:
  - name: nets
    nicSelector: {{ pfNames: ['{name}#0-1'] }}
    numVfs: 4
    mtu: 1400
    priority: 50
  - name: dpdk
    nicSelector: {{ pfNames: ['{name}#2-3'] }}
    numVfs: 4
    deviceType: vfio-pci
    resourceName: dpdk
    needVhostNet: true
    priority: 50
  - name: all
    nicSelector: {{ vendor: '8086', deviceID: 10c9 }}
    numVfs: 1
"
    ));
    let agent = pfs.0.agent();

    let shown = wait_state(&agent, PF, "inPlace", 4);

    let drivers: Vec<String> = (0..4).map(|index| driver(&vf(PF, index))).collect();
    assert_eq!(drivers, ["igbvf", "igbvf", "vfio-pci", "vfio-pci"]);
    for index in 0..2 {
        let mtu = fs::read_to_string(format!("/sys/class/net/{}/mtu", netdev(&vf(PF, index)))).unwrap();
        assert_eq!(mtu.trim(), "1400");
    }
    assert_eq!(shown["desired"]["groups"].as_array().unwrap().len(), 2);
    assert!(shown["plan"]["notes"].to_string().contains("of policy all give way to policy"), "{shown}");
    assert_eq!(vfs(&agent, PF)[3]["desired"]["deviceType"], "vfio-pci");
    let other = wait_state(&agent, OTHER, "refused", 0);
    let problem = other["plan"]["problems"][0].as_str().unwrap();
    assert!(problem.contains("configuration"), "{problem}");
    let refused = agent.send("POST", &format!("/v1/sriov/pfs/{OTHER}"), &json!({"numVfs": 2}));
    assert_eq!((refused.status, refused.problem().as_str()), (422, "impossible-state"));
    assert_eq!(count(OTHER), 0);
    let list = agent.get("/v1/sriov/pfs").json();
    assert_eq!(list["reports"][0]["field"], "sriov[1].needVhostNet");
    let metrics = agent.get("/metrics").text();
    for line in ["multi_nic_sriov_pfs{state=\"inPlace\"} 1", "multi_nic_sriov_pfs{state=\"refused\"} 1"] {
        assert!(metrics.contains(line), "no {line}");
    }
}

#[test]
#[ignore = "needs the lab VM"]
fn what_the_api_wants_outlives_the_agent_and_takes_nothing_from_a_pod() {
    let pfs = Pfs::new();
    let name = netdev(PF);
    run("ip", &format!("address add 192.168.71.1/24 dev {name}"));
    run("ip", &format!("link set {name} up"));
    let sample = concat!(env!("CARGO_MANIFEST_DIR"), "/../deploy/samples/sriov.yaml");
    pfs.file("vfs.yaml", &fs::read_to_string(sample).unwrap());
    let mut agent = pfs.0.agent();
    let path = format!("/v1/sriov/pfs/{name}");
    let mut events = agent.events("?type=sriov.changed", &[]);

    // What would be done, and what cannot be.
    let planned = agent.send("POST", &format!("{path}?dryRun=true"), &json!({"numVfs": 4}));
    assert_eq!(planned.status, 200);
    assert!(planned.json()["plan"]["steps"].to_string().contains("from 0 to 4"), "{planned:?}");
    for (wanted, code) in [
        (json!({"numVfs": 8}), "impossible-state"),
        (json!({"numVf": 4}), "invalid-body"),
        (json!({"numVfs": 4, "groups": [{"vfs": "3-4"}]}), "invalid-body"),
    ] {
        let refused = agent.send("POST", &path, &wanted);
        assert_eq!((refused.status, refused.problem().as_str()), (422, code), "{wanted}");
    }
    assert_eq!((count(PF), pf(&agent, PF)["state"].as_str().unwrap()), (0, "unmanaged"));

    let made = agent.send("POST", &path, &json!({"numVfs": 4}));
    assert_eq!((made.status, made.json()["state"].as_str()), (200, Some("inPlace")), "{made:?}");
    assert_eq!((made.json()["posted"].as_bool(), count(PF)), (Some(true), 4));
    let in_place = |event: &Value| {
        event["nic"] == PF && event["changes"].as_array().unwrap().iter().any(|one| one["to"] == "inPlace")
    };
    while !in_place(&events.next()) {}
    let before: Vec<Value> = (0..4).map(|index| admin(PF, index)).collect();

    // A pod gets one. Nothing takes it away.
    let pod = Pod::new();
    let request = json!({"network": "vfs", "containerId": "c1", "ifname": "net1", "netns": pod.netns()});
    let attached = agent.send("POST", "/v1/attachments", &request);
    assert_eq!(attached.status, 201, "{}", attached.text());
    let attached = attached.json();
    assert_eq!(pod.addresses("net1-0"), ["10.71.0.1/16"], "{attached}");
    let held = wait_for("the VF to be shown as held", || {
        vfs(&agent, PF).into_iter().find(|one| one["state"] == "held")
    });
    assert!(held["holders"].to_string().contains("container c1 (network vfs, net1)"), "{held}");
    let refused = agent.send("POST", &path, &json!({"numVfs": 2}));
    assert_eq!((refused.status, refused.problem().as_str()), (409, "held"));
    assert!(refused.json()["holders"].to_string().contains("container c1"), "{refused:?}");
    assert_eq!((count(PF), pf(&agent, PF)["desired"]["numVfs"].as_u64()), (4, Some(4)));

    // A policy wants fewer, and does not count; the agent is killed and comes back.
    let spec = json!({"resourceName": "vfs", "nicSelector": {"rootDevices": [PF]}, "numVfs": 2});
    pfs.file("policy.yaml", &policy("fewer", &spec));
    agent.signal(nix::sys::signal::Signal::SIGKILL);
    agent.wait();
    let agent = pfs.0.agent();
    let shown = wait_state(&agent, PF, "inPlace", 4);
    assert_eq!((&shown["posted"], &shown["policies"]), (&json!(true), &json!(["fewer"])));
    assert_eq!(pod.addresses("net1-0"), ["10.71.0.1/16"]);

    // Without the wish of the API the policy counts, as soon as the pod lets go.
    assert_eq!(agent.send("DELETE", &path, &Value::Null).status, 204);
    let again = agent.send("DELETE", &path, &Value::Null);
    assert_eq!((again.status, again.problem().as_str()), (404, "no-desired-state"));
    let waits = wait_state(&agent, PF, "held", 4);
    assert!(waits["plan"]["blocked"].to_string().contains("container c1"), "{waits}");
    assert_eq!(agent.send("POST", &path, &json!({"numVfs": 4})).status, 200);
    assert_eq!(agent.send("DELETE", "/v1/attachments/vfs/c1/net1", &Value::Null).status, 204);
    wait_for("all to be free", || vfs(&agent, PF).iter().all(|one| one["state"] == "free").then_some(()));
    assert_eq!((0..4).map(|index| admin(PF, index)).collect::<Vec<_>>(), before, "a VF came back another");
    assert_eq!(agent.send("DELETE", &path, &Value::Null).status, 204);
    wait_state(&agent, PF, "inPlace", 2);
}

/// The kubelet gives up pods for ever whose devices are not there when it restarts (TRAPS V6): what it is told first must
/// be all.
#[test]
#[ignore = "needs the lab VM"]
fn the_kubelet_is_told_of_a_pool_when_its_pfs_have_their_vfs_and_not_before() {
    let pfs = Pfs::new();
    let mut kubelet = kubelet::Kubelet::new(pfs.0.path("kubelet"));
    pfs.0.configure(&format!(
        "
sriov:
  - nicSelector: {{ rootDevices: [{PF:?}] }}
    numVfs: 7
devicePlugin:
  enabled: true
  kubeletDir: {}
  deviceInfoDir: {}
  pools: [{{ name: vfs, selectors: {{ vendors: ['8086'], devices: ['10ca'] }} }}]
",
        pfs.0.path("kubelet").display(),
        pfs.0.path("devinfo").display()
    ));
    kubelet.start();
    let _agent = pfs.0.agent();

    let request = kubelet.registration();
    let made = count(PF);
    let listed: Vec<String> = kubelet.watch(&request.endpoint).next().into_iter().map(|(id, _)| id).collect();

    assert_eq!((request.resource_name.as_str(), made), ("multinic.fms.io/vfs", 7));
    let mut all: Vec<String> = (0..7).map(|index| vf(PF, index)).collect();
    all.sort();
    assert_eq!(listed, all);
}
