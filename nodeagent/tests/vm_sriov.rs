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

use std::fs;
use std::path::PathBuf;

use serde_json::{Value, json};

use harness::{Agent, Lab, run, wait_for, write};

const PF: &str = "0000:41:00.0";
const OTHER: &str = "0000:81:00.0";

/// A machine whose PFs have no VFs, now and at the end.
struct Pfs(Lab);

impl Pfs {
    fn new() -> Self {
        empty();
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
        run("ip", &format!("link set {} mtu 1500", netdev(pf)));
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

#[test]
#[ignore = "needs the lab VM"]
fn a_policy_of_the_operator_in_the_folder_makes_the_vfs() {
    let pfs = Pfs::new();
    let spec = json!({"resourceName": "vfs", "nicSelector": {"rootDevices": [PF]}, "numVfs": 4});
    pfs.file("vfs.yaml", &policy("vfs", &spec));
    let agent = pfs.0.agent();

    let shown = wait_state(&agent, PF, "inPlace", 4);

    assert_eq!((count(PF), count(OTHER)), (4, 0));
    assert_eq!((&shown["policies"], &shown["posted"]), (&json!(["vfs"]), &json!(false)));
    assert_eq!(shown["plan"], json!({"steps": []}));
    let vfs = agent.get(&format!("/v1/sriov/pfs/{PF}/vfs")).json();
    for (index, shown) in (0..4).zip(vfs["vfs"].as_array().unwrap()) {
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
}
