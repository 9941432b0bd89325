//! In the lab VM: a real kubelet with the pools of a real agent.
//!
//! Wants a machine with igb 0000:41:00.0 on NUMA node 0 and 0000:81:00.0 on node 1, and a control plane on the host. One
//! test, since a machine can be one node once.
//! REQUIRES: root, KUBECONFIG, and what `lab/node-up --setup` installs.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stderr,
    reason = "a test may fail by panicking, in its helpers too"
)]

mod harness;
mod kubelet;

use std::collections::BTreeSet;
use std::fs;

use serde_json::Value;

use harness::{Agent, Lab, run, write};
use kubelet::{Cluster, NODE, wait_for};

const RESOURCE: &str = "multinic.fms.io/vfs";

const CONFIG: &str = "
devicePlugin:
  enabled: true
  healthyAfter: 4
  pools:
    - { name: vfs, selectors: { vendors: ['8086'], devices: ['10ca'] } }
    - { name: shares, kind: nic, count: 5, selectors: { drivers: [igb] } }
";

const PFS: [&str; 2] = ["0000:41:00.0", "0000:81:00.0"];

/// Ids of the devices that the inventory says the pod has.
fn held_by(agent: &Agent, pod: &str) -> BTreeSet<String> {
    let nics = agent.get("/v1/nics").json();
    let holders = nics["nics"]
        .as_array()
        .unwrap()
        .iter()
        .flat_map(|nic| nic["heldBy"].as_array().into_iter().flatten());
    let of_pod = holders.filter(|holder| holder["pod"] == pod && holder["namespace"] == "default");
    of_pod.map(|holder| holder["device"].as_str().unwrap().to_owned()).collect()
}

/// A counter or gauge with these labels.
fn metric(agent: &Agent, line: &str) -> Option<i64> {
    let text = agent.get("/metrics").text();
    text.lines().find_map(|one| one.strip_prefix(line)?.trim().parse().ok())
}

fn pf_name(pci: &str) -> String {
    let folder = fs::read_dir(format!("/sys/bus/pci/devices/{pci}/net")).unwrap();
    folder.flatten().next().unwrap().file_name().into_string().unwrap()
}

#[test]
#[ignore = "needs the lab VM"]
fn a_node_with_a_real_kubelet() {
    for pf in PFS {
        write(format!("/sys/bus/pci/devices/{pf}/sriov_numvfs"), "3");
        run("ip", &format!("link set {} up", pf_name(pf)));
    }
    let lab = Lab::here();
    lab.configure(CONFIG);
    let mut agent = lab.agent();
    let cluster = Cluster::with_this_node();

    // The resource appears, whoever of the two was first.
    cluster.wait_allocatable(RESOURCE, "6");
    cluster.wait_allocatable("multinic.fms.io/shares", "10");

    // A pod gets its devices: on one NUMA node, with the variables, and the inventory says so.
    cluster.run_pod("two", RESOURCE, 2);
    let container = cluster.container("two");
    let ids = container.devices("PCIDEVICE_MULTINIC_FMS_IO_VFS");
    assert_eq!(ids.len(), 2);
    let info: Value =
        serde_json::from_str(&container.variable("PCIDEVICE_MULTINIC_FMS_IO_VFS_INFO")).unwrap();
    let buses: BTreeSet<&str> = ids.iter().map(|id| &id[..8]).collect();
    assert_eq!(buses.len(), 1, "{ids:?} are of two NUMA nodes");
    for id in &ids {
        assert_eq!(info[id]["generic"]["deviceID"], id.as_str());
        let file = format!("/var/run/k8s.cni.cncf.io/devinfo/dp/multinic.fms.io-vfs-{id}-device.json");
        let file: Value = serde_json::from_str(&fs::read_to_string(file).unwrap()).unwrap();
        assert_eq!(file["pci"]["pci-address"], id.as_str());
    }
    wait_for("the inventory to show the pod", || (held_by(&agent, "two") == ids).then_some(()));
    assert_eq!(kubelet::checkpointed(RESOURCE), ids, "the kubelet's own notes");
    let pf = if ids.iter().any(|id| id.starts_with("0000:41")) { PFS[0] } else { PFS[1] };
    assert_eq!(agent.nic(pf).unwrap()["sriov"]["capacity"]["held"], 2);

    // Carrier loss makes the count drop, and only then come back.
    let other = PFS[usize::from(pf == PFS[0])];
    run("ip", &format!("link set {} down", pf_name(other)));
    cluster.wait_allocatable(RESOURCE, "3");
    run("ip", &format!("link set {} up", pf_name(other)));
    cluster.wait_allocatable(RESOURCE, "6");

    // The kubelet restarts while the pod runs.
    let registered =
        "multi_nic_device_registrations_total{resource=\"multinic.fms.io/vfs\",outcome=\"registered\"}";
    let before = metric(&agent, registered).unwrap();
    cluster.restart_kubelet();
    wait_for("the pool to be registered again", || (metric(&agent, registered)? > before).then_some(()));
    cluster.wait_allocatable(RESOURCE, "6");
    cluster.run_pod("one", RESOURCE, 1);
    let one = cluster.container("one").devices("PCIDEVICE_MULTINIC_FMS_IO_VFS");
    assert!(one.is_disjoint(&ids), "{one:?} was given twice");
    cluster.assert_undisturbed("two", &container);
    assert_eq!(held_by(&agent, "two"), ids);

    // So does the agent, by force.
    agent.signal(nix::sys::signal::Signal::SIGKILL);
    agent.wait();
    cluster.wait_allocatable(RESOURCE, "0");
    let agent = lab.agent();
    cluster.wait_allocatable(RESOURCE, "6");
    wait_for("the inventory to show the pod", || (held_by(&agent, "two") == ids).then_some(()));
    cluster.assert_undisturbed("two", &container);

    // Another agent with the same resource stays off, and says so.
    let second = Lab::here();
    second.configure(CONFIG);
    let rival = second.agent();
    let warning = wait_for("the second agent to stay off", || {
        let warnings = rival.get("/v1/warnings").json();
        let warnings = warnings["warnings"].as_array()?.clone();
        warnings.into_iter().find(|one| one["code"] == "resourceTaken")
    });
    assert!(
        warning["message"].as_str().unwrap().contains(RESOURCE)
            || warning["message"].as_str().unwrap().contains("shares"),
        "{warning}"
    );
    drop(rival);
    assert_eq!(cluster.allocatable(RESOURCE).as_deref(), Some("6"));

    // A pod that goes gives its devices back, and their files go.
    cluster.delete_pod("two");
    wait_for("the inventory to forget the pod", || held_by(&agent, "two").is_empty().then_some(()));
    let kept = |id: &String| {
        fs::exists(format!("/var/run/k8s.cni.cncf.io/devinfo/dp/multinic.fms.io-vfs-{id}-device.json"))
    };
    wait_for("the files to go", || (!ids.iter().any(|id| kept(id).unwrap())).then_some(()));
    assert_eq!(held_by(&agent, "one"), one);
    eprintln!("a node {NODE} with 2 pools, 2 pods, 3 registrations");
}
