//! The embedded switch, on netdevsim.

use std::fs;

use crate::pf_lab::{Lab, PF, ip_link, run, vfs};
use sriov::{DesiredPf, EswitchMode, NoClaims, PlanProblem};

/// A netdevsim device, removed at the end of the test.
struct Simulated(&'static str);

impl Simulated {
    fn new() -> Self {
        fs::write("/sys/bus/netdevsim/new_device", "77 1").unwrap();
        Self("netdevsim77")
    }
}

impl Drop for Simulated {
    fn drop(&mut self) {
        let _ = fs::write("/sys/bus/netdevsim/del_device", "77");
    }
}

fn eswitch_mode(handle: &str) -> String {
    let text = run(&format!("devlink -j dev eswitch show {handle}"));
    let value: serde_json::Value = serde_json::from_str(&text).unwrap();
    value["dev"][handle]["mode"].as_str().unwrap().to_owned()
}

#[test]
#[ignore = "needs the lab VM"]
fn switchdev_makes_representors_and_one_in_a_bridge_is_not_taken_away() {
    let lab = Lab::new();
    let simulated = Simulated::new();
    let handle = format!("netdevsim/{}", simulated.0);
    let switchdev = DesiredPf { eswitch: Some(EswitchMode::Switchdev), ..vfs(2) };

    let applied = lab.apply(simulated.0, &switchdev);

    assert!(applied.is_complete(), "{applied:?}");
    assert_eq!(eswitch_mode(&handle), "switchdev");
    let pf = lab.control.observe_one(simulated.0, &NoClaims).unwrap();
    assert_eq!((pf.enabled, pf.eswitch), (2, Some(EswitchMode::Switchdev)));
    let representors: Vec<String> = pf.vfs.iter().map(|vf| vf.representor.clone().unwrap()).collect();
    assert_eq!(representors.len(), 2);
    for (index, name) in representors.iter().enumerate() {
        assert_eq!(ip_link(name)["phys_port_name"], format!("pf0vf{index}"));
    }
    assert!(lab.control.plan(simulated.0, &switchdev, &NoClaims).unwrap().is_empty());

    let legacy = DesiredPf { eswitch: Some(EswitchMode::Legacy), ..vfs(2) };
    run(&format!("ip link add brsw type bridge; ip link set {} master brsw", representors[0]));
    let refused = lab.apply(simulated.0, &legacy);
    assert!(refused.done.is_empty(), "{refused:?}");
    assert!(refused.plan.blocked[0].to_string().contains("slave of brsw"), "{refused:?}");
    run("ip link del brsw");

    assert!(lab.apply(simulated.0, &legacy).is_complete());
    assert_eq!(eswitch_mode(&handle), "legacy");
    let pf = lab.control.observe_one(simulated.0, &NoClaims).unwrap();
    assert!(pf.vfs.iter().all(|vf| vf.representor.is_none()), "{pf:?}");

    let igb = lab.apply(PF, &DesiredPf { eswitch: Some(EswitchMode::Switchdev), ..vfs(1) });
    assert!(matches!(&igb.plan.problems[..], [PlanProblem::Eswitch { .. }]), "{igb:?}");
}
