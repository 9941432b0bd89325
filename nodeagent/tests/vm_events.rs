//! In the lab VM: what happens to real SR-IOV NICs is told by `/v1/events` and shown by `/v1/nics` without a restart,
//! from notifications alone (the re-probe is off).
//!
//! Wants an igb at 0000:41:00.0 and an e1000e at 0000:82:00.0. REQUIRES: root, and nobody else who changes those two.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a test may fail by panicking, in its helpers too"
)]

mod harness;

use std::path::PathBuf;

use harness::events::Events;
use harness::{Agent, Lab, run, wait_for, write};
use serde_json::{Value, json};

const PF: &str = "0000:41:00.0";
const PLAIN: &str = "0000:82:00.0";

fn device(pci: &str) -> PathBuf {
    PathBuf::from("/sys/bus/pci/devices").join(pci)
}

/// Name of the netdev of a PCI function in this namespace.
fn netdev(pci: &str) -> Option<String> {
    let entry = std::fs::read_dir(device(pci).join("net")).ok()?.next()?.ok()?;
    entry.file_name().into_string().ok()
}

fn present(pci: &str) -> String {
    wait_for(&format!("a netdev on {pci}"), || netdev(pci))
}

/// Address of a VF.
fn vf(index: u32) -> String {
    let link = std::fs::read_link(device(PF).join(format!("virtfn{index}"))).expect("the VF");
    link.file_name().expect("a name").to_str().expect("text").to_owned()
}

/// Waits for a change of `nic` after which its member at `path` has a value that is wanted.
fn told(events: &mut Events, nic: &str, path: &str, wanted: impl Fn(Option<&Value>) -> bool) -> Value {
    events.wait_for(&format!("{nic} {path}"), |event| {
        // A member may change alone, or come and go with what it is in.
        event["nic"] == nic
            && event["changes"].as_array().is_some_and(|changes| {
                changes.iter().any(|change| {
                    let at = change["path"].as_str().unwrap_or_default();
                    path.strip_prefix(at)
                        .is_some_and(|rest| wanted(change.get("to").and_then(|to| to.pointer(rest))))
                })
            })
    })
}

fn held(agent: &Agent) -> Value {
    agent.get(&format!("/v1/nics/{PF}/vfs")).json()["capacity"]["held"].clone()
}

#[test]
#[ignore = "needs the lab VM"]
fn vfs_that_are_made_moved_and_passed_through_are_told_and_shown() {
    let lab = Lab::here();
    write(device(PF).join("sriov_numvfs"), "0");
    let agent = lab.agent();
    let mut events = agent.events("", &[]);

    // Made.
    write(device(PF).join("sriov_numvfs"), "3");
    let moved = vf(1);
    told(&mut events, PF, "/sriov/capacity/enabled", |to| to == Some(&json!(3)));
    agent.wait_for_nic(&moved, "its PF", |nic| nic["vf"]["pf"] == PF && nic["vf"]["index"] == 1);
    agent.wait_for_nic(PF, "three VFs", |nic| {
        nic["sriov"]["vfs"].as_array().is_some_and(|vfs| vfs.len() == 3)
    });
    let name = present(&moved);
    agent.wait_for_nic(&moved, "its netdev", |nic| nic["name"] == name.as_str());

    // Moved into a namespace and back.
    run("ip", "netns add events-away");
    run("ip", &format!("link set {name} netns events-away"));
    told(&mut events, &moved, "/held/by", |to| to == Some(&json!("namespace")));
    let nic = agent.wait_for_nic(&moved, "held by the namespace", |nic| nic["held"]["by"] == "namespace");
    assert_eq!(nic["held"]["namespace"]["name"], "events-away", "{nic}");
    assert_eq!(held(&agent), 1);
    run("ip", &format!("-n events-away link set {name} netns 1"));
    told(&mut events, &moved, "/name", |to| to == Some(&json!(name)));
    agent.wait_for_nic(&moved, "free", |nic| nic.get("held").is_none() && nic["name"] == name.as_str());
    wait_for("nothing held", || (held(&agent) == 0).then_some(()));
    run("ip", "netns del events-away");

    // Bound to vfio-pci and back.
    let passed = vf(2);
    write(device(&passed).join("driver_override"), "vfio-pci");
    write(device(&passed).join("driver/unbind"), &passed);
    told(&mut events, &passed, "/driver/name", |to| to.is_none());
    write("/sys/bus/pci/drivers_probe", &passed);
    told(&mut events, &passed, "/driver/name", |to| to == Some(&json!("vfio-pci")));
    let nic = agent.nic(&passed).expect("the VF");
    assert_eq!((&nic["driver"]["name"], nic.get("name")), (&json!("vfio-pci"), None));
    write(device(&passed).join("driver/unbind"), &passed);
    write(device(&passed).join("driver_override"), "\n");
    write("/sys/bus/pci/drivers_probe", &passed);
    told(&mut events, &passed, "/driver/name", |to| to == Some(&json!("igbvf")));
    let name = present(&passed);
    agent.wait_for_nic(&passed, "its netdev again", |nic| nic["name"] == name.as_str());

    // Gone.
    write(device(PF).join("sriov_numvfs"), "0");
    told(&mut events, PF, "/sriov/capacity/enabled", |to| to == Some(&json!(0)));
    wait_for("the VFs to be gone", || agent.nic(&moved).is_none().then_some(()));
    assert!(
        agent.get("/v1/nics?vf=true").json()["nics"]
            .as_array()
            .is_some_and(|nics| { nics.iter().all(|nic| nic["vf"]["pf"] != PF) })
    );
}

#[test]
#[ignore = "needs the lab VM"]
fn nic_that_is_renamed_taken_down_and_unplugged_is_told_and_shown() {
    let lab = Lab::here();
    let name = present(PLAIN);
    run("ip", &format!("link set {name} down"));
    let agent = lab.agent();
    let mut events = agent.events("", &[]);

    // Renamed: the same NIC, for it has a PCI address.
    run("ip", &format!("link set {name} name events0"));
    told(&mut events, PLAIN, "/name", |to| to == Some(&json!("events0")));
    assert_eq!(agent.nic("events0").expect("by its new name")["id"], PLAIN);
    run("ip", &format!("link set events0 name {name}"));
    told(&mut events, PLAIN, "/name", |to| to == Some(&json!(name)));

    // Up and down.
    run("ip", &format!("link set {name} up"));
    told(&mut events, PLAIN, "/link/adminUp", |to| to == Some(&json!(true)));
    told(&mut events, PLAIN, "/link/operState", |to| to == Some(&json!("up")));
    assert_eq!(agent.nic(PLAIN).expect("the NIC")["speed"]["source"], "link");
    run("ip", &format!("link set {name} down"));
    told(&mut events, PLAIN, "/link/adminUp", |to| to == Some(&json!(false)));
    agent.wait_for_nic(PLAIN, "down", |nic| nic["link"]["operState"] == "down");
    let before = agent.nic(PLAIN).expect("the NIC")["generation"].clone();

    // Unplugged, and found again: another incarnation at the same address.
    write(device(PLAIN).join("remove"), "1");
    events.wait_for_type("nic.removed", PLAIN);
    assert!(agent.nic(PLAIN).is_none());
    write("/sys/bus/pci/rescan", "1");
    events.wait_for_type("nic.added", PLAIN);
    let name = present(PLAIN);
    let nic = agent.wait_for_nic(PLAIN, "its netdev", |nic| nic["name"] == name.as_str());
    assert_ne!(nic["generation"]["ifindex"], before["ifindex"], "{nic}");
    assert_ne!(nic["generation"]["device"], before["device"], "{nic}");
}
