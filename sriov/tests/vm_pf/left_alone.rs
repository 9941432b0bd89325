//! PFs that are not ours to change.

use std::fs;
use std::path::Path;

use crate::pf_lab::{Lab, PF, count, device, netdev, run, vfs};
use sriov::{DesiredPf, PlanProblem};

#[test]
#[ignore = "needs the lab VM"]
fn a_pf_that_carries_the_node_is_left_alone_unless_it_is_allowed() {
    let lab = Lab::new();
    let name = netdev(PF);
    run(&format!(
        "ip address add 198.51.100.2/24 dev {name}; ip route add default via 198.51.100.1 dev {name}"
    ));

    let refused = lab.apply(PF, &vfs(2));
    let allowed = lab.apply(PF, &DesiredPf { on_uplink: true, ..vfs(2) });
    run(&format!("ip route del default dev {name}; ip address flush dev {name}"));

    assert!(matches!(&refused.plan.problems[..], [PlanProblem::Uplink { .. }]), "{refused:?}");
    assert!(refused.done.is_empty());
    assert!(allowed.is_complete(), "{allowed:?}");
    assert_eq!(count(PF), "2");
}

#[test]
#[ignore = "needs the lab VM"]
fn a_pf_that_somebody_else_manages_is_only_looked_at() {
    let lab = Lab::new();

    let external = DesiredPf { managed_by: Some("SriovNetworkNodeState lists it".into()), ..vfs(2) };
    let applied = lab.apply(PF, &external);

    assert!(matches!(&applied.plan.problems[..], [PlanProblem::External { .. }]), "{applied:?}");
    assert_eq!(count(PF), "0");
}

#[test]
#[ignore = "needs the lab VM"]
fn a_pf_that_the_operators_daemon_left_its_file_for_is_not_written_to() {
    let lab = Lab::new();
    let file = Path::new("/etc/sriov-operator/pci").join(PF);
    fs::create_dir_all(file.parent().unwrap()).unwrap();
    fs::write(&file, r#"{"numVfs":2,"vfGroups":[{"policyName":"nets","vfRange":"0-1"}]}"#).unwrap();
    fs::write(device(PF, "sriov_numvfs"), "2").unwrap();

    let more = lab.apply(PF, &vfs(4));
    let none = lab.apply(PF, &vfs(0));
    let same = lab.apply(PF, &vfs(2));
    let marked = Path::new("/run/udev/rules.d/10-multi-nic.rules").exists();
    let kept = count(PF);
    fs::remove_file(&file).unwrap();
    let ours = lab.apply(PF, &vfs(1));

    for (refused, said) in [(&more, "from 0 to 4"), (&none, "from 2 to 0")] {
        assert_eq!(refused.done.len(), 0, "{refused:?}");
        let text = refused.plan.problems[0].to_string();
        assert!(text.contains(said) && text.contains("sriov-network-operator"), "{text}");
    }
    assert!(same.is_complete() && same.done.is_empty(), "{same:?}");
    assert_eq!((kept.as_str(), marked), ("2", false));
    assert!(ours.is_complete(), "{ours:?}");
    assert_eq!(count(PF), "1");
}
